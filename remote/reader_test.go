package remote_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// inReader calls f in a handler of a new port on b, by a message from a, in the
// goroutine that reads the link.
func inReader(t *testing.T, a, b *testNode, f func(c *actor.Context)) {
	t.Helper()
	self, got := a.collector()
	port := b.sys.Port(func(c *actor.Context) error {
		c.Receive("try", func(c *actor.Context, m actor.Message) error {
			inline := bytes.Contains(debug.Stack(), []byte("runHeld"))
			c.Send(self, "tried", inline)
			if inline {
				f(c)
				c.Receive("try", func(*actor.Context, actor.Message) error { return nil })
			}
			return nil
		})
		return nil
	})
	// The first messages find the port by its name, and a reader that was held up
	// has others run ports for a while.
	for {
		a.sys.Send(port, "try")
		if m := next(t, got); m[1] == true {
			return
		}
	}
}

// A port that waits for what comes behind its message holds the link up for a
// moment only, again and again.
func TestHandlerWaitsForLaterMessage(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	for range 3 {
		opened, done := make(chan bool), make(chan bool)
		opener := b.sys.Port(func(c *actor.Context) error {
			c.Receive("open", func(*actor.Context, actor.Message) error {
				close(opened)
				return nil
			})
			return nil
		})
		inReader(t, a, b, func(*actor.Context) {
			<-opened
			close(done)
		})
		a.sys.Send(opener, "open")
		next(t, done)
	}
	if down := len(b.events); down != 1 {
		t.Errorf("%d events, want the NodeUp alone", down)
	}
}

// A node can be closed by a port that was called by its reader.
func TestHandlerClosesNode(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	closed := make(chan error, 1)
	inReader(t, a, b, func(*actor.Context) { closed <- b.Close() })
	if err := next(t, closed); err != nil {
		t.Error(err)
	}
}

// So can the system go on when a handler ends the goroutine that reads.
func TestHandlerEndsGoroutine(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	inReader(t, a, b, func(*actor.Context) { runtime.Goexit() })
	port, got := b.collector()
	a.sys.Send(port, "still there")
	wantMessage(t, next(t, got), "still there")
}

// The link is read on, and loses nothing else, when code of the user ends the
// goroutine that reads while a message is delivered: a subscriber of dead letters, or
// an actor whose dispatcher runs it right there.
func TestDeliveryEndsGoroutine(t *testing.T) {
	// Each makes a port of which a message "end" calls ends.
	for name, start := range map[string]func(b *testNode, ends func()) actor.PortID{
		"dead letter": func(b *testNode, ends func()) actor.PortID {
			b.sys.Actors().EventStream.Subscribe(func(e any) {
				if lost, ok := e.(*proto.DeadLetterEvent); ok && reflect.DeepEqual(lost.Message, actor.Message{"end"}) {
					ends()
				}
			})
			return b.ID().Port("nosuchport")
		},
		"dispatcher": func(b *testNode, ends func()) actor.PortID {
			props := proto.PropsFromFunc(func(c proto.Context) {
				if reflect.DeepEqual(c.Message(), actor.Message{"end"}) {
					ends()
				}
			}, proto.WithDispatcher(proto.NewSynchronizedDispatcher(1)), b.sys.WithMailbox(actor.Mailbox{}))
			return actor.PortOf(b.sys.Actors().Root.Spawn(props))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			a, b := m.start("a"), m.start("b")
			ended := make(chan bool, 10)
			ending := start(b, func() {
				ended <- bytes.Contains(debug.Stack(), []byte("(*reader).deliver"))
				runtime.Goexit()
			})
			port, got := b.collector()
			for range 3 { // so that both are found by the short way
				a.sys.Send(port, "before")
				a.sys.Send(ending, "begin")
			}
			a.sys.Send(ending, "end")
			a.sys.Send(port, "behind")
			if inReader := next(t, ended); !inReader {
				t.Error("it was not the goroutine that reads")
			}
			for range 3 {
				wantMessage(t, next(t, got), "before")
			}
			wantMessage(t, next(t, got), "behind")
			next(t, b.events)
			if err := a.Close(); err != nil { // the link ends as ever
				t.Error(err)
			}
			if down, ok := next(t, b.events).(remote.NodeDown); !ok || len(got) > 0 || len(ended) > 0 {
				t.Errorf("got event %+v, and %d messages too many", down, len(got)+len(ended))
			}
		})
	}
}

// Ports that answer more than links can hold, in both directions, do not wait for
// each other for ever, and lose nothing.
func TestHandlersFloodEachOther(t *testing.T) {
	m := newMesh(t)
	small := func(c *remote.Config) { c.PendingBytes = 4 << 10 }
	nodes := []*testNode{m.start("a", small), m.start("b", small)}
	const messages, copies = 200, 50
	text := string(make([]byte, 1<<10))
	var ports []actor.PortID
	done := make(chan bool, 2)
	for i, n := range nodes {
		other := nodes[1-i].ID().Port("echo")
		received := 0
		port, err := n.sys.NamedPort("echo", func(c *actor.Context) error {
			c.Receive("flood", func(c *actor.Context, m actor.Message) error {
				for range copies {
					if err := c.Send(other, "drop", text); err != nil {
						return err
					}
				}
				return nil
			})
			c.Receive("drop", func(c *actor.Context, m actor.Message) error {
				if received++; received == messages*copies {
					done <- true
				}
				return nil
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	for range messages {
		for i, n := range nodes {
			n.sys.Send(ports[1-i], "flood")
		}
	}
	next(t, done)
	next(t, done)
}

// A handler that sends more than may wait for the peer goes on as soon as that is
// written.
func TestHandlerSendsMuch(t *testing.T) {
	m := newMesh(t)
	patient := func(c *remote.Config) { c.MonitorTimeout = time.Hour } // no heartbeat helps
	a, b := m.start("a", patient), m.start("b", patient, func(c *remote.Config) { c.PendingBytes = 4 << 10 })
	port, got := a.collector()
	text := string(make([]byte, 1<<10))
	const messages = 100
	inReader(t, a, b, func(c *actor.Context) {
		for range messages {
			c.Send(port, text)
		}
	})
	for range messages {
		next(t, got)
	}
}

// Ports that take their time do not wait for each other, even if none of them
// takes so long that it is noticed.
func TestHandlersTakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mesh := remotetest.NewMesh(t)
		b := mesh.Start("b")
		var dial func(context.Context, string) (net.Conn, error)
		mesh.Start("a", remotetest.WithConfig(func(c *remote.Config) { dial = c.Dial }))
		nc, err := dial(t.Context(), remotetest.Address("b"))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := aemp.Handshake(t.Context(), nc, aemp.Config{NodeID: "peer", Secret: "remotetest"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()

		const ports = 10
		var done sync.WaitGroup
		packets := make(map[string][]byte) // for all ports, by tag
		enc := conn.NewEncoder()
		for range ports {
			port := b.System().Port(func(c *actor.Context) error {
				c.Receive("quick", func(*actor.Context, actor.Message) error { done.Done(); return nil })
				c.Receive("slow", func(*actor.Context, actor.Message) error {
					time.Sleep(900 * time.Microsecond)
					done.Done()
					return nil
				})
				return nil
			})
			for _, tag := range []string{"quick", "slow"} {
				if packets[tag], err = aemp.EncodeMessage(enc, packets[tag], port.Name(), tag); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, tag := range []string{"quick", "quick", "slow"} { // after two, the ports are known
			start := time.Now()
			done.Add(ports)
			conn.Write(packets[tag])
			done.Wait()
			if took := time.Since(start); took > 3*time.Millisecond {
				t.Errorf("all together took %v", took)
			}
			synctest.Wait()
		}
	})
}

// Whatever ports do with the goroutine that runs them, each gets its messages in
// order, and so do those that it sends to.
func TestHandlersAtRandom(t *testing.T) {
	for name, change := range map[string]func(*remote.Config){"plain": func(*remote.Config) {}, "TLS": withTLS(t, certificate(t))} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			a, b := m.start("a", change), m.start("b", change)
			const ports, messages = 30, 300
			var done sync.WaitGroup
			// inOrder makes a port that wants numbers from zero on, and gives each
			// to do.
			inOrder := func(n *testNode, do func(c *actor.Context, i int) error, opts ...actor.PortOption) actor.PortID {
				done.Add(1)
				want := 0
				return n.sys.Port(func(c *actor.Context) error {
					c.Receive("number", func(c *actor.Context, m actor.Message) error {
						var i int
						if err := m.Scan(&i); err != nil || i != want {
							t.Errorf("got %v, %v, want %d", m, err, want)
						}
						if want++; want == messages {
							done.Done()
						}
						return do(c, i)
					})
					return nil
				}, opts...)
			}
			var behind [ports]chan bool          // gets what the port behind gets
			answered := make(chan int, messages) // by the last one
			var there []actor.PortID
			for p := range ports {
				behind[p] = make(chan bool, messages)
				seen := 0 // of behind
				back := inOrder(a, func(_ *actor.Context, i int) error {
					if p == ports-1 {
						answered <- i
					}
					return nil
				})
				var opts []actor.PortOption
				if p%5 == 4 {
					opts = append(opts, actor.Mailbox{Size: 2, Full: actor.WaitFor(time.Minute)})
				}
				there = append(there, inOrder(b, func(c *actor.Context, i int) error {
					if p > 0 {
						behind[p-1] <- true
					}
					switch rand.IntN(20) {
					case 0:
						runtime.Gosched()
					case 1: // a lot to do
						for start := time.Now(); time.Since(start) < 300*time.Microsecond; {
						}
					case 2: // wait for what comes later
						for ; p < ports-1 && seen <= i; seen++ {
							<-behind[p]
						}
					}
					return c.Send(back, "number", i)
				}, opts...))
			}
			for i := range messages {
				for _, port := range there {
					a.sys.Send(port, "number", i)
				}
				if i%4 == 3 { // few at a time, so that the readers run the ports
					for next(t, answered) < i {
					}
				}
			}
			finished := make(chan bool)
			go func() { done.Wait(); close(finished) }()
			next(t, finished)
		})
	}
}
