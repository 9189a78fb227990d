package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// A comparison is what is measured, and how often.
type comparison struct {
	scale    float64 // part of the whole work
	rounds   int
	run      string // a regexp, of what is measured
	profiles string // folder for CPU profiles; empty for none
	guests   []guest
}

// A guest is a peer that has a program of its own.
type guest struct {
	name    string
	program program
}

// add adds a guest, given as "name=path of the program".
func (c *comparison) add(what string) error {
	name, path, ok := strings.Cut(what, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not name=program", what)
	}
	path, err := exec.LookPath(path)
	if err != nil {
		return fmt.Errorf("the program of %s: %w", name, err)
	}
	c.guests = append(c.guests, guest{name, programAt(path)})
	return nil
}

// compare measures everything that matches and prints the tables.
func (c *comparison) compare(ctx context.Context, out io.Writer) (*report, error) {
	match, err := regexp.Compile(c.run)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	r := &report{Machine: thisMachine(), Started: time.Now(), Rounds: c.rounds, Scale: c.scale}
	programs := map[string]program{"erlang": nil} // those of peers that are not in this one; nil if it is not installed
	for _, g := range c.guests {
		programs[g.name] = g.program
	}
	erlang, err := newErlang(ctx)
	switch {
	case err == nil:
		defer erlang.remove()
		programs["erlang"] = erlang.command
		r.Machine.Modules["Erlang/OTP"] = erlang.release
	case !errors.Is(err, exec.ErrNotFound):
		return nil, err
	default:
		fmt.Fprintln(out, "erlang is left out: erl is not installed")
	}
	r.Machine.print(out)
	for _, w := range works {
		w = w.scaled(c.scale)
		t := &table{Work: w.Name}
		for range c.rounds {
			for _, p := range c.peers(w) {
				program, foreign := programs[p]
				if !foreign {
					program = thisProgram
				}
				if program == nil || !match.MatchString(w.Name+"/"+p) {
					continue
				}
				m, err := measure(ctx, program, bench.Job{Peer: p, Work: w.Work, Profiles: c.profiles})
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				if err != nil {
					fmt.Fprintf(out, "%s/%s: %v\n", w.Name, p, err)
				}
				t.add(p, m, err)
			}
		}
		if len(t.Rows) > 0 {
			t.print(out, w.columns)
			r.Tables = append(r.Tables, t)
		}
	}
	r.Seconds = time.Since(r.Started).Seconds()
	fmt.Fprintf(out, "\n%d rounds in %.0f s\n", c.rounds, r.Seconds)
	return r, nil
}

// peers returns all that do the work.
func (c *comparison) peers(w work) []string {
	peers := slices.Clone(w.peers)
	if w.Kind != bench.Growing {
		for _, g := range c.guests {
			peers = append(peers, g.name)
		}
	}
	return peers
}
