package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/benchmarks/bench"
	"github.com/portmesh/portmesh/remote"
)

// ports has that many ports on each of two nodes send to as many on the other.
func (g growth) ports(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	nodes, err := g.nodes(ctx, 2)
	if err != nil {
		return nil, err
	}
	return exchange(nodes, g.n, w.Count/(2*g.n)), nil
}

// meshed has each node send to all others.
func (g growth) meshed(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	nodes, err := g.nodes(ctx, g.n)
	if err != nil {
		return nil, err
	}
	return exchange(nodes, 1, w.Count/(g.n*(g.n-1))), nil
}

// nodes starts nodes that are connected with each other.
func (g growth) nodes(ctx context.Context, n int) ([]*remote.Node, error) {
	addresses := make(map[actor.NodeID][]string)
	nodes := make([]*remote.Node, n)
	actor.Bind[Item](bench.Item)
	for i := range nodes {
		cfg := g.config(fmt.Sprint("node", i))
		cfg.Resolve = func(_ context.Context, id actor.NodeID) ([]string, error) { return addresses[id], nil }
		node, err := remote.Start(ctx, actor.NewSystem(), cfg)
		if err != nil {
			return nil, err
		}
		addresses[node.ID()] = node.Addresses()
		nodes[i] = node
	}
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			if err := a.Connect(ctx, b.ID()); err != nil {
				return nil, err
			}
		}
	}
	return nodes, nil
}

// exchange has that many ports on each node send to as many on each other node,
// all at once.
func exchange(nodes []*remote.Node, ports, count int) bench.Measurement {
	var senders []func()
	var done sync.WaitGroup
	text := strings.Repeat("x", 16)
	for _, from := range nodes {
		for _, to := range nodes {
			for range ports {
				if from == to {
					continue
				}
				port := spawnItems(to.System(), func(c *actor.Context, m Item) error {
					if m.N == int64(count)-1 {
						done.Done()
					}
					return nil
				})
				done.Add(1)
				senders = append(senders, func() {
					from.System().Port(func(c *actor.Context) error {
						for n := range count {
							if err := c.Send(port, &Item{int64(n), text}); err != nil {
								return err
							}
						}
						return nil
					})
				})
			}
		}
	}
	began := time.Now()
	for _, start := range senders {
		start()
	}
	done.Wait()
	all := float64(len(senders) * count)
	return bench.Measurement{bench.Rate: all / time.Since(began).Seconds(), bench.Messages: all}
}

// spawnItems makes a port that receives items.
func spawnItems(sys *actor.System, receive func(c *actor.Context, m Item) error) actor.PortID {
	return sys.Port(func(c *actor.Context) error {
		actor.On(c, receive)
		return nil
	})
}

// beside measures round trips between two ports while others send as fast as
// they can: on the same link, or to a third node.
func (g growth) beside(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	nodes, err := g.nodes(ctx, 3)
	if err != nil {
		return nil, err
	}
	from, to, flooded := nodes[0].System(), nodes[1].System(), nodes[1].System()
	if strings.Contains(g.setup, "another link") {
		flooded = nodes[2].System()
	}
	text := strings.Repeat("x", 16)
	var stop atomic.Bool
	var floods, begun sync.WaitGroup
	for range g.n {
		begun.Add(1)
		sink := spawnItems(flooded, func(_ *actor.Context, m Item) error {
			if m.N == 100_000 { // all buffers are full by now
				begun.Done()
			}
			return nil
		})
		floods.Go(func() {
			for n := int64(0); !stop.Load(); n++ {
				if from.Send(sink, &Item{n, text}) != nil {
					return
				}
			}
		})
	}
	begun.Wait()
	var there actor.PortID
	var latencies []time.Duration
	var sent time.Time
	began := time.Now()
	done := make(chan bool)
	here := spawnItems(from, func(c *actor.Context, m Item) error {
		now := time.Now()
		latencies = append(latencies, now.Sub(sent))
		if now.Sub(began) > w.Duration {
			close(done)
			return nil
		}
		sent = now
		return c.Send(there, &m)
	})
	there = spawnItems(to, func(c *actor.Context, m Item) error { return c.Send(here, &m) })
	sent = began
	if err := from.Send(there, &Item{0, text}); err != nil {
		return nil, err
	}
	<-done
	took := time.Since(began)
	stop.Store(true)
	floods.Wait()
	return bench.RoundTrips(latencies, took), nil
}
