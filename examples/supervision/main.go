// Command supervision shows supervision trees: on one system with each strategy,
// across three processes of which one is killed, and with a Perl worker.
//
//	go run ./examples/supervision local
//	go run ./examples/supervision processes
//	go run ./examples/supervision perl
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/supervision"
)

var parts = map[string]func(context.Context) error{
	"local": local, "processes": processes, "perl": perl,
	"workshop": workshop, // what processes starts
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: supervision [flags] local | processes | perl")
		flag.PrintDefaults()
	}
	flag.Parse()
	part := parts[flag.Arg(0)]
	if part == nil || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Nothing here takes long; if it does, something is wrong.
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("it took longer than a minute"))
	defer cancel()
	if err := part(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "supervision:", err)
		os.Exit(1)
	}
}

// A watcher prints what happens to children, and lets one wait for it.
type watcher struct {
	events chan supervision.Event
	behind func()
}

// watch begins to print the events of a system.
func watch(sys *actor.System) *watcher {
	w := &watcher{events: make(chan supervision.Event, 100)}
	sub := sys.Actors().EventStream.Subscribe(func(event any) {
		e, ok := event.(supervision.Event)
		if !ok {
			return
		}
		line := fmt.Sprintf("   %-10s %s", cmp.Or(e.Path, "(root)"), e.Kind)
		if e.Port != "" && e.Kind == supervision.Started {
			line += " on " + string(e.Port.Node())
		}
		if e.Reason != nil {
			line += ": " + e.Reason.String()
		}
		fmt.Println(line)
		select {
		case w.events <- e:
		default: // nobody waits
		}
	})
	w.behind = func() { sys.Actors().EventStream.Unsubscribe(sub) }
	return w
}

// wait waits until so many events of a kind have come.
func (w *watcher) wait(ctx context.Context, n int, kind supervision.EventKind) error {
	for n > 0 {
		select {
		case e := <-w.events:
			if e.Kind == kind {
				n--
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func step(format string, args ...any) { fmt.Printf("\n"+format+"\n", args...) }
