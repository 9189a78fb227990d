package actor_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// newSystem returns a system that does not log.
func newSystem(t *testing.T) *actor.System {
	t.Helper()
	return actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
}

// collector makes a port that passes on whatever it receives.
func collector(sys *actor.System) (actor.PortID, <-chan actor.Message) {
	got := make(chan actor.Message, 1000)
	port := sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			got <- m
			return nil
		})
		return nil
	})
	return port, got
}

// next returns the next value, or fails the test when there is none for long.
func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// monitored returns a channel that gets the reasons for which a port dies.
func monitored(sys *actor.System, port actor.PortID) <-chan actor.Reason {
	died := make(chan actor.Reason, 10)
	sys.Monitor(port, func(r actor.Reason) { died <- r })
	return died
}

func wantMessage(t *testing.T, got actor.Message, want ...any) {
	t.Helper()
	if g, w := got.String(), actor.Message(want).String(); g != w {
		t.Errorf("got message %s, want %s", g, w)
	}
}

func wantReason(t *testing.T, got actor.Reason, want ...any) {
	t.Helper()
	wantMessage(t, actor.Message(got), want...)
}

func TestTaggedReceivers(t *testing.T) {
	sys := newSystem(t)
	got := make(chan string, 10)
	port := sys.Port(func(c *actor.Context) error {
		c.Receive("a", func(_ *actor.Context, m actor.Message) error {
			got <- "a" + m.String()
			return nil
		})
		c.Receive("switch", func(c *actor.Context, _ actor.Message) error {
			c.Receive("a", nil)
			return nil
		})
		c.Default(func(_ *actor.Context, m actor.Message) error {
			got <- "default" + m.String()
			return nil
		})
		return nil
	})
	for _, msg := range [][]any{{"a", 1, "x"}, {"b"}, {7, "a"}, {}, {"switch"}, {"a", 2}} {
		if err := sys.Send(port, msg...); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`a[1, "x"]`, `default["b"]`, `default[7, "a"]`, `default[]`, `default["a", 2]`} {
		if g := next(t, got); g != want {
			t.Errorf("got %s, want %s", g, want)
		}
	}
}

func TestReplyIsLastElement(t *testing.T) {
	sys := newSystem(t)
	port := sys.Port(func(c *actor.Context) error {
		c.Receive("double", func(c *actor.Context, m actor.Message) error {
			var n int
			if err := m.Scan(&n); err != nil {
				return err
			}
			return c.Respond("doubled", 2*n)
		})
		return nil
	})
	self, got := collector(sys)
	sys.Send(port, "double", 21, self)
	wantMessage(t, next(t, got), "doubled", 42)

	// A request by protoactor-go is the same to the port.
	answer, err := sys.Actors().Root.RequestFuture(sys.PID(port), actor.Message{"double", "4"}, 10*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, answer.(actor.Message), "doubled", 8)
}

func TestDeathReasons(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		kill func(*actor.System, actor.PortID)
		want actor.Reason
	}{
		{"normal", func(s *actor.System, p actor.PortID) { s.Kill(p) }, nil},
		{"reason", func(s *actor.System, p actor.PortID) { s.Kill(p, "because", 3) }, actor.Reason{"because", 3}},
		{"twice", func(s *actor.System, p actor.PortID) { s.Kill(p, "one"); s.Kill(p, "two") }, actor.Reason{"one"}},
		{"normal, then with reason", func(s *actor.System, p actor.PortID) { s.Kill(p); s.Kill(p, "two") }, nil},
		{"error", func(s *actor.System, p actor.PortID) { s.Send(p, "error") }, actor.Reason{"die", "boom"}},
		{"panic", func(s *actor.System, p actor.PortID) { s.Send(p, "panic") }, actor.Reason{"die", "argh 1"}},
		{"runtime error", func(s *actor.System, p actor.PortID) { s.Send(p, "index") },
			actor.Reason{"die", "runtime error: index out of range [3] with length 0"}},
		{"unhandled", func(s *actor.System, p actor.PortID) { s.Send(p, "surprise", 1) },
			actor.Reason{"unhandled_message", "no callback found for message 'surprise'"}},
		{"itself", func(s *actor.System, p actor.PortID) { s.Send(p, "suicide") }, actor.Reason{"tired", "of it"}},
		{"itself normally", func(s *actor.System, p actor.PortID) { s.Send(p, "end") }, nil},
		{"failure before kill", func(s *actor.System, p actor.PortID) { s.Send(p, "panic"); s.Kill(p, "late") },
			actor.Reason{"die", "argh 1"}},
		{"stopped by protoactor-go", func(s *actor.System, p actor.PortID) { s.Actors().Root.Stop(s.PID(p)) }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sys := newSystem(t)
			port := sys.Port(func(c *actor.Context) error {
				c.Receive("error", func(*actor.Context, actor.Message) error { return boom })
				c.Receive("panic", func(*actor.Context, actor.Message) error { panic(fmt.Sprint("argh ", 1)) })
				c.Receive("index", func(_ *actor.Context, m actor.Message) error { _ = m[3]; return nil })
				c.Receive("suicide", func(c *actor.Context, _ actor.Message) error { c.Kill("tired", "of it"); return nil })
				c.Receive("end", func(c *actor.Context, _ actor.Message) error { c.Kill(); return nil })
				return nil
			})
			died := monitored(sys, port)
			killer, killed := collector(sys)
			sys.MonitorMessage(port, killer, "died", port)
			linked, _ := collector(sys)
			linkDied := monitored(sys, linked)
			sys.Link(port, linked)

			test.kill(sys, port)

			wantReason(t, next(t, died), test.want...)
			wantMessage(t, next(t, killed), append([]any{"died", port}, test.want...)...)
			if test.want != nil {
				wantReason(t, next(t, linkDied), test.want...)
			}
			// Whoever comes late learns that there is no such port.
			wantReason(t, next(t, monitored(sys, port)), aemp.NoSuchPort(port)...)
			if len(died) != 0 || len(killed) != 0 || len(linkDied) != 0 {
				t.Error("a monitor fired twice")
			}
			if test.want == nil {
				sys.Kill(linked, "still alive")
				wantReason(t, next(t, linkDied), "still alive")
			}
		})
	}
}

func TestStoppedMonitorsDoNotFire(t *testing.T) {
	sys := newSystem(t)
	port, _ := collector(sys)
	stop := sys.Monitor(port, func(actor.Reason) { t.Error("ended monitor fired") })
	stop()
	stop()
	died := monitored(sys, port)
	sys.Kill(port)
	next(t, died)
	stop()
}

func TestMonitorInPort(t *testing.T) {
	sys := newSystem(t)
	target, _ := collector(sys)
	got := make(chan string, 10)
	ready := make(chan bool)
	watcher := sys.Port(func(c *actor.Context) error {
		c.Monitor(target, func(r actor.Reason) { got <- "fired " + r.String() })
		stop := c.Monitor(target, func(actor.Reason) { t.Error("ended monitor fired") })
		stop()
		c.Receive("ping", func(*actor.Context, actor.Message) error { got <- "ping"; return nil })
		close(ready)
		return nil
	})
	next(t, ready)
	sys.Kill(target, "x", 1)
	if g := next(t, got); g != "fired x 1" {
		t.Errorf("got %q", g)
	}
	sys.Send(watcher, "ping")
	if g := next(t, got); g != "ping" {
		t.Errorf("got %q", g)
	}
}

func TestMonitorsEndWithTheirPort(t *testing.T) {
	sys := newSystem(t)
	target, _ := collector(sys)
	watcher := sys.Port(func(c *actor.Context) error {
		c.Monitor(target, func(actor.Reason) { t.Error("monitor of a dead port fired") })
		c.Link(target)
		return nil
	})
	died := monitored(sys, watcher)
	sys.Kill(watcher)
	wantReason(t, next(t, died))
	targetDied := monitored(sys, target)
	sys.Kill(target, "why")
	wantReason(t, next(t, targetDied), "why")
}

func TestNamedPort(t *testing.T) {
	sys := newSystem(t)
	setup := func(c *actor.Context) error {
		c.Default(func(*actor.Context, actor.Message) error { return nil })
		return nil
	}
	port, err := sys.NamedPort("log", setup)
	if err != nil || port != "nonhost#log" {
		t.Fatalf("got %v, %v", port, err)
	}
	if _, err := sys.NamedPort("log", setup); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("got error %v, want ErrNameTaken", err)
	}
}

func TestFailingSetupKillsThePort(t *testing.T) {
	sys := newSystem(t)
	gate := make(chan bool)
	port := sys.Port(func(*actor.Context) error { <-gate; return errors.New("cannot start") })
	died := monitored(sys, port)
	close(gate)
	wantReason(t, next(t, died), "die", "cannot start")
}

func TestSpawnByName(t *testing.T) {
	sys := newSystem(t)
	sys.Register("Echo::init", func(c *actor.Context, args actor.Message) error {
		var to actor.PortID
		if err := args.Scan(&to); err != nil {
			return err
		}
		c.Default(func(c *actor.Context, m actor.Message) error { return c.Send(to, m...) })
		return c.Send(to, "hello", c.Self())
	})
	sys.Register("Bare::init", func(*actor.Context, actor.Message) error { return nil })
	if err := sys.Register("Echo::init", nil); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("got error %v, want ErrNameTaken", err)
	}
	self, got := collector(sys)

	echo := sys.Spawn(sys.Node(), "Echo::init", self)
	sys.Send(echo, "x", 1)
	wantMessage(t, next(t, got), "hello", echo)
	wantMessage(t, next(t, got), "x", 1)

	none := sys.Spawn(sys.Node(), "No::such", self)
	wantReason(t, next(t, monitored(sys, none)), aemp.NoSuchPort(none)...)
	bare := sys.Spawn(sys.Node(), "Bare::init")
	if r := next(t, monitored(sys, bare)); r.Kind() != aemp.ReasonNoSuchPort {
		t.Errorf("got reason %v, want no_such_port", r)
	}
}

// Any protoactor-go actor is a port, with reasons and all.
func TestProtoactorActorsArePorts(t *testing.T) {
	sys := newSystem(t)
	root := sys.Actors().Root
	got := make(chan any, 10)
	stopping := proto.WithGuardian(proto.NewOneForOneStrategy(0, 0, func(any) proto.Directive { return proto.StopDirective }))
	pid := root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		switch m := c.Message().(type) {
		case actor.Message:
			if tag, _ := m.Tag(); tag == "fail" {
				panic("failed")
			}
			got <- m
		}
	}, stopping))
	port := actor.PortOf(pid)
	sys.Send(port, "hello", 1)
	wantMessage(t, next(t, got).(actor.Message), "hello", 1)
	died := monitored(sys, port)
	sys.Send(port, "fail")
	wantReason(t, next(t, died), "die", "failed")
}

// A supervisor that restarts a port keeps it alive: monitors stay silent, and
// the setup runs again.
func TestSupervisorDecides(t *testing.T) {
	sys := newSystem(t)
	starts := make(chan int, 10)
	restarting := proto.WithGuardian(proto.NewOneForOneStrategy(1, time.Minute, proto.DefaultDecider))
	pid := sys.Actors().Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		switch m := c.Message().(type) {
		case *proto.Started:
			starts <- 1
		case actor.Message:
			panic(fmt.Sprint(m[0]))
		}
	}, restarting))
	next(t, starts)
	died := monitored(sys, actor.PortOf(pid))
	sys.Send(actor.PortOf(pid), "first")
	next(t, starts)
	if len(died) != 0 {
		t.Error("monitor fired for a restart")
	}
	sys.Send(actor.PortOf(pid), "second")
	wantReason(t, next(t, died), "die", "second")
}

func TestNoNetwork(t *testing.T) {
	sys := newSystem(t)
	const far = actor.PortID("far#port")
	if err := sys.Send(far, "x"); !errors.Is(err, actor.ErrNoNetwork) {
		t.Errorf("Send: got error %v, want ErrNoNetwork", err)
	}
	if err := sys.Kill(far); !errors.Is(err, actor.ErrNoNetwork) {
		t.Errorf("Kill: got error %v, want ErrNoNetwork", err)
	}
	if r := next(t, monitored(sys, far)); r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v, want transport_error", r)
	}
	if r := next(t, monitored(sys, sys.Spawn("far", "X::y"))); r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v, want transport_error", r)
	}
}

// What protoactor-go keeps for itself is no port, and survives being treated
// like one.
func TestInfrastructureIsNoPort(t *testing.T) {
	sys := newSystem(t)
	sys.Port(func(*actor.Context) error { return nil }) // makes a guardian
	future := sys.Actors().Root.RequestFuture(proto.NewPID("nonhost", "nobody"), "x", time.Minute)
	defer future.Wait()
	for _, name := range []string{"eventstream", "deadletter", "portmesh$watcher", "guardian$1"} {
		port := sys.Node().Port(name)
		sys.Send(port, "x")
		sys.Kill(port, "x")
		wantReason(t, next(t, monitored(sys, port)), aemp.NoSuchPort(port)...)
	}
}

func TestRequestsToTheNodePort(t *testing.T) {
	sys := newSystem(t)
	called := make(chan actor.Message, 1)
	sys.RegisterCall("Peer::hello", func(from actor.NodeID, args actor.Message) error {
		called <- append(actor.Message{from}, args...)
		return nil
	})
	sys.RegisterCall("Peer::fails", func(actor.NodeID, actor.Message) error { panic("never mind") })
	self, got := collector(sys)
	node := sys.Node().NodePort()
	request := func(msg ...any) { sys.Send(node, msg...) }

	request("snd", self, "relayed", 1)
	wantMessage(t, next(t, got), "relayed", 1)
	request("snd_multiple", []any{self, "m", 1}, []any{self, "m", 2})
	wantMessage(t, next(t, got), "m", 1)
	wantMessage(t, next(t, got), "m", 2)
	request("eval", "6 * 7", self, "result")
	wantMessage(t, next(t, got), "result", "this node does not evaluate code\n")
	request("eval", "AnyEvent::MP::Kernel::up_nodes", self, "id")
	wantMessage(t, next(t, got), "id", "")
	for name, want := range map[string]string{
		"mon1": "1", "kil0": "1", "time": "1", "can": "1", "Peer::hello": "1", "nosuch": "", " ": "",
	} {
		request("can", name, self, name)
		wantMessage(t, next(t, got), name, want)
	}
	request("info", self, "info")
	wantMessage(t, next(t, got), "info", sys.Node())
	request("known_nodes", self, "known")
	wantMessage(t, next(t, got), "known", sys.Node())
	request("up_nodes", self, "up")
	wantMessage(t, next(t, got), "up")
	before := time.Now()
	request("time", self, "now")
	m := next(t, got)
	if seconds := m[1].(float64); seconds < float64(before.UnixMicro())/1e6-1 || seconds > float64(time.Now().UnixMicro())/1e6+1 {
		t.Errorf("time answered %v", m)
	}
	request("Peer::fails")
	request("Peer::hello", self, "tag")
	wantMessage(t, next(t, called), sys.Node(), self, "tag")

	victim, _ := collector(sys)
	died := monitored(sys, victim)
	request("kil", victim.Name(), "by", "request")
	wantReason(t, next(t, died), "by", "request")

	// None of these does anything, or any harm.
	for _, msg := range [][]any{{}, {""}, {nil}, {7}, {"devnull", 1}, {"nosuchrequest", self}, {"snd"}, {"snd", nil},
		{"snd", []any{}}, {"snd", "#"}, {"snd_multiple", 1, []any{}, []any{nil}}, {"kil"}, {"kil", nil}, {"kil", ""}, {"can"}, {"eval"},
		{"eval", "1"}, {"time"}, {"AnyEvent::MP::_spawn"}, {"AnyEvent::MP::_spawn", "x"}, {"AnyEvent::MP::_spawn", nil, nil}} {
		request(msg...)
	}
	request("snd", self, "alive")
	wantMessage(t, next(t, got), "alive")
}
