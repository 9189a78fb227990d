package aemp_test

import (
	"math"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

func TestMessageTag(t *testing.T) {
	tests := []struct {
		name string
		m    aemp.Message
		tag  string
		ok   bool
	}{
		{"tag alone", aemp.Message{"ping"}, "ping", true},
		{"tag and arguments", aemp.Message{"ping", "pong"}, "ping", true},
		{"empty tag", aemp.Message{"", 1}, "", true},
		{"tag of characters", aemp.Message{"größe"}, "größe", true},
		{"empty", aemp.Message{}, "", false},
		{"nil", nil, "", false},
		{"number first", aemp.Message{int64(1), "ping"}, "", false},
		{"undef first", aemp.Message{nil, "ping"}, "", false},
		{"list first", aemp.Message{[]any{"ping"}}, "", false},
		{"octets first", aemp.Message{[]byte("ping\xff")}, "", false},
	}
	for _, tt := range tests {
		if tag, ok := tt.m.Tag(); tag != tt.tag || ok != tt.ok {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.name, tag, ok, tt.tag, tt.ok)
		}
	}
}

func TestMessageString(t *testing.T) {
	tests := []struct {
		m    aemp.Message
		want string
	}{
		{nil, `[]`},
		{aemp.Message{}, `[]`},
		{aemp.Message{"ping", "say \"hi\"\n", "é€"}, `["ping", "say \"hi\"\n", "é€"]`},
		{aemp.Message{nil, true, false}, `[null, true, false]`},
		{aemp.Message{int64(-1), uint64(math.MaxUint64), 0.5, 3.0, 1e100}, `[-1, 18446744073709551615, 0.5, 3, 1e+100]`},
		{aemp.Message{math.Inf(1), math.NaN()}, `[+Inf, NaN]`},
		{aemp.Message{[]byte("caf\xe9"), "caf\xe9"}, `["caf\xe9", "caf\xe9"]`},
		{aemp.Message{[]any{}, []any{[]any{"a"}, nil}}, `[[], [["a"], null]]`},
		{aemp.Message{map[string]any{"b": 1, "a": []any{}, "": nil}, map[string]any{}}, `[{"": null, "a": [], "b": 1}, {}]`},
		// From the same node.
		{aemp.Message{1, uint8(2), float32(0.5), myInt(3)}, `[1, 2, 0.5, 3]`},
		{aemp.Message{aemp.PortID("cat#1"), aemp.NodeID("cat"), myString("x")}, `["cat#1", "cat", "x"]`},
		{aemp.Message{aemp.Message{"a"}, aemp.Reason{}, []string{"b"}, [2]int{1, 2}}, `[["a"], [], ["b"], [1, 2]]`},
		{aemp.Message{map[aemp.NodeID]int{"cat": 1}}, `[{"cat": 1}]`},
		{aemp.Message{pointerTo("a"), (*int)(nil)}, `["a", null]`},
		{aemp.Message{struct{ A int }{1}, map[int]string{1: "a"}}, `[{1}, map[1:a]]`},
	}
	for _, tt := range tests {
		if got := tt.m.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestReason(t *testing.T) {
	tests := []struct {
		name   string
		r      aemp.Reason
		normal bool
		kind   string
		text   string
	}{
		{"nil", nil, true, "", "normal"},
		{"empty", aemp.Reason{}, true, "", "normal"},
		{"kind alone", aemp.Reason{"bored"}, false, "bored", "bored"},
		{"kind and text", aemp.Reason{aemp.ReasonDie, "it broke at line 7"}, false, "die", "die it broke at line 7"},
		{"other elements", aemp.Reason{"full", int64(3), 0.5, nil, true, []any{"a"}, aemp.PortID("cat#1")}, false, "full", `full 3 0.5 null true ["a"] "cat#1"`},
		{"empty kind", aemp.Reason{""}, false, "", ""},
		{"number first", aemp.Reason{int64(7), "x"}, false, "", "7 x"},
		{"undef", aemp.Reason{nil}, false, "", "null"},
		{"octets", aemp.Reason{[]byte("\xff")}, false, "", `"\xff"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.r.Normal(); got != tt.normal {
				t.Errorf("Normal: got %v, want %v", got, tt.normal)
			}
			if got := tt.r.Kind(); got != tt.kind {
				t.Errorf("Kind: got %q, want %q", got, tt.kind)
			}
			if got := tt.r.String(); got != tt.text {
				t.Errorf("String: got %q, want %q", got, tt.text)
			}
		})
	}
}

// The reasons that the system makes are those that Perl nodes make, word for
// word.
func TestSystemReasons(t *testing.T) {
	tests := []struct {
		name string
		got  aemp.Reason
		want string
		kind string
	}{
		{
			"no such port", aemp.NoSuchPort("cat#mouse"),
			`["no_such_port", "cannot monitor nonexistent port", "cat#mouse"]`, aemp.ReasonNoSuchPort,
		},
		{
			"transport error", aemp.TransportError("cat", "connection reset"),
			`["transport_error", "cat", "connection reset"]`, aemp.ReasonTransport,
		},
	}
	for _, tt := range tests {
		if got := aemp.Message(tt.got).String(); got != tt.want || tt.got.Kind() != tt.kind || tt.got.Normal() {
			t.Errorf("%s: got %s of kind %q, want %s of kind %q", tt.name, got, tt.got.Kind(), tt.want, tt.kind)
		}
		for i, v := range tt.got { // as from the wire, so that nobody has to tell them apart
			if _, ok := v.(string); !ok {
				t.Errorf("%s: element %d is a %T, want a string", tt.name, i, v)
			}
		}
	}
}
