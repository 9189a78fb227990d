package main

import (
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestEmbedding(t *testing.T) {
	out, err := proctest.Run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"answer: hello from process ",
		", said by process ",
		"hit 2 times",
		"hit 10 times",
		"my partner has gone: Stopped",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	// The two processes are two indeed.
	_, answer, _ := strings.Cut(out, "answer: hello from process ")
	answer, _, _ = strings.Cut(answer, "\n")
	if asked, answered, _ := strings.Cut(answer, ", said by process "); asked == answered {
		t.Errorf("process %q answered itself", asked)
	}
	if strings.Contains(out, "hit 12 times") {
		t.Errorf("the ball was not caught in\n%s", out)
	}
}

func TestBadArguments(t *testing.T) {
	out, err := proctest.Run(t, "nonsense")
	if err == nil || !strings.Contains(out, `unexpected argument "nonsense"`) {
		t.Errorf("got %v\n%s", err, out)
	}
}
