package aemp_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/portmesh/portmesh/aemp"
)

// scanned makes a variable like v, scans the element into it, and returns what
// it holds then.
func scanned(element, v any) (any, error) {
	dest := reflect.New(reflect.TypeOf(v))
	dest.Elem().Set(reflect.ValueOf(v))
	err := aemp.Message{element}.Scan(dest.Interface())
	return dest.Elem().Interface(), err
}

// Every conversion that Scan makes. The variable has the type of what is
// wanted, and is zero before.
func TestScan(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name    string
		element any
		want    any
	}{
		// Whole numbers.
		{"int", int64(12), 12},
		{"int8", int64(-128), int8(-128)},
		{"int16", int64(300), int16(300)},
		{"int32", int64(-1), int32(-1)},
		{"int64", int64(math.MinInt64), int64(math.MinInt64)},
		{"named int", int64(7), myInt(7)},
		{"uint", int64(12), uint(12)},
		{"uint8", int64(255), uint8(255)},
		{"uint16", int64(65535), uint16(65535)},
		{"uint32", int64(math.MaxUint32), uint32(math.MaxUint32)},
		{"uint64", uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{"uintptr", int64(1), uintptr(1)},
		{"named uint8", int64(8), myUint8(8)},
		{"int from a whole float", 3.0, 3},
		{"int from minus zero", math.Copysign(0, -1), 0},
		{"int64 from the smallest float", -0x1p63, int64(math.MinInt64)},
		{"uint64 from a large float", 0x1p63, uint64(1 << 63)},
		{"int from true", true, 1},
		{"int from false", false, 0},
		{"uint from true", true, uint(1)},
		{"int from text", "12", 12},
		{"int from negative text", "-12", -12},
		{"int from text with a plus", "+12", 12},
		{"uint from text with a plus", "+12", uint(12)},
		{"uint from minus zero in text", "-0", uint(0)},
		{"int from text with zeros", "007", 7},
		{"int from text with an exponent", "1e3", 1000},
		{"uint from text with an exponent", "1E+3", uint(1000)},
		{"int from text with a point", "12.0", 12},
		{"int from a line", "12\n", 12},
		{"int from text with blanks", " \t12 ", 12},
		{"uint from text with blanks", " 12 ", uint(12)},
		{"int64 from the longest text", "-9223372036854775808", int64(math.MinInt64)},
		{"uint64 from the longest text", "18446744073709551615", uint64(math.MaxUint64)},
		{"uint64 from the longest line", " 18446744073709551615\n", uint64(math.MaxUint64)},
		{"uint64 from the longest text with a plus", "+18446744073709551615", uint64(math.MaxUint64)},
		{"uint64 from the longest octets", []byte("18446744073709551615"), uint64(math.MaxUint64)},
		{"int from octets", []byte("12"), 12},
		{"uint from octets", []byte("12"), uint(12)},

		// Other numbers.
		{"float64", 0.1, 0.1},
		{"float32", 0.5, float32(0.5)},
		{"float32 that is rounded", 0.1, float32(0.1)},
		{"named float", 2.5, myFloat(2.5)},
		{"float64 from int", int64(3), 3.0},
		{"float64 from uint", uint64(1 << 63), 0x1p63},
		{"float64 from bool", true, 1.0},
		{"float64 from text", "0.1", 0.1},
		{"float64 from text with 17 digits", "0.33333333333333331", 1.0 / 3},
		{"float64 from text without a digit before the point", ".5", 0.5},
		{"float64 from text without a digit behind the point", "5.", 5.0},
		{"float64 from a line", "1e-3\r\n", 0.001},
		{"float64 from Perl's infinity", "Inf", math.Inf(1)},
		{"float64 from Perl's negative infinity", "-Inf", math.Inf(-1)},
		{"float64 from an old Perl's infinity", "inf", math.Inf(1)},
		{"float64 from an infinity in full", "Infinity", math.Inf(1)},
		{"float64 from Perl's NaN", "NaN", nan},
		{"float64 from an old Perl's NaN", "nan", nan},
		{"float64 from an old Perl's negative NaN", "-nan", nan},
		{"float64 NaN", nan, nan},
		{"float32 NaN", nan, float32(nan)},
		{"float32 infinity", math.Inf(1), float32(math.Inf(1))},

		// Booleans: Perl's idea of truth.
		{"bool", true, true},
		{"bool false", false, false},
		{"named bool", true, myBool(true)},
		{"bool from one", int64(1), true},
		{"bool from minus one", int64(-1), true},
		{"bool from zero", int64(0), false},
		{"bool from a large number", uint64(1 << 63), true},
		{"bool from 0.0", 0.0, false},
		{"bool from -0.0", math.Copysign(0, -1), false},
		{"bool from 0.1", 0.1, true},
		{"bool from NaN", nan, true},
		{"bool from Perl's true", "1", true},
		{"bool from Perl's false", "", false},
		{"bool from 0 in text", "0", false},
		{"bool from 0.0 in text", "0.0", true},
		{"bool from 00 in text", "00", true},
		{"bool from a blank", " ", true},
		{"bool from the word false", "false", true},
		{"bool from octets", []byte{0xff}, true},
		{"bool from an empty list", []any{}, true},
		{"bool from an empty map", map[string]any{}, true},

		// Strings.
		{"string", "abc", "abc"},
		{"named string", "abc", myString("abc")},
		{"port ID", "cat#1", aemp.PortID("cat#1")},
		{"node ID", "cat", aemp.NodeID("cat")},
		{"string from octets in UTF-8", []byte("é"), "é"},
		{"string from octets in Latin-1", []byte("caf\xe9"), "café"},
		{"string from int", int64(-12), "-12"},
		{"string from uint", uint64(math.MaxUint64), "18446744073709551615"},
		{"string from a whole float", 3.0, "3"},
		{"string from float", 0.1, "0.1"},
		{"string from a float with 17 digits", 1.0 / 3, "0.33333333333333331"},
		{"string from a large float", 1e100, "1e+100"},
		{"string from infinity", math.Inf(-1), "-Inf"},
		{"string from NaN", nan, "NaN"},
		{"string from true", true, "1"},
		{"string from false", false, ""},

		// Octets.
		{"bytes", []byte{0xff}, []byte{0xff}},
		{"named bytes", []byte{0xff}, myBytes{0xff}},
		{"list of named bytes", []byte{0xff}, []myOctet{0xff}},
		{"bytes from ASCII", "abc", []byte("abc")},
		{"bytes from no text", "", []byte{}},
		{"bytes from characters below 256", "caf\u00e9", []byte("caf\xe9")},
		{"bytes from characters above", "é€", []byte("é€")},
		{"bytes from int", int64(12), []byte("12")},
		{"bytes from true", true, []byte("1")},

		// Lists and maps.
		{"list", []any{int64(1), "a"}, []any{int64(1), "a"}},
		{"list of int", []any{int64(1), "2", 3.0}, []int{1, 2, 3}},
		{"list of string", []any{int64(1), "2", 2.5, nil}, []string{"1", "2", "2.5", ""}},
		{"named list", []any{"a"}, myStrings{"a"}},
		{"message", []any{"tag", int64(1)}, aemp.Message{"tag", int64(1)}},
		{"reason", []any{"die", "x"}, aemp.Reason{"die", "x"}},
		{"empty list", []any{}, []int{}},
		{"lists in a list", []any{[]any{int64(1)}, nil, []any{}}, [][]int{{1}, nil, {}}},
		{"map", map[string]any{"a": int64(1)}, map[string]any{"a": int64(1)}},
		{"map of int", map[string]any{"a": "1", "b": nil}, map[string]int{"a": 1, "b": 0}},
		{"map by node ID", map[string]any{"cat": []any{"x"}}, map[aemp.NodeID][]string{"cat": {"x"}}},
		{"named map", map[string]any{"a": int64(1)}, myMap{"a": 1}},
		{"empty map", map[string]any{}, map[string]int{}},
		{"maps in a list", []any{map[string]any{"a": []any{true}}}, []map[string][]bool{{"a": {true}}}},

		// Pointers are made, however many.
		{"pointer", int64(1), pointerTo(1)},
		{"pointer to a pointer", "1", pointerTo(pointerTo(1))},
		{"list of pointers", []any{int64(1), nil}, []*int{pointerTo(1), nil}},
		{"pointer to a list", []any{int64(1)}, &[]int{1}},
		{"pointer to an interface", int64(1), pointerTo(any(int64(1)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dest := reflect.New(reflect.TypeOf(tt.want))
			if err := (aemp.Message{tt.element}).Scan(dest.Interface()); err != nil {
				t.Fatalf("%T: %v", tt.want, err)
			}
			got := dest.Elem().Interface()
			if !reflect.DeepEqual(got, tt.want) && !(isNaN(got) && isNaN(tt.want)) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
}

func isNaN(v any) bool {
	r := reflect.ValueOf(v)
	return r.CanFloat() && math.IsNaN(r.Float())
}

// What is in a variable of that type before makes no difference; it stays when
// the element does not fit.
func TestScanErrors(t *testing.T) {
	long := strings.Repeat("€", 1000)
	var deep any = "x"
	for range 400 {
		deep = []any{deep}
	}
	tests := []struct {
		name    string
		element any
		before  any // of the type wanted
		tell    string
	}{
		{"int from a word", "many", 7, `want int, found string "many"`},
		{"int from no text", "", 7, `want int, found string ""`},
		{"int from a blank", " ", 7, `found string " "`},
		{"int from hexadecimal", "0x10", 7, `found string "0x10"`},
		{"int from HEXADECIMAL", "0X10", 7, `found string "0X10"`},
		{"int from binary", "0b1", 7, `found string "0b1"`},
		{"int from octal", "0o7", 7, `found string "0o7"`},
		{"int from digits in groups", "1_000", 7, `found string "1_000"`},
		{"int from the start of a word", "12abc", 7, `found string "12abc"`},
		{"int from two numbers", "1 2", 7, `found string "1 2"`},
		{"int from a sign", "-", 7, `found string "-"`},
		{"int from a sign alone", "- 1", 7, `found string "- 1"`},
		{"int from half an exponent", "1e", 7, `found string "1e"`},
		{"int from another blank", "1\u00a0", 7, `found string "1\u00a0"`},
		{"int from other digits", "١٢", 7, `found string "١٢"`},
		{"int from a fraction", 2.5, 7, `want int, found float64 2.5`},
		{"int from a fraction in text", "2.5", 7, `found string "2.5"`},
		{"int from NaN", math.NaN(), 7, `found float64 NaN`},
		{"int from NaN in text", "NaN", 7, `found string "NaN"`},
		{"int from infinity", math.Inf(1), 7, `found float64 +Inf`},
		{"int64 that is too large", uint64(1 << 63), int64(7), `want int64, found uint64 9223372036854775808`},
		{"int64 from a float that is too large", 0x1p63, int64(7), `found float64 9.223372036854776e+18`},
		{"int64 from text that is too large", "9223372036854775808", int64(7), `found string "9223372036854775808"`},
		{"int64 from text that is too small", "-9223372036854775809", int64(7), `found string "-9223372036854775809"`},
		{"int8 that is too large", int64(128), int8(7), `want int8, found int64 128`},
		{"int8 that is too small", "-129", int8(7), `want int8, found string "-129"`},
		{"int32 that is too large", 0x1p31, int32(7), `want int32, found float64 2.147483648e+09`},
		{"named int8", int64(-1), myUint8(7), `want aemp_test.myUint8, found int64 -1`},
		{"uint that is negative", int64(-1), uint(7), `want uint, found int64 -1`},
		{"uint that is negative in text", "-1", uint(7), `want uint, found string "-1"`},
		{"uint that is a negative float", -1.0, uint(7), `want uint, found float64 -1`},
		{"uint from a fraction", 0.5, uint(7), `want uint, found float64 0.5`},
		{"uint from hexadecimal", "0x10", uint(7), `want uint, found string "0x10"`},
		{"uint8 that is too large", int64(256), uint8(7), `want uint8, found int64 256`},
		{"uint64 that is too large", "18446744073709551616", uint64(7), `want uint64, found string "18446744073709551616"`},
		{"uint64 from a float that is too large", 0x1p64, uint64(7), `want uint64, found float64 1.8446744073709552e+19`},
		{"int from octets", []byte{0xff}, 7, `want int, found []uint8 "\xff"`},
		{"int from a list", []any{int64(1)}, 7, `want int, found []interface {} [1]`},
		{"int from a map", map[string]any{"b": nil, "a": "x"}, 7, `want int, found map[string]interface {} {"a": "x", "b": null}`},

		{"float from a word", "many", 7.0, `want float64, found string "many"`},
		{"float from hexadecimal", "0x1p4", 7.0, `want float64, found string "0x1p4"`},
		{"float from digits in groups", "1_0.5", 7.0, `want float64, found string "1_0.5"`},
		{"float that is too large", "1e400", 7.0, `want float64, found string "1e400"`},
		{"float32 that is too large", 1e300, float32(7), `want float32, found float64 1e+300`},
		{"float from a list", []any{}, 7.0, `want float64, found []interface {} []`},

		{"string from a list", []any{"a"}, "before", `want string, found []interface {} ["a"]`},
		{"string from a map", map[string]any{}, "before", `want string, found map[string]interface {} {}`},
		{"port ID from a list", []any{}, aemp.PortID("before"), `want aemp.PortID, found []interface {} []`},
		{"bytes from a list", []any{int64(1)}, []byte{7}, `want []uint8, found []interface {} [1]`},
		{"list from text", "a", []string{"before"}, `want []string, found string "a"`},
		{"list from octets", []byte{0xff}, []string{"before"}, `want []string, found []uint8 "\xff"`},
		{"list from a map", map[string]any{}, []string{"before"}, `want []string, found map[string]interface {} {}`},
		{"list with a word", []any{int64(1), "two"}, []int{7}, `index 1: wrong value: want int, found string "two"`},
		{"lists with a word", []any{[]any{}, []any{"two"}}, [][]int{{7}}, `index 1: index 0: wrong value: want int, found string "two"`},
		{"map from a list", []any{}, map[string]int{"a": 7}, `want map[string]int, found []interface {} []`},
		{"map from text", "a", map[string]int{"a": 7}, `want map[string]int, found string "a"`},
		{"map with a word", map[string]any{"k": "two"}, map[string]int{"a": 7}, `key "k": wrong value: want int, found string "two"`},
		{"map with int keys", map[string]any{"1": "a"}, map[int]string{7: "a"}, `want map[int]string, found map[string]interface {} {"1": "a"}`},
		{"pointer", "many", pointerTo(7), `want int, found string "many"`},

		{"array", []any{int64(1), int64(2)}, [2]int{7}, `want [2]int, found []interface {} [1, 2]`},
		{"struct", map[string]any{"A": int64(1)}, struct{ A int }{7}, `want struct { A int }, found map[string]interface {} {"A": 1}`},
		{"channel", int64(1), make(chan int), `want chan int, found int64 1`},
		{"complex", int64(1), complex(7, 0), `want complex128, found int64 1`},

		{"long text", long, 7, `found string "` + strings.Repeat("€", 20) + `...`},
		{"long text, cut within a character", "ab" + long, 7, `found string "ab` + strings.Repeat("€", 19) + `...`},
		{"long octets", make([]byte, 1000), 7, `found []uint8 "` + strings.Repeat(`\x00`, 15) + `...`},
		{"long list", make([]any, 1<<20), 7, `found []interface {} [` + strings.Repeat("null, ", 10) + `...`},
		{"long map", map[string]any{long: long, "": make([]any, 1000)}, 7, `found map[string]interface {} {"": [` + strings.Repeat("null, ", 9) + `n...`},
		{"deep list", deep, 7, `found []interface {} ` + strings.Repeat("[", 61) + `...`},
		{"long key", map[string]any{long: "x"}, map[string]int{}, `key "` + strings.Repeat("€", 20) + `...: wrong value: want int, found string "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scanned(tt.element, tt.before)
			if !errors.Is(err, aemp.ErrValue) {
				t.Fatalf("got %#v, error %v, want %v", got, err, aemp.ErrValue)
			}
			if text := err.Error(); !strings.HasPrefix(text, "element 0: ") || !strings.HasSuffix(text, tt.tell) {
				t.Errorf("got error  %s\nwant error element 0: ... %s", text, tt.tell)
			}
			if text := err.Error(); len(text) > 250 || !utf8.ValidString(text) {
				t.Errorf("the error is %d bytes long: %q", len(text), text)
			}
			if !reflect.DeepEqual(got, tt.before) {
				t.Errorf("the variable is now %#v", got)
			}
		})
	}
}

// Undef leaves what cannot say it as it is, and clears what can.
func TestScanUndef(t *testing.T) {
	tests := []struct{ before, want any }{
		{true, true},
		{7, 7},
		{uint8(7), uint8(7)},
		{0.5, 0.5},
		{"before", "before"},
		{aemp.PortID("cat#1"), aemp.PortID("cat#1")},
		{[2]int{7}, [2]int{7}},
		{[]byte("before"), []byte(nil)},
		{[]int{7}, []int(nil)},
		{aemp.Message{"a"}, aemp.Message(nil)},
		{map[string]int{"a": 7}, map[string]int(nil)},
		{pointerTo(7), (*int)(nil)},
		{pointerTo(pointerTo(7)), (**int)(nil)},
	}
	for _, undef := range []any{nil, (*int)(nil), pointerTo((*int)(nil))} { // the last two only from this node
		for _, tt := range tests {
			got, err := scanned(undef, tt.before)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%T into %T %v: got %v, %v, want %v", undef, tt.before, tt.before, got, err, tt.want)
			}
		}
	}
	before := any("before")
	if err := (aemp.Message{nil}).Scan(&before); err != nil || before != nil {
		t.Errorf("into an interface: got %v, %v, want nil", before, err)
	}
	e := errors.New("before")
	if err := (aemp.Message{nil}).Scan(&e); err != nil || e != nil {
		t.Errorf("into an error: got %v, %v, want nil", e, err)
	}
}

// An interface takes what fits it, as it is.
func TestScanInterface(t *testing.T) {
	for _, element := range []any{
		true, int64(1), uint64(1 << 63), 0.5, "a", []byte{0xff}, []any{"a", nil}, map[string]any{"a": nil},
		7, aemp.PortID("cat"), []int{1}, // only from this node
	} {
		var got any
		if err := (aemp.Message{element}).Scan(&got); err != nil || !reflect.DeepEqual(got, element) {
			t.Errorf("got %#v, %v, want %#v", got, err, element)
		}
	}
	var got fmt.Stringer
	if err := (aemp.Message{aemp.Reason{}}).Scan(&got); err != nil || got.String() != "normal" {
		t.Errorf("got %v, %v, want normal", got, err)
	}
	err := aemp.Message{"a"}.Scan(&got)
	if want := `element 0: wrong value: want fmt.Stringer, found string "a"`; !errors.Is(err, aemp.ErrValue) || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

// What is sent on the same node arrives as it is. Scan makes of it what it
// would make of it had it come from elsewhere.
func TestScanLocal(t *testing.T) {
	elements := []any{
		nil, true, myBool(false), int8(-7), uint16(7), 12, 0, uint8(0), uint64(0), float32(0), uint64(7), uint64(1 << 63), uintptr(3), myInt(5), float32(0.5), myFloat(2.5),
		"", "0", "0.0", "12", myString(""), myString("0"), myString("12"), myString("0.0"), aemp.PortID("cat#1"), aemp.NodeID(""),
		[]byte{}, []byte("0"), []byte("12"), []byte("0.0"), []byte{0xff}, myBytes("12"), []myOctet("12"), [2]byte{'1', '2'}, [2]myOctet{'1', '2'},
		[]string{"1", "2"}, [2]int{1, 2}, myStrings{"a"}, []any{1, myString("2")}, aemp.Message{1, "2"}, aemp.Reason{}, [][]int{{1}, nil},
		map[string]int{"a": 1}, myMap{"b": 2}, map[aemp.NodeID][]string{"cat": {"x"}}, map[string]any{"a": uint8(1)},
		pointerTo(12), pointerTo(pointerTo("12")), (*string)(nil), &[]string{"1"}, pointerTo(any(nil)),
	}
	wanted := []any{
		false, 0, int8(0), uint(0), uint64(0), 0.0, "", aemp.PortID(""), []int{}, []string{}, [][]int{},
		map[string]int{}, map[string][]string{}, map[string]string{}, pointerTo(0), pointerTo(pointerTo("")),
	}
	for _, element := range elements {
		packet, err := aemp.EncodeMessage(aemp.MessagePack.NewEncoder(), nil, "port", element)
		if err != nil {
			t.Fatal(err)
		}
		received, err := receive(aemp.MessagePack, packet)
		if err != nil {
			t.Fatal(err)
		}
		for _, zero := range wanted {
			want, wantErr := scanned(received[1], zero)
			got, err := scanned(element, zero)
			if !reflect.DeepEqual(got, want) || errors.Is(err, aemp.ErrValue) != errors.Is(wantErr, aemp.ErrValue) || (err == nil) != (wantErr == nil) {
				t.Errorf("%T %v into %T: got %#v, %v; when sent by another node %#v, %v", element, element, zero, got, err, want, wantErr)
			}
		}
	}
	// What cannot be sent can only be taken by an interface.
	for _, element := range []any{make(chan int), struct{}{}, map[int]int{}, ring(nil)} {
		var got any
		if err := (aemp.Message{element}).Scan(&got); err != nil || !reflect.DeepEqual(got, element) {
			t.Errorf("%T into an interface: got %v, %v", element, got, err)
		}
	}
	var n int
	for _, element := range []any{make(chan int), struct{}{}, map[int]int{}, func() {}} {
		if err := (aemp.Message{element}).Scan(&n); !errors.Is(err, aemp.ErrValue) {
			t.Errorf("%T into int: got error %v, want %v", element, err, aemp.ErrValue)
		}
	}
	err := aemp.Message{myString("many")}.Scan(&n)
	if want := `element 0: wrong value: want int, found aemp_test.myString "many"`; fmt.Sprint(err) != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	var round ring
	round = ring(&round)
	if err := (aemp.Message{round}).Scan(&n); !errors.Is(err, aemp.ErrValue) {
		t.Errorf("pointer to itself into int: got error %v, want %v", err, aemp.ErrValue)
	}
}

// The list of destinations.
func TestScanDestinations(t *testing.T) {
	m := aemp.Message{"a", int64(2), "c"}
	t.Run("as many as elements", func(t *testing.T) {
		var a, c string
		var b int
		if err := m.Scan(&a, &b, &c); err != nil || a != "a" || b != 2 || c != "c" {
			t.Errorf("got %q, %d, %q, %v", a, b, c, err)
		}
	})
	t.Run("fewer", func(t *testing.T) {
		var a string
		if err := m.Scan(&a); err != nil || a != "a" {
			t.Errorf("got %q, %v", a, err)
		}
		if err := m.Scan(); err != nil {
			t.Error(err)
		}
		if err := (aemp.Message)(nil).Scan(); err != nil {
			t.Error(err)
		}
	})
	t.Run("more", func(t *testing.T) {
		a := "before"
		err := m.Scan(&a, nil, nil, nil, nil)
		if want := "wrong value: element 3 is missing, 5 are wanted"; !errors.Is(err, aemp.ErrValue) || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
		if a != "before" {
			t.Errorf("element 0 was stored: %q", a)
		}
	})
	t.Run("nil passes over", func(t *testing.T) {
		var c string
		if err := m.Scan(nil, nil, &c); err != nil || c != "c" {
			t.Errorf("got %q, %v", c, err)
		}
	})
	t.Run("an error in the middle", func(t *testing.T) {
		var a string
		var b []int
		c := "before"
		err := m.Scan(&a, &b, &c)
		if want := "element 1: wrong value: want []int, found int64 2"; !errors.Is(err, aemp.ErrValue) || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
		if a != "a" || c != "before" {
			t.Errorf("got %q and %q, want only what is before the error", a, c)
		}
	})
	t.Run("no pointer", func(t *testing.T) {
		err := m.Scan(nil, 7)
		if want := "aemp: Scan of element 1 into int, which is not a pointer"; fmt.Sprint(err) != want || errors.Is(err, aemp.ErrValue) {
			t.Errorf("got error %v, want %s", err, want)
		}
		err = m.Scan(map[string]int{})
		if want := "aemp: Scan of element 0 into map[string]int, which is not a pointer"; fmt.Sprint(err) != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	})
	t.Run("nil pointer", func(t *testing.T) {
		err := m.Scan((*string)(nil))
		if want := "aemp: Scan of element 0 into a nil *string"; fmt.Sprint(err) != want || errors.Is(err, aemp.ErrValue) {
			t.Errorf("got error %v, want %s", err, want)
		}
	})
	t.Run("a pointer that is there already", func(t *testing.T) {
		n := 7
		p := &n
		if err := (aemp.Message{int64(1)}).Scan(&p); err != nil || *p != 1 || n != 7 {
			t.Errorf("got %d, %v; what it pointed to is %d, want 7", *p, err, n)
		}
	})
	t.Run("a map that is there already", func(t *testing.T) {
		old := map[string]int{"old": 1}
		dest := old
		if err := (aemp.Message{map[string]any{"new": int64(2)}}).Scan(&dest); err != nil || len(dest) != 1 || old["old"] != 1 || len(old) != 1 {
			t.Errorf("got %v, %v; the old one is %v", dest, err, old)
		}
	})
}

// Convert is Scan of one value.
func TestConvert(t *testing.T) {
	var n int
	if err := aemp.Convert(&n, "12"); err != nil || n != 12 {
		t.Errorf("got %d, %v, want 12", n, err)
	}
	err := aemp.Convert(&n, "many")
	if want := `wrong value: want int, found string "many"`; !errors.Is(err, aemp.ErrValue) || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	for _, dest := range []any{nil, n, (*int)(nil)} {
		if err := aemp.Convert(dest, "12"); err == nil || errors.Is(err, aemp.ErrValue) {
			t.Errorf("into %T: got error %v", dest, err)
		}
	}
}

// A value of any size is shown at the same cost.
func TestScanErrorsAreCheap(t *testing.T) {
	list := make([]any, 1<<20)
	for i := range list {
		list[i] = "elem"
	}
	for name, element := range map[string]any{
		"list": list, "list in a list": []any{list}, "text": strings.Repeat("x", 1<<20), "octets": make([]byte, 1<<20),
	} {
		var never chan int
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := aemp.Message{element}.Scan(&never)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err == nil || grown > 1<<16 {
			t.Errorf("%s: %d bytes allocated for error %v", name, grown, err)
		}
	}
}

// Time is measured in seconds, wherever it comes from.
func TestScanDuration(t *testing.T) {
	for _, sent := range []any{1.5, "1.5", 1500 * time.Millisecond} {
		var d time.Duration
		if err := aemp.Convert(&d, sent); err != nil || d != 1500*time.Millisecond {
			t.Errorf("%T %v: got %v, %v", sent, sent, d, err)
		}
	}
	var seconds float64
	if err := aemp.Convert(&seconds, 1500*time.Millisecond); err != nil || seconds != 1.5 {
		t.Errorf("a duration as a number: got %v, %v", seconds, err)
	}
	for _, bad := range []any{1e300, math.NaN(), "soon", []any{}} {
		var d time.Duration
		if err := aemp.Convert(&d, bad); !errors.Is(err, aemp.ErrValue) {
			t.Errorf("%v: got %v, %v", bad, d, err)
		}
	}
}

// Scan stores the usual types by itself, as Convert does by reflection.
func TestScanAsConvert(t *testing.T) {
	type named string
	values := []any{
		nil, "", "text", "12", aemp.PortID("a#b"), aemp.NodeID("a"), named("n"), int64(-7), int64(1 << 40), 12, uint8(3), uint64(1 << 63),
		2.5, 3.0, true, false, []byte("b"), []any{1}, map[string]any{"k": 1}, 5 * time.Second,
	}
	types := []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[aemp.PortID](), reflect.TypeFor[aemp.NodeID](), reflect.TypeFor[named](),
		reflect.TypeFor[int64](), reflect.TypeFor[int](), reflect.TypeFor[int32](), reflect.TypeFor[uint64](), reflect.TypeFor[float64](),
		reflect.TypeFor[bool](), reflect.TypeFor[any](), reflect.TypeFor[[]byte](), reflect.TypeFor[[]any](), reflect.TypeFor[time.Duration](),
	}
	for _, typ := range types {
		for _, v := range values {
			scanned, converted := reflect.New(typ), reflect.New(typ)
			got, want := aemp.Message{v}.Scan(scanned.Interface()), aemp.Convert(converted.Interface(), v)
			if (got == nil) != (want == nil) || !reflect.DeepEqual(scanned.Elem().Interface(), converted.Elem().Interface()) {
				t.Errorf("%T %v as %s: Scan stores %v, %v; Convert %v, %v", v, v, typ, scanned.Elem(), got, converted.Elem(), want)
			}
		}
		if err := (aemp.Message{"1"}).Scan(reflect.Zero(reflect.PointerTo(typ)).Interface()); err == nil {
			t.Errorf("Scan into a nil *%s returned no error", typ)
		}
	}
}

// Variables that are scanned into need not be allocated.
func TestScanAllocations(t *testing.T) {
	m := aemp.Message{"text", int64(1 << 20), 2.5, "12"}
	if n := testing.AllocsPerRun(100, func() {
		var s string
		var i int64
		var f float64
		var u uint16
		if err := m.Scan(&s, &i, &f, &u); err != nil || s != "text" || i != 1<<20 || f != 2.5 || u != 12 {
			t.Error(s, i, f, u, err)
		}
	}); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
