package remote_test

import (
	"context"
	"fmt"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// Two nodes, here in one process: what one spawns on the other it can send to
// and monitor at once.
func Example() {
	ctx := context.Background()

	workers := actor.NewSystem()
	workers.Register("Worker::init", func(c *actor.Context, args actor.Message) error {
		c.Receive("work", func(c *actor.Context, m actor.Message) error {
			return c.Respond("done", m[0], "by", c.Node())
		})
		return nil
	})
	there, err := remote.Start(ctx, workers, remote.Config{
		NodeID: "there", Secret: "geheim", Listen: []string{"127.0.0.1:0"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer there.Close()

	sys := actor.NewSystem()
	here, err := remote.Start(ctx, sys, remote.Config{
		NodeID: "here", Secret: "geheim", Seeds: there.Addresses(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer here.Close()

	results := make(chan actor.Message)
	desk := sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			results <- m
			return nil
		})
		return nil
	})
	died := make(chan actor.Reason)
	worker := sys.Spawn("there", "Worker::init")
	sys.Monitor(worker, func(reason actor.Reason) { died <- reason })
	sys.Send(worker, "work", "a job", desk)
	fmt.Println(<-results)
	sys.Kill(worker, "enough")
	fmt.Println("died:", <-died)
	// Output:
	// ["done", "a job", "by", "there"]
	// died: enough
}
