package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// A seeder is a node with what tests of seeds want to know of it.
type seeder struct {
	*remotetest.Node

	mu     sync.Mutex
	dialed map[string][]time.Time
	events []string // "up address node", "failed entry"
	errs   []error  // of the latter
	log    bytes.Buffer
}

// Write takes what the node logs.
func (s *seeder) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(line)
}

func startSeeder(mesh *remotetest.Mesh, id actor.NodeID, lookup func(host string) ([]string, error), seeds ...string) *seeder {
	s := &seeder{dialed: make(map[string][]time.Time)}
	s.Node = mesh.Start(id,
		remotetest.WithSystem(actor.WithLogger(slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelWarn})))),
		remotetest.WithSetup(func(sys *actor.System) {
			sys.Actors().EventStream.Subscribe(func(e any) {
				s.mu.Lock()
				defer s.mu.Unlock()
				switch e := e.(type) {
				case remote.SeedUp:
					s.events = append(s.events, fmt.Sprint("up ", e.Address, " ", e.Node))
				case remote.SeedFailed:
					s.events = append(s.events, "failed "+e.Address)
					s.errs = append(s.errs, e.Err)
				}
			})
		}),
		remotetest.WithConfig(func(c *remote.Config) {
			c.Resolve = nil
			c.Seeds = seeds
			if lookup != nil {
				c.LookupHost = func(_ context.Context, host string) ([]string, error) { return lookup(host) }
			}
			dial := c.Dial
			c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
				s.mu.Lock()
				s.dialed[address] = append(s.dialed[address], time.Now())
				s.mu.Unlock()
				return dial(ctx, address)
			}
		}))
	return s
}

// take returns the events since the last call, sorted.
func (s *seeder) take() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = nil
	slices.Sort(events)
	return events
}

func (s *seeder) want(t *testing.T, want ...string) {
	t.Helper()
	if got := s.take(); !slices.Equal(got, want) {
		t.Errorf("%s: got events %q, want %q", s.ID(), got, want)
	}
}

func (s *seeder) wantNodes(t *testing.T, want ...actor.NodeID) {
	t.Helper()
	synctest.Wait()
	if got := s.Remote().Nodes(); !slices.Equal(got, want) {
		t.Errorf("%s is connected with %v, want %v", s.ID(), got, want)
	}
}

func (s *seeder) wantQuiet(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log.Len() > 0 {
		t.Errorf("%s logged %s", s.ID(), &s.log)
	}
}

// err returns the error of the last failure.
func (s *seeder) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errs[len(s.errs)-1]
}

// dials returns when an address was dialled, and how often so far.
func (s *seeder) dials(address string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dialed[address])
}

func inSeedBubble(t *testing.T, test func(t *testing.T, mesh *remotetest.Mesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, remotetest.NewMesh(t)) })
}

// A seed is tried for ever, at growing intervals, and found soon after it has
// been lost.
func TestSeedIntervals(t *testing.T) {
	inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		const seed = "b:4040"
		a := startSeeder(mesh, "a", nil, seed)
		time.Sleep(time.Hour)
		times := a.dials(seed)
		least := 600 * time.Millisecond
		var delays []time.Duration
		for i := range times[1:] {
			delay := times[i+1].Sub(times[i])
			if delay < least || delay > 2*least {
				t.Errorf("delay %d is %v, want %v to %v", i, delay, least, 2*least)
			}
			least = min(2*least, 15*time.Second)
			delays = append(delays, delay)
		}
		if len(times) < 120 || len(times) > 245 { // every 15 to 30 seconds
			t.Errorf("%d attempts in an hour", len(times))
		}
		if slices.Sort(delays); delays[len(delays)-1]-delays[len(delays)-50] == 0 {
			t.Error("the delays are not random")
		}
		a.want(t, "failed "+seed) // once
		if !errors.Is(a.err(), syscall.ECONNREFUSED) {
			t.Errorf("got error %v", a.err())
		}

		b := startSeeder(mesh, "b", nil)
		time.Sleep(31 * time.Second)
		a.want(t, "up b:4040 b")
		for range 3 {
			mesh.Cut("a", "b")
			a.want(t)
			time.Sleep(1200 * time.Millisecond)
			a.want(t, "up b:4040 b")
			time.Sleep(time.Minute)
		}
		mesh.Stop("b")
		time.Sleep(time.Minute)
		a.want(t, "failed b:4040")
		b.wantQuiet(t)
	})
}

// It makes no difference to a seed that nobody answers at all.
func TestSeedBehindAPartition(t *testing.T) {
	inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		b := startSeeder(mesh, "b", nil)
		mesh.Partition([]actor.NodeID{"a"}, []actor.NodeID{"b"})
		a := startSeeder(mesh, "a", nil, "b:4040")
		time.Sleep(29 * time.Second)
		a.want(t)
		time.Sleep(2 * time.Second)
		a.want(t, "failed b:4040")
		if !errors.Is(a.err(), context.DeadlineExceeded) {
			t.Errorf("got error %v", a.err())
		}
		time.Sleep(10 * time.Minute)
		if n := len(a.dials("b:4040")); n < 10 || n > 22 { // 30 seconds each, and what is between
			t.Errorf("%d attempts", n)
		}
		mesh.Heal()
		time.Sleep(time.Minute)
		a.want(t, "up b:4040 b")
		b.wantNodes(t, "a")
	})
}

// All addresses of an entry are seeds, be they written down or looked up.
func TestSeedOfSeveralAddresses(t *testing.T) {
	known := func(host string) ([]string, error) {
		if host != "mesh" {
			return nil, fmt.Errorf("no such host %q", host)
		}
		return []string{"10.0.0.1", "::2", "10.0.0.3"}, nil
	}
	for name, seeds := range map[string][]string{
		"list":  {"10.0.0.1:4040,[::2]:4040, 10.0.0.3:4040"},
		"name":  {"mesh:4040"},
		"mixed": {"10.0.0.1:4040,mesh:4040"},
	} {
		t.Run(name, func(t *testing.T) {
			inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
				// Each has itself among its seeds, and all start at once.
				all := []actor.NodeID{"10.0.0.1", "10.0.0.3", "::2"}
				var nodes []*seeder
				for _, id := range all {
					nodes = append(nodes, startSeeder(mesh, id, known, seeds...))
				}
				time.Sleep(5 * time.Second)
				for i, n := range nodes {
					n.wantNodes(t, slices.Delete(slices.Clone(all), i, i+1)...)
					want := make(map[string]bool)
					for _, id := range all {
						want["up "+remotetest.Address(id)+" "+string(id)] = true
					}
					for _, e := range n.take() {
						if !want[e] && !strings.HasPrefix(e, "up ") {
							t.Errorf("%s: got event %q", n.ID(), e)
						}
						delete(want, e)
					}
					if len(want) > 0 {
						t.Errorf("%s: not told of %v", n.ID(), want)
					}
					n.wantQuiet(t)
				}
				// One that is late is found, too.
				mesh.Stop("::2")
				time.Sleep(time.Minute)
				nodes[0].wantNodes(t, "10.0.0.3")
				late := startSeeder(mesh, "::2", nil)
				time.Sleep(time.Minute)
				late.wantNodes(t, "10.0.0.1", "10.0.0.3")
				nodes[0].wantQuiet(t) // the other one was there all the time
			})
		})
	}
}

// A name is looked up again and again; what it stands for no more is not tried
// any more.
func TestSeedNameChanges(t *testing.T) {
	inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		var mu sync.Mutex
		var answer []string
		err := errors.New("no such host")
		now := func(newErr error, hosts ...string) {
			mu.Lock()
			defer mu.Unlock()
			answer, err = hosts, newErr
		}
		lookup := func(string) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			return answer, err
		}
		a := startSeeder(mesh, "a", lookup, "mesh:4040")
		b, c := startSeeder(mesh, "10.0.0.2", nil), startSeeder(mesh, "10.0.0.3", nil)
		time.Sleep(time.Minute)
		a.want(t, "failed mesh:4040") // once
		now(nil, "10.0.0.2")
		time.Sleep(31 * time.Second)
		a.want(t, "up 10.0.0.2:4040 10.0.0.2")
		now(nil, "10.0.0.3")
		time.Sleep(31 * time.Second)
		a.want(t, "up 10.0.0.3:4040 10.0.0.3")
		a.wantNodes(t, "10.0.0.2", "10.0.0.3") // what is connected stays so
		b.wantNodes(t, "a")

		before := len(a.dials("10.0.0.2:4040"))
		mesh.Crash("10.0.0.2")
		time.Sleep(time.Hour)
		if n := len(a.dials("10.0.0.2:4040")); n > before+1 {
			t.Errorf("a former seed was tried %d times", n-before)
		}
		a.wantNodes(t, "10.0.0.3")

		// Without an answer, the last one counts.
		now(errors.New("no server"))
		time.Sleep(time.Minute)
		a.want(t, "failed mesh:4040")
		mesh.Cut("a", "10.0.0.3")
		time.Sleep(2 * time.Second)
		a.want(t, "up 10.0.0.3:4040 10.0.0.3")
		now(nil)
		time.Sleep(time.Minute)
		a.want(t, "failed mesh:4040")
		if got := a.err().Error(); got != `host "mesh" has no address` {
			t.Errorf("got error %q", got)
		}
		c.wantNodes(t, "a")

		// The name becomes our own, and another's again.
		now(nil, "a")
		time.Sleep(time.Minute)
		a.want(t, "up a:4040 a")
		own := len(a.dials("a:4040"))
		time.Sleep(time.Hour)
		if n := len(a.dials("a:4040")); n != own {
			t.Errorf("we were tried %d times more", n-own)
		}
		now(nil, "10.0.0.3")
		time.Sleep(time.Minute)
		now(nil, "a")
		time.Sleep(time.Minute)
		a.want(t, "up a:4040 a") // it is found out anew
	})
}

// When no address of an entry can be reached, one event tells why.
func TestSeedFailsAtAllAddresses(t *testing.T) {
	inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		mesh.Start("slow")
		mesh.Partition([]actor.NodeID{"a"}, []actor.NodeID{"slow"})
		a := startSeeder(mesh, "a", nil, "down:4040,slow:4040")
		time.Sleep(29 * time.Second)
		a.want(t) // not all were tried
		time.Sleep(10 * time.Minute)
		a.want(t, "failed down:4040,slow:4040")
		if err := a.err(); !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v", err)
		}
		mesh.Heal()
		time.Sleep(time.Minute)
		a.want(t, "up slow:4040 slow")
	})
}

// Two nodes that are each other's seed dial each other at once, also after each
// loss. The connection that gives way is no failure.
func TestSeedsOfEachOther(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond, 500 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
				mesh.Delay("a", "b", delay)
				a, b := startSeeder(mesh, "a", nil, "b:4040"), startSeeder(mesh, "b", nil, "a:4040")
				for i := range 20 {
					time.Sleep(10 * time.Second)
					if i == 0 && delay == 0 {
						a.take() // it may have been too early for b
					} else {
						a.want(t, "up b:4040 b")
					}
					b.want(t, "up a:4040 a")
					a.wantNodes(t, "b")
					mesh.Cut("a", "b")
				}
				if delay > 0 {
					a.wantQuiet(t)
				}
				b.wantQuiet(t)
			})
		})
	}
}

// A seed that is lost and connects by itself is told of anew, even if whoever keeps
// the connection to it has seen nothing of that: here because a subscriber is slow.
func TestSeedComesBackUnseen(t *testing.T) {
	inSeedBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		const delay = 500 * time.Millisecond
		b, a := mesh.Start("b"), startSeeder(mesh, "a", nil, "b:4040")
		a.System().Actors().EventStream.Subscribe(func(e any) {
			if _, ok := e.(remote.SeedUp); ok {
				time.Sleep(delay)
			}
		})
		time.Sleep(time.Minute)
		a.take() // the first may have been told before there was a subscriber
		mesh.Cut("a", "b")
		for len(a.take()) == 0 {
			time.Sleep(delay / 10)
		}
		mesh.Cut("a", "b")
		a.wantNodes(t)
		if err := b.System().Send(a.ID().Port("any"), "hello"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay / 2)
		a.wantNodes(t, "b")
		a.want(t) // it is still told of the former connection
		time.Sleep(time.Minute)
		a.want(t, "up b:4040 b")
	})
}

// Over TCP, too, a seed may be a name and have an address of IPv6.
func TestSeedNamesOverTCP(t *testing.T) {
	m := newMesh(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("this machine has no %s: %v", host, err)
			}
			b := m.start(actor.NodeID("b"+host), func(c *remote.Config) { c.Listen, c.Listeners = nil, []net.Listener{l} })
			_, port, _ := net.SplitHostPort(l.Addr().String())
			a := m.start(actor.NodeID("a"+host), func(c *remote.Config) {
				c.Seeds = []string{"seed.example:" + port}
				c.LookupHost = func(context.Context, string) ([]string, error) { return []string{host}, nil }
			})
			if up, ok := next(t, a.events).(remote.NodeUp); !ok || up.Node != b.ID() {
				t.Errorf("a was told %+v", up)
			}
		})
	}
	t.Run("localhost", func(t *testing.T) {
		b := m.start("b")
		_, port, _ := net.SplitHostPort(b.Addresses()[0])
		a := m.start("a", func(c *remote.Config) { c.Seeds = []string{"localhost:" + port} })
		if up, ok := next(t, a.events).(remote.NodeUp); !ok || up.Node != "b" {
			t.Errorf("a was told %+v", up)
		}
	})
}
