package actor_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// A bench is a mailbox whose actor runs when the test says so. It notes what
// it gets.
type bench struct {
	proto.Mailbox
	scheduled []func()
	got       []string
	on        map[any]func() // what to do at a message
}

func newBench(producer proto.MailboxProducer) *bench {
	b := &bench{Mailbox: producer(), on: map[any]func(){}}
	b.RegisterHandlers(b, b)
	b.Start()
	return b
}

func (b *bench) Schedule(fn func()) { b.scheduled = append(b.scheduled, fn) }
func (b *bench) Throughput() int    { return 300 }

// run lets the actor run as often as it wants to.
func (b *bench) run() {
	for len(b.scheduled) > 0 {
		fn := b.scheduled[0]
		b.scheduled = b.scheduled[1:]
		fn()
	}
}

func (b *bench) note(format string, args ...any) { b.got = append(b.got, fmt.Sprintf(format, args...)) }

func (b *bench) act(message any) {
	if do := b.on[message]; do != nil {
		do()
	}
}

func (b *bench) InvokeUserMessage(message any) {
	switch m := message.(type) {
	case *proto.MessageEnvelope:
		message = fmt.Sprintf("envelope of %v", m.Message)
	case *proto.PoisonPill:
		message = "poison"
	}
	b.note("%v", message)
	b.act(message)
}

func (b *bench) InvokeSystemMessage(message any) {
	b.note("system %v", message)
	b.act(message)
}

func (b *bench) EscalateFailure(reason, message any) {
	b.note("failure %v at %v", reason, message)
	b.PostSystemMessage(&proto.SuspendMailbox{})
}

type batch []any

func (b batch) GetMessages() []any { return b }

var (
	suspend = &proto.SuspendMailbox{}
	resume  = &proto.ResumeMailbox{}
)

// What protoactor-go's mailbox does is what ours must do.
func TestMailboxDoesAsProtoactors(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(b *bench)
		want []string
	}{
		{"order", func(b *bench) {
			for i := range 40 {
				b.PostUserMessage(i)
			}
			b.run()
		}, numbers(0, 40)},
		{"system messages first", func(b *bench) {
			b.PostUserMessage("u")
			b.PostSystemMessage("s1")
			b.PostSystemMessage("s2")
			b.run()
		}, []string{"system s1", "system s2", "u"}},
		{"system messages between", func(b *bench) {
			b.on["u1"] = func() { b.PostSystemMessage("s") }
			b.PostUserMessage("u1")
			b.PostUserMessage("u2")
			b.run()
		}, []string{"u1", "system s", "u2"}},
		{"post from the handler", func(b *bench) {
			b.on["u1"] = func() { b.PostUserMessage("u3") }
			b.PostUserMessage("u1")
			b.PostUserMessage("u2")
			b.run()
			b.PostUserMessage("u4")
			b.run()
		}, []string{"u1", "u2", "u3", "u4"}},
		{"suspended", func(b *bench) {
			b.PostSystemMessage(suspend)
			b.PostUserMessage("u")
			b.run()
			b.PostSystemMessage("s")
			b.run()
			b.note("%d wait", b.UserMessageCount())
			b.PostSystemMessage(resume)
			b.run()
			b.note("%d wait", b.UserMessageCount())
		}, []string{"system s", "1 wait", "u", "0 wait"}},
		{"suspended by a handler", func(b *bench) {
			b.on["u1"] = func() { b.PostSystemMessage(suspend) }
			for _, m := range []string{"u1", "u2", "u3"} {
				b.PostUserMessage(m)
			}
			b.run()
			b.PostUserMessage("u4")
			b.run()
			b.note("%d wait", b.UserMessageCount())
			b.PostSystemMessage(resume)
			b.run()
		}, []string{"u1", "3 wait", "u2", "u3", "u4"}},
		{"failure at a user message", func(b *bench) {
			b.on["u1"] = func() { panic("no") }
			b.PostUserMessage("u1")
			b.PostUserMessage("u2")
			b.run()
			b.PostSystemMessage(resume)
			b.run()
		}, []string{"u1", "failure no at u1", "u2"}},
		{"failure at a system message", func(b *bench) {
			b.on["s1"] = func() { panic(errors.New("no")) }
			b.PostSystemMessage("s1")
			b.PostSystemMessage("s2")
			b.PostUserMessage("u")
			b.run()
			b.PostSystemMessage(resume)
			b.run()
		}, []string{"system s1", "failure no at s1", "system s2", "u"}},
		{"failure with the envelope", func(b *bench) {
			b.on["envelope of e"] = func() { panic("no") }
			b.PostUserMessage(&proto.MessageEnvelope{Message: "e"})
			b.run()
		}, []string{"envelope of e", "failure no at &{map[] e <nil>}"}},
		{"batch", func(b *bench) {
			b.PostUserMessage(&batch{"u1", "u2"})
			b.run()
		}, []string{"u1", "u2", "&[u1 u2]"}},
		{"batch in a batch", func(b *bench) {
			b.PostUserMessage(&batch{"u1", &batch{"u2"}})
			b.note("%d wait", b.UserMessageCount())
			b.run()
			b.got = b.got[:4] // the last is the whole, with an address in it
		}, []string{"4 wait", "u1", "u2", "&[u2]"}},
		{"batch in an envelope", func(b *bench) {
			b.PostUserMessage(&proto.MessageEnvelope{Message: &batch{"u1", "u2"}})
			b.run()
		}, []string{"u1", "u2", "envelope of &[u1 u2]"}},
		{"count", func(b *bench) {
			count := func() { b.note("%d wait", b.UserMessageCount()) }
			b.on["u1"], b.on["u3"] = count, count
			for _, m := range []string{"u1", "u2", "u3"} {
				b.PostUserMessage(m)
			}
			b.PostSystemMessage("s")
			count()
			b.run()
		}, []string{"3 wait", "system s", "u1", "2 wait", "u2", "u3", "0 wait"}},
	} {
		for _, m := range mailboxes {
			t.Run(test.name+"/"+m.name, func(t *testing.T) {
				b := newBench(m.producer())
				test.do(b)
				if !slices.Equal(b.got, test.want) {
					t.Errorf("got  %q\nwant %q", b.got, test.want)
				}
			})
		}
	}
}

func numbers(from, to int) (n []string) {
	for i := from; i < to; i++ {
		n = append(n, fmt.Sprint(i))
	}
	return n
}

// Two things in which protoactor-go's mailbox goes wrong: it loops for ever
// after a nil, and panics when somebody knows the name of an actor too early.
func TestMailboxDoesBetter(t *testing.T) {
	t.Run("nil message", func(t *testing.T) {
		b := newBench(actor.Mailbox{}.Producer())
		b.PostUserMessage(nil)
		b.run()
		if want := []string{"<nil>"}; !slices.Equal(b.got, want) {
			t.Errorf("got %q, want %q", b.got, want)
		}
	})
	t.Run("post before start", func(t *testing.T) {
		b := &bench{Mailbox: actor.Mailbox{Size: 1}.Producer()()}
		b.PostUserMessage("u1")
		b.PostUserMessage("u2")
		b.RegisterHandlers(b, b)
		b.PostSystemMessage("started")
		if len(b.scheduled) > 0 {
			t.Error("the actor runs before it is started")
		}
		b.Start()
		b.run()
		if want := []string{"system started", "u1", "u2"}; !slices.Equal(b.got, want) {
			t.Errorf("got %q, want %q", b.got, want)
		}
	})
}

func TestMailboxFull(t *testing.T) {
	poison := &proto.PoisonPill{}
	for _, test := range []struct {
		name string
		full actor.WhenFull
		post []any
		got  []string
		dead []string
	}{
		{"not full", actor.DropNewest, []any{1, 2}, []string{"1", "2"}, nil},
		{"drop newest", actor.DropNewest, []any{1, 2, 3, 4}, []string{"1", "2"}, []string{"3", "4"}},
		{"drop oldest", actor.DropOldest, []any{1, 2, 3, 4}, []string{"3", "4"}, []string{"1", "2"}},
		{"waits for no time", actor.WaitFor(0), []any{1, 2, 3}, []string{"1", "2"}, []string{"3"}},
		{"time is up", actor.WaitFor(time.Second), []any{1, 2, 3, 4}, []string{"1", "2"}, []string{"3", "4"}},
		{"kill", actor.KillPort, []any{1, 2, 3, 4}, []string{"1", "2"}, []string{"3", "4"}},
		{"control beyond the bound", actor.DropNewest, []any{1, 2, poison, 3}, []string{"1", "2", "poison"}, []string{"3"}},
		{"control is not dropped", actor.DropOldest, []any{poison, 1, 2, 3}, []string{"poison", "3"}, []string{"1", "2"}},
		{"nothing but control", actor.DropOldest, []any{poison, poison, poison, 1}, []string{"poison", "poison", "poison"}, []string{"1"}},
		{"envelope", actor.DropOldest, []any{&proto.MessageEnvelope{Message: 1}, 2, 3}, []string{"2", "3"}, []string{"1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dead []string
				b := newBench(actor.Mailbox{Size: 2, Full: test.full, DeadLetter: func(e *proto.DeadLetterEvent) {
					dead = append(dead, fmt.Sprint(e.Message))
				}}.Producer())
				for _, m := range test.post {
					b.PostUserMessage(m)
				}
				b.run()
				if !slices.Equal(b.got, test.got) {
					t.Errorf("got %q, want %q", b.got, test.got)
				}
				if !slices.Equal(dead, test.dead) {
					t.Errorf("got dead letters %q, want %q", dead, test.dead)
				}
				if n := b.UserMessageCount(); n != 0 {
					t.Errorf("got %d messages waiting, want none", n)
				}
			})
		})
	}
}

// After a loss the port is to die; until then it gets no later message.
func TestMailboxFullRefuses(t *testing.T) {
	var dead []any
	b := newBench(actor.Mailbox{Size: 1, DeadLetter: func(e *proto.DeadLetterEvent) {
		dead = append(dead, e.Message)
	}}.Producer())
	b.PostUserMessage("u1")
	b.PostUserMessage("u2")
	b.run()
	b.PostUserMessage("u3")
	b.run()
	if want := []string{"u1"}; !slices.Equal(b.got, want) {
		t.Errorf("got %q, want %q", b.got, want)
	}
	if want := []any{"u2", "u3"}; !slices.Equal(dead, want) {
		t.Errorf("got dead letters %q, want %q", dead, want)
	}
}

// Without callbacks, an actor of protoactor-go is stopped, and its dead
// letters are published.
func TestMailboxFullStopsActor(t *testing.T) {
	sys := newSystem(t)
	props, began, gate := gated(proto.WithMailbox(actor.Mailbox{Size: 1}.Producer()))
	root := sys.Actors().Root
	pid := root.Spawn(props)
	letters := deadLetters(sys, pid)
	died := monitored(sys, actor.PortOf(pid))
	root.Send(pid, "m1")
	next(t, began)
	root.Send(pid, "m2")
	root.Send(pid, "m3")
	close(gate)
	for _, want := range []any{"m3", "m2"} {
		if got := next(t, letters).Message; got != want {
			t.Errorf("got dead letter %v, want %v", got, want)
		}
	}
	wantReason(t, next(t, died))
}

// Control in front of much else, so that more than one chunk has to move.
func TestMailboxDropOldestBehindControl(t *testing.T) {
	const control = 40
	b := newBench(actor.Mailbox{Size: 1, Full: actor.DropOldest, DeadLetter: func(*proto.DeadLetterEvent) {}}.Producer())
	var want []string
	for range control {
		b.PostUserMessage(&proto.PoisonPill{})
		want = append(want, "poison")
	}
	if n := b.UserMessageCount(); n != control {
		t.Errorf("got %d messages, want %d", n, control)
	}
	b.run()
	if !slices.Equal(b.got, want) {
		t.Errorf("got %q, want %q", b.got, want)
	}

	b = newBench(actor.Mailbox{Size: control + 2, Full: actor.DropOldest, DeadLetter: func(*proto.DeadLetterEvent) {}}.Producer())
	for range control {
		b.PostUserMessage(&proto.PoisonPill{})
	}
	for i := range 100 {
		b.PostUserMessage(i)
	}
	b.run()
	if want := append(want, "98", "99"); !slices.Equal(b.got, want) {
		t.Errorf("got %q, want %q", b.got, want)
	}
}

func TestMailboxWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead []any
		b := newBench(actor.Mailbox{Size: 1, Full: actor.WaitFor(time.Second), DeadLetter: func(e *proto.DeadLetterEvent) {
			dead = append(dead, e.Message)
		}}.Producer())
		b.PostUserMessage("u0")
		for i := 1; i <= 3; i++ {
			go b.PostUserMessage(fmt.Sprintf("u%d", i))
			synctest.Wait()
		}
		if n := b.UserMessageCount(); n != 1 {
			t.Errorf("got %d messages, want 1", n)
		}
		time.Sleep(999 * time.Millisecond)
		b.run()
		synctest.Wait()
		if want := []string{"u0", "u1", "u2", "u3"}; !slices.Equal(b.got, want) {
			t.Errorf("got %q, want %q", b.got, want)
		}
		if len(dead) > 0 {
			t.Errorf("got dead letters %q, want none", dead)
		}
	})
}

// The messages of each of many senders come in order, and none is forgotten.
func TestMailboxManySenders(t *testing.T) {
	const senders, messages = 8, 2000
	for name, m := range map[string]actor.Mailbox{
		"unbounded": {},
		"bounded":   {Size: 10, Full: actor.WaitFor(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			sys := newSystem(t)
			var last [senders]int
			left := senders * messages
			done := make(chan struct{})
			props := proto.PropsFromFunc(func(c proto.Context) {
				m, ok := c.Message().([2]int)
				if !ok {
					return
				}
				if last[m[0]]++; last[m[0]] != m[1] {
					t.Errorf("got message %d of sender %d, want %d", m[1], m[0], last[m[0]])
				}
				if left--; left == 0 {
					close(done)
				}
			}, sys.WithMailbox(m), proto.WithDispatcher(actor.NewDispatcher(5)))
			pid := sys.Actors().Root.Spawn(props)
			var sending sync.WaitGroup
			for sender := range senders {
				sending.Go(func() {
					for i := 1; i <= messages; i++ {
						sys.Actors().Root.Send(pid, [2]int{sender, i})
					}
				})
			}
			sending.Wait()
			next(t, done)
			sys.Actors().Root.Stop(pid)
		})
	}
}

// deadLetters returns a channel that gets the dead letters for an actor.
func deadLetters(sys *actor.System, pid *proto.PID) <-chan *proto.DeadLetterEvent {
	letters := make(chan *proto.DeadLetterEvent, 100)
	sys.Actors().EventStream.Subscribe(func(event any) {
		if e, ok := event.(*proto.DeadLetterEvent); ok && e.PID.Equal(pid) {
			letters <- e
		}
	})
	return letters
}

// gated returns an actor that reports each message when it gets it, and then
// waits for the gate.
func gated(opts ...proto.PropsOption) (props *proto.Props, began chan any, gate chan struct{}) {
	began, gate = make(chan any, 100), make(chan struct{})
	return proto.PropsFromFunc(func(c proto.Context) {
		switch m := c.Message().(type) {
		case error:
			began <- m
			<-gate
			panic(m)
		case string:
			began <- m
			<-gate
		}
	}, opts...), began, gate
}

func TestMailboxLeftAtDeath(t *testing.T) {
	stopping := proto.NewOneForOneStrategy(0, 0, func(any) proto.Directive { return proto.StopDirective })
	for _, test := range []struct {
		name  string
		first any
		stop  func(sys *actor.System, pid *proto.PID)
	}{
		{"stopped", "first", func(sys *actor.System, pid *proto.PID) { sys.Actors().Root.Stop(pid) }},
		{"failed", errors.New("first"), func(*actor.System, *proto.PID) {}},
	} {
		for name, m := range map[string]actor.Mailbox{"unbounded": {}, "bounded": {Size: 10}} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				sys := newSystem(t)
				props, began, gate := gated(sys.WithMailbox(m), proto.WithDispatcher(actor.NewDispatcher(0)), proto.WithGuardian(stopping))
				root := sys.Actors().Root
				pid := root.Spawn(props)
				letters := deadLetters(sys, pid)
				process, _ := sys.Actors().ProcessRegistry.GetLocal(pid.Id)
				root.Send(pid, test.first)
				next(t, began)
				root.Send(pid, "left")
				root.Poison(pid)
				future := root.RequestFuture(pid, "asked", time.Minute)
				test.stop(sys, pid)
				close(gate)
				for _, want := range []any{"left", "asked"} {
					if got := next(t, letters).Message; got != want {
						t.Errorf("got dead letter %v, want %v", got, want)
					}
				}
				if _, err := future.Result(); !errors.Is(err, proto.ErrDeadLetter) {
					t.Errorf("got error %v, want %v", err, proto.ErrDeadLetter)
				}
				// Somebody may still hold the mailbox of the dead.
				process.SendUserMessage(pid, "late")
				if got := next(t, letters).Message; got != "late" {
					t.Errorf("got dead letter %v, want late", got)
				}
			})
		}
	}
}

// So it is when the actor panics at its end.
func TestMailboxLeftAtPanic(t *testing.T) {
	sys := newSystem(t)
	gate := make(chan bool)
	pid := sys.Actors().Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		switch c.Message().(type) {
		case string:
			<-gate
		case *proto.Stopped:
			panic("at its end")
		}
	}, sys.WithMailbox(actor.Mailbox{}), proto.WithDispatcher(actor.NewDispatcher(0))))
	letters := deadLetters(sys, pid)
	sys.Actors().Root.Send(pid, "first")
	sys.Actors().Root.Send(pid, "left")
	sys.Actors().Root.Stop(pid)
	close(gate)
	for next(t, letters).Message != "left" { // there are some of protoactor-go's own
	}
}

// A subscriber that panics at the dead letters of a port does not bring down the
// next port of that name, for whose failure that was taken.
func TestDeadLetterPanics(t *testing.T) {
	sys := newSystem(t)
	begun, gate, lost := make(chan bool), make(chan bool), make(chan bool, 10)
	name := func() (actor.PortID, <-chan actor.Reason) {
		port, err := sys.NamedPort("service", func(c *actor.Context) error {
			c.Receive("wait", func(*actor.Context, actor.Message) error {
				begun <- true
				<-gate
				return nil
			})
			c.Receive("next", func(*actor.Context, actor.Message) error { return nil })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return port, monitored(sys, port)
	}
	port, died := name()
	var successor <-chan actor.Reason
	sys.Actors().EventStream.Subscribe(func(e any) {
		if _, ok := e.(*proto.DeadLetterEvent); ok {
			if successor == nil {
				_, successor = name()
			}
			lost <- true
			panic("subscriber")
		}
	})
	sys.Send(port, "wait")
	next(t, begun)
	sys.Send(port, "next")
	sys.Send(port, "next")
	sys.Actors().Root.Stop(sys.PID(port))
	close(gate)
	next(t, died)
	next(t, lost)
	next(t, lost)
	sys.Kill(port, "killed")
	wantReason(t, next(t, successor), "killed")
}

func TestMailboxFullKills(t *testing.T) {
	sys := newSystem(t)
	props, began, gate := gated(sys.WithMailbox(actor.Mailbox{Size: 2}), proto.WithDispatcher(actor.NewDispatcher(0)))
	root := sys.Actors().Root
	pid := root.Spawn(props)
	letters := deadLetters(sys, pid)
	died := monitored(sys, actor.PortOf(pid))
	asking := root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if _, ok := c.Message().(*proto.DeadLetterResponse); ok {
			t.Error("a dead letter was answered to an actor, which would take that for a message")
		}
	}))
	root.Send(pid, "m1")
	next(t, began)
	for i := 2; i <= 5; i++ {
		root.RequestWithCustomSender(pid, fmt.Sprintf("m%d", i), asking)
	}
	for _, want := range []any{"m4", "m5"} {
		if got := next(t, letters).Message; got != want {
			t.Errorf("got dead letter %v, want %v", got, want)
		}
	}
	close(gate)
	wantReason(t, next(t, died), "mailbox_full", "2 messages are waiting")
	for _, want := range []any{"m2", "m3"} {
		if got := next(t, letters).Message; got != want {
			t.Errorf("got dead letter %v, want %v", got, want)
		}
	}
	if err := root.PoisonFuture(asking).Wait(); err != nil {
		t.Error(err)
	}
}

// A message that is sent on this node costs no memory but its own.
func TestMailboxAllocations(t *testing.T) {
	sys := newSystem(t)
	got := make(chan struct{}, 1)
	props := proto.PropsFromFunc(func(c proto.Context) {
		if _, ok := c.Message().(actor.Message); ok {
			got <- struct{}{}
		}
	}, sys.WithMailbox(actor.Mailbox{}), proto.WithDispatcher(actor.NewDispatcher(0)))
	pid := sys.Actors().Root.Spawn(props)
	defer sys.Actors().Root.Stop(pid)
	var msg any = actor.Message{"tag", 1}
	n := testing.AllocsPerRun(1000, func() {
		sys.Actors().Root.Send(pid, msg)
		<-got
	})
	if n != 0 {
		t.Errorf("got %v allocations per message, want 0", n)
	}
}
