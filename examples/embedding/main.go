// Command embedding shows what it takes to spread an ordinary program for
// protoactor-go over two processes: the five lines that are numbered below.
//
//	go run ./examples/embedding
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

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/child"
	"github.com/portmesh/portmesh/remote"
)

var (
	_ = actor.Bind[hello]("hello") // 1: what the messages are called on the wire
	_ = actor.Bind[ball]("ball")   // 2
)

func main() {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: embedding\n\nPlays ping-pong between two processes. It takes no arguments.\n")
	}
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "embedding: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := one
	if os.Getenv(envSecret) != "" {
		run = two // we are the process that the first one started
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "embedding:", err)
		os.Exit(1)
	}
}

// one is the process that was started by hand. The pinger lives here.
func one(ctx context.Context) error {
	// Nothing here takes long; if it does, something is wrong.
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("it took longer than 30 seconds"))
	defer cancel()
	secret := rand.Text()
	other, err := child.Start(os.Stdout, []string{envSecret + "=" + secret})
	if err != nil {
		return err
	}
	defer other.Stop()

	config := remote.Config{NodeID: "one", Secret: secret, Seeds: []string{other.Address}}
	sys := actor.NewSystem()                    // 3: in the place of protoactor-go's NewActorSystem
	node, err := remote.Start(ctx, sys, config) // 4
	if err != nil {
		return err
	}
	defer node.Close() // 5

	// From here on, it is protoactor-go.
	root := sys.Actors().Root
	partner := proto.NewPID("two", "ponger")
	answer, err := root.RequestFuture(partner, &hello{fmt.Sprintf("hello from process %d", os.Getpid())}, 10*time.Second).Result()
	if err != nil {
		return err
	}
	fmt.Println("answer:", answer.(*hello).Who)

	caught := make(chan int, 1)
	root.Spawn(proto.PropsFromProducer(func() proto.Actor { return &pinger{partner, caught} }))
	for {
		select {
		case _, playing := <-caught:
			if !playing {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// two is the other process. The ponger lives here, under a name that the
// pinger knows.
func two(ctx context.Context) error {
	sys := actor.NewSystem()
	node, err := remote.Start(ctx, sys, remote.Config{NodeID: "two", Secret: os.Getenv(envSecret), Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		return err
	}
	defer node.Close()
	if _, err := sys.Actors().Root.SpawnNamed(proto.PropsFromFunc(ponger), "ponger"); err != nil {
		return err
	}
	fmt.Println(node.Addresses()[0])
	child.WaitForParent() // when the first process is gone, so are we
	return nil
}

// envSecret is the environment variable that tells a process to be the second,
// and the secret of the mesh.
const envSecret = "EMBEDDING_SECRET"
