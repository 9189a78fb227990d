package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// mostInFlight bounds the messages that are on their way at once.
const mostInFlight = 1 << 20

func benchCommand() *Command {
	return &Command{
		Name:  "bench",
		Group: debugGroup,
		Args:  "<node>",
		Flags: []Flag{
			seedsFlag,
			{Name: "duration", Value: "duration", Default: 5 * time.Second, Help: "how long to measure"},
			{Name: "size", Value: "bytes", Default: 100, Help: "the size of the text in each message"},
			{Name: "window", Value: "n", Default: 1000, Help: "how many messages are on their way at once"},
		},
		Short: "measure how many messages a node can take and send back",
		Long: `Sends messages to the node, which sends each back, and prints how many made the way
there and back in each second, and how long that took: half of them, and 99 of 100.
The node does with each what its own programs cost at least: it reads the message,
and writes it. With --window 1 it is the time of a single message that is measured,
as ping does.

The node is busy meanwhile. All nodes can do this, Perl's as well.`,
		Examples: []string{"bench doomed", "bench --window 1 --duration 10s doomed"},
		Run:      bench,
	}
}

func bench(ctx context.Context, c *Call) error {
	node, err := c.node(0)
	if err != nil {
		return err
	}
	size, window, duration := c.Int("size"), c.Int("window"), c.Duration("duration")
	switch {
	case window == 0 || window > mostInFlight:
		return Usagef("--window: want a number from 1 to %d", mostInFlight)
	case size > 1<<20:
		return Usagef("--size: want at most %d bytes", 1<<20)
	}
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	reachable, cancel := context.WithTimeoutCause(ctx, answerTime, &timeoutError{answerTime})
	defer cancel()
	if err := s.reach(reachable, node); err != nil {
		return err
	}
	b := &benchmark{node: node.NodePort(), payload: strings.Repeat("x", size), window: window, done: make(chan struct{})}
	port := s.sys.Port(b.run)
	lost := make(chan actor.Reason, 1)
	stop := s.sys.Monitor(node.NodePort(), func(reason actor.Reason) { lost <- reason })
	defer stop()
	start := time.Now()
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	case <-b.done:
		return fmt.Errorf("the messages cannot be sent: %s", b.reason)
	case reason := <-lost:
		return deathError(node.NodePort(), reason)
	}
	elapsed := time.Since(start)
	b.over.Store(true)
	s.sys.Kill(port)
	select {
	case <-b.done:
	case reason := <-lost:
		return deathError(node.NodePort(), reason)
	}
	return c.report(node, b, elapsed)
}

// A benchmark is a port that keeps a number of messages on their way.
type benchmark struct {
	node    actor.PortID
	payload string
	window  int
	over    atomic.Bool
	done    chan struct{} // closed when the port has ended

	// Owned by the port, and read behind done.
	reason  actor.Reason // of its end
	start   time.Time
	count   int
	samples []time.Duration // of some messages, evenly
	every   int             // of how many
}

// mostSamples bounds how many times are kept.
const mostSamples = 100_000

func (b *benchmark) run(c *actor.Context) error {
	b.start, b.every = time.Now(), 1
	c.System().Monitor(c.Self(), func(reason actor.Reason) {
		b.reason = reason
		close(b.done)
	})
	send := func(c *actor.Context) error {
		return c.Send(b.node, "snd", c.Self(), "bench", time.Since(b.start).Nanoseconds(), b.payload)
	}
	c.Receive("bench", func(c *actor.Context, m actor.Message) error {
		if b.over.Load() {
			return nil
		}
		var sent int64
		if err := m.Scan(&sent); err != nil {
			return err
		}
		b.count++
		if b.count%b.every == 0 {
			b.samples = append(b.samples, time.Since(b.start)-time.Duration(sent))
			if len(b.samples) == mostSamples {
				// Half of them, and from now on half as often.
				for i := range mostSamples / 2 {
					b.samples[i] = b.samples[2*i+1]
				}
				b.samples = b.samples[:mostSamples/2]
				b.every *= 2
			}
		}
		return send(c)
	})
	for range b.window {
		if err := send(c); err != nil {
			return err
		}
	}
	return nil
}

// report prints what was measured.
func (c *Call) report(node actor.NodeID, b *benchmark, elapsed time.Duration) error {
	if b.count == 0 {
		return Unreachablef("no message has come back from %s in %v", node, elapsed.Round(time.Millisecond))
	}
	slices.Sort(b.samples)
	at := func(part float64) time.Duration {
		return b.samples[min(int(part*float64(len(b.samples))), len(b.samples)-1)]
	}
	rate := float64(b.count) / elapsed.Seconds()
	megabytes := rate * float64(len(b.payload)) / 1e6
	return c.Emit(map[string]any{
		"node": node, "messages": b.count, "seconds": elapsed.Seconds(), "size": len(b.payload), "window": b.window,
		"messages_per_second": rate, "megabytes_per_second": megabytes,
		"p50_ms": float64(at(0.5)) / 1e6, "p99_ms": float64(at(0.99)) / 1e6,
	}, fmt.Sprintf("%s: %.0f messages/s there and back, %.1f MB/s each way; time 50%% %.3f ms, 99%% %.3f ms (%d messages of %d bytes, %d at once, in %.1f s)",
		node, rate, megabytes, float64(at(0.5))/1e6, float64(at(0.99))/1e6, b.count, len(b.payload), b.window, elapsed.Seconds()))
}
