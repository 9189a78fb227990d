package aemp_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portmesh/portmesh/aemp"
)

// Values read from a packet, with kinds kept apart: nil, bool, int64, uint64,
// float64, string (text), []byte (octets), []any and cborPairs.
type (
	cborPairs []cborPair
	cborPair  struct{ key, value any }
)

func cborReadValue(d aemp.Decoder) any {
	switch d.Kind() {
	case aemp.Nil:
		d.Nil()
	case aemp.Bool:
		return d.Bool()
	case aemp.Int:
		return d.Int()
	case aemp.Uint:
		return d.Uint()
	case aemp.Float:
		return d.Float()
	case aemp.Text:
		return string(d.Bytes())
	case aemp.Octets:
		return bytes.Clone(d.Bytes())
	case aemp.Array:
		d.Open()
		list := cborReadList(d)
		d.Close()
		return list
	case aemp.Map:
		pairs := cborPairs{}
		for d.Open(); d.Kind() != aemp.End; {
			key := cborReadValue(d)
			pairs = append(pairs, cborPair{key, cborReadValue(d)})
		}
		d.Close()
		return pairs
	}
	return nil
}

func cborReadList(d aemp.Decoder) []any {
	list := []any{}
	for d.Kind() != aemp.End {
		list = append(list, cborReadValue(d))
	}
	return list
}

func cborWriteValue(e aemp.Encoder, v any) {
	switch v := v.(type) {
	case nil:
		e.Nil()
	case bool:
		e.Bool(v)
	case int64:
		e.Int(v)
	case uint64:
		e.Uint(v)
	case float64:
		e.Float(v)
	case string:
		e.Text(v)
	case []byte:
		e.Octets(v)
	case []any:
		e.Array(len(v))
		for _, v := range v {
			cborWriteValue(e, v)
		}
		e.Close()
	case cborPairs:
		e.Map(len(v))
		for _, p := range v {
			switch key := p.key.(type) {
			case string:
				e.Key(key)
			case []byte:
				e.Key(string(key))
			}
			cborWriteValue(e, p.value)
		}
		e.Close()
	default:
		panic(fmt.Sprintf("no value of a packet: %T", v))
	}
}

func cborWrite(t testing.TB, list []any) []byte {
	t.Helper()
	e := aemp.CBOR.NewEncoder()
	e.Begin(nil, len(list))
	for _, v := range list {
		cborWriteValue(e, v)
	}
	packet, err := e.End()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// cborShow prints values so that kinds can be told: 1, 1u, 1f, "text",
// b"octets".
func cborShow(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return strconv.FormatBool(v)
	case uint64:
		return fmt.Sprintf("%du", v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64) + "f"
	case string:
		return strconv.Quote(v)
	case []byte:
		return fmt.Sprintf("b%q", v)
	case []any:
		words := make([]string, len(v))
		for i, v := range v {
			words[i] = cborShow(v)
		}
		return "[" + strings.Join(words, " ") + "]"
	case cborPairs:
		words := make([]string, len(v))
		for i, p := range v {
			words[i] = cborShow(p.key) + ":" + cborShow(p.value)
		}
		return "{" + strings.Join(words, " ") + "}"
	}
	return fmt.Sprint(v)
}

// cborRead scans and reads one packet that fills b.
func cborRead(b []byte) ([]any, error) {
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	n, err := d.Scan(b)
	if err != nil {
		return nil, err
	}
	if n != len(b) {
		return nil, fmt.Errorf("scanned %d of %d bytes", n, len(b))
	}
	d.Reset(b)
	list := cborReadList(d)
	return list, d.Err()
}

func cborUnhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type cborVectors struct {
	Values []struct {
		What   string `json:"what"`
		JSON   string `json:"json_xs"`
		CBOR   string `json:"cbor_xs"`
		SHA3   string `json:"cbor_xs_sha3_512"`
		Length int    `json:"cbor_xs_length"`
	} `json:"values"`
	Decode []struct {
		What string `json:"what"`
		JSON string `json:"json_xs"`
		CBOR string `json:"cbor"`
	} `json:"cbor_decode"`
}

func cborLoadVectors(t testing.TB) cborVectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v cborVectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Values) == 0 || len(v.Decode) == 0 {
		t.Fatal("vectors.json has no CBOR")
	}
	return v
}

// cborVectorPacket returns a vector as a packet: a map goes into an array, and
// its JSON as well.
func cborVectorPacket(t testing.TB, text, wantJSON string) ([]byte, string) {
	b := cborUnhex(t, text)
	if b[0]>>5 == 5 {
		return append([]byte{0x81}, b...), "[" + wantJSON + "]"
	}
	return b, wantJSON
}

// cborAsJSON prints a value like JSON::XS, in which bytes are Latin-1.
func cborAsJSON(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64)
	case []byte:
		runes := make([]rune, len(v))
		for i, c := range v {
			runes[i] = rune(c)
		}
		return strconv.Quote(string(runes))
	case uint64:
		return fmt.Sprint(v)
	case []any:
		words := make([]string, len(v))
		for i, v := range v {
			words[i] = cborAsJSON(v)
		}
		return "[" + strings.Join(words, ",") + "]"
	case cborPairs:
		words := make([]string, len(v))
		for i, p := range v {
			words[i] = cborAsJSON(p.key) + ":" + cborAsJSON(p.value)
		}
		slices.Sort(words)
		return "{" + strings.Join(words, ",") + "}"
	}
	return cborShow(v)
}

// cborFromJSON makes of JSON text what cborAsJSON takes.
func cborFromJSON(t testing.TB, text string) any {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var convert func(v any) any
	convert = func(v any) any {
		switch v := v.(type) {
		case json.Number:
			if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
				return n
			}
			if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
				return n
			}
			f, _ := v.Float64()
			return f
		case []any:
			for i := range v {
				v[i] = convert(v[i])
			}
		case map[string]any:
			pairs := cborPairs{}
			for key, value := range v {
				pairs = append(pairs, cborPair{key, convert(value)})
			}
			return pairs
		}
		return v
	}
	return convert(v)
}

// What Perl encoded must decode to the same value, and encode to the same
// bytes again.
func TestCBORVectors(t *testing.T) {
	noJSON := map[string]string{
		"infinities and NaN":              "[+Inf,-Inf,NaN]",
		"reference to a scalar":           `["x"]`,
		"reference to a reference":        `[5]`,
		"the same scalar reference twice": `["shared string","shared string"]`,
	}
	notOurs := map[string]bool{ // what the encoder has no reason to write
		"ASCII with the UTF-8 flag":       true,
		"reference to a scalar":           true,
		"reference to a reference":        true,
		"the same scalar reference twice": true,
	}
	seen := 0
	for _, v := range cborLoadVectors(t).Values {
		if v.CBOR == "" {
			continue
		}
		seen++
		t.Run(v.What, func(t *testing.T) {
			packet, wantJSON := cborVectorPacket(t, v.CBOR, v.JSON)
			list, err := cborRead(packet)
			if err != nil {
				t.Fatal(err)
			}
			got, want := cborAsJSON(list), noJSON[v.What]
			if want == "" {
				want = cborAsJSON(cborFromJSON(t, wantJSON))
			}
			if got != want {
				t.Errorf("decodes to\n%s, want\n%s", got, want)
			}
			if again := cborWrite(t, list); !bytes.Equal(again, packet) != notOurs[v.What] {
				t.Errorf("encodes to\n%x, Perl to\n%x", again, packet)
			}
		})
	}
	if seen < 35 {
		t.Errorf("only %d vectors", seen)
	}
}

// The string of 70000 bytes is in the vectors as a digest.
func TestCBORLongString(t *testing.T) {
	for _, v := range cborLoadVectors(t).Values {
		if v.SHA3 == "" {
			continue
		}
		packet := cborWrite(t, []any{strings.Repeat("y", 70000)})
		sum := sha3.Sum512(packet)
		if got := hex.EncodeToString(sum[:]); got != v.SHA3 || len(packet) != v.Length {
			t.Errorf("%s: %d bytes %s, want %d bytes %s", v.What, len(packet), got, v.Length, v.SHA3)
		}
		return
	}
	t.Error("no such vector")
}

func TestCBORDecodeVectors(t *testing.T) {
	for _, v := range cborLoadVectors(t).Decode {
		t.Run(v.What, func(t *testing.T) {
			list, err := cborRead(cborUnhex(t, v.CBOR))
			if err != nil {
				t.Fatal(err)
			}
			want := cborAsJSON(cborFromJSON(t, v.JSON))
			if strings.HasPrefix(v.What, "bignum") {
				want = `["18446744073709551616"]` // Perl's object became null on its way to JSON
			}
			if got := cborAsJSON(list); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestCBOREncode(t *testing.T) {
	tests := []struct {
		value any
		want  string
	}{
		{nil, "f6"},
		{false, "f4"},
		{true, "f5"},
		{int64(23), "17"},
		{int64(24), "1818"},
		{int64(255), "18ff"},
		{int64(256), "190100"},
		{int64(65535), "19ffff"},
		{int64(65536), "1a00010000"},
		{int64(math.MaxUint32), "1affffffff"},
		{int64(math.MaxUint32 + 1), "1b0000000100000000"},
		{int64(-24), "37"},
		{int64(-25), "3818"},
		{int64(math.MinInt64), "3b7fffffffffffffff"},
		{uint64(math.MaxUint64), "1bffffffffffffffff"},
		{3.0, "fa40400000"},
		{math.Copysign(0, -1), "fa80000000"},
		{math.MaxFloat32, "fa7f7fffff"},
		{math.MaxFloat64, "fb7fefffffffffffff"},
		{math.SmallestNonzeroFloat32, "fa00000001"},
		{math.SmallestNonzeroFloat64, "fb0000000000000001"},
		{math.Float64frombits(0xfff8000000000001), "fb7ff8000000000000"},
		{"", "40"},
		{"tag", "43746167"},
		{"é", "62c3a9"},
		{"a\xff", "4261ff"},
		{"é\xff", "43c3a9ff"},
		{[]byte("é"), "42c3a9"},
		{[]any{}, "80"},
		{cborPairs{{"k", nil}, {"é", int64(1)}, {"\xff", int64(2)}}, "a3416bf662c3a90141ff02"},
	}
	for _, test := range tests {
		packet := cborWrite(t, []any{test.value})
		if got := hex.EncodeToString(packet); got != "81"+test.want {
			t.Errorf("%s: %s, want 81%s", cborShow(test.value), got, test.want)
		}
	}
}

func TestCBOREncoderAppends(t *testing.T) {
	e := aemp.CBOR.NewEncoder()
	e.Begin([]byte("junk"), 7) // forgotten
	e.Int(1)
	buf := []byte("before")
	for range 2 {
		e.Begin(buf, 1)
		e.Bool(true)
		var err error
		if buf, err = e.End(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "before\x81\xf5\x81\xf5"; string(buf) != want {
		t.Errorf("%q, want %q", buf, want)
	}
}

// Packets that are fine, with what they decode to.
var cborGood = []struct{ name, packet, want string }{
	{"empty", "80", `[]`},
	{"longer heads than needed", "9b0000000000000001 1900ff", `[255]`},
	{"empty indefinite", "9fff", `[]`},
	{"nested indefinite", "9f9f01ff bf6161 9fff ff ff", `[[1] {"a":[]}]`},
	{"self-described twice", "d9d9f7d9d9f78101", `[1]`},
	{"all tags of the top level", "d9d9f7d81cd901008101", `[1]`},
	{"integers", "86 1b7fffffffffffffff 1b8000000000000000 1bffffffffffffffff 20 3b7fffffffffffffff 3903e7", `[9223372036854775807 9223372036854775808u 18446744073709551615u -1 -9223372036854775808 -1000]`},
	{"below int64", "82 3b8000000000000000 3bffffffffffffffff", `["-9223372036854775809" "-18446744073709551616"]`},
	{"big numbers that fit", "85 c240 c2450000000001 c2488000000000000000 c340 c3487fffffffffffffff", `[0 1 9223372036854775808u -1 -9223372036854775808]`},
	{"big numbers that do not", "83 c249010000000000000000 c3488000000000000000 c349010000000000000000", `["18446744073709551616" "-9223372036854775809" "-18446744073709551617"]`},
	{"big number in chunks", "81 c25f4101420000ff", `[65536]`},
	{"halves", "88 f90000 f98000 f93c00 f97bff f90001 f903ff f97c00 f9fc00", `[0f -0f 1f 65504f 5.960464477539063e-08f 6.097555160522461e-05f +Inff -Inff]`},
	{"NaNs", "83 f97e00 fa7fc00000 fb7ff8000000000001", `[NaNf NaNf NaNf]`},
	{"simple", "84 f4f5f6f7", `[false true nil nil]`},
	{"strings", "84 4161 6161 62c3a9 61ff", `[b"a" "a" "é" b"\xff"]`},
	{"chunks", "84 5f414241 43ff 7f6161 6162 60ff 5fff 7f61c361a9ff", `[b"BC" "ab" b"" "é"]`},
	{"tags that say nothing here", "86 c001 d818 4101 d82060 d9564d81 d9565205 daffffffff01 01", `[1 b"\x01" "" [5] 1 1]`},
	{"maps", "82 a2 4161 01 6162 a0 bf 4161 f6 ff", `[{b"a":1 "b":{}} {b"a":nil}]`},
	{
		"keys of other kinds", "81 ab 01f4 2002 f5f4 f400 f600 f700 f93e0001 fb7e37e43c8800759c02 f97c0000 1bffffffffffffffff00 c249010000000000000000f6",
		`[{"1":false "-1":2 "1":false "0":0 "":0 "":0 "1.5":1 "1e+300":2 "Inf":0 "18446744073709551615":0 "18446744073709551616":nil}]`,
	},
	{"key of all its digits", "81 a1 fb3fd3333333333334 00", `[{"0.30000000000000004":0}]`},
	{"tagged key", "81 a1 d9564d 4161 01", `[{b"a":1}]`},
	{"shared list", "83 d81c8101 d81d00 02", `[[1] [1] 2]`},
	{"shared in shared", "83 d81c 82 01 d81c 8102 d81d01 d81d00", `[[1 [2]] [2] [1 [2]]]`},
	{"shared in a row", "83 d81cd81c05 d81d00 d81d01", `[5 5 5]`},
	{"reference to a reference", "84 d81c05 d81c d81d00 d81d01 06", `[5 5 5 6]`},
	{"shared string in chunks as a key", "82 d81c 5f41614162ff a1 d81d00 01", `[b"ab" {b"ab":1}]`},
	{"shared map", "83 d81c bf 4161 d81c 4162 ff d81d00 d81d01", `[{b"a":b"b"} {b"a":b"b"} b"b"]`},
	{"strings by number", "d90100 84 43616161 6162 d81900 80", `[b"aaa" "b" b"aaa" []]`},
	{"keys by number", "d90100 82 a1 43616161 01 a1 d81900 02", `[{b"aaa":1} {b"aaa":2}]`},
	{"chunks have no number", "d90100 83 5f43616161ff 43626262 d81900", `[b"aaa" b"bbb" b"bbb"]`},
	{"short strings have no number", "d90100 83 426161 63626262 d81900", `[b"aa" "bbb" "bbb"]`},
	{"space in a space", "d90100 84 43616161 d90100 82 43626262 d81900 43636363 82 d81900 d81901", `[b"aaa" [b"bbb" b"bbb"] b"ccc" [b"aaa" b"ccc"]]`},
	{"space around a string", "d90100 84 43616161 d90100 43626262 43636363 d81901", `[b"aaa" b"bbb" b"ccc" b"ccc"]`},
	{"shared value in another space", "d90100 83 43616161 d90100 82 43626262 d81c 81 d81900 82 d81900 d81d00", `[b"aaa" [b"bbb" [b"bbb"]] [b"aaa" [b"bbb"]]]`},
	{"number of a big number's string", "d90100 82 c243010000 c2d81900", `[65536 65536]`},
}

func TestCBORDecode(t *testing.T) {
	used := aemp.CBOR.NewDecoder(aemp.Limits{})
	for _, test := range cborGood {
		t.Run(test.name, func(t *testing.T) {
			packet := cborUnhex(t, test.packet)
			list, err := cborRead(packet)
			if got := cborShow(list); err != nil || got != test.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, test.want)
			}
			used.Reset(packet)
			if got := cborShow(cborReadList(used)); used.Err() != nil || got != test.want {
				t.Errorf("by a used decoder:\ngot  %s, %v\nwant %s", got, used.Err(), test.want)
			}
		})
	}
}

// A string gets a number only if a reference to it is shorter than itself, and
// references get longer as numbers grow.
func TestCBORStringNumbers(t *testing.T) {
	for _, limit := range []struct {
		first  int // number from which on strings must be longer
		length int // the length that no longer counts
	}{{24, 3}, {256, 4}, {65536, 5}} {
		// Strings up to the limit, one that gets no number, one that does.
		list := []any{}
		for i := range limit.first {
			list = append(list, fmt.Appendf(nil, "%05d", i))
		}
		list[limit.first-1] = []byte("zzzzz")[:limit.length] // still gets one
		list = append(list, []byte("aaaaa")[:limit.length], []byte("bbbbbb")[:limit.length+1])
		if limit.length == 5 {
			list[len(list)-1] = []byte("bbbbbbb") // next length that is shorter as a reference
		}
		want := append(slices.Clone(list), list[limit.first+1], list[0])

		body := cborWrite(t, append(list, nil, nil))
		packet := append([]byte{0xd9, 1, 0}, body[:len(body)-2]...)
		for _, number := range []int{limit.first, 0} {
			ref := cborWrite(t, []any{int64(number)})[1:]
			packet = append(append(packet, 0xd8, 25), ref...)
		}
		got, err := cborRead(packet)
		if err != nil || cborShow(got[limit.first:]) != cborShow(want[limit.first:]) {
			t.Errorf("from number %d on: %s, %v, want %s", limit.first, cborShow(got), err, cborShow(want[limit.first:]))
		}
	}
}

// What Scan refuses.
var cborBad = []struct {
	name, packet string
	want         error
	text         string
}{
	{"number", "01", aemp.ErrNotArray, "major type 0"},
	{"string", "5affffffff", aemp.ErrNotArray, "major type 2"},
	{"indefinite string", "7f", aemp.ErrNotArray, "major type 3"},
	{"map", "a0", aemp.ErrNotArray, "major type 5"},
	{"null", "f6", aemp.ErrNotArray, "major type 7"},
	{"tagged map", "d9d9f7a0", aemp.ErrNotArray, "major type 5"},
	{"other tag", "c180", aemp.ErrNotArray, "tag 1"},
	{"reference", "d81d00", aemp.ErrNotArray, "tag 29"},
	{"break at the top", "ff", aemp.ErrMalformed, "break"},
	{"break for a tagged top", "d9d9f7ff", aemp.ErrMalformed, "break"},
	{"break in a counted array", "81ff", aemp.ErrMalformed, "break out of place at offset 1"},
	{"break behind a tag", "9fc1ff", aemp.ErrMalformed, "break"},
	{"break behind a key", "81bf01ff", aemp.ErrMalformed, "behind a key at offset 3"},
	{"reserved 28", "811c", aemp.ErrMalformed, "reserved"},
	{"reserved 29", "815d", aemp.ErrMalformed, "reserved"},
	{"reserved 30", "81fe", aemp.ErrMalformed, "reserved"},
	{"reserved at the top", "9e", aemp.ErrMalformed, "reserved"},
	{"indefinite number", "811f", aemp.ErrMalformed, "indefinite"},
	{"indefinite negative number", "813f", aemp.ErrMalformed, "indefinite"},
	{"indefinite tag", "81df00", aemp.ErrMalformed, "indefinite"},
	{"simple value in two bytes", "81f81f", aemp.ErrMalformed, "simple"},
	{"number as a chunk", "815f01ff", aemp.ErrMalformed, "chunk"},
	{"text as a chunk of bytes", "815f6161ff", aemp.ErrMalformed, "chunk"},
	{"bytes as a chunk of text", "817f4161ff", aemp.ErrMalformed, "chunk"},
	{"chunks in chunks", "815f5fffff", aemp.ErrMalformed, "chunk"},
	{"tag before a chunk", "815fc14161ff", aemp.ErrMalformed, "chunk"},
	{"large array", "9affffffff", aemp.ErrTooLarge, "beyond 67108864"},
	{"largest array", "9bffffffffffffffff", aemp.ErrTooLarge, ""},
	{"large map", "81ba02000000", aemp.ErrTooLarge, ""},
	{"largest map", "81bb8000000000000000", aemp.ErrTooLarge, ""},
	{"large string", "815a04000000", aemp.ErrTooLarge, ""},
	{"largest string", "817bffffffffffffffff", aemp.ErrTooLarge, ""},
	{"large chunk", "817f7bffffffffffffffff", aemp.ErrTooLarge, ""},
	{"17 tags", "81" + strings.Repeat("c1", 17), aemp.ErrTooDeep, "16 tags"},
	{"deep", strings.Repeat("81", 513), aemp.ErrTooDeep, "deeper than 512 at offset 512"},
	{"deep without counts", strings.Repeat("9f", 513), aemp.ErrTooDeep, ""},
	{"deep by tags", strings.Repeat("81", 511) + "c1c1", aemp.ErrTooDeep, ""},
}

func TestCBORScanRefuses(t *testing.T) {
	for _, test := range cborBad {
		t.Run(test.name, func(t *testing.T) {
			n, err := aemp.CBOR.NewDecoder(aemp.Limits{}).Scan(cborUnhex(t, test.packet))
			if n != 0 || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%d, %v, want %v with %q", n, err, test.want, test.text)
			}
		})
	}
}

// What passes Scan and is refused when it is read.
var cborUnreadable = []struct {
	name, packet string
	want         error
	text         string
}{
	{"simple value", "81e0", aemp.ErrMalformed, "simple value 0 at offset 1"},
	{"long simple value", "81f8ff", aemp.ErrMalformed, "simple value 255"},
	{"array as a key", "81a18001", aemp.ErrMalformed, "array as a key"},
	{"map as a key", "81a1a001", aemp.ErrMalformed, "map as a key"},
	{"simple value as a key", "81a1e001", aemp.ErrMalformed, "simple value"},
	{"big number of a number", "81c201", aemp.ErrMalformed, "big number"},
	{"big number of a big number", "81c2c24101", aemp.ErrMalformed, "big number"},
	{"big number of text", "81c26101", aemp.ErrMalformed, "big number"},
	{"large big number", "81c2590401" + strings.Repeat("00", 1025), aemp.ErrTooLarge, "1025 bytes"},
	{"Perl object", "81d81a8249" + hex.EncodeToString([]byte("My::Point")) + "01", aemp.ErrMalformed, `Perl object of class "My::Point" at offset 1`},
	{"Perl object, class by number", "d901008243616263d81a81d81900", aemp.ErrMalformed, `class "abc" at offset 8`},
	{"Perl object, class by bad number", "d901008243616263d81a81d81901", aemp.ErrMalformed, "has not come"},
	{"Perl object of a number", "81d81a01", aemp.ErrMalformed, "Perl object of class unknown"},
	{"Perl object of nothing", "81d81a80", aemp.ErrMalformed, "Perl object of class unknown"},
	{"Perl object of itself", "81d81a81d81a80", aemp.ErrMalformed, "Perl object of class unknown"},
	{"reference without a number", "82d81c01d81d20", aemp.ErrMalformed, "without a number"},
	{"reference to nothing", "81d81d00", aemp.ErrMalformed, "has not come"},
	{"reference beyond all", "82d81c01d81d1bffffffffffffffff", aemp.ErrMalformed, "has not come"},
	{"reference forward", "82d81d00d81c01", aemp.ErrMalformed, "has not come"},
	{"reference to itself", "81d81cd81d00", aemp.ErrMalformed, "part of"},
	{"cycle", "81d81c81d81d00", aemp.ErrMalformed, "part of"},
	{"cycle through the top", "d81c81d81d00", aemp.ErrMalformed, "part of"},
	{"cycle in an indefinite map", "81d81cbf01d81d00ff", aemp.ErrMalformed, "part of"},
	{"cycle of two", "81d81c81d81c82d81d00d81d01", aemp.ErrMalformed, "part of"},
	{"string reference outside of a space", "8243616161d81900", aemp.ErrMalformed, "has not come"},
	{"string reference behind its space", "82d9010043616161d81900", aemp.ErrMalformed, "has not come"},
	{"string reference out of an inner space", "d901008243616161d9010081d81900", aemp.ErrMalformed, "has not come"},
	{"string reference forward", "d9010082d8190043616161", aemp.ErrMalformed, "has not come"},
	{"string reference too far", "d901008243616161d81901", aemp.ErrMalformed, "has not come"},
}

func TestCBORReadRefuses(t *testing.T) {
	for _, test := range cborUnreadable {
		t.Run(test.name, func(t *testing.T) {
			packet := cborUnhex(t, test.packet)
			d := aemp.CBOR.NewDecoder(aemp.Limits{})
			if n, err := d.Scan(packet); n != len(packet) || err != nil {
				t.Fatalf("Scan: %d of %d, %v", n, len(packet), err)
			}
			d.Reset(packet)
			cborReadList(d)
			if err := d.Err(); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want %v with %q", err, test.want, test.text)
			}
			if d.Kind() != aemp.End || d.Len() != 0 {
				t.Errorf("%v, %d values behind the error", d.Kind(), d.Len())
			}
		})
	}
}

// References that double what they refer to, thirty times.
func TestCBORExpansion(t *testing.T) {
	packet := []byte{0x98, 31, 0xd8, 28, 0x82, 1, 2}
	for i := range byte(30) {
		packet = append(packet, 0xd8, 28, 0x82, 0xd8, 29, 0x18, i, 0xd8, 29, 0x18, i)
	}
	if _, err := cborRead(packet); !errors.Is(err, aemp.ErrTooLarge) {
		t.Errorf("%v, want %v", err, aemp.ErrTooLarge)
	}

	// What is not read costs nothing.
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	d.Reset(packet)
	for d.Kind() != aemp.End {
		d.Open()
		d.Close()
	}
	if d.Err() != nil {
		t.Error(d.Err())
	}
}

// References may stand for twice the packet and 64 KiB: of a string that is a
// little longer than these, for two more.
func TestCBORReferenceBudget(t *testing.T) {
	const size = 70000
	for references, want := range map[byte]error{1: nil, 2: nil, 3: aemp.ErrTooLarge} {
		packet := []byte{0x81 + references, 0xd8, 28, 0x5a}
		packet = binary.BigEndian.AppendUint32(packet, size)
		packet = append(packet, make([]byte, size)...)
		for range references {
			packet = append(packet, 0xd8, 29, 0)
		}
		list, err := cborRead(packet)
		if !errors.Is(err, want) {
			t.Errorf("%d references: %v, want %v", references, err, want)
		}
		if want == nil && len(list) != 1+int(references) {
			t.Errorf("%d references: %d values", references, len(list))
		}
	}
}

// References that lead to references are tags in a row, and bounded like them.
func TestCBORReferenceChain(t *testing.T) {
	for length, want := range map[int]error{15: nil, 16: aemp.ErrTooDeep} {
		packet := []byte{0x98, byte(length + 1), 0xd8, 28, 1}
		for i := range byte(length) {
			packet = append(packet, 0xd8, 28, 0xd8, 29, i) // the value before
		}
		d := aemp.CBOR.NewDecoder(aemp.Limits{})
		d.Reset(packet)
		for range length {
			d.Skip()
		}
		if got := d.Kind(); !errors.Is(d.Err(), want) || want == nil && got != aemp.Int {
			// The tag 28 of the last value counts, too.
			t.Errorf("%d references: %v, %v, want %v", length, got, d.Err(), want)
		}
	}
}

// Nesting that only references bring about.
func TestCBORDepthByReference(t *testing.T) {
	packet := []byte{0x88, 0xd8, 28, 0x80}
	for i := range byte(7) {
		packet = append(packet, 0xd8, 28, 0x81, 0xd8, 29, i)
	}
	// As it stands the packet is 4 deep. With all references followed, the last
	// value is 8 arrays in each other, each behind a tag or a reference.
	for depth, want := range map[int]error{17: nil, 16: aemp.ErrTooDeep, 4: aemp.ErrTooDeep} {
		d := aemp.CBOR.NewDecoder(aemp.Limits{Depth: depth})
		if n, err := d.Scan(packet); n != len(packet) || err != nil {
			t.Fatal(n, err)
		}
		d.Reset(packet)
		cborReadList(d)
		if !errors.Is(d.Err(), want) {
			t.Errorf("depth %d: %v, want %v", depth, d.Err(), want)
		}
	}
}

func TestCBORDepthLimit(t *testing.T) {
	tests := []struct {
		name, packet string
		depth        int
	}{
		{"flat", "8101", 1},
		{"arrays", "81818180", 4},
		{"maps", "81a101a101f6", 3},
		{"indefinite", "9f9f9fffffff", 3},
		{"tagged top", "d9d9f780", 2},
		{"tagged value", "82c1c10181c101", 3},
		{"string in chunks", "815f4161ff", 1},
	}
	for _, test := range tests {
		packet := cborUnhex(t, test.packet)
		d := aemp.CBOR.NewDecoder(aemp.Limits{Depth: test.depth})
		if n, err := d.Scan(packet); n != len(packet) || err != nil {
			t.Errorf("%s, depth %d: %d, %v", test.name, test.depth, n, err)
		}
		d.Reset(packet)
		if cborReadList(d); d.Err() != nil {
			t.Errorf("%s, depth %d: %v", test.name, test.depth, d.Err())
		}
		if test.depth == 1 {
			continue // zero would mean the default
		}
		d = aemp.CBOR.NewDecoder(aemp.Limits{Depth: test.depth - 1})
		if n, err := d.Scan(packet); n != 0 || !errors.Is(err, aemp.ErrTooDeep) {
			t.Errorf("%s, depth %d: %d, %v", test.name, test.depth-1, n, err)
		}
	}
}

// Every good packet passes a limit of its own size, and no smaller one, even
// when only as much of it is there as the limit allows.
func TestCBORSizeLimit(t *testing.T) {
	for _, test := range cborGood {
		packet := cborUnhex(t, test.packet)
		d := aemp.CBOR.NewDecoder(aemp.Limits{MessageSize: len(packet)})
		if n, err := d.Scan(append(packet, 0, 0)); n != len(packet) || err != nil {
			t.Errorf("%s: %d, %v", test.name, n, err)
		}
		for size := 1; size < len(packet); size++ {
			for _, b := range [][]byte{packet[:size], packet} {
				d = aemp.CBOR.NewDecoder(aemp.Limits{MessageSize: size})
				if n, err := d.Scan(b); n != 0 || !errors.Is(err, aemp.ErrTooLarge) {
					t.Errorf("%s with %d of %d bytes, %d there: %d, %v", test.name, size, len(packet), len(b), n, err)
				}
			}
		}
	}
}

// cborScanPieces feeds b to Scan in steps of so many bytes.
func cborScanPieces(d aemp.Decoder, b []byte, step int) (int, error) {
	for end := 0; ; end = min(end+step, len(b)) {
		// The copy has no more room than bytes: who reads on, panics.
		if n, err := d.Scan(slices.Clip(b[:end])); n != 0 || err != nil || end == len(b) {
			return n, err
		}
	}
}

func TestCBORScanPieces(t *testing.T) {
	packets := [][]byte{}
	for _, test := range cborGood {
		packets = append(packets, cborUnhex(t, test.packet))
	}
	for _, v := range cborLoadVectors(t).Values {
		if v.CBOR != "" {
			packet, _ := cborVectorPacket(t, v.CBOR, "")
			packets = append(packets, packet)
		}
	}
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	for _, packet := range packets {
		for end := range packet {
			if n, err := d.Scan(packet[:end]); n != 0 || err != nil {
				t.Fatalf("%x, %d of %d bytes: %d, %v", packet, end, len(packet), n, err)
			}
			d.Reset(nil)
		}
		for _, step := range []int{1, 2, 7} {
			if n, err := cborScanPieces(d, append(packet, packet...), step); n != len(packet) || err != nil {
				t.Errorf("%x in steps of %d: %d of %d, %v", packet, step, n, len(packet), err)
			}
		}
	}
}

func TestCBORScanStartsAfresh(t *testing.T) {
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	scan := func(packet string, want int, wantErr error) {
		t.Helper()
		if n, err := d.Scan(cborUnhex(t, packet)); n != want || !errors.Is(err, wantErr) {
			t.Errorf("%s: %d, %v, want %d, %v", packet, n, err, want, wantErr)
		}
	}
	scan("8101", 2, nil)
	scan("820102", 3, nil) // behind a packet
	scan("8301", 0, nil)
	d.Reset([]byte{0x80})
	scan("c1", 0, aemp.ErrNotArray) // behind Reset, and not as the second value
	scan("8101", 2, nil)            // behind an error
}

// A decoder that looked again at what it has seen would be at this for hours.
func TestCBORScanIsLinear(t *testing.T) {
	const n = 1 << 20
	list := append([]byte{0x9a, 0, 0x10, 0, 0}, make([]byte, n)...)
	long := append([]byte{0x81, 0x5a, 0, 0x10, 0, 0}, make([]byte, n)...)
	chunks := append([]byte{0x81, 0x5f}, bytes.Repeat([]byte{0x41, 0}, n/2)...)
	chunks = append(chunks, 0xff)
	for _, packet := range [][]byte{list, long, chunks} {
		if got, err := cborScanPieces(aemp.CBOR.NewDecoder(aemp.Limits{}), packet, 1); got != len(packet) || err != nil {
			t.Errorf("%d of %d, %v", got, len(packet), err)
		}
	}
}

func TestCBORLen(t *testing.T) {
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	check := func(what string, want int) {
		t.Helper()
		if got := d.Len(); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	d.Reset(cborUnhex(t, "83 a2 4161 01 4162 02 9f 01 ff 05"))
	check("packet", 3)
	d.Open()
	check("map", 2)
	d.Bytes()
	check("map behind a key", 2)
	d.Int()
	check("map behind a pair", 1)
	d.Close()
	check("packet behind the map", 2)
	d.Open()
	check("indefinite array", -1)
	d.Int()
	check("end of an indefinite array", -1)
	if kind := d.Kind(); kind != aemp.End {
		t.Errorf("%v at the end of an indefinite array", kind)
	}
	d.Close()
	d.Skip()
	check("end", 0)
	if d.Err() != nil {
		t.Error(d.Err())
	}
}

// Leaving values unread, in every way, must lead to the same place.
func TestCBORSkipAndClose(t *testing.T) {
	for _, test := range cborGood {
		packet := cborUnhex(t, test.packet)
		want, err := cborRead(packet)
		if err != nil {
			t.Fatal(test.name, err)
		}
		d := aemp.CBOR.NewDecoder(aemp.Limits{})
		for i := range want {
			for unread := range 4 { // values left behind in what is opened; 3: skipped
				d.Reset(packet)
				for range i {
					kind := d.Kind()
					if unread == 3 || kind != aemp.Array && kind != aemp.Map {
						d.Skip()
						continue
					}
					d.Open()
					for range unread {
						if d.Kind() != aemp.End {
							d.Skip()
						}
					}
					d.Close()
				}
				if got := cborReadValue(d); cborShow(got) != cborShow(want[i]) || d.Err() != nil {
					t.Errorf("%s, value %d: %s, %v, want %s", test.name, i, cborShow(got), d.Err(), cborShow(want[i]))
				}
			}
		}
	}
}

func TestCBORMisuse(t *testing.T) {
	use := map[string]func(d aemp.Decoder) bool{ // each reports whether the result is zero
		"Nil":   func(d aemp.Decoder) bool { d.Nil(); return true },
		"Bool":  func(d aemp.Decoder) bool { return !d.Bool() },
		"Int":   func(d aemp.Decoder) bool { return d.Int() == 0 },
		"Uint":  func(d aemp.Decoder) bool { return d.Uint() == 0 },
		"Float": func(d aemp.Decoder) bool { return d.Float() == 0 },
		"Bytes": func(d aemp.Decoder) bool { return d.Bytes() == nil },
		"Open":  func(d aemp.Decoder) bool { d.Open(); return true },
	}
	fits := map[string]string{"f6": "Nil", "f5": "Bool", "05": "Int", "1b8000000000000000": "Uint", "f93c00": "Float", "4161": "Bytes", "6161": "Bytes", "8101": "Open", "a10101": "Open"}
	for value, right := range fits {
		for name, f := range use {
			d := aemp.CBOR.NewDecoder(aemp.Limits{})
			d.Reset(cborUnhex(t, "82"+value+"05"))
			if zero := f(d); name == right {
				if d.Err() != nil {
					t.Errorf("%s of %s: %v", name, value, d.Err())
				}
				continue
			} else if !zero {
				t.Errorf("%s of %s is not zero", name, value)
			}
			first := d.Err()
			if !errors.Is(first, aemp.ErrMalformed) || !strings.Contains(first.Error(), "wanted") || !strings.Contains(first.Error(), "offset 1") {
				t.Errorf("%s of %s: %v", name, value, first)
			}
			for again, f := range use {
				if !f(d) || d.Kind() != aemp.End || d.Err() != first {
					t.Errorf("%s behind an error: %v, %v", again, d.Kind(), d.Err())
				}
			}
			d.Skip()
			d.Close()
			if d.Err() != first {
				t.Errorf("error changed to %v", d.Err())
			}
		}
	}

	// At the end, and without any packet.
	use["Skip"] = func(d aemp.Decoder) bool { d.Skip(); return true }
	use["Close"] = func(d aemp.Decoder) bool { d.Close(); return true }
	for name, f := range use {
		d := aemp.CBOR.NewDecoder(aemp.Limits{})
		if f(d); d.Err() == nil {
			t.Errorf("%s before any packet: no error", name)
		}
		d.Reset([]byte{0x80})
		if d.Err() != nil || d.Kind() != aemp.End {
			t.Errorf("Reset does not forget: %v", d.Err())
		}
		if f(d); d.Err() == nil {
			t.Errorf("%s at the end: no error", name)
		}
	}
}

// Bytes that no Scan has seen must not do harm either.
func TestCBORResetWithoutScan(t *testing.T) {
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	for _, test := range cborGood {
		packet := cborUnhex(t, test.packet)
		for end := range packet {
			d.Reset(packet[:end])
			cborReadList(d)
			if d.Err() == nil {
				t.Errorf("%x of %x: no error", packet[:end], packet)
			}
		}
	}
	for _, test := range cborBad {
		d.Reset(cborUnhex(t, test.packet))
		cborReadList(d)
	}
}

func TestCBORAllocations(t *testing.T) {
	e := aemp.CBOR.NewEncoder()
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	var buf []byte
	list := []any{"port", true, nil, int64(-5), 0.5, []any{"é", []any{}}, cborPairs{{"k", uint64(1 << 63)}}}
	if n := testing.AllocsPerRun(100, func() {
		e.Begin(buf[:0], len(list))
		for _, v := range list {
			cborWriteValue(e, v)
		}
		buf, _ = e.End()
	}); n > 0 {
		t.Errorf("encoding: %v allocations", n)
	}
	packets := [][]byte{
		buf,
		cborUnhex(t, "82 5f41614162ff a1 01 3bffffffffffffffff"),
		cborUnhex(t, "d90100 83 43616161 d81c 82 d81900 01 d81d00"),
	}
	for _, packet := range packets {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := d.Scan(packet); err != nil {
				t.Fatal(err)
			}
			d.Reset(packet)
			cborWalk(d)
			if d.Err() != nil {
				t.Fatal(d.Err())
			}
		}); n > 0 {
			t.Errorf("decoding %x: %v allocations", packet, n)
		}
	}
}

// cborWalk reads everything and keeps nothing. It returns the number of
// values.
func cborWalk(d aemp.Decoder) int {
	count := 0
	for ; ; count++ {
		switch d.Kind() {
		case aemp.End:
			return count
		case aemp.Nil:
			d.Nil()
		case aemp.Bool:
			d.Bool()
		case aemp.Int:
			d.Int()
		case aemp.Uint:
			d.Uint()
		case aemp.Float:
			d.Float()
		case aemp.Text, aemp.Octets:
			d.Bytes()
		case aemp.Array, aemp.Map:
			d.Open()
			count += cborWalk(d)
			d.Close()
		}
	}
}

// cborPlain makes the same of values that are the same once encoded: a string
// is its bytes, and a NaN is a NaN.
func cborPlain(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []byte:
		if utf8.Valid(v) && bytes.IndexFunc(v, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			return fmt.Sprintf("octets %q", v)
		}
		return fmt.Sprintf("%q", v)
	case []any:
		words := make([]string, len(v))
		for i, v := range v {
			words[i] = cborPlain(v)
		}
		return "[" + strings.Join(words, " ") + "]"
	case cborPairs:
		words := make([]string, len(v))
		for i, p := range v {
			key, isText := p.key.(string)
			if !isText {
				key = string(p.key.([]byte))
			}
			words[i] = fmt.Sprintf("%q:%s", key, cborPlain(p.value))
		}
		return "{" + strings.Join(words, " ") + "}"
	}
	return cborShow(v)
}

func FuzzCBORDecoder(f *testing.F) {
	vectors := cborLoadVectors(f)
	for _, v := range vectors.Values {
		if v.CBOR != "" {
			packet, _ := cborVectorPacket(f, v.CBOR, "")
			f.Add(packet, uint8(0))
		}
	}
	for _, v := range vectors.Decode {
		f.Add(cborUnhex(f, v.CBOR), uint8(1))
	}
	for _, test := range cborGood {
		f.Add(cborUnhex(f, test.packet), uint8(2))
	}
	for _, test := range cborBad {
		f.Add(cborUnhex(f, test.packet), uint8(3))
	}
	for _, test := range cborUnreadable {
		f.Add(cborUnhex(f, test.packet), uint8(64))
	}
	f.Fuzz(func(t *testing.T, b []byte, limit uint8) {
		if len(b) > 1<<14 {
			return
		}
		// The lower half of limit bounds the depth, the upper half the size;
		// zeros mean the defaults.
		limits := aemp.Limits{Depth: int(limit & 15), MessageSize: int(limit>>4) * 8}
		d := aemp.CBOR.NewDecoder(limits)
		n, err := d.Scan(b)
		if n < 0 || n > len(b) || n > 0 && err != nil {
			t.Fatalf("Scan: %d, %v", n, err)
		}
		for _, step := range []int{1, 3} {
			pieces, errPieces := cborScanPieces(d, b, step)
			if pieces != n || fmt.Sprint(err) != fmt.Sprint(errPieces) {
				t.Fatalf("at once: %d, %v\nin steps of %d: %d, %v", n, err, step, pieces, errPieces)
			}
			d.Reset(nil)
		}
		packet := b
		if n > 0 {
			packet = b[:n]
		}

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d.Reset(packet)
		count := cborWalk(d)
		runtime.ReadMemStats(&after)
		most := 9*len(packet) + 64<<10 // the packet, and all that it may refer to
		if count > most {
			t.Fatalf("%d values in %d bytes", count, len(packet))
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(64*most) {
			t.Fatalf("%d bytes allocated for %d", used, len(packet))
		}
		if n == 0 || d.Err() != nil {
			return
		}

		d.Reset(packet)
		list := cborReadList(d)
		again := cborWrite(t, list)
		d = aemp.CBOR.NewDecoder(aemp.Limits{MessageSize: 1 << 30, Depth: 1 << 20})
		if n, err := d.Scan(again); n != len(again) || err != nil {
			t.Fatalf("encoded again: %d of %d, %v\n%x", n, len(again), err, again)
		}
		d.Reset(again)
		if got, want := cborPlain(cborReadList(d)), cborPlain(list); got != want || d.Err() != nil {
			t.Fatalf("encoded again:\ngot  %s, %v\nwant %s", got, d.Err(), want)
		}
	})
}

func BenchmarkCBOREncode(b *testing.B) {
	e := aemp.CBOR.NewEncoder()
	octets := []byte("0123456789abcdef")
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		e.Begin(buf[:0], 4)
		e.Text("port")
		e.Text("tag")
		e.Int(123456)
		e.Octets(octets)
		var err error
		if buf, err = e.End(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkCBORDecode(b *testing.B) {
	packet := cborWrite(b, []any{"port", "tag", int64(123456), "0123456789abcdef"})
	d := aemp.CBOR.NewDecoder(aemp.Limits{})
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		n, err := d.Scan(packet)
		if err != nil || n != len(packet) {
			b.Fatal(n, err)
		}
		d.Reset(packet)
		if cborWalk(d); d.Err() != nil {
			b.Fatal(d.Err())
		}
	}
}
