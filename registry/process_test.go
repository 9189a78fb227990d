package registry_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// memberProcess is a node in a process of its own: its arguments are its ID, the
// address to listen on, and its seeds. It sets a key of its own, tells what its
// monitor is told of, and answers "keys" with all that there are.
func memberProcess() {
	ctx := context.Background()
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	r, err := registry.Start(ctx, sys, remote.Config{
		NodeID: actor.NodeID(os.Args[1]), Secret: "geheim-for-tests-0123456789", Listen: os.Args[2:3], Seeds: os.Args[3:],
	}, registry.Config{})
	if err == nil {
		_, err = r.Set("fruit", os.Args[1], "apple")
	}
	if err == nil {
		_, err = r.Monitor("fruit", func(c registry.Change) {
			var told []string
			for sign, keys := range map[string][]string{"+": c.Added, "~": c.Changed, "-": c.Deleted} {
				for _, key := range keys {
					told = append(told, sign+key)
				}
			}
			slices.Sort(told)
			fmt.Printf("told %v, there are %v\n", told, slices.Sorted(maps.Keys(c.Content)))
		})
	}
	in := bufio.NewScanner(os.Stdin)
	for err == nil && in.Scan() {
		var keys []string
		if keys, err = r.Keys(ctx, "fruit"); err == nil {
			slices.Sort(keys)
			fmt.Println("keys", keys)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.Close()
}

// wantKeys asks a process until it sees those keys.
func wantKeys(t *testing.T, p *proctest.Process, want string) {
	t.Helper()
	for {
		p.Input("keys")
		got := strings.TrimPrefix(p.Expect("keys "), "keys ")
		if got == "["+want+"]" {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("got %s, want [%s]", got, want)
		}
	}
}

// A global node is killed, and the node at another seed takes over: no key is
// lost, and nobody is told that one was.
func TestKilledGlobal(t *testing.T) {
	slaves := []string{"b", "c", "e", "f"}
	for _, running := range []bool{true, false} {
		name := map[bool]string{true: "the other seed runs", false: "the other seed is started then"}[running]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := freeAddress(t), freeAddress(t)
			a := proctest.Start(t, "a", first, first, second)
			all := "a b c e f"
			if running {
				all = "a b c d e f"
				proctest.Start(t, "d", second, first, second)
			}
			processes := make(map[string]*proctest.Process)
			for _, id := range slaves {
				processes[id] = proctest.Start(t, id, "127.0.0.1:0", first, second)
			}
			for _, p := range processes {
				p.Expect("there are [" + all + "]")
			}
			before := make(map[string]int)
			for id, p := range processes {
				before[id] = len(p.Output())
			}

			a.Signal(os.Kill)
			if !running {
				processes["d"] = proctest.Start(t, "d", second, first, second)
			}
			if !running {
				processes["d"].Expect("there are [b c d e f]")
			}
			for id, p := range processes {
				if running {
					p.Expect("told [-a], there are [b c d e f]") // when its time is up
				}
				wantKeys(t, p, "b c d e f")
				if id == "d" {
					continue
				}
				if !running {
					p.Input("keys") // behind this answer, no change is under way
					p.Expect("keys ")
				}
				for line := range strings.Lines(p.Output()[before[id]:]) {
					told, ok := strings.CutPrefix(line, "told [")
					told, _, _ = strings.Cut(told, "]")
					if ok && told != "-a" && told != "+d" {
						t.Errorf("%s was told of %q", id, told)
					}
				}
			}
		})
	}
}
