package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

// startDispatcher starts a dispatcher and returns where it listens.
func startDispatcher(t *testing.T, flags ...string) (*proctest.Process, string) {
	t.Helper()
	p := proctest.Start(t, append([]string{"dispatch", "-listen", "127.0.0.1:0"}, flags...)...)
	return p, strings.TrimPrefix(p.Expect("dispatcher listens on "), "dispatcher listens on ")
}

// startWorker starts a worker, whose name is returned.
func startWorker(t *testing.T, seed, delay string, flags ...string) (*proctest.Process, string) {
	t.Helper()
	p := proctest.Start(t, append([]string{"work", "-seeds", seed, "-delay", delay}, flags...)...)
	name, _, _ := strings.Cut(strings.TrimPrefix(p.Expect(" is process "), "worker "), " is")
	return p, name
}

// checkResults checks that each job has one right result.
func checkResults(t *testing.T, out string, jobs int) {
	t.Helper()
	found := make(map[string]int)
	for _, line := range regexp.MustCompile(`(?m)^job \d+: .*, by`).FindAllString(out, -1) {
		var job int
		var number uint64
		if _, err := fmt.Sscanf(line, "job %d: %d =", &job, &number); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("job %d: %d = %v, by", job, 1_000_003*uint64(1000+job), factorize(number)); line != want {
			t.Errorf("got %q, want %q", line, want)
		}
		found[line]++
	}
	if len(found) != jobs {
		t.Errorf("%d jobs have a result, want %d", len(found), jobs)
	}
	for line, n := range found {
		if n != 1 {
			t.Errorf("%d times %q", n, line)
		}
	}
}

// Whichever worker is killed, whatever it is doing: no job is lost, and each that
// was started twice was announced.
func TestKilledWorkers(t *testing.T) {
	const jobs = 120
	dispatcher, seed := startDispatcher(t, "-jobs", fmt.Sprint(jobs))
	var workers []*proctest.Process
	for range 5 {
		w, _ := startWorker(t, seed, "20ms")
		workers = append(workers, w)
	}
	for _, w := range workers[:4] { // one has to be left
		for range 5 {
			dispatcher.Expect(", by worker/")
		}
		w.Signal(os.Kill)
		dispatcher.Expect(" is gone (transport_error ")
	}
	if err := dispatcher.Wait(); err != nil {
		t.Error(err)
	}
	out := dispatcher.Output()
	checkResults(t, out, jobs)
	if !strings.Contains(out, fmt.Sprintf("%d jobs are done", jobs)) {
		t.Error("the summary is missing")
	}
	// What the workers began, against what the dispatcher told.
	var begun []string
	for _, w := range workers {
		begun = append(begun, regexp.MustCompile(`: job \d+\n`).FindAllString(w.Output(), -1)...)
	}
	slices.Sort(begun)
	for i := 1; i < len(begun); i++ {
		if job := strings.Trim(begun[i], ": \n"); begun[i] == begun[i-1] && !strings.Contains(out, job+" goes to another worker") {
			t.Errorf("%s was begun twice, and the dispatcher did not say so", job)
		}
	}
}

// A worker that is frozen and comes to life again does a job that was given to
// another. Nobody can prevent that, but it is told: always when the job is given
// to the other, and when the second result arrives.
func TestFrozenWorker(t *testing.T) {
	dispatcher, seed := startDispatcher(t, "-jobs", "10000", "-silence", "1s") // more than we wait for
	frozen, name := startWorker(t, seed, "2s", "-silence", "1s")               // long enough to be in time with the result
	frozen.Expect("job 0")
	frozen.Signal(syscall.SIGSTOP)
	defer frozen.Signal(syscall.SIGCONT)
	line := dispatcher.Expect(name + " is gone (transport_error " + name + " peer is silent")
	if !strings.HasSuffix(line, "job 0 goes to another worker, and may be done twice") {
		t.Errorf("got %q", line)
	}
	_, other := startWorker(t, seed, "10ms")
	dispatcher.Expect("job 0: 1000003000 = [2 2 2 5 5 5 1000003], by " + other)
	frozen.Signal(syscall.SIGCONT)
	dispatcher.Expect("job 0 was done twice: by " + other + ", and by " + name)
}

func TestDemonstration(t *testing.T) {
	out, err := proctest.Run(t, "-jobs", "30")
	if err != nil || !strings.Contains(out, "killing process ") || !strings.Contains(out, " is gone (transport_error ") {
		t.Errorf("got %v\n%s", err, out)
	}
	checkResults(t, out, 30)
}

func TestBadArguments(t *testing.T) {
	for want, args := range map[string][]string{
		`unexpected argument "now"`:                 {"dispatch", "now"},
		`unknown command "play"`:                    {"play"},
		"the number of jobs must not be negative":   {"-jobs", "-1"},
		"invalid value \"many\" for flag -jobs":     {"-jobs", "many"},
		"0 jobs are done; 0 times a job went to an": {"dispatch", "-listen", "127.0.0.1:0", "-jobs", "0"},
	} {
		out, err := proctest.Run(t, args...)
		if (err == nil) != strings.HasPrefix(want, "0 jobs") || !strings.Contains(out, want) {
			t.Errorf("%q: got %v\n%s\nwant %q", args, err, out, want)
		}
	}
}
