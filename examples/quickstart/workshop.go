package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/child"
	"github.com/portmesh/portmesh/remote"
)

// workshop is what the processes do that the office starts: be a node on which
// workers can be spawned.
func workshop(ctx context.Context) error {
	name := os.Getenv(envNode)
	sys := actor.NewSystem()
	if err := sys.Register("Workshop::worker", worker); err != nil {
		return err
	}
	node, err := remote.Start(ctx, sys, remote.Config{
		NodeID: actor.NodeID(name),
		Secret: os.Getenv(envSecret),
		Listen: []string{"127.0.0.1:0"},
	})
	if err != nil {
		return err
	}
	defer node.Close()
	fmt.Println(node.Addresses()[0])
	// When the office is gone, so are we.
	child.WaitForParent()
	return nil
}

// worker makes a worker of a new port. It runs on the node where the worker
// was spawned, with the arguments that the spawner gave.
func worker(c *actor.Context, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	tell(c, "%s starts to work as %s", name, c.Self())
	c.Receive("work", func(c *actor.Context, m actor.Message) error {
		var job string
		if err := m.Scan(&job); err != nil {
			return err
		}
		if job == "" {
			return errors.New("cannot work without a job")
		}
		tell(c, "%s works on %q", name, job)
		return c.Respond("done", name, job, strings.ToUpper(job))
	})
	return nil
}

// tell prints what a worker says. The office passes it on.
func tell(c *actor.Context, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "   [%s] %s\n", c.Node(), fmt.Sprintf(format, args...))
}

// The environment variables by which the office tells a process what it is.
const (
	envNode   = "QUICKSTART_NODE"
	envSecret = "QUICKSTART_SECRET"
)

// startWorkshop runs this program again, as a node of that name, and waits
// until it listens.
func startWorkshop(name, secret string) (*child.Process, error) {
	return child.Start(os.Stdout, []string{envNode + "=" + name, envSecret + "=" + secret})
}
