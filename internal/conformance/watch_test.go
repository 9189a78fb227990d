package conformance

import (
	"context"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// watcher spawns an actor that notes who terminated and why, and which can be
// told to watch and unwatch.
func (s *side) watcher(d *diary) *proto.PID {
	return s.spawn(func(c proto.Context) {
		if _, ok := c.Message().(*proto.Terminated); ok {
			d.Receive(c)
			return
		}
		m, _ := content(c).(actor.Message)
		switch tag(c) {
		case "watch":
			c.Watch(s.sys.PID(actor.PortID(m[1].(string))))
		case "unwatch":
			c.Unwatch(s.sys.PID(actor.PortID(m[1].(string))))
		case "fail":
			panic("as told")
		case "ping":
			c.Respond(msg("pong"))
		}
	})
}

// tell sends the watcher an order about an actor, and waits until it is
// carried out.
func (s *side) tell(t *testing.T, watcher *proto.PID, order string, about *proto.PID) {
	t.Helper()
	s.Send(watcher, msg(order, string(actor.PortOf(about)), ""))
	s.settle(t, watcher)
}

func (s *side) settle(t *testing.T, watcher *proto.PID) {
	t.Helper()
	wantResult(t, s.RequestFuture(watcher, msg("ping"), patience), "pong")
}

// settleBoth waits until the far side has dealt with all that the near side
// has sent to it so far.
func (w world) settleBoth(t *testing.T) {
	t.Helper()
	wantResult(t, w.near.RequestFuture(w.far.spawn(echo), msg("settle"), patience), "echo", "settle")
}

// mortal dies as it is told.
func mortal(c proto.Context) {
	switch tag(c) {
	case "stop":
		c.Stop(c.Self())
	case "panic":
		panic("as told")
	}
}

var stopOnPanic = proto.WithGuardian(proto.NewOneForOneStrategy(0, 0, func(any) proto.Directive { return proto.StopDirective }))

func TestWatchTellsOfTheEnd(t *testing.T) {
	tests := []struct {
		name string
		end  func(w world, pid *proto.PID)
	}{
		{"Stop from there", func(w world, pid *proto.PID) { w.far.Stop(address(pid)) }},
		{"Stop from here", func(w world, pid *proto.PID) { w.near.Stop(pid) }},
		{"Poison from there", func(w world, pid *proto.PID) { w.far.Poison(address(pid)) }},
		{"Poison from here", func(w world, pid *proto.PID) { w.near.Poison(pid) }},
		{"stops itself", func(w world, pid *proto.PID) { w.near.Send(pid, msg("stop")) }},
		{"panics and is stopped", func(w world, pid *proto.PID) { w.near.Send(pid, msg("panic")) }},
		{"killed with a reason", func(w world, pid *proto.PID) { w.near.sys.Kill(actor.PortOf(pid), "enough") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				d := newDiary(t)
				pid := w.far.spawn(mortal, stopOnPanic)
				watcher := w.near.watcher(d)
				w.near.tell(t, watcher, "watch", pid)
				w.settleBoth(t)
				test.end(w, pid)
				d.want("Terminated " + pid.Id + ": Stopped")
				// Who is gone already is told of at once.
				w.near.tell(t, watcher, "watch", pid)
				d.want("Terminated " + pid.Id + ": NotFound")
			})
		})
	}
}

func TestWatchNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		w.near.tell(t, w.near.watcher(d), "watch", proto.NewPID(string(w.far.sys.Node()), "nobody"))
		d.want("Terminated nobody: NotFound")
	})
}

// However often it is asked to watch, a watcher is told once.
func TestWatchTwice(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid := w.far.spawn(mortal)
		watcher := w.near.watcher(d)
		w.near.tell(t, watcher, "watch", pid)
		w.near.tell(t, watcher, "watch", pid)
		w.settleBoth(t)
		w.near.Send(pid, msg("stop"))
		d.want("Terminated " + pid.Id + ": Stopped")
		w.near.tell(t, watcher, "watch", proto.NewPID(pid.Address, "nobody"))
		d.want("Terminated nobody: NotFound")
	})
}

func TestUnwatch(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d, other := newDiary(t), newDiary(t)
		pid := w.far.spawn(mortal)
		watcher, stays := w.near.watcher(d), w.near.watcher(other)
		w.near.tell(t, watcher, "watch", pid)
		w.near.tell(t, stays, "watch", pid)
		w.near.tell(t, watcher, "unwatch", pid)
		w.settleBoth(t)
		w.near.Send(pid, msg("stop"))
		other.want("Terminated " + pid.Id + ": Stopped")
		// After it was unwatched, it may be watched again.
		w.near.tell(t, watcher, "watch", pid)
		d.want("Terminated " + pid.Id + ": NotFound")
	})
}

// Unwatching what was never watched does nothing.
func TestUnwatchUnwatched(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid := w.far.spawn(mortal)
		watcher := w.near.watcher(d)
		w.near.tell(t, watcher, "unwatch", pid)
		w.near.tell(t, watcher, "watch", pid)
		w.settleBoth(t)
		w.near.Send(pid, msg("stop"))
		d.want("Terminated " + pid.Id + ": Stopped")
	})
}

func TestManyWatchers(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid := w.far.spawn(mortal)
		for _, s := range []*side{w.near, w.near, w.far} {
			s.tell(t, s.watcher(d), "watch", address(pid))
		}
		w.settleBoth(t)
		w.near.Send(pid, msg("stop"))
		end := "Terminated " + pid.Id + ": Stopped"
		d.want(end, end, end)
	})
}

// Watching goes both ways.
func TestWatchEachOther(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		here, there := newDiary(t), newDiary(t)
		a, b := w.near.watcher(here), w.far.watcher(there)
		w.near.tell(t, a, "watch", address(b))
		w.far.tell(t, b, "watch", address(a))
		w.settleBoth(t)
		wantResult(t, w.far.RequestFuture(w.near.spawn(echo), msg("settle"), patience), "echo", "settle")
		w.near.Poison(a)
		there.want("Terminated " + a.Id + ": Stopped")
	})
}

// A restart is no end.
func TestRestartIsNotTold(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid := w.far.spawn(mortal)
		w.near.tell(t, w.near.watcher(d), "watch", pid)
		w.settleBoth(t)
		w.near.Send(pid, msg("panic"))
		w.near.Send(pid, msg("panic"))
		w.near.Send(pid, msg("stop"))
		d.want("Terminated " + pid.Id + ": Stopped")
	})
}

// A watcher that is restarted still watches.
func TestRestartedWatcher(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid := w.far.spawn(mortal)
		watcher := w.near.watcher(d)
		w.near.tell(t, watcher, "watch", pid)
		w.near.Send(watcher, msg("fail"))
		w.near.settle(t, watcher)
		w.settleBoth(t)
		w.near.Send(pid, msg("stop"))
		d.want("Terminated " + pid.Id + ": Stopped")
	})
}

// A monitor of AEMP hears why, where Terminated only tells that it ended.
func TestWatchAndMonitor(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid := w.far.spawn(mortal, stopOnPanic)
		w.near.tell(t, w.near.watcher(d), "watch", pid)
		reasons := make(chan actor.Reason, 1)
		w.near.sys.Monitor(actor.PortOf(pid), func(r actor.Reason) { reasons <- r })
		w.settleBoth(t)
		w.near.Send(pid, msg("panic"))
		d.want("Terminated " + pid.Id + ": Stopped")
		if got, want := next(t, reasons).String(), (actor.Reason{"die", "as told"}).String(); got != want {
			t.Errorf("got reason %s, want %s", got, want)
		}
	})
}

// When a node ends, all who watched its actors are told, once each.
func TestWatchedNodeEnds(t *testing.T) {
	w := twoNodes(t)
	d := newDiary(t)
	watcher := w.near.watcher(d)
	one, two := w.far.spawn(mortal), w.far.spawn(mortal)
	w.near.tell(t, watcher, "watch", one)
	w.near.tell(t, watcher, "watch", two)
	w.near.tell(t, watcher, "watch", two)
	w.settleBoth(t)
	w.far.node.Close()
	d.wantAnyOrder("Terminated "+one.Id+": AddressTerminated", "Terminated "+two.Id+": AddressTerminated")
	// Nothing else is told.
	w.near.tell(t, watcher, "watch", w.near.sys.PID(w.near.sys.Node().Port("nobody")))
	d.want("Terminated nobody: NotFound")
}

// A node that was never there is told of in the same way.
func TestWatchUnknownNode(t *testing.T) {
	w := twoNodes(t)
	d := newDiary(t)
	w.near.tell(t, w.near.watcher(d), "watch", proto.NewPID("unknown", "somebody"))
	d.want("Terminated somebody: AddressTerminated")
}

// A future that waits for the end of an actor hears of its node's, too.
func TestStopFutureOfUnreachableNode(t *testing.T) {
	s := newSide(t)
	s.start(remote.Config{NodeID: "near", Resolve: func(context.Context, actor.NodeID) ([]string, error) { return nil, nil }})
	result, err := s.StopFuture(proto.NewPID("unknown", "somebody")).Result()
	if terminated, ok := result.(*proto.Terminated); err != nil || !ok || terminated.Why != proto.TerminatedReason_AddressTerminated {
		t.Errorf("got %v, %v, want that the address terminated", result, err)
	}
}
