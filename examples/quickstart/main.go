// Command quickstart shows a mesh of three processes on this machine: actors
// that spawn, call, monitor and kill each other across process borders, and
// what is left to be seen when a process is killed.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: quickstart\n\nStarts three nodes on this machine and shows what they do with each other.\nIt takes no arguments.\n")
	}
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "quickstart: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := office
	if os.Getenv(envNode) != "" {
		run = workshop // we are one of the processes that the office started
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// office is the process that was started by hand.
func office(ctx context.Context) error {
	// Nothing here takes long; if it does, something is wrong.
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("it took longer than 30 seconds"))
	defer cancel()

	step(1, "Three processes become nodes of one mesh: office (this one), red and blue.")
	secret := rand.Text()
	red, err := startWorkshop("red", secret)
	if err != nil {
		return err
	}
	defer red.Stop()
	blue, err := startWorkshop("blue", secret)
	if err != nil {
		return err
	}
	defer blue.Stop()

	sys := actor.NewSystem()
	node, err := remote.Start(ctx, sys, remote.Config{
		NodeID: "office",
		Secret: secret,
		// Where is the node of that name? Here we just know.
		Resolve: func(_ context.Context, node actor.NodeID) ([]string, error) {
			return map[actor.NodeID][]string{"red": {red.Address}, "blue": {blue.Address}}[node], nil
		},
	})
	if err != nil {
		return err
	}
	defer node.Close()
	say("office", "red is process %d at %s, blue is process %d at %s", red.PID(), red.Address, blue.PID(), blue.Address)

	// The desk is a port of the office. It takes the answers of the workers.
	results := make(chan string, 10)
	desk := sys.Port(func(c *actor.Context) error {
		c.Receive("done", func(_ *actor.Context, m actor.Message) error {
			var worker, job, result string
			if err := m.Scan(&worker, &job, &result); err != nil {
				return err
			}
			results <- fmt.Sprintf("%s made %q of %q", worker, result, job)
			return nil
		})
		return nil
	})
	say("office", "my port is %s; anybody in the mesh can send to it", desk)

	step(2, "The office spawns a worker on red, and sends it work at once, without waiting.")
	worker := sys.Spawn("red", "Workshop::worker", "Rosa")
	sys.Send(worker, "work", "hello, mesh", desk)
	sys.Send(worker, "work", "actors everywhere", desk)
	say("office", "the worker's port is %s", worker)
	for range 2 {
		result, err := receive(ctx, results)
		if err != nil {
			return err
		}
		say("office", "%s", result)
	}

	step(3, "The office monitors the worker, and kills it with a reason.")
	died := make(chan actor.Reason, 1)
	sys.Monitor(worker, func(reason actor.Reason) { died <- reason })
	sys.Kill(worker, "laid off", "the job is done")
	reason, err := receive(ctx, died)
	if err != nil {
		return err
	}
	say("office", "the worker died: %s", reason)

	step(4, "A worker on blue gets a job that it cannot do.")
	worker = sys.Spawn("blue", "Workshop::worker", "Bruno")
	sys.Monitor(worker, func(reason actor.Reason) { died <- reason })
	sys.Send(worker, "work", "", desk)
	if reason, err = receive(ctx, died); err != nil {
		return err
	}
	say("office", "the worker died: %s", reason)

	step(5, "A third worker lives on blue when that whole process is killed with SIGKILL.")
	worker = sys.Spawn("blue", "Workshop::worker", "Bianca")
	sys.Monitor(worker, func(reason actor.Reason) { died <- reason })
	sys.Send(worker, "work", "the last job", desk)
	result, err := receive(ctx, results)
	if err != nil {
		return err
	}
	say("office", "%s", result)
	if err := blue.Kill(); err != nil {
		return err
	}
	if reason, err = receive(ctx, died); err != nil {
		return err
	}
	say("office", "the worker is gone: %s", reason)
	say("office", "nodes that are still connected: %v", node.Nodes())

	fmt.Println("\nThat was it. Read examples/quickstart/main.go to see how little it takes.")
	return nil
}

// receive waits for a value, but not for ever.
func receive[T any](ctx context.Context, ch <-chan T) (v T, err error) {
	select {
	case v = <-ch:
		return v, nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}

func step(n int, text string) { fmt.Printf("\n%d. %s\n", n, text) }

func say(who, format string, args ...any) {
	fmt.Printf("   [%s] %s\n", who, fmt.Sprintf(format, args...))
}
