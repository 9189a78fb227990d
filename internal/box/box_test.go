package box_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/box"
)

func TestText(t *testing.T) {
	var values []any
	for n := range 100 {
		b := []byte(strings.Repeat("x", n))
		values = append(values, box.Text(b))
		clear(b)
	}
	runtime.GC()
	for n, v := range values {
		if s, ok := v.(string); !ok || s != strings.Repeat("x", n) {
			t.Errorf("%d characters: got %T %q", n, v, v)
		}
	}
}

func TestIn(t *testing.T) {
	list := []any{1, "two"}
	got, ok := box.In(&list).([]any)
	if !ok || !slices.Equal(got, list) {
		t.Errorf("got %v, want %v", got, list)
	}
	if n := testing.AllocsPerRun(100, func() { kept = box.In(&list) }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

var kept any
