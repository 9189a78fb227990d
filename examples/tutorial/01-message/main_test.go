package main

import (
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestOutput(t *testing.T) {
	out, err := proctest.Run(t)
	if want := "the room has heard: hello\n"; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}
