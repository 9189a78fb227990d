package remotetest_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// inBubble runs a test in which time is for the test to make.
func inBubble(t *testing.T, test func(t *testing.T, mesh *remotetest.Mesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, remotetest.NewMesh(t)) })
}

type group = []actor.NodeID

// A record is what has happened so far, each with its time.
type record struct {
	mu   sync.Mutex
	what []string
	at   []time.Time
}

func (r *record) add(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what = append(r.what, what)
	r.at = append(r.at, time.Now())
}

// take waits until nothing happens any more, and returns what has happened
// since the last call.
func (r *record) take() ([]string, []time.Time) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	what, at := r.what, r.at
	r.what, r.at = nil, nil
	return what, at
}

func (r *record) want(t *testing.T, want ...string) {
	t.Helper()
	if got, _ := r.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// newInbox makes a port that records what it receives.
func newInbox(n *remotetest.Node) (actor.PortID, *record) {
	r := &record{}
	port := n.System().Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			r.add(m.String())
			return nil
		})
		return nil
	})
	return port, r
}

// monitor records the kinds of the reasons for which a port died.
func monitor(n *remotetest.Node, port actor.PortID) *record {
	r := &record{}
	n.System().Monitor(port, func(reason actor.Reason) { r.add(reason.Kind()) })
	return r
}

func TestSendAndMonitor(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		start := time.Now()
		a, b := mesh.Start("a"), mesh.Start("b")
		port, in := newInbox(b)
		reasons := monitor(a, port)
		a.System().Send(port, "hello", 1)
		in.want(t, `["hello", 1]`)
		a.System().Kill(port, "enough")
		reasons.want(t, "enough")
		if passed := time.Since(start); passed != 0 {
			t.Errorf("it took %v, want no time", passed)
		}
	})
}

// Pulling the cable is noticed by silence; behind it, the monitor fires and
// the port can be reached again.
func TestPartition(t *testing.T) {
	for _, part := range []struct {
		name   string
		groups []group
	}{
		{"two groups", []group{{"a"}, {"b", "c"}}},
		{"three groups", []group{{"a"}, {"b"}, {"c"}}},
	} {
		t.Run(part.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
				a, b := mesh.Start("a"), mesh.Start("b")
				mesh.Start("c")
				port, in := newInbox(b)
				reasons, others := monitor(a, port), monitor(b, "a")
				synctest.Wait()
				mesh.Partition(part.groups...)
				a.System().Send(port, "lost")
				time.Sleep(41 * time.Second)
				reasons.want(t, aemp.ReasonTransport)
				others.want(t, aemp.ReasonTransport)
				in.want(t)

				again := monitor(a, port)
				a.System().Send(port, "late")
				time.Sleep(10 * time.Second)
				mesh.Heal()
				in.want(t, `["late"]`)
				again.want(t)
			})
		})
	}
}

// A partition that nobody has noticed loses nothing.
func TestShortPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b, c := mesh.Start("a"), mesh.Start("b"), mesh.Start("c")
		port, in := newInbox(b)
		besidePort, beside := newInbox(c)
		reasons := monitor(a, port)
		synctest.Wait()
		mesh.Partition(group{"a"}, group{"b"})
		a.System().Send(port, 1)
		a.System().Send(besidePort, 1)
		time.Sleep(15 * time.Second)
		in.want(t)
		beside.want(t, "[1]")
		mesh.Heal()
		in.want(t, "[1]")
		reasons.want(t)
	})
}

// Nodes that are parted cannot connect, and their monitors find out.
func TestConnectAcrossPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		port, _ := newInbox(b)
		mesh.Partition(group{"a"}, group{"b"})
		reasons := monitor(a, port)
		time.Sleep(29 * time.Second)
		reasons.want(t)
		time.Sleep(2 * time.Second)
		reasons.want(t, aemp.ReasonTransport)
	})
}

func TestCut(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		mesh.Start("c")
		port, in := newInbox(b)
		reasons, others, beside := monitor(a, port), monitor(b, "a"), monitor(b, "c")
		synctest.Wait()
		mesh.Cut("b", "a")
		reasons.want(t, aemp.ReasonTransport)
		others.want(t, aemp.ReasonTransport)
		beside.want(t)
		a.System().Send(port, "again")
		in.want(t, `["again"]`)
	})
}

// Delays add up as they do on a real line, and keep the order when they
// change.
func TestDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		port, in := newInbox(b)
		if err := a.Remote().Connect(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		mesh.Delay("a", "b", 100*time.Millisecond)
		a.System().Send(port, 1)
		time.Sleep(10 * time.Millisecond)
		mesh.Delay("a", "b", 10*time.Millisecond)
		a.System().Send(port, 2)
		time.Sleep(90 * time.Millisecond)
		a.System().Send(port, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		var took []time.Duration
		messages, times := in.take()
		for _, at := range times {
			took = append(took, at.Sub(start))
		}
		if got, want := fmt.Sprint(messages, took), "[[1] [2] [3]] [100ms 100ms 110ms]"; got != want {
			t.Errorf("got messages and times %s, want %s", got, want)
		}
	})
}

// A connection takes a round trip for itself and two for the handshake.
func TestDelayOfConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		port, in := newInbox(b)
		mesh.Delay("a", "b", 10*time.Millisecond)
		start := time.Now()
		a.System().Send(port, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		messages, times := in.take()
		if len(times) != 1 {
			t.Fatalf("got %v, want one message", messages)
		}
		if took := times[0].Sub(start); took < 40*time.Millisecond || took > 60*time.Millisecond {
			t.Errorf("the message took %v, want 40 to 60 ms", took)
		}
	})
}

func TestCrash(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		oldPort, old := newInbox(b)
		reasons := monitor(a, oldPort)
		synctest.Wait()
		mesh.Crash("b")
		reasons.want(t, aemp.ReasonTransport)

		b = mesh.Start("b")
		port, in := newInbox(b)
		if port == oldPort {
			t.Errorf("port %s has come again", port)
		}
		a.System().Send(oldPort, "for the dead")
		a.System().Send(port, "for the living")
		in.want(t, `["for the living"]`)
		monitor(a, oldPort).want(t, aemp.ReasonNoSuchPort)
		old.want(t)
	})
}

// A machine without power tells nobody, not even when it is back: the silence
// does, or the answer to what was sent.
func TestCrashBehindPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		oldPort, _ := newInbox(b)
		reasons := monitor(a, oldPort)
		synctest.Wait()
		mesh.Partition(group{"a"}, group{"b"})
		mesh.Crash("b")
		reasons.want(t)
		b = mesh.Start("b")
		port, in := newInbox(b)
		mesh.Heal()
		reasons.want(t, aemp.ReasonTransport)
		a.System().Send(port, "hello")
		in.want(t, `["hello"]`)
	})
}

func TestStop(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		a, b := mesh.Start("a"), mesh.Start("b")
		port, in := newInbox(b)
		reasons := monitor(b, "a")
		a.System().Send(port, "last words")
		synctest.Wait()
		mesh.Stop("a")
		in.want(t, `["last words"]`)
		reasons.want(t, aemp.ReasonTransport)
		mesh.Start("a")
	})
}

func TestOptions(t *testing.T) {
	inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
		spawned := &record{}
		mesh.Start("a/1", remotetest.WithSetup(func(s *actor.System) {
			s.Register("Test::init", func(c *actor.Context, _ actor.Message) error {
				spawned.add("spawned")
				c.Default(func(*actor.Context, actor.Message) error { return nil })
				return nil
			})
		}))
		b := mesh.Start("b:2", remotetest.WithConfig(func(c *remote.Config) {
			c.Seeds = []string{remotetest.Address("a/1"), remotetest.Address("b:2")}
		}))
		synctest.Wait()
		if got := fmt.Sprint(b.Remote().Nodes()); got != "[a/1]" {
			t.Errorf("got nodes %s, want [a/1]", got)
		}
		reasons := monitor(b, b.System().Spawn("a/1", "Test::init"))
		reasons.want(t)
		spawned.want(t, "spawned")
		monitor(b, "nobody").want(t)
		time.Sleep(3 * time.Second)
	})
}
