package main

import (
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestTyped(t *testing.T) {
	out, err := proctest.Run(t)
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		`"warm"]: reading: argument 3 (Celsius): wrong value: want float64, found string "warm"`,
		`hilltop cannot read ["roof"]: reading: argument 2 (At): wrong value: missing, want time.Time`,
		`as a list:   ["summary", "roof", 2, [18.5, 21.5], {"dry": 2, "windy": 1}]`,
		"as a struct: 2 readings of the roof, from 18.5 to 21.5 degrees, notes map[dry:2 windy:1]",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestBadArguments(t *testing.T) {
	out, err := proctest.Run(t, "nonsense")
	if err == nil || !strings.Contains(out, `unexpected argument "nonsense"`) {
		t.Errorf("got %v\n%s", err, out)
	}
}
