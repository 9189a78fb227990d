package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/child"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/supervision"
)

// The environment variables by which a process that we start learns what it is.
const (
	envNode   = "SUPERVISION_NODE"
	envSeed   = "SUPERVISION_SEED"
	envSecret = "SUPERVISION_SECRET"
)

// silent is for systems whose events are printed anyway.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// processes is the office: it has a supervisor whose children are in two other
// processes, and kills one of these.
func processes(ctx context.Context) error {
	step("Three processes become nodes of one mesh: office (this one), red and blue.")
	secret := rand.Text()
	sys := actor.NewSystem(actor.WithLogger(silent))
	reg, err := registry.Start(ctx, sys, remote.Config{
		NodeID: "office", Secret: secret, Listen: []string{"127.0.0.1:0"},
	}, registry.Config{Global: true})
	if err != nil {
		return err
	}
	defer reg.Close()
	workshops := make(map[actor.NodeID]*child.Process)
	for _, name := range []string{"red", "blue"} {
		p, err := child.Start(os.Stdout, []string{
			envNode + "=" + name, envSecret + "=" + secret, envSeed + "=" + reg.Node().Addresses()[0],
		}, "workshop")
		if err != nil {
			return err
		}
		defer p.Stop()
		workshops[actor.NodeID(name)] = p
	}
	if err := members(ctx, reg, len(workshops)); err != nil {
		return err
	}

	step("The supervisor in the office has four workers, on whatever nodes are workshops.")
	w := watch(sys)
	defer w.behind()
	spec := supervision.Spec{}
	for _, id := range []string{"ann", "ben", "cid", "dan"} {
		spec.Children = append(spec.Children, supervision.Child{
			ID:    id,
			Start: supervision.Remote{Nodes: supervision.Members(reg, "workshops"), Function: "Workshop::worker"},
			Lost:  supervision.Lost{Wait: 500 * time.Millisecond}, // in real life, more than the silence timeout
			// Others look for the worker by its name, wherever it is.
			Announce: func(port actor.PortID) (func(), error) { return reg.Set("workers", id, port) },
		})
	}
	sup, err := supervision.Start(ctx, sys, spec)
	if err != nil {
		return err
	}
	if err := w.wait(ctx, 1, supervision.Up); err != nil {
		return err
	}
	if err := show(ctx, sup); err != nil {
		return err
	}

	step("The process of red is killed with SIGKILL. Its workers move.")
	if err := workshops["red"].Kill(); err != nil {
		return err
	}
	if err := w.wait(ctx, 2, supervision.Started); err != nil {
		return err
	}
	if err := show(ctx, sup); err != nil {
		return err
	}
	workers, err := reg.Family(ctx, "workers")
	if err != nil {
		return err
	}
	for _, id := range []string{"ann", "ben", "cid", "dan"} {
		fmt.Printf("   the registry says: %s is at %v\n", id, workers[id])
	}

	step("The supervisor is stopped; the workers end from right to left.")
	return sup.Stop(ctx)
}

// members waits until there are so many workshops.
func members(ctx context.Context, reg *registry.Registry, n int) error {
	enough := make(chan struct{}, 1)
	stop, err := reg.Monitor("workshops", func(change registry.Change) {
		if len(change.Content) >= n {
			select {
			case enough <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		return err
	}
	defer stop()
	select {
	case <-enough:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// workshop is what the other processes are: a node on which workers can be
// started, and which says so in the registry.
func workshop(ctx context.Context) error {
	sys := actor.NewSystem(actor.WithLogger(silent))
	if err := supervision.Register(sys, "Workshop::worker", worker); err != nil {
		return err
	}
	reg, err := registry.Start(ctx, sys, remote.Config{
		NodeID: actor.NodeID(os.Getenv(envNode)),
		Secret: os.Getenv(envSecret),
		Listen: []string{"127.0.0.1:0"},
		Seeds:  []string{os.Getenv(envSeed)},
	}, registry.Config{})
	if err != nil {
		return err
	}
	defer reg.Close()
	if _, err := reg.Set("workshops", os.Getenv(envNode), nil); err != nil {
		return err
	}
	fmt.Println(reg.Node().Addresses()[0])
	child.WaitForParent()
	return nil
}
