package aemp_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portmesh/portmesh/aemp"
)

// Checks of binary framings. Each takes the framing that it is about.

// encodeSortedList writes a packet of these values, the keys of maps in order.
func encodeSortedList(t testing.TB, f aemp.Framing, list []any) []byte {
	t.Helper()
	e := f.NewEncoder()
	e.Begin(nil, len(list))
	for _, v := range list {
		encodeSortedValue(t, e, v)
	}
	packet, err := e.End()
	if err != nil {
		t.Fatalf("End: %v", err)
	}
	return packet
}

func encodeSortedValue(t testing.TB, e aemp.Encoder, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		e.Array(len(v))
		for _, elem := range v {
			encodeSortedValue(t, e, elem)
		}
		e.Close()
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		e.Map(len(v))
		for _, key := range keys {
			e.Key(key)
			encodeSortedValue(t, e, v[key])
		}
		e.Close()
	default:
		if err := aemp.EncodeValue(e, v); err != nil {
			t.Fatal(err)
		}
	}
}

// sameWireValue compares values as messages hold them. NaN is the same as NaN.
func sameWireValue(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || math.IsNaN(a) && math.IsNaN(b))
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameWireValue)
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			if other, ok := b[key]; !ok || !sameWireValue(value, other) {
				return false
			}
		}
		return true
	}
	return a == b
}

// checkReceived checks that a stream that begins with the packet yields it,
// however it is cut, and that it reads as these values.
func checkReceived(t *testing.T, f aemp.Framing, packet []byte, want []any) {
	t.Helper()
	d := f.NewDecoder(aemp.Limits{})
	if n, err := d.Scan(append(packet[:len(packet):len(packet)], packet...)); n != len(packet) || err != nil {
		t.Fatalf("Scan: %d, %v; want %d", n, err, len(packet))
	}
	step := max(1, len(packet)/1000)
	for n := 0; n < len(packet); n += step {
		if got, err := f.NewDecoder(aemp.Limits{}).Scan(packet[:n]); got != 0 || err != nil {
			t.Fatalf("Scan of the first %d bytes: %d, %v; want 0", n, got, err)
		}
		if got, err := d.Scan(packet[:n]); got != 0 || err != nil {
			t.Fatalf("Scan up to byte %d: %d, %v; want 0", n, got, err)
		}
	}
	if n, err := d.Scan(packet); n != len(packet) || err != nil {
		t.Fatalf("Scan in pieces: %d, %v; want %d", n, err, len(packet))
	}

	d.Reset(packet)
	if got := readWireList(t, d); !sameWireValue(got, want) || d.Err() != nil {
		t.Fatalf("received: %v, %v; want %v", aemp.Message(got), d.Err(), aemp.Message(want))
	}
	d.Reset(slices.Clone(packet)) // a copy, which the decoder did not scan
	if got, err := aemp.DecodeMessage(d); !sameWireValue([]any(got), want) || err != nil {
		t.Fatalf("received: %v, %v; want %v", got, err, aemp.Message(want))
	}
	for _, pass := range []func(aemp.Decoder){aemp.Decoder.Skip, openAndClose, openReadAndClose} {
		d.Reset(packet)
		n := 0
		for d.Kind() != aemp.End {
			pass(d)
			n++
		}
		if n != len(want) || d.Err() != nil {
			t.Fatalf("passed over %d values, %v; want %d", n, d.Err(), len(want))
		}
	}
}

// readWireList reads what is left of an array. Kind and Len have to be right at
// each step.
func readWireList(t *testing.T, d aemp.Decoder) []any {
	t.Helper()
	list := []any{}
	left := d.Len()
	for ; d.Kind() != aemp.End; left-- {
		if got := d.Len(); got != left {
			t.Fatalf("Len: %d, want %d", got, left)
		}
		list = append(list, readWireValue(t, d))
	}
	if left != 0 || d.Len() != 0 {
		t.Fatalf("%d values are missing, Len at the end: %d", left, d.Len())
	}
	return list
}

func readWireValue(t *testing.T, d aemp.Decoder) any {
	t.Helper()
	switch kind := d.Kind(); kind {
	case aemp.Array:
		d.Open()
		list := readWireList(t, d)
		d.Close()
		return list
	case aemp.Map:
		d.Open()
		m := map[string]any{}
		left := d.Len()
		for ; d.Kind() != aemp.End; left-- {
			if kind := d.Kind(); kind != aemp.Text && kind != aemp.Octets {
				t.Fatalf("key of kind %s", kind)
			}
			key := wireKey(d.Bytes())
			if got := d.Len(); got != left && got != -1 {
				t.Fatalf("Len behind key %q: %d, want %d", key, got, left)
			}
			m[key] = readWireValue(t, d)
		}
		if left > 0 || d.Len() > 0 {
			t.Fatalf("%d pairs are missing, Len at the end: %d", left, d.Len())
		}
		d.Close()
		return m
	case aemp.Text:
		if text := d.Bytes(); utf8.Valid(text) {
			return string(text)
		}
		t.Fatal("Text is not valid UTF-8")
	}
	return aemp.DecodeValue(d)
}

// wireKey are those of a key: bytes that are not UTF-8 are Latin-1.
func wireKey(key []byte) string {
	if utf8.Valid(key) {
		return string(key)
	}
	var b strings.Builder
	for _, c := range key {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func openAndClose(d aemp.Decoder) {
	switch d.Kind() {
	case aemp.Array, aemp.Map:
		d.Open()
		d.Close()
	default:
		d.Skip()
	}
}

// openReadAndClose leaves arrays behind their first value, maps behind the key
// of their second pair.
func openReadAndClose(d aemp.Decoder) {
	switch d.Kind() {
	case aemp.Array:
		d.Open()
		if d.Kind() != aemp.End {
			openReadAndClose(d)
		}
		d.Close()
	case aemp.Map:
		d.Open()
		for range 3 {
			if d.Kind() != aemp.End {
				openReadAndClose(d)
			}
		}
		d.Close()
	default:
		d.Skip()
	}
}

// checkRefused checks that Scan refuses the packet with that error, however it
// is cut, and that reading it all the same does no harm.
func checkRefused(t *testing.T, f aemp.Framing, packet []byte, want error, text string) {
	t.Helper()
	n, err := f.NewDecoder(aemp.Limits{}).Scan(packet)
	if n != 0 || !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Fatalf("Scan: %d, %v; want %v: ...%s", n, err, want, text)
	}
	pieces := f.NewDecoder(aemp.Limits{})
	err = nil
	for i := 0; i <= len(packet) && err == nil; i++ {
		if n, err = pieces.Scan(packet[:i]); n != 0 {
			t.Fatalf("Scan up to byte %d: %d, %v", i, n, err)
		}
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Fatalf("Scan in pieces: %v, want %v: ...%s", err, want, text)
	}
	d := f.NewDecoder(aemp.Limits{})
	d.Reset(packet)
	aemp.DecodeMessage(d)
	if err := d.Err(); err == nil || d.Kind() != aemp.End {
		t.Fatalf("read without Scan: %v", err)
	}
}

// checkSizeLimit checks that a packet may be as large as the limit but not
// larger, which has to show in its first bytes.
func checkSizeLimit(t *testing.T, f aemp.Framing, packet []byte, shows int) {
	t.Helper()
	limit := aemp.Limits{MessageSize: len(packet)}
	if n, err := f.NewDecoder(limit).Scan(packet); n != len(packet) || err != nil {
		t.Errorf("packet of the largest size: %d, %v", n, err)
	}
	limit.MessageSize--
	if n, err := f.NewDecoder(limit).Scan(packet[:shows]); n != 0 || !errors.Is(err, aemp.ErrTooLarge) {
		t.Errorf("first bytes of a packet that is larger by one: %d, %v", n, err)
	}
}

// checkDepthLimit checks that arrays and maps may be nested as deep as the
// limit but not deeper.
func checkDepthLimit(t *testing.T, f aemp.Framing) {
	t.Helper()
	for _, depth := range []int{1, 2, 7, aemp.DefaultDepth} {
		for _, above := range []int{0, 1} {
			e := f.NewEncoder()
			e.Begin(nil, 1)
			for i := range depth - 1 + above {
				if i%2 == 0 {
					e.Map(1)
					e.Key("k")
				} else {
					e.Array(1)
				}
			}
			e.Int(1)
			for range depth - 1 + above {
				e.Close()
			}
			packet, err := e.End()
			if err != nil {
				t.Fatal(err)
			}
			d := f.NewDecoder(aemp.Limits{Depth: depth})
			n, err := d.Scan(packet)
			if above > 0 {
				if n != 0 || !errors.Is(err, aemp.ErrTooDeep) {
					t.Errorf("depth %d of at most %d: %d, %v", depth+above, depth, n, err)
				}
				d.Reset(packet)
				if _, err := aemp.DecodeMessage(d); !errors.Is(err, aemp.ErrTooDeep) {
					t.Errorf("depth %d of at most %d, read without Scan: %v", depth+above, depth, err)
				}
				continue
			}
			if n != len(packet) || err != nil {
				t.Errorf("depth %d: %d, %v; want %d", depth, n, err, len(packet))
			}
			d.Reset(packet)
			if _, err := aemp.DecodeMessage(d); err != nil {
				t.Errorf("depth %d: %v", depth, err)
			}
		}
	}
}

// checkMisuse checks that calls that do not fit are reported, not obeyed.
func checkMisuse(t *testing.T, f aemp.Framing) {
	t.Helper()
	packet := encodeSortedList(t, f, []any{int64(1), "text", []any{}, map[string]any{"k": nil}, nil})
	calls := map[string]func(aemp.Decoder){
		"Nil":   aemp.Decoder.Nil,
		"Bool":  func(d aemp.Decoder) { _ = d.Bool() },
		"Int":   func(d aemp.Decoder) { _ = d.Int() },
		"Uint":  func(d aemp.Decoder) { _ = d.Uint() },
		"Float": func(d aemp.Decoder) { _ = d.Float() },
		"Bytes": func(d aemp.Decoder) { _ = d.Bytes() },
		"Open":  aemp.Decoder.Open,
		"Close": aemp.Decoder.Close,
		"Skip":  aemp.Decoder.Skip,
	}
	fits := map[aemp.Kind][]string{
		aemp.Int: {"Int", "Skip"}, aemp.Text: {"Bytes", "Skip"}, aemp.Octets: {"Bytes", "Skip"},
		aemp.Array: {"Open", "Skip"}, aemp.Map: {"Open", "Skip"}, aemp.Nil: {"Nil", "Skip"},
	}
	d := f.NewDecoder(aemp.Limits{})
	for name, call := range calls {
		for skip := range 6 {
			d.Reset(packet)
			for range skip {
				d.Skip()
			}
			kind := d.Kind()
			call(d)
			err := d.Err()
			if slices.Contains(fits[kind], name) {
				if err != nil {
					t.Errorf("%s of %s: %v", name, kind, err)
				}
				continue
			}
			if !errors.Is(err, aemp.ErrMalformed) {
				t.Errorf("%s of %s: %v, want ErrMalformed", name, kind, err)
			}
			for other, call := range calls { // nothing of this may do anything now
				call(d)
				if d.Kind() != aemp.End || d.Len() != 0 || d.Err() != err {
					t.Fatalf("%s behind an error: %s, %d, %v", other, d.Kind(), d.Len(), d.Err())
				}
			}
		}
	}
}

// checkAnyBytes checks that bytes from anywhere do no harm, and what is left
// of meaning in those that are a packet.
func checkAnyBytes(t *testing.T, f aemp.Framing, data []byte) {
	limits := aemp.Limits{MessageSize: 1 << 16, Depth: 20}
	stray := f.NewDecoder(limits)
	stray.Reset(data)
	aemp.DecodeMessage(stray)

	d := f.NewDecoder(limits)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := d.Scan(data)
	runtime.ReadMemStats(&after)
	const perByte, anyway = 32, 1 << 16
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(perByte*len(data)+anyway) {
		t.Errorf("Scan of %d bytes allocated %d", len(data), grown)
	}
	if n < 0 || n > len(data) || n > limits.MessageSize || n > 0 && err != nil {
		t.Fatalf("Scan: %d, %v", n, err)
	}

	var inPieces int
	var errInPieces error
	pieces := f.NewDecoder(limits)
	for i := 0; i <= len(data) && inPieces == 0 && errInPieces == nil; i++ {
		inPieces, errInPieces = pieces.Scan(data[:i])
	}
	if inPieces != n || (err == nil) != (errInPieces == nil) || err != nil && err.Error() != errInPieces.Error() {
		t.Fatalf("Scan in pieces: %d, %v; at once: %d, %v", inPieces, errInPieces, n, err)
	}
	if n == 0 {
		return
	}

	packet := data[:n]
	d.Reset(packet)
	runtime.ReadMemStats(&before)
	passAllValues(d)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(perByte*n+anyway) {
		t.Errorf("reading %d bytes allocated %d", n, grown)
	}
	for _, pass := range []func(aemp.Decoder){aemp.Decoder.Skip, openAndClose, openReadAndClose} {
		d.Reset(packet)
		for d.Kind() != aemp.End {
			pass(d)
		}
	}

	d.Reset(packet)
	first, err := aemp.DecodeMessage(d)
	if err != nil {
		return
	}
	again := encodeSortedList(t, f, first)
	d = f.NewDecoder(aemp.Limits{})
	if n, err := d.Scan(again); n != len(again) || err != nil {
		t.Fatalf("Scan of %v, written again: %d, %v; want %d", first, n, err, len(again))
	}
	d.Reset(again)
	second, err := aemp.DecodeMessage(d)
	if f.Name() == "storable" {
		first, _ = withoutBooleans([]any(first)).([]any)
	}
	if err != nil || !sameWireValue([]any(second), []any(first)) {
		t.Fatalf("read: %v\nread, written, read: %v, %v", first, second, err)
	}
}

// passAllValues reads every value of the packet, without keeping any.
func passAllValues(d aemp.Decoder) {
	depth := 0
	for {
		switch d.Kind() {
		case aemp.End:
			if depth == 0 || d.Err() != nil {
				return
			}
			d.Close()
			depth--
		case aemp.Array, aemp.Map:
			d.Open()
			depth++
		case aemp.Text, aemp.Octets:
			d.Bytes()
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
		}
	}
}

// withoutBooleans has what Perl has for booleans.
func withoutBooleans(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return "1"
		}
		return ""
	case []any:
		for i := range v {
			v[i] = withoutBooleans(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = withoutBooleans(v[key])
		}
	}
	return v
}

func benchmarkFramingEncode(b *testing.B, f aemp.Framing) {
	e := f.NewEncoder()
	buf := make([]byte, 0, 256)
	b.SetBytes(int64(len(encodeSortedList(b, f, []any{"port", "tag", 123456, "0123456789abcdef"}))))
	b.ReportAllocs()
	for b.Loop() {
		e.Begin(buf, 4)
		e.Text("port")
		e.Text("tag")
		e.Int(123456)
		e.Text("0123456789abcdef")
		if _, err := e.End(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkFramingDecode(b *testing.B, f aemp.Framing) {
	packet := encodeSortedList(b, f, []any{"port", "tag", int64(123456), "0123456789abcdef"})
	d := f.NewDecoder(aemp.Limits{})
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.Scan(packet); n != len(packet) || err != nil {
			b.Fatal(n, err)
		}
		d.Reset(packet)
		read := 0
		for {
			switch d.Kind() {
			case aemp.Text, aemp.Octets:
				read += len(d.Bytes())
				continue
			case aemp.Int:
				read += int(d.Int())
				continue
			}
			break
		}
		if read != 4+3+123456+16 || d.Err() != nil {
			b.Fatal(read, d.Err())
		}
	}
}
