package aemp

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// A jsonVector is what Perl's JSON::XS made of one value.
type jsonVector struct {
	What   string
	Text   *string `json:"json_xs"` // nil when it could not, or when it is long
	Length int     `json:"json_xs_length"`
	Hash   string  `json:"json_xs_sha3_512"`
}

func jsonVectors(t testing.TB) map[string]jsonVector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Values []jsonVector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	vectors := make(map[string]jsonVector)
	for _, v := range file.Values {
		if v.Text != nil || v.Length != 0 {
			vectors[v.What] = v
		}
	}
	if len(vectors) < 30 {
		t.Fatalf("only %d values in the file", len(vectors))
	}
	return vectors
}

// jsonDecode reads one packet, which must be all of text.
func jsonDecode(text string) (Message, error) {
	d := JSON.NewDecoder(Limits{})
	n, err := d.Scan([]byte(text))
	if err != nil {
		return nil, err
	}
	if n != len(text) {
		return nil, fmt.Errorf("Scan found %d of %d bytes", n, len(text))
	}
	d.Reset([]byte(text))
	return DecodeMessage(d)
}

// jsonStandIns are numbers that encoding/json reads in the place of the words
// that Perl has for those which are not finite.
var jsonStandIns = map[string]string{
	"inf": "314159265e-111", "-inf": "-314159265e-111",
	"nan": "271828182e-111", "-nan": "-271828182e-111",
}

// jsonWithoutWords puts the stand-ins into a text.
func jsonWithoutWords(text string) string {
	var out, word strings.Builder
	endWord := func() {
		if number, ok := jsonStandIns[word.String()]; ok {
			out.WriteString(number)
		} else {
			out.WriteString(word.String())
		}
		word.Reset()
	}
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !inString && !strings.ContainsRune(" \t\r\n[]{},:\"", rune(c)) {
			word.WriteByte(c)
			continue
		}
		endWord()
		out.WriteByte(c)
		switch {
		case c == '"':
			inString = !inString
		case inString && c == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		}
	}
	endWord()
	return out.String()
}

// jsonEqual compares messages. NaN is the same as NaN.
func jsonEqual(a, b Message) bool {
	return reflect.DeepEqual(jsonNamedNaN([]any(a)), jsonNamedNaN([]any(b)))
}

// A jsonNaN equals itself.
type jsonNaN struct{}

// jsonNamedNaN puts a jsonNaN in the place of each NaN.
func jsonNamedNaN(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) {
			return jsonNaN{}
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = jsonNamedNaN(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k := range v {
			m[k] = jsonNamedNaN(v[k])
		}
		return m
	}
	return v
}

// jsonModel reads a packet with encoding/json, and makes of it what the
// decoder should.
func jsonModel(text string) (Message, error) {
	d := json.NewDecoder(strings.NewReader(jsonWithoutWords(text)))
	d.UseNumber()
	var list []any
	if err := d.Decode(&list); err != nil {
		return nil, err
	}
	v, err := jsonModelValue(list)
	if err != nil {
		return nil, err
	}
	return v.([]any), nil
}

func jsonModelValue(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		switch v.String() {
		case jsonStandIns["inf"]:
			return math.Inf(1), nil
		case jsonStandIns["-inf"]:
			return math.Inf(-1), nil
		case jsonStandIns["nan"], jsonStandIns["-nan"]:
			return math.NaN(), nil
		}
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return u, nil
		}
		return strconv.ParseFloat(v.String(), 64)
	case []any:
		for i := range v {
			if v[i], err = jsonModelValue(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = jsonModelValue(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// jsonCopy writes what is left of the packet, array or map that d is in. Its
// values keep their order, which a Go map would lose.
func jsonCopy(e Encoder, d Decoder, inMap bool) {
	for isKey := inMap; d.Kind() != End; isKey = inMap && !isKey {
		switch kind := d.Kind(); kind {
		case Nil:
			d.Nil()
			e.Nil()
		case Bool:
			e.Bool(d.Bool())
		case Int:
			e.Int(d.Int())
		case Uint:
			e.Uint(d.Uint())
		case Float:
			e.Float(d.Float())
		case Text:
			if isKey {
				e.Key(string(d.Bytes()))
			} else {
				e.Text(string(d.Bytes()))
			}
		case Array, Map:
			if d.Open(); kind == Array {
				e.Array(0)
			} else {
				e.Map(0)
			}
			jsonCopy(e, d, kind == Map)
			d.Close()
			e.Close()
		default:
			panic("JSON has no " + kind.String())
		}
	}
}

// jsonRewrite decodes a packet and encodes what it found.
func jsonRewrite(text string) (string, error) {
	d, e := JSON.NewDecoder(Limits{}), JSON.NewEncoder()
	d.Reset([]byte(text))
	e.Begin(nil, 0)
	jsonCopy(e, d, false)
	if d.Err() != nil {
		return "", d.Err()
	}
	out, err := e.End()
	return string(out), err
}

func TestJSONVectors(t *testing.T) {
	for what, v := range jsonVectors(t) {
		if v.Text == nil {
			continue
		}
		t.Run(what, func(t *testing.T) {
			packet := "[" + *v.Text + "]"
			want, err := jsonModel(packet)
			if err != nil {
				t.Fatal(err)
			}
			got, err := jsonDecode(packet)
			if err != nil || !jsonEqual(got, want) {
				t.Fatalf("got %v, %v, want %v", got, err, want)
			}
			if what == "infinities and NaN" { // which are no JSON, so only Perl sends them
				if _, err := jsonRewrite(packet); !errors.Is(err, ErrUnsupportedValue) {
					t.Fatalf("encoded with error %v, want %v", err, ErrUnsupportedValue)
				}
				return
			}
			if what == "doubles" { // some of them lost their fraction in Perl; see TestJSONFloats
				return
			}
			if out, err := jsonRewrite(packet); err != nil || out != packet {
				t.Errorf("encoded as %s, %v, want %s", out, err, packet)
			}
		})
	}
}

func TestJSONLongStringVector(t *testing.T) {
	v := jsonVectors(t)["string of 70000 bytes"]
	long := strings.Repeat("y", 70000)
	e := JSON.NewEncoder()
	e.Begin(nil, 1)
	e.Text(long)
	out, err := e.End()
	if err != nil {
		t.Fatal(err)
	}
	hash := sha3.Sum512(out)
	if len(out) != v.Length || hex.EncodeToString(hash[:]) != v.Hash {
		t.Errorf("encoded as %d bytes with hash %x, want %d with %s", len(out), hash, v.Length, v.Hash)
	}
	if m, err := jsonDecode(string(out)); err != nil || len(m) != 1 || m[0] != long {
		t.Errorf("did not come back: %v", err)
	}
}

func TestJSONOctetVectors(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for what, octets := range map[string][]byte{
		"binary string, all 256 bytes":        all,
		"latin-1 byte string":                 []byte("caf\xe9"),
		"the same string with the UTF-8 flag": []byte("caf\xe9"),
	} {
		e := JSON.NewEncoder()
		e.Begin(nil, 1)
		e.Octets(octets)
		got, err := e.End()
		if want := *jsonVectors(t)[what].Text; err != nil || string(got) != want {
			t.Errorf("%s: encoded as %s, %v, want %s", what, got, err, want)
		}
	}
}

func TestJSONEncoder(t *testing.T) {
	tests := []struct {
		name  string
		write func(e Encoder)
		want  string
	}{
		{"nothing", func(e Encoder) {}, `[]`},
		{"words", func(e Encoder) { e.Nil(); e.Bool(true); e.Bool(false) }, `[null,true,false]`},
		{
			"integers", func(e Encoder) { e.Int(0); e.Int(math.MinInt64); e.Int(math.MaxInt64); e.Uint(math.MaxUint64) },
			`[0,-9223372036854775808,9223372036854775807,18446744073709551615]`,
		},
		{"text", func(e Encoder) { e.Text(""); e.Text("tag"); e.Text("a,"); e.Text("[") }, `["","tag","a,","["]`},
		{
			"controls", func(e Encoder) { e.Text("ctl \t\n\x01 \" \\ / \b\f\r\x0b\x00\x1f\x7f") },
			`["ctl \t\n\u0001 \" \\ / \b\f\r\u000b\u0000\u001f` + "\x7f\"]",
		},
		{"wide", func(e Encoder) { e.Text("é€𝄞\u2028\ufffd") }, "[\"é€𝄞\u2028\ufffd\"]"},
		{"late escape", func(e Encoder) { e.Text("0123456789abcdef\"0123456789\n") }, `["0123456789abcdef\"0123456789\n"]`},
		{"octets", func(e Encoder) { e.Octets(nil); e.Octets([]byte("ab\"\n\x80\xff")) }, `["","ab\"\n` + "\u0080\u00ff\"]"},
		{"octets that are UTF-8", func(e Encoder) { e.Octets([]byte("é")) }, `["Ã©"]`},
		{"text that is not UTF-8", func(e Encoder) { e.Text("a\xffé") }, `["aÿÃ©"]`},
		{
			"lists", func(e Encoder) {
				e.Array(0)
				e.Close()
				e.Array(2)
				e.Int(1)
				e.Array(0)
				e.Close()
				e.Close()
				e.Int(2)
			},
			`[[],[1,[]],2]`,
		},
		{"maps", func(e Encoder) {
			e.Map(0)
			e.Close()
			e.Map(2)
			e.Key("a\n€")
			e.Nil()
			e.Key("\xe9")
			e.Map(0)
			e.Close()
			e.Close()
		}, `[{},{"a\n€":null,"é":{}}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := JSON.NewEncoder()
			e.Begin([]byte("before,"), 0)
			tt.write(e)
			got, err := e.End()
			if want := "before," + tt.want; err != nil || string(got) != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
			if !json.Valid(got[len("before,"):]) {
				t.Errorf("not JSON: %s", got)
			}
		})
	}
}

func TestJSONFloats(t *testing.T) {
	tests := []struct {
		v    float64
		want string
	}{
		{0, "0.0"},
		{math.Copysign(0, -1), "-0.0"},
		{3, "3.0"},
		{-1, "-1.0"},
		{2.5, "2.5"},
		{0.1, "0.1"},
		{0.5, "0.5"},
		{-2.5, "-2.5"},
		{10000000000.5, "10000000000.5"},
		{1e100, "1e+100"},
		{1e-100, "1e-100"},
		{1e14, "100000000000000.0"},
		{1e15, "1e+15"},
		{1e16, "1e+16"},
		{1.5e300, "1.5e+300"},
		{-1e15, "-1e+15"},
		{0.0001, "0.0001"},
		{0.00001, "1e-05"},
		{1.0 / 3, "0.3333333333333333"},
		{999999999999999.9, "999999999999999.9"},
		{1 << 53, "9.007199254740992e+15"},
		{math.MaxFloat64, "1.7976931348623157e+308"},
		{math.SmallestNonzeroFloat64, "5e-324"},
	}
	e := JSON.NewEncoder()
	for _, tt := range tests {
		e.Begin(nil, 1)
		e.Float(tt.v)
		got, err := e.End()
		if want := "[" + tt.want + "]"; err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		m, err := jsonDecode(string(got))
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		if back, ok := m[0].(float64); !ok || math.Float64bits(back) != math.Float64bits(tt.v) {
			t.Errorf("%s came back as %T %v", got, m[0], m[0])
		}
	}
}

func TestJSONEncoderErrors(t *testing.T) {
	e := JSON.NewEncoder()
	for v, name := range map[float64]string{math.Inf(1): "+Inf", math.Inf(-1): "-Inf", math.NaN(): "NaN"} {
		dst := []byte("before")
		e.Begin(dst, 2)
		e.Map(2)
		e.Key("a")
		e.Float(v)
		e.Key("b")
		e.Int(1)
		e.Close()
		e.Float(math.Inf(1)) // only the first is reported
		got, err := e.End()
		if !errors.Is(err, ErrUnsupportedValue) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: got error %v", v, err)
		}
		if string(got) != "before" || string(dst) != "before" {
			t.Errorf("%v: dst is %q, result is %q", v, dst, got)
		}
	}
	e.Begin(nil, 1)
	e.Array(1) // a packet that is not ended
	e.Begin(nil, 1)
	e.Int(1)
	if got, err := e.End(); err != nil || string(got) != "[1]" {
		t.Errorf("after errors: got %s, %v", got, err)
	}
	if due := e.(*jsonEncoder).due; len(due) != 0 {
		t.Errorf("%q is still due", due)
	}
}

func TestJSONDecoder(t *testing.T) {
	tests := []struct {
		text string
		want Message
	}{
		{"[]", Message{}},
		{" \t\r\n[ \t\r\n]", Message{}},
		{` [ null , true,false ,[ ] , { } ]`, Message{nil, true, false, []any{}, map[string]any{}}},
		{`["","a","\"\\\/\b\f\n\r\t","\u0041\u00e9\u20ac\u20AC"]`, Message{"", "a", "\"\\/\b\f\n\r\t", "Aé€€"}},
		{`["\ud834\udd1e","\uD834\uDD1Ex","\u0000"]`, Message{"𝄞", "𝄞x", "\x00"}},
		{
			`["\ud834","\udd1e","\ud834x","\ud834\n","\ud834\u0041","\ud834\ud834\udd1e","\udd1e\ud834"]`,
			Message{"�", "�", "�x", "�\n", "�A", "�𝄞", "��"},
		},
		{`["0123456789é\\0123456789"]`, Message{`0123456789é\0123456789`}},
		{"[\"\x7f\u2028\"]", Message{"\x7f\u2028"}},
		{
			`[0,-0,1,-1,9223372036854775807,-9223372036854775808]`,
			Message{int64(0), int64(0), int64(1), int64(-1), int64(math.MaxInt64), int64(math.MinInt64)},
		},
		{`[9223372036854775808,18446744073709551615]`, Message{uint64(1 << 63), uint64(math.MaxUint64)}},
		{`[18446744073709551616,-9223372036854775809,99999999999999999999999]`, Message{0x1p64, -0x1p63, 1e23}},
		{`[1.0,1e0,1E+2,1e-2,-0.0,12.5e1,0.0,0e5]`, Message{1.0, 1.0, 100.0, 0.01, math.Copysign(0, -1), 125.0, 0.0, 0.0}},
		{`[1e-400]`, Message{0.0}},
		{`[inf,-inf,nan,-nan]`, Message{math.Inf(1), math.Inf(-1), math.NaN(), math.NaN()}},
		{` [ inf , {"inf":-inf,"nan":[nan]}, null]`, Message{
			math.Inf(1), map[string]any{"inf": math.Inf(-1), "nan": []any{math.NaN()}}, nil,
		}},
		{`[{"a":1,"b":{"c":[{}]},"":2}]`, Message{map[string]any{
			"a": int64(1), "b": map[string]any{"c": []any{map[string]any{}}}, "": int64(2),
		}}},
		{`[{"a":1,"a":2,"\u0061":3}]`, Message{map[string]any{"a": int64(3)}}},
		{`["port","tag",123456,"0123456789abcdef"]`, Message{"port", "tag", int64(123456), "0123456789abcdef"}},
	}
	for _, tt := range tests {
		got, err := jsonDecode(tt.text)
		if err != nil || !jsonEqual(got, tt.want) {
			t.Errorf("%s: got %v, %v, want %v", tt.text, got, err, tt.want)
		}
		if _, err := jsonModel(tt.text); err != nil {
			t.Errorf("%s: encoding/json refuses it: %v", tt.text, err)
		}
	}
}

// Malformed packets, with the error that tells the byte at which they are
// wrong.
func TestJSONMalformed(t *testing.T) {
	tests := []struct {
		text string
		want error
		tell string
	}{
		// Found while the packet comes in.
		{`{"a":1}`, ErrNotArray, `'{' at byte 0`},
		{` "a"`, ErrNotArray, `'"' at byte 1`},
		{`12`, ErrNotArray, `'1' at byte 0`},
		{`-1`, ErrNotArray, `'-' at byte 0`},
		{`true`, ErrNotArray, `'t' at byte 0`},
		{`false`, ErrNotArray, `'f' at byte 0`},
		{`null`, ErrNotArray, `'n' at byte 0`},
		{`inf`, ErrNotArray, `'i' at byte 0`},
		{`]`, ErrMalformed, `']' at byte 0`},
		{`,[]`, ErrMalformed, `',' at byte 0`},
		{"\x00[]", ErrMalformed, `'\x00' at byte 0`},
		{"\ufeff[]", ErrMalformed, `at byte 0`},
		{"\v[]", ErrMalformed, `at byte 0`},
		{`[}`, ErrMalformed, `want ']', found '}' at byte 1`},
		{`[{]`, ErrMalformed, `want '}', found ']' at byte 2`},
		{`["]",{"}":[}`, ErrMalformed, `want ']', found '}' at byte 11`},
		{`[?`, ErrMalformed, `'?' at byte 1`},
		{`[1,'a']`, ErrMalformed, `'\'' at byte 3`},
		{`[NaN]`, ErrMalformed, `'N' at byte 1`},
		{`[Inf]`, ErrMalformed, `'I' at byte 1`},
		{`[infinity]`, ErrMalformed, `'y' at byte 8`},
		{"[1,\u00a0", ErrMalformed, `at byte 3`},
		{`[ // x`, ErrMalformed, `'/' at byte 2`},
		// Found as it is read.
		{`[,]`, ErrMalformed, `want a value, found ',' at byte 1`},
		{`[1,]`, ErrMalformed, `want a value, found ']' at byte 3`},
		{`[1,,2]`, ErrMalformed, `at byte 3`},
		{`[1 2]`, ErrMalformed, `want ',' or ']', found '2' at byte 3`},
		{`["a" "b"]`, ErrMalformed, `at byte 5`},
		{`["a""b"]`, ErrMalformed, `at byte 4`},
		{`[[]1]`, ErrMalformed, `at byte 3`},
		{`[1:2]`, ErrMalformed, `at byte 2`},
		{`[:]`, ErrMalformed, `at byte 1`},
		{`[{1:2}]`, ErrMalformed, `want a key, found '1' at byte 2`},
		{`[{null:2}]`, ErrMalformed, `at byte 2`},
		{`[{"a"}]`, ErrMalformed, `want ':', found '}' at byte 5`},
		{`[{"a":}]`, ErrMalformed, `want a value, found '}' at byte 6`},
		{`[{"a":1,}]`, ErrMalformed, `want a key, found '}' at byte 8`},
		{`[{"a":1 "b":2}]`, ErrMalformed, `want ',' or '}', found '"' at byte 8`},
		{`[{"a",1}]`, ErrMalformed, `at byte 5`},
		{`[{"a":1:2}]`, ErrMalformed, `at byte 7`},
		{`[{,}]`, ErrMalformed, `at byte 2`},
		{`[nul]`, ErrMalformed, `want null, found 'n' at byte 1`},
		{`[nulll]`, ErrMalformed, `at byte 5`},
		{`[truefalse]`, ErrMalformed, `at byte 5`},
		{`[fals]`, ErrMalformed, `want false, found 'f' at byte 1`},
		{`[ra]`, ErrMalformed, `want a value, found 'r' at byte 1`},
		{`[01]`, ErrMalformed, `leading zero at byte 1`},
		{`[-01]`, ErrMalformed, `leading zero at byte 2`},
		{`[00]`, ErrMalformed, `leading zero at byte 1`},
		{`[-]`, ErrMalformed, `want a digit, found ']' at byte 2`},
		{`[--1]`, ErrMalformed, `at byte 2`},
		{`[+1]`, ErrMalformed, `at byte 1`},
		{`[.5]`, ErrMalformed, `at byte 1`},
		{`[1.]`, ErrMalformed, `want a digit, found ']' at byte 3`},
		{`[1.e5]`, ErrMalformed, `at byte 3`},
		{`[1e]`, ErrMalformed, `at byte 3`},
		{`[1e+]`, ErrMalformed, `at byte 4`},
		{`[1e5.5]`, ErrMalformed, `at byte 4`},
		{`[1-2]`, ErrMalformed, `at byte 2`},
		{`[in]`, ErrMalformed, `want inf, found 'i' at byte 1`},
		{`[i` + "\n" + `nf]`, ErrMalformed, `want inf, found 'i' at byte 1`},
		{`[inff]`, ErrMalformed, `want ',' or ']', found 'f' at byte 4`},
		{`[inf inf]`, ErrMalformed, `at byte 5`},
		{`[na]`, ErrMalformed, `want nan, found 'n' at byte 1`},
		{`[naN]`, ErrMalformed, `'N' at byte 3`},
		{`[nanull]`, ErrMalformed, `found 'u' at byte 4`},
		{`[+inf]`, ErrMalformed, `want a value, found '+' at byte 1`},
		{`[- inf]`, ErrMalformed, `want a digit, found ' ' at byte 2`},
		{`[--inf]`, ErrMalformed, `want a digit, found '-' at byte 2`},
		{`[-in]`, ErrMalformed, `want -inf, found '-' at byte 1`},
		{`[-null]`, ErrMalformed, `want -nan, found '-' at byte 1`},
		{`[1inf]`, ErrMalformed, `found 'i' at byte 2`},
		{`[1e-inf]`, ErrMalformed, `want a digit, found 'i' at byte 4`},
		{`[{inf:1}]`, ErrMalformed, `want a key, found 'i' at byte 2`},
		{`[{"a"nan}]`, ErrMalformed, `want ':', found 'n' at byte 5`},
		{`[1e309]`, ErrMalformed, `number out of range: 1e309 at byte 1`},
		{`[-1e999]`, ErrMalformed, `number out of range: -1e999 at byte 1`},
		{`[1` + strings.Repeat("0", 400) + `]`, ErrMalformed, `number out of range: 1000`},
		{"[\"a\nb\"]", ErrMalformed, `control character '\n' in a string at byte 3`},
		{"[\"\\n\x00\"]", ErrMalformed, `control character '\x00' in a string at byte 4`},
		{"[\"12345678901\x1f\"]", ErrMalformed, `at byte 13`},
		{`["\x"]`, ErrMalformed, `escape at byte 2`},
		{`["\u12g4"]`, ErrMalformed, `escape at byte 2`},
		{`["ab\u123"]`, ErrMalformed, `escape at byte 4`},
		{`["\U0041"]`, ErrMalformed, `escape at byte 2`},
		{`["\ud834\u12"]`, ErrMalformed, `escape at byte 8`},
		{"[\"a\xff\"]", ErrMalformed, `not UTF-8 at byte 3`},
		{"[\"é\xc3\"]", ErrMalformed, `not UTF-8 at byte 4`},
		{"[\"\xe2\x82\\n\"]", ErrMalformed, `not UTF-8 at byte 2`},
		{"[\"\\n\xe2\x82\"]", ErrMalformed, `not UTF-8 at byte 4`},
		{"[\"\xc0\x80\"]", ErrMalformed, `not UTF-8 at byte 2`},
		{"[\"\xed\xa0\x80\"]", ErrMalformed, `not UTF-8 at byte 2`}, // a surrogate
		{"[{\"\xff\":1}]", ErrMalformed, `not UTF-8 at byte 3`},
	}
	for _, tt := range tests {
		if json.Valid([]byte(tt.text)) && utf8.ValidString(tt.text) && tt.want != ErrNotArray &&
			!strings.Contains(tt.tell, "range") {
			t.Errorf("%s: is well formed", tt.text)
		}
		_, err := jsonDecode(tt.text)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.tell) {
			t.Errorf("%s: got error %v, want %v ... %s", tt.text, err, tt.want, tt.tell)
		}
		d := JSON.NewDecoder(Limits{})
		d.Reset([]byte(tt.text))
		for d.Kind() != End {
			if d.Err() != nil {
				t.Fatalf("%s: %v after error %v", tt.text, d.Kind(), d.Err())
			}
			d.Skip()
		}
	}
}

// What Reset is given without having been scanned may end anywhere.
func TestJSONResetWithoutScan(t *testing.T) {
	text := `[null,{"a":-1.5e+3,"b\n":["\ud834\udd1e",true]},12,-inf,nan]`
	for i := range len(text) {
		d := JSON.NewDecoder(Limits{})
		d.Reset([]byte(text)[:i:i])
		for d.Kind() != End {
			d.Skip()
		}
		if err := d.Err(); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "at byte") {
			t.Errorf("%s: got error %v", text[:i], err)
		}
	}
	d := JSON.NewDecoder(Limits{})
	d.Reset(nil)
	if d.Kind() != End || !errors.Is(d.Err(), ErrMalformed) {
		t.Errorf("nil: got %v, %v", d.Kind(), d.Err())
	}
}

// jsonScanPieces scans b as it grows by step bytes at a time. What has been
// looked at is overwritten, so that a scanner that looks again goes wrong; two
// bytes are left, since a backslash is looked at until its companion has come.
func jsonScanPieces(d Decoder, b []byte, step int) (int, error) {
	seen := make([]byte, 0, len(b))
	for len(seen) < len(b) {
		old := len(seen)
		seen = append(seen, b[old:min(old+step, len(b))]...)
		for i := range max(old-1, 0) {
			seen[i] = '?'
		}
		if n, err := d.Scan(seen); n != 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

var jsonPackets = []string{
	`[]`,
	" \n\t\r [ ]",
	`["port","tag",123456,"0123456789abcdef"]`,
	`["]","\"]","\\",["\\\\\"\\\\"],"\\\"",{"[":"{"}]`,
	`[inf,-inf,{"nan":nan},-nan]`,
	`[null,{"a\u0022":-1.5e+3,"b\\":["\ud834\udd1e é€",true]},12,[[],[{}]],"a long string, longer than a word \" and a word"]`,
}

func TestJSONScan(t *testing.T) {
	for _, text := range jsonPackets {
		b := []byte(text)
		for _, behind := range []string{"", "]", " ", "[", `"`, "\xff"} {
			d := JSON.NewDecoder(Limits{})
			if n, err := d.Scan([]byte(text + behind)); n != len(b) || err != nil {
				t.Errorf("%s before %q: got %d, %v", text, behind, n, err)
			}
		}
		for i := range b {
			d := JSON.NewDecoder(Limits{})
			if n, err := d.Scan(b[:i]); n != 0 || err != nil {
				t.Errorf("%s: got %d, %v", b[:i], n, err)
			}
			if n, err := d.Scan(b); n != len(b) || err != nil {
				t.Errorf("%s and the rest: got %d, %v", b[:i], n, err)
			}
		}
		for step := 1; step < 10; step++ {
			d := JSON.NewDecoder(Limits{})
			if n, err := jsonScanPieces(d, b, step); n != len(b) || err != nil {
				t.Errorf("%s in pieces of %d: got %d, %v", text, step, n, err)
			}
		}
	}
}

func TestJSONScanStream(t *testing.T) {
	stream := []byte(strings.Join(jsonPackets, "") + " \n" + strings.Join(jsonPackets, "\n") + "\n")
	d := JSON.NewDecoder(Limits{})
	var got []string
	start := 0
	for end := range len(stream) + 1 { // one more byte is there each time
		n, err := d.Scan(stream[start:end])
		if err != nil {
			t.Fatalf("at byte %d: %v", end, err)
		}
		if n == 0 {
			continue
		}
		if start+n != end {
			t.Fatalf("packet that ends at %d was found at %d", start+n, end)
		}
		packet := stream[start:end]
		d.Reset(packet)
		if _, err := DecodeMessage(d); err != nil {
			t.Fatalf("%s: %v", packet, err)
		}
		got = append(got, strings.TrimSpace(string(packet)))
		start = end
	}
	var want []string
	for _, text := range append(jsonPackets, jsonPackets...) {
		want = append(want, strings.TrimSpace(text))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got packets\n%q\nwant\n%q", got, want)
	}
}

// Reset ends a scan that was not finished.
func TestJSONScanAfterReset(t *testing.T) {
	d := JSON.NewDecoder(Limits{})
	if n, err := d.Scan([]byte(`[["a`)); n != 0 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	d.Reset([]byte(`[1]`))
	if n, err := d.Scan([]byte(`[2]`)); n != 3 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// The same errors come whether a packet comes at once or in pieces, and again
// when Scan is called again.
func TestJSONScanErrors(t *testing.T) {
	for _, text := range []string{`  {`, `[[[}`, `["a\"",[?`, `[[[[[1`, `["a long string`, "            [1]"} {
		limits := Limits{MessageSize: 10, Depth: 4}
		d := JSON.NewDecoder(limits)
		_, want := d.Scan([]byte(text))
		if want == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		if _, again := d.Scan([]byte(text)); again == nil || again.Error() != want.Error() {
			t.Errorf("%s: got error %v, then %v", text, want, again)
		}
		for step := 1; step < 5; step++ {
			_, err := jsonScanPieces(JSON.NewDecoder(limits), []byte(text), step)
			if err == nil || err.Error() != want.Error() {
				t.Errorf("%s in pieces of %d: got error %v, want %v", text, step, err, want)
			}
		}
	}
}

func TestJSONLimits(t *testing.T) {
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	maps := func(depth int) string {
		return "[" + strings.Repeat(`{"a":`, depth-1) + "1" + strings.Repeat("}", depth-1) + "]"
	}
	text := `["0123456789"]`
	tests := []struct {
		name   string
		limits Limits
		text   string
		want   error
	}{
		{"flat", Limits{Depth: 1}, `["[[[",1]`, nil},
		{"not flat", Limits{Depth: 1}, `[1,[]]`, ErrTooDeep},
		{"neighbours", Limits{Depth: 2}, `[[],[],{},[]]`, nil},
		{"depth", Limits{Depth: 7}, nested(7), nil},
		{"depth + 1", Limits{Depth: 7}, nested(8), ErrTooDeep},
		{"maps", Limits{Depth: 7}, maps(7), nil},
		{"maps + 1", Limits{Depth: 7}, maps(8), ErrTooDeep},
		{"default depth", Limits{}, nested(DefaultDepth), nil},
		{"default depth + 1", Limits{}, nested(DefaultDepth + 1), ErrTooDeep},
		{"endless depth", Limits{}, strings.Repeat("[", 1<<20), ErrTooDeep},
		{"size", Limits{MessageSize: len(text)}, text, nil},
		{"size - 1", Limits{MessageSize: len(text) - 1}, text, ErrTooLarge},
		{"size and more", Limits{MessageSize: len(text)}, text + text, nil},
		{"size with space", Limits{MessageSize: len(text) + 2}, "  " + text, nil},
		{"size with space - 1", Limits{MessageSize: len(text) + 1}, "  " + text, ErrTooLarge},
		{"incomplete", Limits{MessageSize: len(text)}, text[:5], nil},
		{"incomplete size", Limits{MessageSize: 5}, text[:5], nil},
		{"incomplete size + 1", Limits{MessageSize: 5}, text[:6], ErrTooLarge},
		{"endless space", Limits{MessageSize: 100}, strings.Repeat(" ", 101), ErrTooLarge},
	}
	for _, tt := range tests {
		d := JSON.NewDecoder(tt.limits)
		if _, err := d.Scan([]byte(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
			continue
		}
		d = JSON.NewDecoder(tt.limits)
		if _, err := jsonScanPieces(d, []byte(tt.text), 3); !errors.Is(err, tt.want) {
			t.Errorf("%s, in pieces: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// jsonMethods are all that read, each by a letter.
var jsonMethods = map[byte]func(d Decoder){
	'n': func(d Decoder) { d.Nil() },
	'b': func(d Decoder) { d.Bool() },
	'i': func(d Decoder) { d.Int() },
	'u': func(d Decoder) { d.Uint() },
	'f': func(d Decoder) { d.Float() },
	't': func(d Decoder) { d.Bytes() },
	'o': func(d Decoder) { d.Open() },
	'c': func(d Decoder) { d.Close() },
	's': func(d Decoder) { d.Skip() },
}

// A method that does not fit ends the reading.
func TestJSONMismatch(t *testing.T) {
	values := map[byte]string{
		'n': `null`, 'b': `true`, 'i': `-7`, 'u': `18446744073709551615`, 'f': `1.5`, 't': `"a"`, 'o': `[]`,
	}
	for letter, value := range values {
		for method, call := range jsonMethods {
			d := JSON.NewDecoder(Limits{})
			d.Reset([]byte(`[` + value + `,1]`))
			kind := d.Kind()
			call(d)
			if method == letter || method == 's' {
				if d.Err() != nil {
					t.Errorf("%c on %s: %v", method, value, d.Err())
				}
				continue
			}
			first := d.Err()
			if !errors.Is(first, ErrMalformed) || method != 'c' && !strings.Contains(first.Error(), "found "+kind.String()+" at byte 1") {
				t.Errorf("%c on %s: got error %v", method, value, first)
			}
			for _, then := range jsonMethods {
				then(d)
			}
			if d.Kind() != End || d.Err() != first || d.Len() > 0 {
				t.Errorf("%c on %s: then got %v, %v", method, value, d.Kind(), d.Err())
			}
			d.Reset([]byte("[2]"))
			if v := d.Int(); v != 2 || d.Err() != nil {
				t.Errorf("%c on %s: after Reset got %d, %v", method, value, v, d.Err())
			}
		}
	}
	d := JSON.NewDecoder(Limits{})
	d.Reset([]byte(`["a",12]`))
	d.Skip()
	if v, want := d.Bytes(), "malformed packet: want text, found integer at byte 5"; v != nil || d.Err().Error() != want {
		t.Errorf("got %q, %v, want %s", v, d.Err(), want)
	}
}

// A packet that was not read to its end leaves nothing behind.
func TestJSONResetInside(t *testing.T) {
	for _, methods := range []string{"", "o", "ot", "oto", "otoo", "otooto", "i"} {
		d := JSON.NewDecoder(Limits{})
		d.Reset([]byte(`[{"a":[{"b":{"c":1}}]},2]`))
		for _, m := range []byte(methods) {
			jsonMethods[m](d)
		}
		d.Reset([]byte(`[[],"x"]`))
		m, err := DecodeMessage(d)
		if want := (Message{[]any{}, "x"}); err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%s: then got %v, %v, want %v", methods, m, err, want)
		}
		if d.Close(); !strings.Contains(fmt.Sprint(d.Err()), "no array or map is open") {
			t.Errorf("%s: then Close got error %v", methods, d.Err())
		}
	}
}

// At the end, nothing but Close fits, and at top level not even that.
func TestJSONEnd(t *testing.T) {
	for method, call := range jsonMethods {
		for _, text := range []string{`[]`, `[[]]`, `[{}]`} {
			d := JSON.NewDecoder(Limits{})
			d.Reset([]byte(text))
			nested := d.Kind() != End
			if nested {
				d.Open()
			}
			if d.Kind() != End || d.Kind() != End || d.Err() != nil {
				t.Fatalf("%s: got %v, %v", text, d.Kind(), d.Err())
			}
			call(d)
			if fits := nested && method == 'c'; fits != (d.Err() == nil) || d.Kind() != End {
				t.Errorf("%c at the end of %s: got %v, %v", method, text, d.Kind(), d.Err())
			}
		}
	}
}

// Close and Skip pass over what was not read, wherever they are called.
func TestJSONPassOver(t *testing.T) {
	text := `[{"a":[1,[2,{"b":{}}],3],"c":"\n"},[[[]]],"end"]`
	for _, methods := range []string{
		"ss",          // whole values
		"ocs",         // from the first key on
		"otcs",        // from its value on
		"otscs",       // from the second key on
		"otoiccs",     // from deep inside, step by step
		"otoissctscs", // nothing to pass over
		"soc",
		"soooccc",
		"soocc",
	} {
		d := JSON.NewDecoder(Limits{})
		d.Reset([]byte(text))
		for _, m := range []byte(methods) {
			jsonMethods[m](d)
		}
		if d.Kind() != Text || string(d.Bytes()) != "end" || d.Kind() != End || d.Err() != nil {
			t.Errorf("%s: %v", methods, d.Err())
		}
	}
}

// Skip and Close do not pass over what is malformed.
func TestJSONPassOverMalformed(t *testing.T) {
	for _, text := range []string{`[[1,2,x]]`, `[[1,x,"a"],3]`, `[{"a":01}]`, "[[\"\xff\"]]", `[["\q"]]`, `[[1,]]`, `[{"a":{"b"}}]`, `["\q"]`} {
		d := JSON.NewDecoder(Limits{})
		d.Reset([]byte(text))
		d.Skip()
		if !errors.Is(d.Err(), ErrMalformed) || d.Kind() != End {
			t.Errorf("%s: Skip got %v, %v", text, d.Kind(), d.Err())
		}
		d.Reset([]byte(text))
		if d.Kind() == Text {
			continue
		}
		d.Open()
		d.Close()
		if !errors.Is(d.Err(), ErrMalformed) || d.Kind() != End {
			t.Errorf("%s: Close got %v, %v", text, d.Kind(), d.Err())
		}
	}
}

// A string without escapes is read where it stands, and what the caller
// appends to it does not reach the packet.
func TestJSONBytesInPlace(t *testing.T) {
	packet := []byte(`["abc","d\u0065f",1]`)
	d := JSON.NewDecoder(Limits{})
	d.Reset(packet)
	v := d.Bytes()
	if string(v) != "abc" || &v[0] != &packet[2] || cap(v) != 3 {
		t.Errorf("got %q with room for %d, not in place", v, cap(v))
	}
	if v := d.Bytes(); string(v) != "def" || string(packet) != `["abc","d\u0065f",1]` {
		t.Errorf("got %q, packet is %s", v, packet)
	}
}

func TestJSONAllocations(t *testing.T) {
	packet := []byte(` ["port","tag\n",123456,-1,18446744073709551615,2.5,1e+100,true,null,[[],{"k\"":["x"]}]]`)
	d, e := JSON.NewDecoder(Limits{}), JSON.NewEncoder()
	var buf []byte
	allocs := testing.AllocsPerRun(100, func() {
		if n, err := d.Scan(packet); n != len(packet) || err != nil {
			t.Fatal(n, err)
		}
		d.Reset(packet)
		for d.Kind() != End {
			if d.Kind() == Float {
				d.Float()
			} else {
				d.Skip()
			}
		}
		e.Begin(buf[:0], 3)
		e.Text("port\n")
		e.Float(2.5)
		e.Map(1)
		e.Key("k")
		e.Octets(packet)
		e.Close()
		var err error
		if buf, err = e.End(); err != nil || d.Err() != nil {
			t.Fatal(err, d.Err())
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// A long string with escapes does not keep its memory for good.
func TestJSONScratch(t *testing.T) {
	d := JSON.NewDecoder(Limits{}).(*jsonDecoder)
	d.Reset([]byte(`["\n` + strings.Repeat("x", 2<<20) + `"]`))
	if n := len(d.Bytes()); n != 1+2<<20 {
		t.Fatalf("got %d bytes", n)
	}
	d.Reset([]byte(`[]`))
	if cap(d.scratch) > maxJSONScratch {
		t.Errorf("%d bytes are kept", cap(d.scratch))
	}
}

// FuzzJSONDecoder compares the decoder with encoding/json, and checks that
// pieces make no difference, that what was read can be written and read again,
// and that no order of calls goes wrong.
func FuzzJSONDecoder(f *testing.F) {
	for _, v := range jsonVectors(f) {
		if v.Text != nil {
			f.Add([]byte("["+*v.Text+"]"), "", uint8(1))
		}
	}
	for i, text := range jsonPackets {
		f.Add([]byte(text), "otcsniubfoooccc", uint8(i))
	}
	f.Add([]byte(`[18446744073709551616,-0,1e309,"\ud834x\ud834\udd1e",{"a":1,"a":{}}] [1]`), "fiftoss", uint8(3))
	f.Add([]byte(" {\"a\":\"\xff\"}"), "s", uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, methods string, step uint8) {
		limits := Limits{MessageSize: 4096, Depth: 20}
		d := JSON.NewDecoder(limits).(*jsonDecoder)
		n, err := d.Scan(data)
		pn, perr := jsonScanPieces(JSON.NewDecoder(limits), data, int(step%16)+1)
		if pn != n || fmt.Sprint(perr) != fmt.Sprint(err) {
			t.Fatalf("at once %d, %v, in pieces %d, %v", n, err, pn, perr)
		}
		if n == 0 {
			// Nothing that encoding/json takes for an array may be refused,
			// except for the limits.
			first := bytes.TrimLeft(data, " \t\r\n")
			if json.Valid([]byte(jsonWithoutWords(string(data)))) && first[0] == '[' && !errors.Is(err, ErrTooDeep) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("not found: %v", err)
			}
			jsonFuzzCalls(t, d, data, methods)
			return
		}
		packet := data[:n]
		jsonFuzzValues(t, d, packet)
		jsonFuzzCalls(t, d, packet, methods)
		if room := 2*len(packet) + 64; cap(d.scratch) > room || cap(d.inside) > room || cap(d.due) > room {
			t.Fatalf("%d bytes of packet took %d, %d and %d bytes", len(packet), cap(d.scratch), cap(d.inside), cap(d.due))
		}
	})
}

func jsonFuzzValues(t *testing.T, d Decoder, packet []byte) {
	text := string(packet)
	d.Reset(packet)
	for d.Kind() != End { // to pass over everything is as strict as to read it
		d.Skip()
	}
	if valid := json.Valid([]byte(jsonWithoutWords(text))) && utf8.Valid(packet); valid != (d.Err() == nil) {
		t.Fatalf("%q: Skip: %v, valid: %v", text, d.Err(), valid)
	}
	d.Reset(packet)
	got, err := DecodeMessage(d)
	want, modelErr := jsonModel(text) // which fails on numbers out of range too
	if valid := modelErr == nil && utf8.Valid(packet); valid != (err == nil) {
		t.Fatalf("%q: got error %v, encoding/json %v", text, err, modelErr)
	}
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("%q: got error %v", text, err)
		}
		return
	}
	if !jsonEqual(got, want) {
		t.Fatalf("%q: got %v, want %v", text, got, want)
	}
	again, err := jsonRewrite(text)
	if text != jsonWithoutWords(text) {
		if !errors.Is(err, ErrUnsupportedValue) {
			t.Fatalf("%q: written with error %v, want %v", text, err, ErrUnsupportedValue)
		}
		return
	}
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if back, err := jsonDecode(again); err != nil || !reflect.DeepEqual(back, got) {
		t.Fatalf("%q was written as %q and read as %v, %v", text, again, back, err)
	}
}

// jsonFuzzCalls calls methods in any order, on a packet that may end anywhere.
func jsonFuzzCalls(t *testing.T, d Decoder, packet []byte, methods string) {
	d.Reset(packet)
	for _, m := range []byte(methods) {
		call := jsonMethods[m]
		if call == nil {
			continue
		}
		failed := d.Err()
		call(d)
		if failed != nil && d.Err() != failed || d.Err() != nil && d.Kind() != End {
			t.Fatalf("%q: %c after %v: got %v, %v", packet, m, failed, d.Kind(), d.Err())
		}
	}
	for range len(packet) + 1 {
		if d.Kind() == End {
			return
		}
		d.Skip()
	}
	t.Fatalf("%q: no end", packet)
}

// Every byte at every place of texts of many lengths, behind bytes of all kinds
// that stand for themselves.
func TestJSONPlain(t *testing.T) {
	for _, plain := range []byte{' ', '!', '#', '[', ']', 'x', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
		for length := range 50 {
			text := bytes.Repeat([]byte{plain}, length)
			for at := range length {
				for c := range 256 {
					text[at] = byte(c)
					want := length
					if c < ' ' || c == '"' || c == '\\' {
						want = at
					}
					if got := jsonPlain(text, 0); got != want {
						t.Fatalf("%q: got %d, want %d", text, got, want)
					}
					if at+1 < length {
						text[at+1] = '"' // behind what was sought
						if got := jsonPlain(string(text), 0); got != min(want, at+1) {
							t.Fatalf("%q: got %d, want %d", text, got, min(want, at+1))
						}
						text[at+1] = plain
					}
				}
				text[at] = plain
			}
		}
	}
}

// Every byte at every place of texts that are long enough for a short way.
func TestJSONLongText(t *testing.T) {
	short := func(v string) string { // as a string of its own, without the quotes
		packet, err := EncodeMessage(JSON.NewEncoder(), nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return string(packet[2 : len(packet)-2])
	}
	for _, length := range []int{jsonShort, jsonShort + 1, jsonShort + 8, 2*jsonShort + 5} {
		text := bytes.Repeat([]byte{'x'}, length)
		for at := range length {
			for c := range 256 {
				text[at] = byte(c)
				want := `["` + strings.Repeat("x", at) + short(string(rune(c))) + strings.Repeat("x", length-at-1) + `","next"]`
				got, err := EncodeMessage(JSON.NewEncoder(), nil, string(text), "next")
				if err != nil || string(got) != want {
					t.Fatalf("%q: got %s, want %s (%v)", text, got, want, err)
				}
				d := JSON.NewDecoder(Limits{})
				d.Reset(got)
				if back := d.Bytes(); string(back) != strings.Replace(string(text), string([]byte{byte(c)}), string(rune(c)), 1) {
					t.Fatalf("%s: got %q", got, back)
				}
				if next := d.Bytes(); string(next) != "next" {
					t.Fatalf("%s: got %q behind it", got, next)
				}
				d.Reset([]byte(`["` + string(text) + `"]`)) // as it is
				if d.Bytes(); (d.Err() == nil) != (c >= ' ' && c < 0x80 && c != '"' && c != '\\') {
					t.Fatalf("%q: %v", text, d.Err())
				}
			}
			text[at] = 'x'
		}
	}
}

func BenchmarkJSONEncode(b *testing.B) {
	e := JSON.NewEncoder()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		e.Begin(buf[:0], 4)
		e.Text("port")
		e.Text("tag")
		e.Int(123456)
		e.Text("0123456789abcdef")
		buf, _ = e.End()
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkJSONDecode(b *testing.B) {
	packet := []byte(`["port","tag",123456,"0123456789abcdef"]`)
	d := JSON.NewDecoder(Limits{})
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		n, _ := d.Scan(packet)
		d.Reset(packet[:n])
		d.Bytes()
		d.Bytes()
		d.Int()
		d.Bytes()
		if d.Kind() != End || d.Err() != nil {
			b.Fatal(d.Err())
		}
	}
}

// Long strings: what a packet costs that carries a document.
func BenchmarkJSONLong(b *testing.B) {
	for name, part := range map[string]string{
		"ascii":   "The quick brown fox jumps over it. ",
		"escapes": "\"quoted\"\tand\nbroken into lines\n",
		"wide":    "Größe, Länge, Höhe und Fläche; € ",
	} {
		text := strings.Repeat(part, 70000/len(part))
		e, d := JSON.NewEncoder(), JSON.NewDecoder(Limits{})
		e.Begin(nil, 1)
		e.Text(text)
		packet, _ := e.End()
		b.Run("encode/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for b.Loop() {
				e.Begin(packet[:0], 1)
				e.Text(text)
				packet, _ = e.End()
			}
		})
		b.Run("scan/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for b.Loop() {
				d.Scan(packet)
			}
		})
		b.Run("read/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for b.Loop() {
				d.Reset(packet)
				d.Bytes()
			}
		})
	}
}
