package main

import (
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestQuickstart(t *testing.T) {
	out, err := proctest.Run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`Rosa made "HELLO, MESH" of "hello, mesh"`,
		"the worker died: laid off the job is done",
		"the worker died: die cannot work without a job",
		"the worker is gone: transport_error blue",
		"still connected: [red]",
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
