package aemp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

// msgpackBytes takes hex with blanks.
func msgpackBytes(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is written has the shortest form, and is read again as what it was.
func TestMessagePackValues(t *testing.T) {
	filled := func(c string, n int) string { return strings.Repeat(c+" ", n) }
	sixteen := map[string]any{}
	sixteenHex := ""
	for i := range 16 {
		sixteen[string(rune('a'+i))] = nil
		sixteenHex += "a1" + hex.EncodeToString([]byte{byte('a' + i)}) + "c0"
	}
	tests := map[string]struct {
		value any
		hex   string
	}{
		"nil":           {nil, "c0"},
		"false":         {false, "c2"},
		"true":          {true, "c3"},
		"0":             {int64(0), "00"},
		"127":           {int64(127), "7f"},
		"128":           {int64(128), "cc 80"},
		"255":           {int64(255), "cc ff"},
		"256":           {int64(256), "cd 0100"},
		"65535":         {int64(65535), "cd ffff"},
		"65536":         {int64(65536), "ce 00010000"},
		"2^32-1":        {int64(1<<32 - 1), "ce ffffffff"},
		"2^32":          {int64(1 << 32), "cf 0000000100000000"},
		"2^63-1":        {int64(math.MaxInt64), "cf 7fffffffffffffff"},
		"2^63":          {uint64(1 << 63), "cf 8000000000000000"},
		"2^64-1":        {uint64(math.MaxUint64), "cf ffffffffffffffff"},
		"-1":            {int64(-1), "ff"},
		"-32":           {int64(-32), "e0"},
		"-33":           {int64(-33), "d0 df"},
		"-128":          {int64(-128), "d0 80"},
		"-129":          {int64(-129), "d1 ff7f"},
		"-32768":        {int64(-32768), "d1 8000"},
		"-32769":        {int64(-32769), "d2 ffff7fff"},
		"-2^31":         {int64(math.MinInt32), "d2 80000000"},
		"-2^31-1":       {int64(math.MinInt32 - 1), "d3 ffffffff7fffffff"},
		"-2^63":         {int64(math.MinInt64), "d3 8000000000000000"},
		"3.0":           {3.0, "cb 4008000000000000"},
		"0.1":           {0.1, "cb 3fb999999999999a"},
		"minus nothing": {math.Copysign(0, -1), "cb 8000000000000000"},
		"infinity":      {math.Inf(-1), "cb fff0000000000000"},
		"NaN":           {math.NaN(), "cb 7ff8000000000001"},

		"no text":       {"", "a0"},
		"text of 31":    {strings.Repeat("x", 31), "bf" + filled("78", 31)},
		"text of 32":    {strings.Repeat("x", 32), "d9 20" + filled("78", 32)},
		"text of 255":   {strings.Repeat("x", 255), "d9 ff" + filled("78", 255)},
		"text of 256":   {strings.Repeat("x", 256), "da 0100" + filled("78", 256)},
		"text of 65536": {strings.Repeat("x", 65536), "db 00010000" + filled("78", 65536)},
		"wide text":     {"€ 𝄞", "a8 e282ac20f09d849e"},
		"octets":        {[]byte("\xff\x00"), "c4 02 ff00"},
		"octets of 256": {bytes.Repeat([]byte{0xff}, 256), "c5 0100" + filled("ff", 256)},
		"long octets":   {bytes.Repeat([]byte{0xff}, 65536), "c6 00010000" + filled("ff", 65536)},

		"no values":       {[]any{}, "90"},
		"15 values":       {make([]any, 15), "9f" + filled("c0", 15)},
		"16 values":       {make([]any, 16), "dc 0010" + filled("c0", 16)},
		"65536 values":    {make([]any, 65536), "dd 00010000" + filled("c0", 65536)},
		"no pairs":        {map[string]any{}, "80"},
		"pair":            {map[string]any{"k": int64(1)}, "81 a16b 01"},
		"16 pairs":        {sixteen, "de 0010" + sixteenHex},
		"wide key":        {map[string]any{"€": nil}, "81 a3 e282ac c0"},
		"array in arrays": {[]any{[]any{[]any{int64(1)}}, int64(2)}, "92 91 91 01 02"},
		"maps in maps":    {map[string]any{"a": map[string]any{"b": []any{nil}}, "c": nil}, "82 a161 81 a162 91 c0 a163 c0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := msgpackBytes(t, "92"+test.hex+"01")
			list := []any{test.value, int64(1)}
			if got := encodeSortedList(t, aemp.MessagePack, list); !bytes.Equal(got, want) {
				t.Errorf("sent: %.60x, want %.60x", got, want)
			}
			checkReceived(t, aemp.MessagePack, want, list)
		})
	}
}

// What others may write.
func TestMessagePackReceive(t *testing.T) {
	tests := map[string]struct {
		hex  string
		want []any
	}{
		"forms that are not shortest": {
			"dd 00000009 cc01 cd0001 ce00000001 cf0000000000000001 d001 d10001 d200000001 d30000000000000001 d3ffffffffffffffff",
			[]any{int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(-1)},
		},
		"long heads":                  {"94 d9 01 61 da 0001 61 db 00000001 61 df 00000001 da 0001 6b dc 0000", []any{"a", "a", "a", map[string]any{"k": []any{}}}},
		"ASCII octets":                {"93 c4 01 61 c5 0001 61 c6 00000001 61", []any{"a", "a", "a"}},
		"float32":                     {"92 ca 40200000 ca ff800000", []any{2.5, math.Inf(-1)}},
		"text that is not UTF-8":      {"91 a2 c328", []any{[]byte("\xc3(")}},
		"key that is not UTF-8":       {"91 81 a1 e9 01", []any{map[string]any{"é": int64(1)}}},
		"key of octets":               {"91 81 c4 01 6b 01", []any{map[string]any{"k": int64(1)}}},
		"integers as keys":            {"91 83 05 c0 ff c0 cf ffffffffffffffff c0", []any{map[string]any{"5": nil, "-1": nil, "18446744073709551615": nil}}},
		"other keys":                  {"91 86 c0 00 c2 01 c3 02 cb 3fb999999999999a 03 ca ff800000 04 cb 4008000000000000 05", []any{map[string]any{"": int64(0), "0": int64(1), "1": int64(2), "0.1": int64(3), "-Inf": int64(4), "3": int64(5)}}},
		"timestamp of 4 bytes":        {"91 d6 ff 00000002", []any{2.0}},
		"timestamp of 8 bytes":        {"91 d7 ff 77359400 00000002", []any{2.5}},
		"seconds of 34 bits":          {"91 d7 ff 00000003 00000000", []any{12884901888.0}},
		"timestamp of 12 bytes":       {"91 c7 0c ff 1dcd6500 fffffffffffffffe", []any{-1.5}},
		"timestamp in the long forms": {"92 c8 0004 ff 00000002 c9 00000004 ff 00000003", []any{2.0, 3.0}},
		"timestamp as a key":          {"91 81 d6 ff 00000002 c0", []any{map[string]any{"2": nil}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { checkReceived(t, aemp.MessagePack, msgpackBytes(t, test.hex), test.want) })
	}
}

func TestMessagePackRefuse(t *testing.T) {
	tests := map[string]struct {
		hex  string
		err  error
		text string
	}{
		"number":                {"01", aemp.ErrNotArray, "integer"},
		"text":                  {"a161", aemp.ErrNotArray, "text"},
		"map":                   {"80", aemp.ErrNotArray, "map"},
		"no value":              {"c1", aemp.ErrMalformed, "c1 begins no value at offset 0"},
		"no value, inside":      {"92 01 c1", aemp.ErrMalformed, "c1 begins no value at offset 2"},
		"array as a key":        {"91 81 90 01", aemp.ErrMalformed, "array as a key"},
		"map as a key":          {"91 82 a16b 01 80 01", aemp.ErrMalformed, "map as a key"},
		"extension":             {"91 d4 05 00", aemp.ErrMalformed, "extension type 5"},
		"extension of length 0": {"91 c7 00 05", aemp.ErrMalformed, "extension type 5"},
		"long extension":        {"91 c9 7fffffff 80", aemp.ErrMalformed, "extension type -128"},
		"timestamp of 1 byte":   {"91 d4 ff 00", aemp.ErrMalformed, "timestamp of 1 bytes"},
		"timestamp of 16 bytes": {"91 d8 ff", aemp.ErrMalformed, "timestamp of 16 bytes"},
		"nanoseconds":           {"91 d7 ff ee6b2800 00000002", aemp.ErrMalformed, "1000000000 nanoseconds"},
		"claimed text":          {"91 db ffffffff", aemp.ErrTooLarge, "value at offset 1"},
		"claimed octets":        {"91 c6 ffffffff", aemp.ErrTooLarge, "value at offset 1"},
		"claimed array":         {"91 dd ffffffff", aemp.ErrTooLarge, "value at offset 1"},
		"claimed map":           {"91 df 7fffffff", aemp.ErrTooLarge, "value at offset 1"},
		"claimed together":      {"dd 03000000 dd 03000000", aemp.ErrTooLarge, "value at offset 5"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			checkRefused(t, aemp.MessagePack, msgpackBytes(t, test.hex), test.err, test.text)
		})
	}
}

// A packet that was not scanned is read up to where it makes no sense.
func TestMessagePackWithoutScan(t *testing.T) {
	d := aemp.MessagePack.NewDecoder(aemp.Limits{})
	for _, text := range []string{"", "92 01", "91 a2 61", "91 dd 00000002 01", "91 81 a1 6b", "93 91 91", "91 c4 02 00", "91 cb 00"} {
		for _, pass := range []func(aemp.Decoder){passAllValues, aemp.Decoder.Skip, openAndClose} {
			d.Reset(msgpackBytes(t, text))
			for d.Kind() != aemp.End {
				pass(d)
			}
			if err := d.Err(); !errors.Is(err, aemp.ErrMalformed) && !errors.Is(err, aemp.ErrNotArray) {
				t.Errorf("%q: %v, want ErrMalformed", text, err)
			}
		}
	}
}

func TestMessagePackSizeLimit(t *testing.T) {
	checkSizeLimit(t, aemp.MessagePack, msgpackBytes(t, "93 a3 616263 00 c4 03 010203"), 8)
	checkSizeLimit(t, aemp.MessagePack, msgpackBytes(t, "92 dc 0003 01 02 03 04"), 4)
	checkSizeLimit(t, aemp.MessagePack, msgpackBytes(t, "92 82 a161 00 a162 00 04"), 7)
	checkSizeLimit(t, aemp.MessagePack, msgpackBytes(t, "9f 000102030405060708090a0b0c0d0e"), 1)
}

func TestMessagePackDepthLimit(t *testing.T) { checkDepthLimit(t, aemp.MessagePack) }

func TestMessagePackMisuse(t *testing.T) { checkMisuse(t, aemp.MessagePack) }

// Scan must not look at a long string again with each piece of it, nor at what
// came before: this would take minutes.
func TestMessagePackScanGoesOn(t *testing.T) {
	const values = 1 << 16
	packet := encodeSortedList(t, aemp.MessagePack, []any{make([]any, values), strings.Repeat("x", values)})
	d := aemp.MessagePack.NewDecoder(aemp.Limits{})
	for n := range packet {
		if got, err := d.Scan(packet[:n]); got != 0 || err != nil {
			t.Fatalf("Scan up to byte %d: %d, %v", n, got, err)
		}
	}
	if n, err := d.Scan(packet); n != len(packet) || err != nil {
		t.Errorf("Scan: %d, %v; want %d", n, err, len(packet))
	}
}

func TestMessagePackResetEndsScan(t *testing.T) {
	d := aemp.MessagePack.NewDecoder(aemp.Limits{})
	if n, err := d.Scan(msgpackBytes(t, "93 a161 a162")); n != 0 || err != nil {
		t.Fatalf("Scan: %d, %v", n, err)
	}
	d.Reset(msgpackBytes(t, "90"))
	if n, err := d.Scan(msgpackBytes(t, "90 90 90 90 90 90")); n != 1 || err != nil {
		t.Errorf("Scan: %d, %v; want 1", n, err)
	}
}

func TestMessagePackEncoder(t *testing.T) {
	e := aemp.MessagePack.NewEncoder()
	e.Begin([]byte("before"), 2)
	e.Text("not UTF-8: \xff")
	e.Map(1)
	e.Key("\xff")
	e.Nil()
	e.Close()
	got, err := e.End()
	want := append([]byte("before"), msgpackBytes(t, "92 ac 6e6f74205554462d383a20ff 81 c4 01 ff c0")...)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v; want %x", got, err, want)
	}
	if math.MaxInt > math.MaxUint32 {
		e.Begin([]byte("before"), 1)
		e.Array(math.MaxInt)
		e.Close()
		if got, err := e.End(); !errors.Is(err, aemp.ErrUnsupportedValue) || string(got) != "before" {
			t.Errorf("array of too many values: %q, %v", got, err)
		}
	}
	e.Begin(nil, 0)
	if got, err := e.End(); err != nil || string(got) != "\x90" {
		t.Errorf("behind an error: %x, %v", got, err)
	}
}

func FuzzMessagePackDecoder(f *testing.F) {
	for _, list := range storableReceived {
		f.Add(encodeSortedList(f, aemp.MessagePack, list))
	}
	for _, text := range []string{
		"94 d9 01 61 da 0001 61 db 00000001 61 df 00000001 da 0001 6b dc 0000",
		"91 86 c0 00 c2 01 c3 02 cb 3fb999999999999a 03 ca ff800000 04 cb 4008000000000000 05",
		"92 d7 ff 77359400 00000002 c7 0c ff 1dcd6500 fffffffffffffffe",
		"97 cc80 cd0100 ce00010000 cfffffffffffffffff d0df d1ff7f d2ffff7fff",
	} {
		f.Add(msgpackBytes(f, text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkAnyBytes(t, aemp.MessagePack, data) })
}

func BenchmarkMessagePackEncode(b *testing.B) { benchmarkFramingEncode(b, aemp.MessagePack) }
func BenchmarkMessagePackDecode(b *testing.B) { benchmarkFramingDecode(b, aemp.MessagePack) }
