package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary be the processes that do the work.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-child" {
		if err := runChild(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Every peer does a little of every work.
func TestCompare(t *testing.T) {
	r, err := compare(t.Context(), t.Output(), 0.002, 1, "", "")
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
				if values := row.values(c.metric); len(values) != 1 || values[0] <= 0 && c.metric != perActor {
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
	if _, err := measure(t.Context(), thisProgram, job{Peer: "portmesh morse", Work: w}); err == nil {
		t.Error("a framing that does not exist was measured")
	} else {
		t.Log(err)
	}
}
