package conformance

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

func TestLifeOfAnActor(t *testing.T) {
	tests := []struct {
		name string
		end  func(w world, pid *proto.PID)
	}{
		{"poison", func(w world, pid *proto.PID) { w.near.Poison(pid) }},
		{"poison pill", func(w world, pid *proto.PID) { w.near.Send(pid, &proto.PoisonPill{}) }},
		{"kill", func(w world, pid *proto.PID) { w.near.sys.Kill(actor.PortOf(pid)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, func(_ *testing.T, w world) {
				pid, d := w.far.recorder()
				w.near.Send(pid, msg("one"))
				w.near.Send(pid, msg("two"))
				test.end(w, pid)
				d.want("Started", `["one"]`, `["two"]`, "Stopping", "Stopped")
			})
		})
	}
}

// Stop goes past the messages that wait, here; a kill of AEMP, which it is to
// another node, does not, as with Poison.
func TestStopOvertakesOnlyLocally(t *testing.T) {
	w := oneSystem(t)
	d := newDiary(t)
	entered, leave := make(chan bool), make(chan bool)
	pid := w.far.spawn(func(c proto.Context) {
		d.Receive(c)
		if tag(c) == "wait" {
			entered <- true
			<-leave
		}
	})
	w.near.Send(pid, msg("wait"))
	next(t, entered)
	w.near.Send(pid, msg("too late"))
	w.near.Stop(pid)
	leave <- true
	d.want("Started", `["wait"]`, "Stopping", "Stopped")
}

func TestStopAndPoisonFutures(t *testing.T) {
	tests := []struct {
		name string
		end  func(from *proto.RootContext, pid *proto.PID) *proto.Future
	}{
		{"StopFuture", (*proto.RootContext).StopFuture},
		{"PoisonFuture", (*proto.RootContext).PoisonFuture},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				pid, d := w.far.recorder()
				d.want("Started")
				result, err := test.end(w.near.RootContext, pid).Result()
				if terminated, ok := result.(*proto.Terminated); err != nil || !ok || !terminated.Who.Equal(pid) {
					t.Errorf("got %v, %v, want that %v terminated", result, err, pid)
				}
				d.want("Stopping", "Stopped")
			})
		})
	}
}

// A strategy stops by a message of the system, also what is not its child.
func TestStopBySystemMessage(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		pid, d := w.far.recorder()
		process, ok := w.near.sys.Actors().ProcessRegistry.Get(pid)
		if !ok {
			t.Fatal("no process for the address")
		}
		process.SendSystemMessage(pid, &proto.Stop{})
		d.want("Started", "Stopping", "Stopped")
	})
}

// To wait for the end of an actor that does not exist takes no time.
func TestStopFutureOfNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		nobody := proto.NewPID(string(w.far.sys.Node()), "nobody")
		for name, f := range map[string]*proto.Future{
			"StopFuture": w.near.StopFuture(nobody), "PoisonFuture": w.near.PoisonFuture(nobody),
		} {
			if err := f.Wait(); err != nil {
				t.Errorf("%s: got error %v", name, err)
			}
		}
	})
}

func TestActorStopsItself(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		d := newDiary(w.far.t)
		pid := w.far.spawn(func(c proto.Context) {
			d.Receive(c)
			switch tag(c) {
			case "stop":
				c.Stop(c.Self())
			case "poison":
				c.Poison(c.Self())
			}
		})
		w.near.Send(pid, msg("stop"))
		d.want("Started", `["stop"]`, "Stopping", "Stopped")
	})
}

func TestRestart(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		incarnation := 0
		pid := address(w.far.Spawn(proto.PropsFromProducer(func() proto.Actor {
			incarnation++
			number := incarnation
			return proto.ReceiveFunc(func(c proto.Context) {
				d.note("%d: %s", number, describe(content(c)))
				if tag(c) == "fail" {
					panic("as told")
				}
			})
		})))
		w.near.Send(pid, msg("fail"))
		w.near.Send(pid, msg("hello"))
		w.near.Poison(pid)
		d.want("1: Started", `1: ["fail"]`, "1: Restarting", "2: Started", `2: ["hello"]`, "2: Stopping", "2: Stopped")
	})
}

// What an actor sends while it starts and while it stops arrives.
func TestWordsAtStartAndEnd(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		listener, d := w.near.recorder()
		d.want("Started")
		pid := w.far.spawn(func(c proto.Context) {
			switch c.Message().(type) {
			case *proto.Started:
				c.Send(listener, msg("first words"))
			case *proto.Stopping:
				c.Send(listener, msg("famous words"))
			case *proto.Stopped:
				c.Send(listener, msg("last words"))
			}
		})
		d.want(`["first words"]`)
		w.near.Poison(pid)
		d.want(`["famous words"]`, `["last words"]`)
	})
}

func TestNames(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		props := proto.PropsFromProducer(func() proto.Actor { return d })
		pid, err := w.far.SpawnNamed(props, "well-known")
		if err != nil || pid.Id != "well-known" || pid.Address != string(w.far.sys.Node()) {
			t.Fatalf("got %v, %v", pid, err)
		}
		d.want("Started")
		if again, err := w.far.SpawnNamed(props, "well-known"); !errors.Is(err, proto.ErrNameExists) || !again.Equal(pid) {
			t.Errorf("the name again: got %v, %v, want ErrNameExists", again, err)
		}
		if _, err := w.far.sys.NamedPort("well-known", func(*actor.Context) error { return nil }); !errors.Is(err, actor.ErrNameTaken) {
			t.Errorf("a port of that name: got %v, want ErrNameTaken", err)
		}
		// Whoever knows the name can write the address.
		known := proto.NewPID(string(w.far.sys.Node()), "well-known")
		w.near.Send(known, msg("hello"))
		d.want(`["hello"]`)
		if err := w.near.PoisonFuture(known).Wait(); err != nil {
			t.Fatal(err)
		}
		d.want("Stopping", "Stopped")
		if _, err := w.far.SpawnNamed(props, "well-known"); err != nil {
			t.Errorf("after the end of the former: %v", err)
		}
		d.want("Started")
		w.near.Send(known, msg("to the new one")) // the same PID, used before
		d.want(`["to the new one"]`)

		one, two := w.far.SpawnPrefix(props, "worker"), w.far.SpawnPrefix(props, "worker")
		if one.Equal(two) || !strings.HasPrefix(one.Id, "worker") || !strings.HasPrefix(two.Id, "worker") {
			t.Errorf("got %v and %v, want two names that begin with worker", one, two)
		}
	})
}

func TestChildren(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		child := proto.PropsFromFunc(func(c proto.Context) {
			if name := c.Self().Id[strings.LastIndexByte(c.Self().Id, '/')+1:]; c.Parent() != nil {
				d.note("%s: %s", name, describe(content(c)))
			}
		})
		parent := w.far.spawn(func(c proto.Context) {
			m, _ := content(c).(actor.Message)
			switch {
			case tag(c) == "spawn":
				pid, err := c.SpawnNamed(child, m[1].(string))
				if err != nil {
					t.Error(err)
				}
				c.Respond(msg("spawned", actor.PortOf(pid)))
			case tag(c) == "spawn again":
				_, err := c.SpawnNamed(child, m[1].(string))
				c.Respond(msg("error", fmt.Sprint(err)))
			case tag(c) == "count":
				c.Respond(msg("children", len(c.Children())))
			case tag(c) == "":
				d.note("parent: %s", describe(content(c)))
			}
		})
		ask := func(m ...any) *proto.Future { return w.near.RequestFuture(parent, msg(m...), patience) }

		d.want("parent: Started")
		wantResult(t, ask("count"), "children", 0)
		first := w.far.sys.PID(actor.PortOf(parent) + "/first")
		wantResult(t, ask("spawn", "first"), "spawned", actor.PortOf(first))
		d.want("first: Started")
		wantResult(t, ask("spawn", "second"), "spawned", actor.PortOf(parent)+"/second")
		d.want("second: Started")
		wantResult(t, ask("spawn again", "second"), "error", "spawn: name exists")
		wantResult(t, ask("count"), "children", 2)

		w.near.Send(first, msg("hello")) // a child has an address like any other
		d.want(`first: ["hello"]`)
		w.near.Poison(first)
		d.want("first: Stopping", "first: Stopped", "parent: Terminated "+first.Id+": Stopped")
		wantResult(t, ask("count"), "children", 1)

		// A parent ends when its children have ended.
		w.near.Poison(parent)
		d.want("parent: Stopping", "second: Stopping", "second: Stopped",
			"parent: Terminated "+parent.Id+"/second: Stopped", "parent: Stopped")
	})
}

func TestOnInit(t *testing.T) {
	w := oneSystem(t)
	d := newDiary(t)
	pid := w.far.spawn(d.Receive, proto.WithOnInit(func(c proto.Context) { d.note("init of %s", c.Self().Id) }))
	d.want("init of "+pid.Id, "Started")
}
