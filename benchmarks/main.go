// Command benchmarks measures Portmesh beside others that do the same work:
// protoactor-go with its own remoting, Erlang where it is installed, and a bare
// TCP echo, which is as fast as two processes on a machine can talk.
//
//	go run . [-short] [-rounds N] [-run REGEXP] [-json FILE] [-profiles DIR]
//
// Every measurement is made by processes of its own, one for work within a
// process and two for work between processes. The peers take turns, round
// after round, so that what else the machine does hits all of them; what is
// printed is the median of the rounds, the smallest and the largest, and the
// ratio to the best of the others in the same run.
//
// It is a module of its own, so that whoever uses Portmesh does not inherit
// what only comparisons need.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	var (
		short  = flag.Bool("short", false, "one round with a fifth of the work, in less than a minute")
		rounds = flag.Int("rounds", 0, "how often everything is measured; 0 means 3, and 1 with -short")
		file   = flag.String("json", "", "write all measurements to this `file`")
		run    = flag.String("run", "", "only what matches this `regexp`, as in \"remote flood/portmesh msgpack\"")
		prof   = flag.String("profiles", "", "write CPU profiles of the processes to this `folder`; the last round stays")
		child  = flag.String("child", "", "for the processes that do the work")
	)
	flag.Parse()
	if *child != "" {
		if err := runChild(*child); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	scale := 1.0
	if *short {
		scale = 0.2
	}
	if *rounds == 0 {
		*rounds = 3
		if *short {
			*rounds = 1
		}
	}
	r, err := compare(ctx, os.Stdout, scale, *rounds, *run, *prof)
	if err == nil && *file != "" {
		err = r.write(*file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// compare measures everything that matches, each time the given part of the
// whole work, and prints the tables. Profiles is a folder, or empty.
func compare(ctx context.Context, out io.Writer, scale float64, rounds int, run, profiles string) (*report, error) {
	match, err := regexp.Compile(run)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	r := &report{Machine: thisMachine(), Started: time.Now(), Rounds: rounds, Scale: scale}
	programs := map[string]program{"erlang": nil} // those of peers that are not in this one; nil if it is not installed
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
		w = w.scaled(scale)
		t := &table{Work: w.Name}
		for range rounds {
			for _, p := range w.peers {
				program, foreign := programs[p]
				if !foreign {
					program = thisProgram
				}
				if program == nil || !match.MatchString(w.Name+"/"+p) {
					continue
				}
				m, err := measure(ctx, program, job{Peer: p, Work: w, Profiles: profiles})
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
	fmt.Fprintf(out, "\n%d rounds in %.0f s\n", rounds, r.Seconds)
	return r, nil
}
