package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// dispatch has the workers of the mesh do n jobs, and returns when all are done.
// The address at which workers find this node is passed to listening.
func dispatch(ctx context.Context, config remote.Config, n int, listening func(address string) error) error {
	sys := actor.NewSystem()
	reg, err := registry.Start(ctx, sys, config, registry.Config{Global: true})
	if err != nil {
		return err
	}
	defer reg.Close()
	d := newDispatcher(n)
	port := sys.Port(d.setup)
	ended := make(chan actor.Reason, 1)
	sys.Monitor(port, func(reason actor.Reason) { ended <- reason })
	sys.Send(port, "begin") // not before somebody hears of its end
	stop, err := reg.Monitor(workers, func(c registry.Change) {
		sys.Send(port, "workers", slices.Collect(maps.Keys(c.Content)))
	})
	if err != nil {
		return err
	}
	defer stop()
	if err := listening(reg.Node().Addresses()[0]); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case reason := <-ended:
		if reason.Normal() {
			return nil
		}
		return fmt.Errorf("the dispatcher died: %s", reason)
	}
}

// A dispatcher is a port that gives each worker one job at a time. What it
// promises rests on two things: each job is in exactly one place, waiting, with
// a worker, or done; and each worker has a monitor, which fires exactly once
// when the worker is gone. The fields belong to the port.
type dispatcher struct {
	jobs       []job
	waiting    []int                // jobs that nobody does
	registered []actor.PortID       // workers, as the registry knows them
	pool       map[actor.PortID]int // workers whom we monitor, and their jobs; idle, with none
	open       int                  // jobs that are not done
	again      int                  // how often a job was given to another worker
	twice      int                  // how often a job was done that was done already
}

// A job is a number to be taken apart.
type job struct {
	number uint64
	doneBy actor.PortID
}

// idle stands in the place of a job.
const idle = -1

func newDispatcher(n int) *dispatcher {
	d := &dispatcher{jobs: make([]job, n), pool: make(map[actor.PortID]int), open: n}
	for i := range d.jobs {
		d.jobs[i].number = 1_000_003 * uint64(1000+i)
		d.waiting = append(d.waiting, i)
	}
	return d
}

func (d *dispatcher) setup(c *actor.Context) error {
	c.Receive("workers", func(c *actor.Context, m actor.Message) error {
		if err := m.Scan(&d.registered); err != nil {
			return err
		}
		return d.hire(c)
	})
	actor.On(c, d.done)
	c.Receive("begin", func(c *actor.Context, _ actor.Message) error {
		d.checkEnd(c) // there may be nothing to do
		return nil
	})
	return nil
}

// checkEnd ends the port when all is done.
func (d *dispatcher) checkEnd(c *actor.Context) {
	if d.open == 0 {
		fmt.Printf("%d jobs are done; %d times a job went to another worker, %d times one was done twice\n", len(d.jobs), d.again, d.twice)
		c.Kill()
	}
}

// hire takes into the pool who is registered and not yet in it.
func (d *dispatcher) hire(c *actor.Context) error {
	again := c.Func(d.hire)
	for _, worker := range d.registered {
		if _, ok := d.pool[worker]; ok {
			continue
		}
		fmt.Printf("worker %s has come\n", worker.Node())
		d.pool[worker] = idle
		c.Monitor(worker, func(reason actor.Reason) {
			d.lose(worker, reason)
			// If only the connection was lost, it may be back soon.
			time.AfterFunc(time.Second, again)
		})
	}
	return d.supply(c)
}

// lose takes a worker out of the pool. Its job may be done all the same, if only
// the connection is gone. Nobody can know, so we say that it may be done twice.
func (d *dispatcher) lose(worker actor.PortID, reason actor.Reason) {
	i := d.pool[worker]
	delete(d.pool, worker)
	if i == idle {
		fmt.Printf("worker %s is gone (%s); it had no job\n", worker.Node(), reason)
		return
	}
	fmt.Printf("worker %s is gone (%s): job %d goes to another worker, and may be done twice\n", worker.Node(), reason, i)
	d.again++
	d.waiting = slices.Insert(d.waiting, 0, i)
}

// supply gives jobs to those who have none.
func (d *dispatcher) supply(c *actor.Context) error {
	for worker, i := range d.pool {
		if i != idle || len(d.waiting) == 0 {
			continue
		}
		i, d.waiting = d.waiting[0], d.waiting[1:]
		d.pool[worker] = i
		if err := c.Send(worker, task{i, d.jobs[i].number, c.Self()}); err != nil {
			return err
		}
	}
	return nil
}

// done takes a result.
func (d *dispatcher) done(c *actor.Context, r result) error {
	if r.Job < 0 || r.Job >= len(d.jobs) {
		return nil // not one of ours
	}
	if i, ok := d.pool[r.Worker]; ok && i == r.Job {
		d.pool[r.Worker] = idle
	}
	j := &d.jobs[r.Job]
	if j.doneBy != "" {
		d.twice++
		fmt.Printf("job %d was done twice: by %s, and by %s\n", r.Job, j.doneBy.Node(), r.Worker.Node())
	} else {
		j.doneBy = r.Worker
		// It may come from a worker that we took for lost.
		d.waiting = slices.DeleteFunc(d.waiting, func(i int) bool { return i == r.Job })
		d.open--
		fmt.Printf("job %d: %d = %v, by %s\n", r.Job, j.number, r.Factors, r.Worker.Node())
	}
	d.checkEnd(c)
	return d.supply(c)
}
