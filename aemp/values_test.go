package aemp_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/perltest"
)

var framings = []aemp.Framing{aemp.JSON, aemp.CBOR, aemp.Storable, aemp.MessagePack}

// receive reads a packet as a connection does.
func receive(f aemp.Framing, packet []byte) (aemp.Message, error) {
	d := f.NewDecoder(aemp.Limits{})
	n, err := d.Scan(packet)
	if err != nil {
		return nil, err
	}
	if n != len(packet) {
		return nil, fmt.Errorf("Scan found %d of %d bytes", n, len(packet))
	}
	d.Reset(packet)
	return aemp.DecodeMessage(d)
}

// pass sends an element in that framing, and returns what arrives.
func pass(f aemp.Framing, v any) (any, error) {
	packet, err := aemp.EncodeMessage(f.NewEncoder(), nil, "port", v)
	if err != nil {
		return nil, err
	}
	m, err := receive(f, packet)
	if err != nil {
		return nil, err
	}
	if len(m) != 2 || m[0] != "port" {
		return nil, fmt.Errorf("received %v", m)
	}
	return m[1], nil
}

// identical tells 0 from -0, unlike sameWireValue, but not one NaN from another.
func identical(a, b any) bool {
	return sameWireValue(a, b) && aemp.Message{a}.String() == aemp.Message{b}.String()
}

// A fromGo is a value that a Go node sends.
type fromGo struct {
	row  string // of the table in docs/values.md
	sent any
	got  [4]any // what a Go node gets by json, cbor, storable and msgpack; or the error
	// What Perl gets by json, cbor and storable, as perlValues shows it. Empty
	// when nothing arrives, or when it is left open.
	perl [3]string
}

func all(v any) [4]any { return [4]any{v, v, v, v} }

func perlAll(text string) [3]string { return [3]string{text, text, text} }

var errSend = aemp.ErrUnsupportedValue

var valuesFromGo = []fromGo{
	{"nil, nil pointer", nil, all(nil), perlAll(`undef`)},
	{"nil, nil pointer", (*int)(nil), all(nil), perlAll(`undef`)},
	{"true", true, [4]any{true, true, "1", true}, [3]string{`true`, `true`, `"1"`}},
	{"false", false, [4]any{false, false, "", false}, [3]string{`false`, `false`, `""`}},

	{"integer of 32 bits", 0, all(int64(0)), perlAll(`0`)},
	{"integer of 32 bits", int8(-1), all(int64(-1)), perlAll(`-1`)},
	{"integer of 32 bits", math.MaxInt32, all(int64(math.MaxInt32)), perlAll(`2147483647`)},
	{"integer of 32 bits", math.MinInt32, all(int64(math.MinInt32)), perlAll(`-2147483648`)},
	{
		"integer of 53 bits", uint32(1 << 31), [4]any{int64(1 << 31), int64(1 << 31), "2147483648", int64(1 << 31)},
		[3]string{`2147483648`, `2147483648`, `"2147483648"`},
	},
	{
		"integer of 53 bits", -1 << 53, [4]any{int64(-1 << 53), int64(-1 << 53), "-9007199254740992", int64(-1 << 53)},
		[3]string{`-9007199254740992`, `-9007199254740992`, `"-9007199254740992"`},
	},
	{
		"integer of 63 bits", 1<<53 + 1, [4]any{int64(1<<53 + 1), int64(1<<53 + 1), "9007199254740993", int64(1<<53 + 1)},
		[3]string{`9007199254740993`, `9007199254740993`, `"9007199254740993"`},
	},
	{
		"integer of 63 bits", math.MinInt64, [4]any{int64(math.MinInt64), int64(math.MinInt64), "-9223372036854775808", int64(math.MinInt64)},
		[3]string{`"-9223372036854775808"`, `-9223372036854775808`, `"-9223372036854775808"`},
	},
	{
		"integer of 64 bits", uint64(math.MaxUint64), [4]any{uint64(math.MaxUint64), uint64(math.MaxUint64), "18446744073709551615", uint64(math.MaxUint64)},
		[3]string{`18446744073709551615`, `18446744073709551615`, `"18446744073709551615"`},
	},

	{"float64", 0.5, [4]any{0.5, 0.5, "0.5", 0.5}, [3]string{`0.5`, `0.5`, `"0.5"`}},
	{"float64", -1e100, [4]any{-1e100, -1e100, "-1e+100", -1e100}, [3]string{`-1e+100`, `-1e+100`, `"-1e+100"`}},
	{
		"float64 that takes more than 15 digits", 0.30000000000000004, [4]any{0.30000000000000004, 0.30000000000000004, "0.30000000000000004", 0.30000000000000004},
		[3]string{`0.30000000000000004`, `0.30000000000000004`, `"0.30000000000000004"`},
	},
	{"whole float64", 3.0, [4]any{3.0, 3.0, int64(3), 3.0}, perlAll(`3`)},
	{"whole float64", -1e15, [4]any{-1e15, -1e15, "-1000000000000000", -1e15}, [3]string{`-1e+15`, `-1e+15`, `"-1000000000000000"`}},
	{"-0.0", math.Copysign(0, -1), [4]any{math.Copysign(0, -1), math.Copysign(0, -1), int64(0), math.Copysign(0, -1)}, [3]string{`-0`, `-0`, `0`}},
	{
		"float32", float32(0.1), [4]any{0.10000000149011612, 0.10000000149011612, "0.10000000149011612", 0.10000000149011612},
		[3]string{``, `0.10000000149011612`, `"0.10000000149011612"`}, // JSON::XS misses the last digit
	},
	{"infinity", math.Inf(1), [4]any{errSend, math.Inf(1), "Inf", math.Inf(1)}, [3]string{``, `Inf`, `"Inf"`}},
	{"infinity", math.Inf(-1), [4]any{errSend, math.Inf(-1), "-Inf", math.Inf(-1)}, [3]string{``, `-Inf`, `"-Inf"`}},
	{"NaN", math.NaN(), [4]any{errSend, math.NaN(), "NaN", math.NaN()}, [3]string{``, `NaN`, `"NaN"`}},

	{"string in ASCII", "hello\n\x00", all("hello\n\x00"), perlAll(`"hello\x{a}\x{0}"`)},
	{"string in ASCII", "", all(""), perlAll(`""`)},
	{"string in ASCII", "12", all("12"), perlAll(`"12"`)},
	{"string with other characters", "café", all("café"), perlAll(`"caf\x{e9}"`)},
	{"string with other characters", "€𝄞", all("€𝄞"), perlAll(`"\x{20ac}\x{1d11e}"`)},
	{"string that is not UTF-8", "caf\xe9", [4]any{"café", []byte("caf\xe9"), []byte("caf\xe9"), []byte("caf\xe9")}, perlAll(`"caf\x{e9}"`)},
	{"PortID, NodeID, named strings", aemp.PortID("cat#1"), all("cat#1"), perlAll(`"cat#1"`)},
	{"PortID, NodeID, named strings", myString("é"), all("é"), perlAll(`"\x{e9}"`)},
	{"[]byte in ASCII", []byte("abc"), all("abc"), perlAll(`"abc"`)},
	{"[]byte in ASCII", []byte(nil), all(""), perlAll(`""`)},
	{"[]byte in UTF-8", []byte("é"), [4]any{"Ã©", []byte("é"), []byte("é"), []byte("é")}, perlAll(`"\x{c3}\x{a9}"`)},
	{"other []byte", []byte{'a', 0xff}, [4]any{"aÿ", []byte{'a', 0xff}, []byte{'a', 0xff}, []byte{'a', 0xff}}, perlAll(`"a\x{ff}"`)},
	{"other []byte", [2]byte{0xff, 0}, [4]any{"ÿ\x00", []byte{0xff, 0}, []byte{0xff, 0}, []byte{0xff, 0}}, perlAll(`"\x{ff}\x{0}"`)},

	{"slice, array, Message, Reason", []any{1, []string{"a"}}, all([]any{int64(1), []any{"a"}}), perlAll(`[1, ["a"]]`)},
	{"slice, array, Message, Reason", [2]bool{}, [4]any{[]any{false, false}, []any{false, false}, []any{"", ""}, []any{false, false}}, [3]string{`[false, false]`, `[false, false]`, `["", ""]`}},
	{"slice, array, Message, Reason", aemp.Reason{"die", "x"}, all([]any{"die", "x"}), perlAll(`["die", "x"]`)},
	{"nil slice", []any(nil), all([]any{}), perlAll(`[]`)},
	{"nil slice", []int(nil), all([]any{}), perlAll(`[]`)},
	{"map with string keys", map[aemp.NodeID]any{"a": 1, "": nil}, all(map[string]any{"a": int64(1), "": nil}), perlAll(`{"": undef, "a": 1}`)},
	{"map with string keys", map[string]any{"é": 1, "€": map[string]int{}}, all(map[string]any{"é": int64(1), "€": map[string]any{}}), perlAll(`{"\x{e9}": 1, "\x{20ac}": {}}`)},
	{"key that is not UTF-8", map[string]int{"caf\xe9": 1}, all(map[string]any{"café": int64(1)}), perlAll(`{"caf\x{e9}": 1}`)},
	{"nil map", map[string]int(nil), all(map[string]any{}), perlAll(`{}`)},
	{"pointer", pointerTo(pointerTo("a")), all("a"), perlAll(`"a"`)},
	{"time.Duration", 1500 * time.Millisecond, [4]any{1.5, 1.5, "1.5", 1.5}, [3]string{`1.5`, `1.5`, `"1.5"`}},
	{"struct, channel, function, complex number, map with other keys", struct{}{}, all(errSend), perlAll(``)},
	{"struct, channel, function, complex number, map with other keys", time.Time{}, all(errSend), perlAll(``)},
	{"struct, channel, function, complex number, map with other keys", make(chan int), all(errSend), perlAll(``)},
	{"struct, channel, function, complex number, map with other keys", func() {}, all(errSend), perlAll(``)},
	{"struct, channel, function, complex number, map with other keys", 1i, all(errSend), perlAll(``)},
	{"struct, channel, function, complex number, map with other keys", map[int]string{}, all(errSend), perlAll(``)},
}

// What a Go value becomes at a Go node.
func TestValuesFromGo(t *testing.T) {
	for _, row := range valuesFromGo {
		for i, f := range framings {
			t.Run(fmt.Sprintf("%s/%.20T/%s", row.row, row.sent, f.Name()), func(t *testing.T) {
				got, err := pass(f, row.sent)
				if want, ok := row.got[i].(error); ok {
					if !errors.Is(err, want) {
						t.Fatalf("got %v, error %v, want %v", got, err, want)
					}
					return
				}
				if err != nil || !identical(got, row.got[i]) {
					t.Errorf("sent %v, got %T %v, %v, want %T %v", row.sent, got, got, err, row.got[i], row.got[i])
				}
			})
		}
	}
}

// A received message stays what it is when the buffer that its packet was in
// is used again.
func TestValuesAreCopied(t *testing.T) {
	sent := aemp.Message{"text", "größe", []byte("caf\xe9"), map[string]any{"größe": []any{[]byte("\xff")}}}
	for _, f := range framings {
		packet, err := aemp.EncodeMessage(f.NewEncoder(), nil, "port", sent...)
		if err != nil {
			t.Fatal(err)
		}
		m, err := receive(f, packet)
		if err != nil {
			t.Fatal(err)
		}
		before := m.String()
		clear(packet)
		if after := m.String(); after != before {
			t.Errorf("%s: received %s, which became %s", f.Name(), before, after)
		}
	}
}

// Normalize does what msgpack does, which loses least.
func TestNormalize(t *testing.T) {
	for _, row := range valuesFromGo {
		got, err := aemp.Normalize(row.sent)
		if want, ok := row.got[3].(error); ok {
			if !errors.Is(err, want) {
				t.Errorf("%T %v: got %v, error %v, want %v", row.sent, row.sent, got, err, want)
			}
		} else if err != nil || !identical(got, row.got[3]) {
			t.Errorf("%T %v: got %T %v, %v, want %T %v", row.sent, row.sent, got, got, err, row.got[3], row.got[3])
		}
	}
}

// A fromPerl is a value that a Perl node sends.
type fromPerl struct {
	row  string // of the table in docs/values.md
	expr string // in Perl
	// What Perl writes for it: the element in JSON, and in hex by CBOR::XS and
	// Storable. Empty when it cannot.
	json, cbor, storable string
	got                  [3]any // what a Go node gets by json, cbor and storable; or the error
}

func allThree(v any) [3]any { return [3]any{v, v, v} }

// unsent stands for what does not arrive because Perl cannot send it.
const unsent = "unsent"

var errRefuse = aemp.ErrMalformed

const (
	hexBoolean = "14 11 11 4a534f4e3a3a50503a3a426f6f6c65616e" // object of JSON::PP::Boolean
	hexMyPoint = "11 08 4d793a3a4c697374"                      // object of My::List
)

var valuesFromPerl = []fromPerl{
	{"undef", `undef`, `null`, `f6`, `05`, allThree(nil)},
	{"undef", `do { my @a; $#a = 0; \@a }->[0]`, `null`, `f6`, `05`, allThree(nil)},
	{"JSON's true", `JSON::XS::true()`, `true`, `f5`, hexBoolean + `0881`, allThree(true)},
	{"JSON's true", `CBOR::XS::decode_cbor("\xf5")`, `true`, `f5`, hexBoolean + `0881`, allThree(true)},
	{"JSON's true", `Types::Serialiser::true()`, `true`, `f5`, hexBoolean + `0881`, allThree(true)},
	{"JSON's false", `JSON::XS::false()`, `false`, `f4`, hexBoolean + `0880`, allThree(false)},
	{"JSON's false", `Types::Serialiser::false()`, `false`, `f4`, hexBoolean + `0880`, allThree(false)},
	{"Perl's true", `1 == 1`, `"1"`, `4131`, `0a0131`, allThree("1")},
	{"Perl's false", `1 == 2`, `""`, `40`, `0a00`, allThree("")},
	{`\1, \0`, `do { my $x = 1; \$x }`, `true`, `d9565201`, `040881`, [3]any{true, int64(1), int64(1)}},
	{`\1, \0`, `do { my $x = 0; \$x }`, `false`, `d9565200`, `040880`, [3]any{false, int64(0), int64(0)}},
	{"Types::Serialiser::error", `Types::Serialiser::error()`, ``, `f7`, `14 11 18 54797065733a3a53657269616c697365723a3a4572726f72 05`, [3]any{unsent, nil, nil}},

	{"number, whole, 32 bits", `127`, `127`, `187f`, `08ff`, allThree(int64(127))},
	{"number, whole, 32 bits", `-2147483648`, `-2147483648`, `3a7fffffff`, `0980000000`, allThree(int64(math.MinInt32))},
	{"number, whole, 53 bits", `2147483648`, `2147483648`, `1a80000000`, `0a0a32313437343833363438`, [3]any{int64(1 << 31), int64(1 << 31), "2147483648"}},
	{
		"number, whole, 63 bits", `9007199254740993`, `9007199254740993`, `1b0020000000000001`, `0a1039303037313939323534373430393933`,
		[3]any{int64(1<<53 + 1), int64(1<<53 + 1), "9007199254740993"},
	},
	{
		"number, whole, 64 bits", `18446744073709551615`, `18446744073709551615`, `1bffffffffffffffff`, `0a143138343436373434303733373039353531363135`,
		[3]any{uint64(math.MaxUint64), uint64(math.MaxUint64), "18446744073709551615"},
	},
	{
		"number, whole, larger", `18446744073709551616`, `1.84467440737096e+19`, `fa5f800000`, `0a14312e3834343637343430373337303936652b3139`,
		[3]any{1.84467440737096e19, 0x1p64, "1.84467440737096e+19"},
	},
	{"number, not whole", `0.5`, `0.5`, `fa3f000000`, `0a03302e35`, [3]any{0.5, 0.5, "0.5"}},
	{
		"number of more than 15 digits", `1/3`, `0.333333333333333`, `fb3fd5555555555555`, `0a11302e333333333333333333333333333333`,
		[3]any{0.333333333333333, 1.0 / 3, "0.333333333333333"},
	},
	{"number, whole, but a double", `3.0`, `3`, `03`, `0883`, allThree(int64(3))},
	{"number, whole, but a double", `-0.0`, `-0`, `00`, `0880`, allThree(int64(0))},
	{
		"number, whole, but a double", `2**53`, `9.00719925474099e+15`, `fa5a000000`, `0a14392e3030373139393235343734303939652b3135`,
		[3]any{9.00719925474099e15, 0x1p53, "9.00719925474099e+15"},
	},
	{"infinity, NaN", `9**9**9`, `inf`, `fa7f800000`, `0a03496e66`, [3]any{math.Inf(1), math.Inf(1), "Inf"}},
	{"infinity, NaN", `-9**9**9`, `-inf`, `faff800000`, `0a042d496e66`, [3]any{math.Inf(-1), math.Inf(-1), "-Inf"}},
	{"infinity, NaN", `unpack "d>", pack "H*", "7ff8000000000000"`, `nan`, `fb7ff8000000000000`, `0a034e614e`, [3]any{math.NaN(), math.NaN(), "NaN"}},
	{"infinity, NaN", `unpack "d>", pack "H*", "fff8000000000000"`, `-nan`, `fbfff8000000000000`, `0a034e614e`, [3]any{math.NaN(), math.NaN(), "NaN"}},
	{"number used as a string", `do { my $n = 12; my $s = "$n"; $n }`, `"12"`, `423132`, `088c`, [3]any{"12", "12", int64(12)}},
	{"number used as a string", `do { my $n = 1.5; my $s = "$n"; $n }`, `1.5`, `fa3fc00000`, `0a03312e35`, [3]any{1.5, 1.5, "1.5"}},
	{"string used as a number", `do { my $s = "17"; my $n = $s + 0; $s }`, `"17"`, `423137`, `0a023137`, allThree("17")},

	{"string in ASCII", `"abc"`, `"abc"`, `43616263`, `0a03616263`, allThree("abc")},
	{"string in ASCII", `do { my $s = "abc"; utf8::upgrade $s; $s }`, `"abc"`, `63616263`, `1703616263`, allThree("abc")},
	{"byte string", `"caf\xe9"`, `"café"`, `44636166e9`, `0a04636166e9`, [3]any{"café", []byte("caf\xe9"), []byte("caf\xe9")}},
	{"byte string in UTF-8", `"\xc3\xa9"`, `"Ã©"`, `42c3a9`, `0a02c3a9`, [3]any{"Ã©", []byte("é"), []byte("é")}},
	{"character string", `do { my $s = "caf\xe9"; utf8::upgrade $s; $s }`, `"café"`, `65636166c3a9`, `1705636166c3a9`, allThree("café")},
	{"character string", `"\x{20ac}"`, `"€"`, `63e282ac`, `1703e282ac`, allThree("€")},
	{"half of a surrogate pair", `"\x{d800}"`, "\"\xed\xa0\x80\"", `63eda080`, `1703eda080`, [3]any{errRefuse, []byte("\xed\xa0\x80"), []byte("\xed\xa0\x80")}},
	{"character above 10FFFF", `"\x{110000}"`, ``, `64f4908080`, `1704f4908080`, [3]any{unsent, []byte("\xf4\x90\x80\x80"), []byte("\xf4\x90\x80\x80")}},
	{"v-string", `v1.2.3`, `"\u0001\u0002\u0003"`, `43010203`, `1d0676312e322e33 0a03010203`, allThree("\x01\x02\x03")},

	{"list", `[1, [], undef]`, `[1,[],null]`, `830180f6`, `04 02 00000003 0881 04 02 00000000 05`, allThree([]any{int64(1), []any{}, nil})},
	{"hash", `{a => {}}`, `{"a":{}}`, `a14161a0`, `04 03 00000001 04 03 00000000 00000001 61`, allThree(map[string]any{"a": map[string]any{}})},
	{"key of bytes", `{"caf\xe9" => 1}`, `{"café":1}`, `a144636166e901`, `04 03 00000001 0881 00000004 636166e9`, allThree(map[string]any{"café": int64(1)})},
	{
		"key of bytes in UTF-8", `{"\xc3\xa9" => 1}`, `{"Ã©":1}`, `a142c3a901`, `04 03 00000001 0881 00000002 c3a9`,
		[3]any{map[string]any{"Ã©": int64(1)}, map[string]any{"é": int64(1)}, map[string]any{"é": int64(1)}},
	},
	{"key of characters", `do { my $s = "\xe9"; utf8::upgrade $s; +{$s => 1} }`, `{"é":1}`, `a141e901`, `04 19 00 00000001 0881 02 00000001 e9`, allThree(map[string]any{"é": int64(1)})},
	{"key of characters", `{"\x{20ac}" => 1}`, `{"€":1}`, `a163e282ac01`, `04 19 00 00000001 0881 01 00000003 e282ac`, allThree(map[string]any{"€": int64(1)})},
	{"the same list or hash twice", `do { my $a = [7]; [$a, $a] }`, `[[7],[7]]`, `8281078107`, `04 02 00000002 04 02 00000001 0887 04 00 00000004`, allThree([]any{[]any{int64(7)}, []any{int64(7)}})},
	{
		"the same list or hash twice", `do { my $h = {}; [$h, $h] }`, `[{},{}]`, `82a0a0`, `04 02 00000002 04 03 00000000 04 00 00000004`,
		allThree([]any{map[string]any{}, map[string]any{}}),
	},
	{"reference to a scalar", `\"x"`, ``, `d956524178`, `040a0178`, [3]any{unsent, "x", "x"}},
	{"reference to a scalar", `\\5`, ``, `d95652d9565205`, `04040885`, [3]any{unsent, int64(5), int64(5)}},

	{"object", `bless [7], "My::List"`, ``, ``, `04` + hexMyPoint + `02 00000001 0887`, [3]any{unsent, unsent, []any{int64(7)}}},
	{"object", `bless {a => 7}, "My::List"`, ``, ``, `04` + hexMyPoint + `03 00000001 0887 00000001 61`, [3]any{unsent, unsent, map[string]any{"a": int64(7)}}},
	{"object with a method FREEZE", `bless [7], "My::Frozen"`, ``, `d81a824a4d793a3a46726f7a656e07`, `04 11 0a 4d793a3a46726f7a656e 02 00000001 0887`, [3]any{unsent, errRefuse, []any{int64(7)}}},
	{"object with a method TO_CBOR", `bless [7], "My::CBOR"`, ``, `8107`, `04 11 08 4d793a3a43424f52 02 00000001 0887`, [3]any{unsent, []any{int64(7)}, []any{int64(7)}}},
	{"object with Storable's hooks", `bless [7], "My::Hook"`, ``, ``, `04 13 01 08 4d793a3a486f6f6b 01 78`, [3]any{unsent, unsent, errRefuse}},
	{"date (tags 0 and 1)", `CBOR::XS::tag 1, 1363896240`, ``, `c11a514b67b0`, ``, [3]any{unsent, int64(1363896240), unsent}},
	{"date (tags 0 and 1)", `CBOR::XS::tag 0, "2013-03-21"`, ``, `c04a323031332d30332d3231`, ``, [3]any{unsent, "2013-03-21", unsent}},
	{"big number (tags 2 and 3)", `CBOR::XS::tag 2, "\x01" . "\0" x 8`, ``, `c249010000000000000000`, ``, [3]any{unsent, "18446744073709551616", unsent}},
	{"big number (tags 2 and 3)", `CBOR::XS::tag 3, "\x01" . "\0" x 8`, ``, `c349010000000000000000`, ``, [3]any{unsent, "-18446744073709551617", unsent}},
	{"big number (tags 2 and 3)", `CBOR::XS::tag 2, "\xff"`, ``, `c241ff`, ``, [3]any{unsent, int64(255), unsent}},
	{"value with another tag", `CBOR::XS::tag 32, "http://cat/"`, ``, `d8204b687474703a2f2f6361742f`, ``, [3]any{unsent, "http://cat/", unsent}},
	{"value with another tag", `CBOR::XS::tag 24, "\x01"`, ``, `d8184101`, ``, [3]any{unsent, "\x01", unsent}},
	{"value with another tag", `CBOR::XS::tag 4711, [7]`, ``, `d912678107`, ``, [3]any{unsent, []any{int64(7)}, unsent}},
	{"shared values (tags 28 and 29)", `allow_sharing`, ``, `82 d81c8107 d81d00`, ``, [3]any{unsent, []any{[]any{int64(7)}, []any{int64(7)}}, unsent}},
	{"shared strings (tags 256 and 25)", `pack_strings`, ``, `d90100 82 4461626364 d81900`, ``, [3]any{unsent, []any{"abcd", "abcd"}, unsent}},
	{"regular expression", `qr/a/`, ``, ``, `0411 06 526567657870 20 00 01 61 00`, [3]any{unsent, unsent, errRefuse}},
	{"code", `sub { 1 }`, ``, `d95652f6`, ``, [3]any{unsent, nil, unsent}},
	{"tied array or hash", `do { tie my @a, "My::Tied"; \@a }`, `[7]`, `8107`, `04 0b 04 11 08 4d793a3a54696564 02 00000000`, [3]any{[]any{int64(7)}, []any{int64(7)}, errRefuse}},
	{"data that contains itself", `do { my $a = []; @$a = ($a); $a }`, ``, ``, `04 02 00000001 04 00 00000002`, [3]any{unsent, unsent, errRefuse}},
}

// packetOf makes a packet of an element as Perl writes it.
func packetOf(t *testing.T, f aemp.Framing, element string) []byte {
	t.Helper()
	if f == aemp.JSON {
		return []byte("[" + element + "]")
	}
	value, err := hex.DecodeString(strings.ReplaceAll(element, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	if f == aemp.CBOR {
		return append([]byte{0x81}, value...)
	}
	return storableList(t, 1, hex.EncodeToString(value))
}

// What a Perl value becomes at a Go node.
func TestValuesFromPerl(t *testing.T) {
	for _, row := range valuesFromPerl {
		for i, element := range []string{row.json, row.cbor, row.storable} {
			f := framings[i]
			t.Run(row.row+"/"+row.expr+"/"+f.Name(), func(t *testing.T) {
				if element == "" {
					if row.got[i] != unsent {
						t.Fatalf("the row says nothing of what Perl writes, but wants %v", row.got[i])
					}
					return
				}
				m, err := receive(f, packetOf(t, f, element))
				if want, ok := row.got[i].(error); ok {
					if !errors.Is(err, want) {
						t.Errorf("got %v, error %v, want %v", m, err, want)
					}
					return
				}
				if err != nil || len(m) != 1 || !identical(m[0], row.got[i]) {
					t.Errorf("got %v, %v, want %T %v", m, err, row.got[i], row.got[i])
				}
			})
		}
	}
}

// perlValues reads lines: "write", the framing and an expression in hex; or
// "show", the framing and a packet in hex. It answers with the list of the
// expression's value in that framing, in hex, or with what it finds in the
// packet behind its first element.
const perlValues = `
	use strict; no warnings "recursion";
	use JSON::XS (); use CBOR::XS (); use Storable (); use Types::Serialiser (); use B (); use Scalar::Util ();
	sub My::Frozen::FREEZE { @{$_[0]} }
	sub My::CBOR::TO_CBOR { [@{$_[0]}] }
	sub My::Hook::STORABLE_freeze { "x" }
	sub My::Tied::TIEARRAY { bless [], shift } sub My::Tied::FETCHSIZE { 1 } sub My::Tied::FETCH { 7 }
	$Storable::canonical = 1;
	my $json = JSON::XS->new->utf8->canonical;
	my %write = (
		json => sub { $json->encode($_[0]) },
		cbor => sub { CBOR::XS->new->encode($_[0]) },
		storable => sub { Storable::nfreeze($_[0]) },
	);
	my %read = (
		json => sub { $json->decode($_[0]) },
		cbor => sub { CBOR::XS->new->decode($_[0]) },
		storable => sub { Storable::thaw((unpack "w a*", $_[0])[1]) },
	);
	sub quote { my $s = shift; $s =~ s/([^ -~])/sprintf "\\x{%x}", ord $1/ge; qq("$s") }
	sub show {
		my $v = shift;
		return "undef" unless defined $v;
		return $$v ? "true" : "false" if Types::Serialiser::is_bool($v);
		return "[" . join(", ", map show($_), @$v) . "]" if ref $v eq "ARRAY";
		return "{" . join(", ", map { quote($_) . ": " . show($v->{$_}) } sort keys %$v) . "}" if ref $v eq "HASH";
		my $flags = B::svref_2object(\$v)->FLAGS;
		return quote($v) if $flags & B::SVf_POK();
		return "$v" if $flags & B::SVf_IOK();
		my $short = sprintf "%.15g", $v;
		return $short == $v || $v != $v ? $short : sprintf "%.17g", $v;
	}
	while (<STDIN>) {
		my ($do, $framing, $what) = split; $what = pack "H*", $what;
		my $answer = $do eq "write"
			? eval { my @v = eval "no strict; scalar($what)"; die $@ if $@; unpack "H*", $write{$framing}->(\@v) }
			: eval { show($read{$framing}->($what)->[1]) };
		print defined $answer ? $answer : "error $@" =~ s/\n.*//sr, "\n";
	}`

// Perl itself agrees with both tables above.
func TestValuesPerl(t *testing.T) {
	perl := perltest.With(t, "JSON::XS", "CBOR::XS", "Storable")
	type question struct{ name, line, want string }
	var questions []question
	for _, row := range valuesFromPerl {
		if row.expr == "allow_sharing" || row.expr == "pack_strings" {
			continue // options of the encoder, for which testdata/vectors.json has packets
		}
		for i, element := range []string{row.json, row.cbor, row.storable} {
			f := framings[i]
			q := question{name: fmt.Sprintf("%s as %s", row.expr, f.Name()), line: fmt.Sprintf("write %s %x", f.Name(), row.expr)}
			if element != "" {
				packet := packetOf(t, f, element)
				if f == aemp.Storable {
					packet = packet[strings.IndexByte(string(packet), 5):] // without the length
				}
				q.want = hex.EncodeToString(packet)
			} else if strings.HasPrefix(row.expr, "CBOR::XS::tag") {
				continue // another framing has no idea of it
			} else {
				q.want = "error"
			}
			questions = append(questions, q)
		}
	}
	for _, row := range valuesFromGo {
		for i, want := range row.perl {
			if want == "" {
				continue
			}
			f := framings[i]
			packet, err := aemp.EncodeMessage(f.NewEncoder(), nil, "port", row.sent)
			if err != nil {
				t.Fatal(err)
			}
			questions = append(questions, question{
				name: fmt.Sprintf("%T %v by %s", row.sent, row.sent, f.Name()),
				line: fmt.Sprintf("show %s %x", f.Name(), packet),
				want: want,
			})
		}
	}
	var input strings.Builder
	for _, q := range questions {
		input.WriteString(q.line + "\n")
	}
	cmd := exec.Command(perl, "-e", perlValues)
	cmd.Stdin = strings.NewReader(input.String())
	cmd.Stderr = t.Output()
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	for i, q := range questions {
		if got := answers[i]; got != q.want && !(q.want == "error" && strings.HasPrefix(got, "error ")) {
			t.Errorf("%s: Perl has %s, want %s", q.name, got, q.want)
		}
	}
}

// Every row of the tables in docs/values.md is in the tables above, and the
// reverse.
func TestValuesPage(t *testing.T) {
	page, err := os.ReadFile("../docs/values.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]map[string]bool{"From Go": {}, "From Perl": {}}
	for _, row := range valuesFromGo {
		rows["From Go"][row.row] = true
	}
	for _, row := range valuesFromPerl {
		rows["From Perl"][row.row] = true
	}
	_, text, _ := strings.Cut(string(page), "\n## The table\n")
	text, _, _ = strings.Cut(text, "\n## ")
	section := ""
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 3 || strings.Contains(line, "---") {
			continue
		}
		name := strings.ReplaceAll(strings.TrimSpace(cells[1]), "`", "")
		if heading := strings.Trim(name, "*"); rows[heading] != nil {
			section = heading
			continue
		}
		if section == "" {
			continue // the head of the table
		}
		if !rows[section][name] {
			t.Errorf("%s: %q is on the page, but not in the tests, or twice", section, name)
		}
		delete(rows[section], name)
	}
	for section, rest := range rows {
		for name := range rest {
			t.Errorf("%s: %q is in the tests, but not on the page", section, name)
		}
	}
}

var valuesSeed = flag.Uint64("values.seed", uint64(time.Now().UnixNano()), "start of the random values")

// randomValues returns a source of random numbers that can be had again.
func randomValues(t *testing.T) *rand.Rand {
	t.Logf("to repeat: -values.seed %d", *valuesSeed)
	return rand.New(rand.NewPCG(*valuesSeed, 1))
}

// randomCommon returns a value of those that are the same in every framing.
func randomCommon(r *rand.Rand, depth int) any {
	kinds := 5
	if depth == 0 {
		kinds = 3
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return int64(int32(r.Uint32()) >> r.IntN(32))
	case 2:
		return randomText(r)
	case 3:
		list := make([]any, r.IntN(6))
		for i := range list {
			list[i] = randomCommon(r, depth-1)
		}
		return list
	default:
		m := map[string]any{}
		for range r.IntN(6) {
			m[randomText(r)] = randomCommon(r, depth-1)
		}
		return m
	}
}

// randomText returns characters of every length in UTF-8.
func randomText(r *rand.Rand) string {
	runes := make([]rune, r.IntN(1<<r.IntN(9)))
	for i := range runes {
		runes[i] = []rune{rune(r.IntN(128)), rune(r.IntN(128)), rune(r.IntN(0x100)), rune(r.IntN(0xd800)), rune(0x10000 + r.IntN(0x100000))}[r.IntN(5)]
	}
	if r.IntN(4) == 0 {
		return strings.Repeat(string('a'+rune(r.IntN(26))), len(runes))
	}
	return string(runes)
}

// Values of the common denominator arrive as they are, by any framing, and by
// any one after any other.
func TestValuesCommon(t *testing.T) {
	r := randomValues(t)
	for range 300 {
		v := randomCommon(r, 4)
		for _, first := range framings {
			got, err := pass(first, v)
			if err != nil || !reflect.DeepEqual(got, v) {
				t.Fatalf("by %s: sent %v, got %v, %v", first.Name(), v, got, err)
			}
			for _, second := range framings {
				got, err := pass(second, got)
				if err != nil || !reflect.DeepEqual(got, v) {
					t.Fatalf("by %s and %s: sent %v, got %v, %v", first.Name(), second.Name(), v, got, err)
				}
			}
		}
	}
}

// randomTyped returns a value which, whatever a framing makes of it, Scan can
// bring back to its type.
func randomTyped(r *rand.Rand) any {
	bits := r.Uint64() >> r.IntN(64)
	switch r.IntN(8) {
	case 0:
		return r.IntN(2) == 0
	case 1:
		return int64(r.Uint64()) >> r.IntN(64)
	case 2:
		return bits
	case 3:
		for {
			if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f
			}
		}
	case 4:
		return float64(int64(bits)) / 8 // often whole, or with few digits
	case 5:
		return float32(bits) / 3
	case 6:
		return randomText(r)
	default:
		b := make([]byte, r.IntN(1<<r.IntN(9)))
		for i := range b {
			b[i] = byte(r.Uint32()) >> r.IntN(2)
		}
		return b
	}
}

// Scan brings back what framings cannot tell apart, after one of them or two.
func TestValuesTyped(t *testing.T) {
	r := randomValues(t)
	check := func(v, received any, how string) {
		t.Helper()
		if got, err := scanned(received, reflect.Zero(reflect.TypeOf(v)).Interface()); err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("%s: sent %T %v, received %T %v, scanned %v, %v", how, v, v, received, received, got, err)
		}
	}
	values := []any{math.Inf(1), math.Inf(-1), 0.30000000000000004, -0x1p63, 0x1p64, 5e-324, math.MaxFloat64, math.Pi, 0x1p53, -0x1p53 - 2, []byte("é"), []byte{}}
	for range 1000 {
		values = append(values, randomTyped(r))
	}
	for _, v := range values {
		for _, first := range framings {
			got, err := pass(first, v)
			if f, ok := v.(float64); ok && math.IsInf(f, 0) && first == aemp.JSON {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %T %v: %v", first.Name(), v, v, err)
			}
			check(v, got, first.Name())
			for _, second := range framings {
				again, err := pass(second, got)
				if f, ok := got.(float64); ok && math.IsInf(f, 0) && second == aemp.JSON {
					continue
				}
				if err != nil {
					t.Fatalf("%s, %s: %T %v: %v", first.Name(), second.Name(), v, v, err)
				}
				check(v, again, first.Name()+", "+second.Name())
			}
		}
	}
	for _, f := range framings[1:] { // NaN, which does not equal itself
		got, err := pass(f, math.NaN())
		if back, scanErr := scanned(got, 0.0); err != nil || scanErr != nil || !isNaN(back) {
			t.Errorf("%s: NaN: received %v, %v, scanned %v, %v", f.Name(), got, err, back, scanErr)
		}
	}
}

// Whatever decodes in one framing can be sent on in every other, and arrives
// as something that does not change any more.
func FuzzTranscode(f *testing.F) {
	for i := range byte(len(framings)) {
		for _, row := range valuesFromGo {
			if packet, err := aemp.EncodeMessage(framings[i].NewEncoder(), nil, "port", row.sent); err == nil {
				f.Add(i, packet)
			}
		}
	}
	for _, row := range valuesFromPerl {
		if row.cbor != "" {
			if value, err := hex.DecodeString(strings.ReplaceAll(row.cbor, " ", "")); err == nil {
				f.Add(byte(1), append([]byte{0x81}, value...))
			}
		}
		if row.storable != "" {
			f.Add(byte(2), storableList(f, 1, row.storable))
		}
		if row.json != "" {
			f.Add(byte(0), []byte("["+row.json+"]"))
		}
	}
	f.Fuzz(func(t *testing.T, framing byte, data []byte) {
		from := framings[int(framing)%len(framings)]
		d := from.NewDecoder(aemp.Limits{MessageSize: 1 << 16, Depth: 40})
		n, err := d.Scan(data)
		if n == 0 || err != nil {
			return
		}
		d.Reset(data[:n])
		m, err := aemp.DecodeMessage(d)
		if err != nil {
			return
		}
		for _, to := range framings {
			once, err := pass(to, []any(m))
			if to == aemp.JSON && errors.Is(err, aemp.ErrUnsupportedValue) && containsInfinite([]any(m)) {
				continue
			}
			if err != nil {
				t.Fatalf("from %s to %s: %v: %v", from.Name(), to.Name(), m, err)
			}
			twice, err := pass(to, once)
			if err != nil || !identical(once, twice) {
				t.Fatalf("from %s to %s: %v became %v, then %v, %v", from.Name(), to.Name(), m, once, twice, err)
			}
		}
	})
}

// containsInfinite looks for what JSON has no number for.
func containsInfinite(v any) bool {
	switch v := v.(type) {
	case float64:
		return math.IsInf(v, 0) || math.IsNaN(v)
	case []any:
		for _, elem := range v {
			if containsInfinite(elem) {
				return true
			}
		}
	case map[string]any:
		for _, elem := range v {
			if containsInfinite(elem) {
				return true
			}
		}
	}
	return false
}
