package conformance

import (
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// always decides the same about every failure.
func always(d proto.Directive) proto.DeciderFunc { return func(any) proto.Directive { return d } }

// A family is a parent under a grandparent, with two children, all of whom
// note what happens to them.
type family struct {
	grandparent, parent *proto.PID
	elder, younger      *proto.PID
}

// newFamily spawns a family whose children are watched over by the given
// strategy, and waits until all have started.
func (s *side) newFamily(d *diary, strategy proto.SupervisorStrategy) family {
	s.t.Helper()
	child := func(name string) *proto.Props {
		return proto.PropsFromProducer(func() proto.Actor {
			count := 0
			return proto.ReceiveFunc(func(c proto.Context) {
				switch tag(c) {
				case "fail":
					panic("as told")
				case "count":
					count++
					d.note("%s counts %d", name, count)
				default:
					d.note("%s: %s", name, describe(content(c)))
				}
			})
		})
	}
	parent := proto.PropsFromFunc(func(c proto.Context) {
		switch m := c.Message().(type) {
		case *proto.Started:
			for _, name := range []string{"elder", "younger"} {
				if _, err := c.SpawnNamed(child(name), name); err != nil {
					s.t.Error(err)
				}
			}
		case *proto.Terminated:
			d.note("parent: %s terminated", m.Who.Id[len(c.Self().Id)+1:])
		default:
			d.note("parent: %s", describe(m))
		}
	}, proto.WithSupervisor(strategy))
	pids := make(chan *proto.PID, 1)
	grandparent := s.spawn(func(c proto.Context) {
		switch m := c.Message().(type) {
		case *proto.Started:
			pids <- c.Spawn(parent)
		case *proto.Terminated:
			d.note("grandparent: %s", describe(m))
		}
	}, proto.WithSupervisor(proto.NewOneForOneStrategy(10, time.Minute, always(proto.RestartDirective))))
	pid := address(next(s.t, pids))
	d.wantAnyOrder("elder: Started", "younger: Started")
	return family{
		grandparent: grandparent, parent: pid,
		elder: proto.NewPID(pid.Address, pid.Id+"/elder"), younger: proto.NewPID(pid.Address, pid.Id+"/younger"),
	}
}

func TestDirectives(t *testing.T) {
	tests := []struct {
		name     string
		strategy proto.SupervisorStrategy
		want     []string // what happens to the family when the elder child fails
		after    []string // how the two children count afterwards
	}{
		{"one for one, resume", proto.NewOneForOneStrategy(1, time.Minute, always(proto.ResumeDirective)), nil, []string{"elder counts 2", "younger counts 2"}},
		{"one for one, restart", proto.NewOneForOneStrategy(1, time.Minute, always(proto.RestartDirective)), []string{"elder: Restarting", "elder: Started"}, []string{"elder counts 1", "younger counts 2"}},
		{"one for one, stop", proto.NewOneForOneStrategy(1, time.Minute, always(proto.StopDirective)), []string{"elder: Stopping", "elder: Stopped", "parent: elder terminated"}, []string{"younger counts 2"}},
		{"one for one, no more retries", proto.NewOneForOneStrategy(0, time.Minute, always(proto.RestartDirective)), []string{"elder: Stopping", "elder: Stopped", "parent: elder terminated"}, []string{"younger counts 2"}},
		{"one for one, escalate", proto.NewOneForOneStrategy(1, time.Minute, always(proto.EscalateDirective)), []string{
			"parent: Restarting", "elder: Stopping", "elder: Stopped", "younger: Stopping", "younger: Stopped",
			"parent: elder terminated", "parent: younger terminated", "elder: Started", "younger: Started",
		}, []string{"elder counts 1", "younger counts 1"}},
		{"all for one, resume", proto.NewAllForOneStrategy(1, time.Minute, always(proto.ResumeDirective)), nil, []string{"elder counts 2", "younger counts 2"}},
		{"all for one, restart", proto.NewAllForOneStrategy(1, time.Minute, always(proto.RestartDirective)), []string{
			"elder: Restarting", "elder: Started", "younger: Restarting", "younger: Started",
		}, []string{"elder counts 1", "younger counts 1"}},
		{"all for one, stop", proto.NewAllForOneStrategy(1, time.Minute, always(proto.StopDirective)), []string{
			"elder: Stopping", "elder: Stopped", "younger: Stopping", "younger: Stopped",
			"parent: elder terminated", "parent: younger terminated",
		}, nil},
		{"restarting", proto.NewRestartingStrategy(), []string{"elder: Restarting", "elder: Started"}, []string{"elder counts 1", "younger counts 2"}},
		{"default", proto.DefaultSupervisorStrategy(), []string{"elder: Restarting", "elder: Started"}, []string{"elder counts 1", "younger counts 2"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				d := newDiary(t)
				f := w.far.newFamily(d, test.strategy)
				count := func(want ...string) {
					t.Helper()
					w.near.Send(f.elder, msg("count"))
					w.near.Send(f.younger, msg("count"))
					d.wantAnyOrder(want...)
				}
				count("elder counts 1", "younger counts 1")
				w.near.Send(f.elder, msg("fail"))
				d.wantAnyOrder(test.want...)
				count(test.after...)
			})
		})
	}
}

// More failures within the time than are allowed are the end of an actor.
func TestRetriesAreLimited(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		f := w.far.newFamily(d, proto.NewOneForOneStrategy(2, time.Minute, always(proto.RestartDirective)))
		for range 3 {
			w.near.Send(f.elder, msg("fail"))
		}
		d.want("elder: Restarting", "elder: Started", "elder: Restarting", "elder: Started",
			"elder: Stopping", "elder: Stopped", "parent: elder terminated")
	})
}

// Failures that are long past do not count.
func TestRetriesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSide(t)
		d := newDiary(t)
		f := s.newFamily(d, proto.NewOneForOneStrategy(1, time.Minute, always(proto.RestartDirective)))
		for range 5 {
			s.Send(f.elder, msg("fail"))
			d.want("elder: Restarting", "elder: Started")
			time.Sleep(2 * time.Minute)
		}
	})
}

func TestExponentialBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSide(t)
		d := newDiary(t)
		f := s.newFamily(d, proto.NewExponentialBackoffStrategy(time.Hour, time.Second))
		for n := range 4 {
			begin := time.Now()
			s.Send(f.elder, msg("fail"))
			d.want("elder: Restarting", "elder: Started")
			if took := time.Since(begin).Truncate(time.Second); took != time.Duration(n+1)*time.Second {
				t.Errorf("restart %d came after %v, want %d s", n+1, took, n+1)
			}
		}
	})
}

func TestRestartingStrategyNeverGivesUp(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		f := w.far.newFamily(d, proto.NewRestartingStrategy())
		for range 30 {
			w.near.Send(f.elder, msg("fail"))
			d.want("elder: Restarting", "elder: Started")
		}
	})
}

// Messages that wait while their receiver fails are not lost.
func TestFailureLosesOneMessage(t *testing.T) {
	for name, directive := range map[string]proto.Directive{"resume": proto.ResumeDirective, "restart": proto.RestartDirective} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				d := newDiary(t)
				pid := w.far.spawn(func(c proto.Context) {
					switch {
					case tag(c) == "fail":
						panic("as told")
					case tag(c) != "":
						d.Receive(c)
					}
				}, proto.WithGuardian(proto.NewOneForOneStrategy(5, time.Minute, always(directive))))
				for _, word := range []string{"one", "fail", "two", "fail", "three"} {
					w.near.Send(pid, msg(word))
				}
				d.want(`["one"]`, `["two"]`, `["three"]`)
			})
		})
	}
}

// A judge decides about its children itself.
type judge struct {
	d     *diary
	child *proto.Props
}

func (j *judge) Receive(c proto.Context) {
	if _, ok := c.Message().(*proto.Started); ok {
		c.Spawn(j.child)
	}
	if tag(c) != "" {
		c.Forward(c.Children()[0])
	}
}

func (j *judge) HandleFailure(_ *proto.ActorSystem, s proto.Supervisor, child *proto.PID, _ *proto.RestartStatistics, reason, message any) {
	j.d.note("judge: %v, at %s", reason, describe(proto.UnwrapEnvelopeMessage(message)))
	s.StopChildren(child)
}

func TestActorIsItsOwnStrategy(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		child := proto.PropsFromFunc(func(c proto.Context) {
			if tag(c) == "fail" {
				panic("as told")
			}
			d.note("child: %s", describe(content(c)))
		})
		pid := address(w.far.Spawn(proto.PropsFromProducer(func() proto.Actor { return &judge{d, child} })))
		w.near.Send(pid, msg("fail"))
		d.want("child: Started", `judge: as told, at ["fail"]`, "child: Stopping", "child: Stopped")
	})
}

// What a strategy decides is an event.
func TestSupervisorEvent(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		events := make(chan *proto.SupervisorEvent, 10)
		w.far.sys.Actors().EventStream.Subscribe(func(event any) {
			if e, ok := event.(*proto.SupervisorEvent); ok {
				events <- e
			}
		})
		f := w.far.newFamily(newDiary(t), proto.NewOneForOneStrategy(1, time.Minute, always(proto.RestartDirective)))
		for _, want := range []proto.Directive{proto.RestartDirective, proto.StopDirective} {
			w.near.Send(f.elder, msg("fail"))
			if e := next(t, events); e.Directive != want || e.Reason != "as told" || !e.Child.Equal(f.elder) {
				t.Errorf("got %+v, want %v of %v", e, want, f.elder)
			}
		}
	})
}

// At the top level, a guardian decides; without one, an actor is restarted.
func TestGuardian(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		fail := func(c proto.Context) {
			d.Receive(c)
			if tag(c) == "fail" {
				panic("as told")
			}
		}
		stopped := w.far.spawn(fail, stopOnPanic)
		w.near.Send(stopped, msg("fail"))
		d.want("Started", `["fail"]`, "Stopping", "Stopped")
		restarted := w.far.spawn(fail)
		w.near.Send(restarted, msg("fail"))
		d.want("Started", `["fail"]`, "Restarting", "Started")
	})
}

// A failure while an actor starts is a failure like any other.
func TestFailureAtStart(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		starts := 0
		pid := w.far.spawn(func(c proto.Context) {
			d.Receive(c)
			if _, ok := c.Message().(*proto.Started); ok {
				if starts++; starts == 1 {
					panic("not yet")
				}
			}
		})
		w.near.Send(pid, msg("hello"))
		d.want("Started", "Restarting", "Started", `["hello"]`)
	})
}

// The death of a supervised child tells the monitors why; that of a child that
// was stopped because of its sibling has no reason of its own.
func TestMonitorOfAChild(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		f := w.far.newFamily(d, proto.NewAllForOneStrategy(1, time.Minute, always(proto.StopDirective)))
		reasons := make(chan string, 2)
		for _, pid := range []*proto.PID{f.elder, f.younger} {
			w.near.sys.Monitor(actor.PortOf(pid), func(r actor.Reason) { reasons <- r.String() })
		}
		w.settleBoth(t)
		w.near.Send(f.elder, msg("fail"))
		got := map[string]bool{next(t, reasons): true, next(t, reasons): true}
		for _, want := range []string{(actor.Reason{"die", "as told"}).String(), (actor.Reason{}).String()} {
			if !got[want] {
				t.Errorf("got reasons %v, want %q among them", got, want)
			}
		}
	})
}
