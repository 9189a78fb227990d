package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test program be the quickstart itself, which starts itself
// again.
func TestMain(m *testing.M) {
	if os.Getenv("QUICKSTART_RUN") != "" {
		os.Args = append(os.Args[:1], strings.Fields(os.Getenv("QUICKSTART_ARGS"))...)
		main()
		return
	}
	os.Exit(m.Run())
}

func quickstart(t *testing.T, args string) (string, error) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "QUICKSTART_RUN=1", "QUICKSTART_ARGS="+args)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestQuickstart(t *testing.T) {
	out, err := quickstart(t, "")
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
	out, err := quickstart(t, "nonsense")
	if err == nil || !strings.Contains(out, `unexpected argument "nonsense"`) {
		t.Errorf("got %v\n%s", err, out)
	}
}
