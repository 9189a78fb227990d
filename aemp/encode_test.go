package aemp_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// A tokenWriter is an Encoder that writes down what it is told.
type tokenWriter struct{ tokens []string }

func (w *tokenWriter) add(format string, args ...any) {
	w.tokens = append(w.tokens, fmt.Sprintf(format, args...))
}

func (w *tokenWriter) Begin(_ []byte, n int) { w.tokens = []string{"packet:" + strconv.Itoa(n)} }
func (w *tokenWriter) Nil()                  { w.add("nil") }
func (w *tokenWriter) Bool(v bool)           { w.add("bool:%v", v) }
func (w *tokenWriter) Int(v int64)           { w.add("int:%d", v) }
func (w *tokenWriter) Uint(v uint64)         { w.add("uint:%d", v) }
func (w *tokenWriter) Float(v float64)       { w.add("float:%v", v) }
func (w *tokenWriter) Text(v string)         { w.add("text:%s", v) }
func (w *tokenWriter) Octets(v []byte)       { w.add("octets:%x", v) }
func (w *tokenWriter) Array(n int)           { w.add("array:%d", n) }
func (w *tokenWriter) Map(n int)             { w.add("map:%d", n) }
func (w *tokenWriter) Key(k string)          { w.add("key:%s", k) }
func (w *tokenWriter) Close()                { w.add("close") }
func (w *tokenWriter) End() ([]byte, error)  { return nil, nil }

// Types of a program's own.
type (
	myBool    bool
	myInt     int
	myUint8   uint8
	myUint64  uint64
	myFloat   float32
	myString  string
	myBytes   []byte
	myOctet   byte
	myList    []any
	myStrings []myString
	myMap     map[myString]int
)

func pointerTo[T any](v T) *T { return &v }

// Every type that a message may hold, and what encoders are told of it.
func TestEncodeValue(t *testing.T) {
	var (
		nilInt     *int
		nilIntPtr  **int
		nilAny     any
		nilStruct  *struct{}
		nilSlice   []int
		nilList    []any
		nilBytes   []byte
		nilMap     map[string]any
		nilInts    map[myString]int
		nilMessage aemp.Message
		nilReason  aemp.Reason
	)
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"nil", nil, "nil"},
		{"nil pointer", nilInt, "nil"},
		{"nil pointer to a pointer", nilIntPtr, "nil"},
		{"pointer to a nil pointer", &nilInt, "nil"},
		{"pointer to a nil interface", &nilAny, "nil"},
		{"nil pointer to what cannot be sent", nilStruct, "nil"},
		{"nil in a typed list", []*int{nil, pointerTo(1)}, "array:2 nil int:1 close"},

		{"true", true, "bool:true"},
		{"false", false, "bool:false"},
		{"named bool", myBool(true), "bool:true"},
		{"pointer to bool", pointerTo(true), "bool:true"},

		{"int", 1, "int:1"},
		{"int8", int8(-128), "int:-128"},
		{"int16", int16(-300), "int:-300"},
		{"int32", int32(math.MinInt32), "int:-2147483648"},
		{"int64", int64(math.MinInt64), "int:-9223372036854775808"},
		{"named int", myInt(-7), "int:-7"},
		{"duration", time.Second, "float:1"},
		{"uint", uint(1), "int:1"},
		{"uint8", uint8(255), "int:255"},
		{"uint16", uint16(65535), "int:65535"},
		{"uint32", uint32(math.MaxUint32), "int:4294967295"},
		{"uint64", uint64(math.MaxInt64), "int:9223372036854775807"},
		{"uint64 above int64", uint64(1 << 63), "uint:9223372036854775808"},
		{"uint above int64", uint(math.MaxUint), "uint:18446744073709551615"},
		{"uintptr", uintptr(9), "int:9"},
		{"named uint8", myUint8(8), "int:8"},
		{"named uint64", myUint64(math.MaxUint64), "uint:18446744073709551615"},
		{"pointer to int", pointerTo(5), "int:5"},

		{"float64", 0.1, "float:0.1"},
		{"whole float64", 3.0, "float:3"},
		{"float32", float32(0.5), "float:0.5"},
		{"float32 that is not exact", float32(0.1), "float:0.10000000149011612"},
		{"named float", myFloat(2.5), "float:2.5"},
		{"NaN", math.NaN(), "float:NaN"},
		{"infinity", math.Inf(-1), "float:-Inf"},

		{"string", "abc", "text:abc"},
		{"empty string", "", "text:"},
		{"characters", "é€", "text:é€"},
		{"string that is not UTF-8", "caf\xe9", "octets:636166e9"},
		{"named string", myString("x"), "text:x"},
		{"named string that is not UTF-8", myString("\xff"), "octets:ff"},
		{"port ID", aemp.PortID("cat#1"), "text:cat#1"},
		{"node ID", aemp.NodeID("cat"), "text:cat"},
		{"pointer to string", pointerTo("p"), "text:p"},
		{"pointer to pointer to string", pointerTo(pointerTo("p")), "text:p"},
		{"pointer to interface", pointerTo(any("p")), "text:p"},

		{"bytes", []byte{0, 0xff}, "octets:00ff"},
		{"bytes in ASCII", []byte("abc"), "octets:616263"},
		{"no bytes", []byte{}, "octets:"},
		{"nil bytes", nilBytes, "octets:"},
		{"named bytes", myBytes("ab"), "octets:6162"},
		{"nil named bytes", myBytes(nil), "octets:"},
		{"list of named bytes", []myOctet{1, 2}, "octets:0102"},
		{"array of bytes", [3]byte{1, 2, 3}, "octets:010203"},
		{"array of named bytes", [2]myOctet{1, 2}, "octets:0102"},
		{"array of no bytes", [0]byte{}, "octets:"},
		{"pointer to array of bytes", &[2]byte{1, 2}, "octets:0102"},
		{"list of int8", []int8{1, -1}, "array:2 int:1 int:-1 close"},

		{"list", []any{1, "a", nil}, "array:3 int:1 text:a nil close"},
		{"empty list", []any{}, "array:0 close"},
		{"nil list", nilList, "array:0 close"},
		{"named list", myList{1}, "array:1 int:1 close"},
		{"slice", []int{1, 2}, "array:2 int:1 int:2 close"},
		{"nil slice", nilSlice, "array:0 close"},
		{"named slice of named strings", myStrings{"a"}, "array:1 text:a close"},
		{"slice of slices", [][]string{{"a"}, nil, {}}, "array:3 array:1 text:a close array:0 close array:0 close close"},
		{"array", [2]string{"a", "b"}, "array:2 text:a text:b close"},
		{"empty array", [0]int{}, "array:0 close"},
		{"message", aemp.Message{"a", 1}, "array:2 text:a int:1 close"},
		{"nil message", nilMessage, "array:0 close"},
		{"reason", aemp.Reason{"die", "x"}, "array:2 text:die text:x close"},
		{"nil reason", nilReason, "array:0 close"},
		{"port IDs", []aemp.PortID{"cat#1", "dog"}, "array:2 text:cat#1 text:dog close"},

		{"map", map[string]any{"a": 1}, "map:1 key:a int:1 close"},
		{"empty map", map[string]any{}, "map:0 close"},
		{"nil map", nilMap, "map:0 close"},
		{"nil map of ints", nilInts, "map:0 close"},
		{"named map with named keys", myMap{"a": 1}, "map:1 key:a int:1 close"},
		{"map by node ID", map[aemp.NodeID][]string{"cat": {"x"}}, "map:1 key:cat array:1 text:x close close"},
		{"map with nil in it", map[string]*int{"a": nil}, "map:1 key:a nil close"},
		{"nested", []any{map[string]any{"a": []any{map[string]any{}}}}, "array:1 map:1 key:a array:1 map:0 close close close close"},
		{"pointer to list", &[]any{1}, "array:1 int:1 close"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := new(tokenWriter)
			if _, err := aemp.EncodeMessage(w, nil, "p", tt.v); err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(w.tokens, " "), "packet:2 text:p "+tt.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Pointers may be followed so often, and no more often.
func TestEncodePointers(t *testing.T) {
	for pointers, want := range map[int]error{512: nil, 513: aemp.ErrUnsupportedValue} {
		v := reflect.ValueOf("end")
		for range pointers {
			p := reflect.New(v.Type())
			p.Elem().Set(v)
			v = p
		}
		got, err := pass(aemp.CBOR, v.Interface())
		if !errors.Is(err, want) || want == nil && got != "end" {
			t.Errorf("%d pointers: got %v, error %v, want %v", pointers, got, err, want)
		}
	}
}

// A ring is Go data that contains itself, through pointers only.
type ring *ring

// Every type that no message can hold, alone and at a place within others.
func TestEncodeRefused(t *testing.T) {
	list := []any{nil, nil}
	list[0], list[1] = 1, list
	m := map[string]any{}
	m["self"] = m
	var knot any
	knot = &knot
	var round ring
	round = ring(&round)
	tests := []struct {
		name string
		v    any
		tell string
	}{
		{"channel", make(chan int), "chan int"},
		{"nil channel", (chan int)(nil), "chan int"},
		{"function", func() {}, "func()"},
		{"nil function", (func())(nil), "func()"},
		{"complex", complex(1, 2), "complex128"},
		{"struct", struct{ A int }{1}, "struct { A int }"},
		{"pointer to struct", &struct{ A int }{1}, "struct { A int }"},
		{"time", time.Unix(0, 0), "time.Time"},
		{"big number", big.NewInt(1), "big.Int"},
		{"error", errors.New("x"), "errors.errorString"},
		{"map with int keys", map[int]string{1: "a"}, "map[int]string, whose keys are not strings"},
		{"map with interface keys", map[any]any{"a": 1}, "map[interface {}]interface {}, whose keys are not strings"},
		{"nil map with int keys", map[int]string(nil), "map[int]string, whose keys are not strings"},
		{"list that contains itself", list, "nested deeper than 512"},
		{"map that contains itself", m, "nested deeper than 512"},
		{"pointer to itself", knot, "more than 512 pointers in a row"},
		{"named pointer to itself", round, "more than 512 pointers in a row"},
	}
	places := []struct {
		name string
		in   func(v any) any
		tell string
	}{
		{"alone", func(v any) any { return v }, "element 1: "},
		{"in a list", func(v any) any { return []any{0, 0, v} }, "element 1: index 2: "},
		{"in a message", func(v any) any { return aemp.Message{v} }, "element 1: index 0: "},
		{"in a typed list", func(v any) any { return [][]any{{}, {v}} }, "element 1: index 1: index 0: "},
		{"in an array", func(v any) any { return [2]any{nil, v} }, "element 1: index 1: "},
		{"in a map", func(v any) any { return map[string]any{"k": v} }, `element 1: key "k": `},
		{"in a typed map", func(v any) any { return map[myString][]any{"k": {1, v}} }, `element 1: key "k": index 1: `},
		{"behind a pointer", func(v any) any { return &v }, "element 1: "},
	}
	for _, f := range framings {
		e := f.NewEncoder()
		for _, tt := range tests {
			for _, place := range places {
				t.Run(f.Name()+"/"+tt.name+"/"+place.name, func(t *testing.T) {
					dst := append(make([]byte, 0, 100), "before,"...)
					out, err := aemp.EncodeMessage(e, dst, "port", "fine", place.in(tt.v), "not reached")
					if !errors.Is(err, aemp.ErrUnsupportedValue) {
						t.Fatalf("got error %v, want %v", err, aemp.ErrUnsupportedValue)
					}
					if text := err.Error(); !strings.HasPrefix(text, place.tell) || !strings.HasSuffix(text, tt.tell) || len(text) > 300 {
						t.Errorf("got %d bytes of error %q, want %s ... %s", len(text), text, place.tell, tt.tell)
					}
					if string(out) != "before," || string(dst) != "before," {
						t.Errorf("dst is %q, the result %q", dst, out)
					}
					checkEncoderWorks(t, f, e)
				})
			}
		}
	}
}

// checkEncoderWorks checks that nothing is left of an earlier packet.
func checkEncoderWorks(t *testing.T, f aemp.Framing, e aemp.Encoder) {
	t.Helper()
	m := aemp.Message{"tag", []any{int64(1), map[string]any{"k": nil}}, "end"}
	packet, err := aemp.EncodeMessage(e, []byte("x"), "port", m...)
	if err != nil {
		t.Fatal("the next message:", err)
	}
	fresh, err := aemp.EncodeMessage(f.NewEncoder(), []byte("x"), "port", m...)
	if err != nil || string(packet) != string(fresh) {
		t.Errorf("the next message: got %q, want %q, %v", packet, fresh, err)
	}
}

// What only some framings cannot carry, they report at the end of the packet.
// The element is named all the same.
func TestEncodeRefusedByFraming(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for name, in := range map[string]any{
			"alone": v, "in a list": []any{1, v}, "in a map": map[string]float64{"k": v}, "behind a pointer": &v,
		} {
			e := aemp.JSON.NewEncoder()
			dst := []byte("before")
			out, err := aemp.EncodeMessage(e, dst, "port", 0.5, "fine", in, v, "more")
			want := fmt.Sprintf("element 2: value cannot be sent: JSON has no number %v", v)
			if !errors.Is(err, aemp.ErrUnsupportedValue) || err.Error() != want {
				t.Errorf("%v %s: got error %v, want %s", v, name, err, want)
			}
			if string(out) != "before" {
				t.Errorf("%v %s: the result is %q", v, name, out)
			}
			checkEncoderWorks(t, aemp.JSON, e)
		}
	}
}

// The place of a value is found by its error text even where keys are long,
// and the text stays short.
func TestEncodeErrorsAreShort(t *testing.T) {
	v := any(make(chan int))
	for range 100 {
		v = map[string]any{strings.Repeat("long€", 10000): v}
	}
	_, err := aemp.EncodeMessage(aemp.CBOR.NewEncoder(), nil, "port", v)
	if text := fmt.Sprint(err); len(text) > 1000 || !strings.HasPrefix(text, `element 0: key "long€long€`) {
		t.Errorf("got %d bytes of error %.200s", len(text), text)
	}
}

// nested returns a value that takes so many levels, an empty list or a number
// in the innermost.
func nested(levels int, wrap func(v any) any, innermost any) any {
	v := innermost
	if list, ok := v.([]any); ok && len(list) == 0 {
		levels--
	}
	for range levels {
		v = wrap(v)
	}
	return v
}

// What is sent at the largest depth arrives in every framing; what is deeper
// is refused before it costs the connection.
func TestEncodeDepth(t *testing.T) {
	wraps := map[string]func(v any) any{
		"lists":       func(v any) any { return []any{v} },
		"maps":        func(v any) any { return map[string]any{"k": v} },
		"messages":    func(v any) any { return aemp.Message{v} },
		"reasons":     func(v any) any { return aemp.Reason{v} },
		"named lists": func(v any) any { return myList{v} },
		"arrays":      func(v any) any { return [1]any{v} },
		"typed maps":  func(v any) any { return map[myString]any{"k": v} },
		"pointers":    func(v any) any { return &[]any{&v} }, // which are no levels
	}
	for name, wrap := range wraps {
		for _, innermost := range []any{int64(1), []any{}} {
			for _, f := range framings {
				t.Run(fmt.Sprintf("%s/%v/%s", name, innermost, f.Name()), func(t *testing.T) {
					e := f.NewEncoder()
					const levels = aemp.DefaultDepth - 1 // the packet itself is one
					packet, err := aemp.EncodeMessage(e, nil, "port", nested(levels, wrap, innermost))
					if err != nil {
						t.Fatal(err)
					}
					m, err := receive(f, packet)
					if err != nil {
						t.Fatal(err)
					}
					if got := depthOf([]any(m)); got != aemp.DefaultDepth {
						t.Errorf("received a depth of %d, want %d", got, aemp.DefaultDepth)
					}
					_, err = aemp.EncodeMessage(e, nil, "port", "ok", nested(levels+1, wrap, innermost))
					if !errors.Is(err, aemp.ErrUnsupportedValue) || !strings.Contains(err.Error(), "nested deeper than 512") ||
						!strings.HasPrefix(err.Error(), "element 1: ") {
						t.Errorf("one level more: got error %.200v, want %v", err, aemp.ErrUnsupportedValue)
					}
				})
			}
		}
	}
}

// depthOf counts the levels of lists and maps.
func depthOf(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, elem := range v {
			deepest = max(deepest, depthOf(elem))
		}
	case map[string]any:
		for elem := range maps.Values(v) {
			deepest = max(deepest, depthOf(elem))
		}
	default:
		return 0
	}
	return 1 + deepest
}

// EncodeMessage appends, and leaves alone what is there already.
func TestEncodeMessageAppends(t *testing.T) {
	for _, f := range framings {
		e := f.NewEncoder()
		alone, err := aemp.EncodeMessage(e, nil, "port", "tag", 1)
		if err != nil {
			t.Fatal(f.Name(), err)
		}
		dst := []byte("[before,")
		got, err := aemp.EncodeMessage(e, dst, "port", "tag", 1)
		if want := slices.Concat(dst, alone); err != nil || string(got) != string(want) {
			t.Errorf("%s: got %q, %v, want %q", f.Name(), got, err, want)
		}
	}
}
