package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// step is how much of a job's delay passes at once.
const step = 10 * time.Millisecond

// work is a worker until ctx is done. Each job takes at least that long, so that
// there is something to watch.
func work(ctx context.Context, config remote.Config, delay time.Duration) error {
	sys := actor.NewSystem()
	reg, err := registry.Start(ctx, sys, config, registry.Config{})
	if err != nil {
		return err
	}
	defer reg.Close()
	port := sys.Port(func(c *actor.Context) error {
		actor.On(c, func(c *actor.Context, t task) error {
			fmt.Printf("%s: job %d\n", c.Node(), t.Job)
			// In steps, because work does not go on in a process that is frozen.
			for done := time.Duration(0); done < delay; done += step {
				select {
				case <-time.After(step):
				case <-ctx.Done():
					return ctx.Err() // another worker will do it
				}
			}
			return c.Send(t.Reply, result{t.Job, factorize(t.Number), c.Self()})
		})
		return nil
	})
	fmt.Printf("worker %s is process %d\n", sys.Node(), os.Getpid())
	if _, err := reg.Register(workers, port, nil); err != nil {
		return err
	}
	died := make(chan actor.Reason, 1)
	sys.Monitor(port, func(reason actor.Reason) { died <- reason })
	select {
	case <-ctx.Done():
		return nil
	case reason := <-died:
		return fmt.Errorf("the worker died: %s", reason)
	}
}

// factorize returns the prime factors of n, the smallest first.
func factorize(n uint64) []uint64 {
	var factors []uint64
	for p := uint64(2); p <= n/p; p++ {
		for n%p == 0 {
			factors = append(factors, p)
			n /= p
		}
	}
	if n > 1 {
		factors = append(factors, n)
	}
	return factors
}
