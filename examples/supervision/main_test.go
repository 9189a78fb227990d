package main

import (
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

// run runs a part of the example and returns what it prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := proctest.Run(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantInOrder checks that these lines come in this order, with others between.
func wantInOrder(t *testing.T, out string, lines ...string) {
	t.Helper()
	rest := out
	for _, line := range lines {
		_, behind, found := strings.Cut(rest, line)
		if !found {
			t.Fatalf("%q is missing behind what comes before it, in\n%s", line, out)
		}
		rest = behind
	}
}

func TestLocal(t *testing.T) {
	out := run(t, "local")
	crashed := "ben        died: die I was told to crash"
	wantInOrder(t, out,
		"one_for_one:", crashed, "ben        restarting", "ben        started", "├─ ben  running  nonhost#ben  restarts: 1  last: die I was told to crash",
		"one_for_all:", crashed, "cid        ended: shutdown", "ann        ended: shutdown", "ann        started", "ben        started", "cid        started",
		"rest_for_one:", crashed, "cid        ended: shutdown", "ben        started", "cid        started", "├─ ann  running  nonhost#ann\n",
		"dynamic:", "2          died: die I was told to crash", "2          started",
		"Escalation:", "team       gave up", "team/eve   ended", "team       died", "team/dan   started", "team/eve   started", "team       started",
	)
}

func TestProcesses(t *testing.T) {
	out := run(t, "processes")
	wantInOrder(t, out, "dan        started on", "up", "running", "killed with SIGKILL", "node lost: transport_error red", "died: transport_error red",
		"started on blue", "started on blue", "restarts: 1", "the registry says: dan is at blue#", "dan        ended", "cid        ended", "ben        ended", "ann        ended")
	first, second, _ := strings.Cut(out, "killed with SIGKILL")
	if n := strings.Count(first, "started on red"); n != 2 {
		t.Errorf("%d of four workers were started on red\n%s", n, out)
	}
	if n := strings.Count(second, "started on"); n != 2 {
		t.Errorf("%d workers were started again\n%s", n, out)
	}
}

// TestInterop runs the part with Perl, if there is one.
func TestInterop(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) {
			out := run(t, "-perl", perl.Path, "-script", "worker.pl", "perl")
			wantInOrder(t, out, "counter starts as perl#counter", "Perl counts 4 words", "counter    died: die there is nothing to count",
				"counter    started", "Perl counts 9 words", "node lost: transport_error perl", "counter    started", "Perl counts 4 words",
				"counter  running  perl#counter  restarts: 2")
		})
	}
}

func TestBadArguments(t *testing.T) {
	out, err := proctest.Run(t, "nonsense")
	if err == nil || !strings.Contains(out, "usage: supervision") {
		t.Errorf("got %v\n%s", err, out)
	}
}
