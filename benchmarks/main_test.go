package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// TestMain lets the test binary be the processes that do the work.
func TestMain(m *testing.M) {
	bench.Main(newPeer)
	os.Exit(m.Run())
}

// Every peer does a little of every work.
func TestCompare(t *testing.T) {
	c := comparison{scale: 0.002, rounds: 1}
	r, err := c.compare(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tables) != len(works) {
		t.Errorf("%d tables of %d works", len(r.Tables), len(works))
	}
	for i, table := range r.Tables {
		for _, row := range table.Rows {
			for _, c := range works[i].columns {
				// So few actors need less memory than the runtime of Go does.
				if values := row.values(c.metric); len(values) != 1 || values[0] <= 0 && c.metric != bench.PerActor {
					t.Errorf("%s/%s: %s is %v, want one number above zero", table.Work, row.Peer, c.metric, values)
				}
			}
		}
	}
	if err := r.write(filepath.Join(t.TempDir(), "report.json")); err != nil {
		t.Error(err)
	}
}

// A peer that fails is told of, with what it said.
func TestFailure(t *testing.T) {
	w := works[0].scaled(0.001)
	if _, err := measure(t.Context(), thisProgram, bench.Job{Peer: "portmesh morse", Work: w.Work}); err == nil {
		t.Error("a framing that does not exist was measured")
	} else {
		t.Log(err)
	}
}

// A peer that is a program of its own does every work but those of Portmesh
// alone.
func TestGuest(t *testing.T) {
	c := comparison{scale: 0.002, rounds: 1, run: "/protoactor guest$"}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.add("protoactor guest=" + self); err != nil {
		t.Fatal(err)
	}
	r, err := c.compare(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, w := range works {
		if w.Kind != bench.Growing {
			want++
		}
	}
	if len(r.Tables) != want {
		t.Errorf("%d tables of %d works", len(r.Tables), want)
	}
	for _, table := range r.Tables {
		if len(table.Rows) != 1 || len(table.Rows[0].Rounds) != 1 {
			t.Errorf("%s: %v, want one measurement", table.Work, table.Rows)
		}
	}
	for _, wrong := range []string{"", "=" + self, "name", "name=/no/program"} {
		if err := c.add(wrong); err == nil {
			t.Errorf("%q was taken for a name and a program", wrong)
		}
	}
}
