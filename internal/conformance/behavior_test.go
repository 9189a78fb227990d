package conformance

import (
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A lamp changes what it does with a push.
type lamp struct{ behavior proto.Behavior }

func newLamp() proto.Actor {
	l := &lamp{behavior: proto.NewBehavior()}
	l.behavior.Become(l.off)
	return l
}

func (l *lamp) Receive(c proto.Context) { l.behavior.Receive(c) }

func (l *lamp) off(c proto.Context) {
	switch tag(c) {
	case "push":
		l.behavior.Become(l.on)
	case "look":
		c.Respond(msg("dark"))
	}
}

func (l *lamp) on(c proto.Context) {
	switch tag(c) {
	case "push":
		l.behavior.Become(l.off)
	case "break":
		l.behavior.BecomeStacked(l.broken)
	case "look":
		c.Respond(msg("bright"))
	}
}

func (l *lamp) broken(c proto.Context) {
	switch tag(c) {
	case "repair":
		l.behavior.UnbecomeStacked()
	case "look":
		c.Respond(msg("broken"))
	}
}

func TestBehavior(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		pid := address(w.far.Spawn(proto.PropsFromProducer(newLamp)))
		for _, step := range []struct{ send, want string }{
			{"nothing", "dark"},
			{"push", "bright"},
			{"push", "dark"},
			{"break", "dark"}, // off does not know it
			{"push", "bright"},
			{"break", "broken"},
			{"push", "broken"},
			{"repair", "bright"}, // what is below the stack has not changed
			{"push", "dark"},
		} {
			w.near.Send(pid, msg(step.send))
			wantResult(t, w.near.RequestFuture(pid, msg("look"), patience), step.want)
		}
	})
}

// A restarted actor is a new one, and begins with its first behaviour.
func TestRestartForgetsBehavior(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		failing := func(next proto.ReceiverFunc) proto.ReceiverFunc {
			return func(c proto.ReceiverContext, e *proto.MessageEnvelope) {
				next(c, e)
				if describe(e.Message) == `["fail"]` {
					panic("as told")
				}
			}
		}
		pid := address(w.far.Spawn(proto.PropsFromProducer(newLamp, proto.WithReceiverMiddleware(failing))))
		w.near.Send(pid, msg("push"))
		wantResult(t, w.near.RequestFuture(pid, msg("look"), patience), "bright")
		w.near.Send(pid, msg("fail"))
		wantResult(t, w.near.RequestFuture(pid, msg("look"), patience), "dark")
	})
}

// What was stashed comes again when the actor has been restarted.
func TestStash(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		open := false
		pid := w.far.spawn(func(c proto.Context) {
			switch {
			case tag(c) == "open":
				open = true
				panic("restart, please")
			case tag(c) == "letter" && !open:
				d.note("stashed")
				c.Stash()
			default:
				d.Receive(c)
			}
		})
		w.near.Send(pid, msg("letter", 1))
		w.near.Send(pid, msg("note"))
		w.near.Send(pid, msg("open"))
		d.want("Started", "stashed", `["note"]`, "Restarting", "Started", `["letter", 1]`)
	})
}

// The mailbox may be of any kind; what comes from one sender keeps its order.
func TestMailboxes(t *testing.T) {
	for name, mailbox := range map[string]proto.MailboxProducer{
		"unbounded": proto.Unbounded(),
		"lock-free": proto.UnboundedLockfree(),
		"bounded":   proto.Bounded(1024),
		"priority":  proto.UnboundedPriority(),
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				d := newDiary(t)
				pid := w.far.spawn(d.Receive, proto.WithMailbox(mailbox))
				d.want("Started")
				for _, word := range []string{"a", "b", "c"} {
					w.near.Send(pid, msg(word))
				}
				d.want(`["a"]`, `["b"]`, `["c"]`)
			})
		})
	}
}
