package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/benchmarks/bench"
	"github.com/portmesh/portmesh/registry"
)

// formation starts nodes that all know the first one, until it knows all of
// them, and each has got an answer.
func (g growth) formation(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	before := bench.InUse()
	began := time.Now()
	regs, err := g.form(ctx, 1)
	for _, r := range regs {
		defer r.Close()
	}
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	messages, bytes := sentTo(regs, "")
	n := float64(g.n)
	return bench.Measurement{bench.Rate: n / took.Seconds(), seconds: took.Seconds(), each: (bench.InUse() - before) / n, said: messages / n, wire: bytes / n}, nil
}

// again lets the global node of a mesh end, and measures until the next one has
// heard of a change at each of the others.
func (g growth) again(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	regs, err := g.form(ctx, 2)
	for _, r := range regs {
		defer r.Close()
	}
	if err != nil {
		return nil, err
	}
	next, others := regs[1], regs[2:]
	messagesBefore, bytesBefore := sentTo(regs[1:], "node1")
	began := time.Now()
	if err := regs[0].Close(); err != nil {
		return nil, err
	}
	for _, r := range others {
		if _, err := r.Set("again", string(r.Node().ID()), nil); err != nil {
			return nil, err
		}
	}
	if err := contains(ctx, next, "again", len(others)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	messages, bytes := sentTo(regs[1:], "node1")
	n := float64(len(others))
	return bench.Measurement{bench.Rate: n / took.Seconds(), seconds: took.Seconds(), said: (messages - messagesBefore) / n, wire: (bytes - bytesBefore) / n}, nil
}

// form starts nodes of which the first ones are the seeds of all, until they know
// each other.
func (g growth) form(ctx context.Context, seeds int) (regs []*registry.Registry, err error) {
	var addresses []string
	for i := range g.n {
		r, err := registry.Start(ctx, actor.NewSystem(), g.config(fmt.Sprint("node", i), addresses...), registry.Config{Global: i == 0})
		if err != nil {
			return regs, err
		}
		regs = append(regs, r)
		if i < seeds {
			addresses = append(addresses, r.Node().Addresses()...)
		}
		if _, err := r.Set("members", fmt.Sprint("node", i), nil); err != nil {
			return regs, err
		}
	}
	for _, seed := range regs[:seeds] {
		if err := contains(ctx, seed, "members", g.n); err != nil {
			return regs, err
		}
	}
	errs := make(chan error)
	for _, r := range regs {
		go func() {
			for _, seed := range regs[:seeds] {
				if r == seed {
					continue
				}
				if err := r.Node().Connect(ctx, seed.Node().ID()); err != nil {
					errs <- err
					return
				}
			}
			keys, err := r.Keys(ctx, "members")
			if err == nil && len(keys) != g.n {
				err = fmt.Errorf("%d members of %d", len(keys), g.n)
			}
			errs <- err
		}()
	}
	for range regs {
		err = errors.Join(err, <-errs)
	}
	return regs, err
}

// sentTo returns what nodes have sent to each other, on the links to one of them
// and by it, or on all links. Links to other nodes do not count: they may end,
// and take their numbers with them.
func sentTo(regs []*registry.Registry, node actor.NodeID) (messages, bytes float64) {
	among := make(map[actor.NodeID]bool)
	for _, r := range regs {
		among[r.Node().ID()] = true
	}
	for _, r := range regs {
		for _, s := range r.Node().Stats() {
			if among[s.Node] && (node == "" || s.Node == node || r.Node().ID() == node) {
				messages += float64(s.MessagesSent)
				bytes += float64(s.BytesSent)
			}
		}
	}
	return messages, bytes
}

// contains waits until a family has that many keys.
func contains(ctx context.Context, r *registry.Registry, family string, n int) error {
	for change, err := range r.Changes(ctx, family) {
		if err != nil {
			return err
		}
		if len(change.Content) == n {
			break
		}
	}
	return nil
}

// pair starts a global node and two slaves of it, which know each other's
// addresses by it.
func (g growth) pair(ctx context.Context) (global, a, b *registry.Registry, err error) {
	start := func(id string, options registry.Config, seeds ...string) (r *registry.Registry) {
		if err == nil {
			r, err = registry.Start(ctx, actor.NewSystem(), g.config(id, seeds...), options)
		}
		return r
	}
	if global = start("global", registry.Config{Global: true}); err != nil {
		return nil, nil, nil, err
	}
	seeds := global.Node().Addresses()
	a, b = start("a", registry.Config{}, seeds...), start("b", registry.Config{}, seeds...)
	if err == nil {
		err = a.Node().Connect(ctx, "global")
	}
	if err == nil {
		err = b.Node().Connect(ctx, "global")
	}
	return global, a, b, err
}

// monitors sets as many on the ports of another node, which then end.
func (g growth) monitors(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	_, a, b, err := g.pair(ctx)
	if err != nil {
		return nil, err
	}
	from, to := a.Node().System(), b.Node().System()
	ports := make([]actor.PortID, g.n)
	for i := range ports {
		ports[i] = to.Port(func(c *actor.Context) error {
			c.Receive("end", func(c *actor.Context, _ actor.Message) error { return nil })
			return nil
		})
	}
	var fired sync.WaitGroup
	fired.Add(g.n)
	began := time.Now()
	for _, port := range ports {
		from.Monitor(port, func(actor.Reason) { fired.Done() })
	}
	echo := make(chan bool)
	self := from.Port(func(c *actor.Context) error {
		c.Receive("set", func(*actor.Context, actor.Message) error { echo <- true; return nil })
		return nil
	})
	if err := from.Send("b", "snd", self, "set"); err != nil {
		return nil, err
	}
	<-echo
	set := time.Since(began)
	began = time.Now()
	for _, port := range ports {
		to.Kill(port)
	}
	fired.Wait()
	n := float64(g.n)
	return bench.Measurement{bench.Rate: n / set.Seconds(), firing: n / time.Since(began).Seconds(), bench.Messages: 2 * n}, nil
}

// writes has one node write and another one be told of it, both slaves of the
// same global node.
func (g growth) writes(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	_, a, b, err := g.pair(ctx)
	if err != nil {
		return nil, err
	}
	var changes atomic.Int64
	all := make(chan bool, 1)
	stop, err := b.Monitor("family", func(c registry.Change) {
		changes.Add(1)
		if len(c.Content) == g.n {
			all <- true
		}
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	began := time.Now()
	for i := range g.n {
		if _, err := a.Set("family", strconv.Itoa(i), i); err != nil {
			return nil, err
		}
	}
	written := time.Since(began)
	select {
	case <-all:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n := float64(g.n)
	return bench.Measurement{bench.Rate: n / time.Since(began).Seconds(), writing: n / written.Seconds(), calls: float64(changes.Load()), bench.Messages: n}, nil
}

// databaseFamilies is how many families the keys of a database are in.
const databaseFamilies = 1000

// database fills the database from a slave, until the global node has it all.
func (g growth) database(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	global, a, b, err := g.pair(ctx)
	if err != nil {
		return nil, err
	}
	before := bench.InUse()
	began := time.Now()
	for i := range g.n {
		if _, err := a.Set("family"+strconv.Itoa(i%databaseFamilies), strconv.Itoa(i), "0123456789abcdef"); err != nil {
			return nil, err
		}
	}
	for i := range min(g.n, databaseFamilies) {
		if err := contains(ctx, global, "family"+strconv.Itoa(i), (g.n+databaseFamilies-1-i)/databaseFamilies); err != nil {
			return nil, err
		}
	}
	took := time.Since(began)
	m := bench.Measurement{bench.Rate: float64(g.n) / took.Seconds(), seconds: took.Seconds(), each: (bench.InUse() - before) / float64(g.n), bench.Messages: float64(g.n)}
	for _, s := range a.Node().Stats() {
		m[wire] += float64(s.BytesSent) / float64(g.n)
	}
	runtime.KeepAlive(b)
	return m, nil
}
