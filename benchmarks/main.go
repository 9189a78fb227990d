// Command benchmarks measures Portmesh beside others that do the same work:
// protoactor-go with its own remoting, Erlang where it is installed, and a bare
// TCP echo, which is as fast as two processes on a machine can talk.
//
//	go run . [-short] [-rounds N] [-run REGEXP] [-json FILE] [-profiles DIR] [-peer NAME=PROGRAM]...
//
// Every measurement is made by processes of its own, one for work within a
// process and two for work between processes. The peers take turns, round
// after round, so that what else the machine does hits all of them; what is
// printed is the median of the rounds, the smallest and the largest, and the
// ratio to the best of the others in the same run.
//
// A further runtime is measured by a program of its own: an adapter to it that
// calls [bench.Main], or anything that behaves as such a program.
//
// It is a module of its own, so that whoever uses Portmesh does not inherit
// what only comparisons need.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

func main() {
	bench.Main(newPeer)
	var c comparison
	var (
		short = flag.Bool("short", false, "one round with a fifth of the work, in less than a minute")
		file  = flag.String("json", "", "write all measurements to this `file`")
	)
	flag.IntVar(&c.rounds, "rounds", 0, "how often everything is measured; 0 means 3, and 1 with -short")
	flag.StringVar(&c.run, "run", "", "only what matches this `regexp`, as in \"remote flood/portmesh msgpack\"")
	flag.StringVar(&c.profiles, "profiles", "", "write CPU profiles of the processes to this `folder`; the last round stays")
	flag.Func("peer", "another runtime and the program that does its works, as `name=program`; may be given several times", c.add)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c.scale = 1
	if *short {
		c.scale = 0.2
	}
	if c.rounds == 0 {
		c.rounds = 3
		if *short {
			c.rounds = 1
		}
	}
	r, err := c.compare(ctx, os.Stdout)
	if err == nil && *file != "" {
		err = r.write(*file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}
