package conformance

import (
	"errors"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"
)

// What wraps an actor sees all that it receives, the outermost first.
func TestReceiverMiddleware(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		layer := func(name string) proto.ReceiverMiddleware {
			return func(next proto.ReceiverFunc) proto.ReceiverFunc {
				return func(c proto.ReceiverContext, e *proto.MessageEnvelope) {
					d.note("%s before %s", name, describe(e.Message))
					next(c, e)
					d.note("%s after", name)
				}
			}
		}
		pid := w.far.spawn(d.Receive, proto.WithReceiverMiddleware(layer("outer"), layer("inner")))
		d.want("outer before Started", "inner before Started", "Started", "inner after", "outer after")
		w.near.Send(pid, msg("hello"))
		d.want(`outer before ["hello"]`, `inner before ["hello"]`, `["hello"]`, "inner after", "outer after")
	})
}

// It may keep a message from the actor, or replace it.
func TestReceiverMiddlewareDecides(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		censor := func(next proto.ReceiverFunc) proto.ReceiverFunc {
			return func(c proto.ReceiverContext, e *proto.MessageEnvelope) {
				switch describe(e.Message) {
				case `["rude"]`:
					return
				case `["blunt"]`:
					e = &proto.MessageEnvelope{Message: msg("polite"), Sender: e.Sender}
				}
				next(c, e)
			}
		}
		pid := w.far.spawn(d.Receive, proto.WithReceiverMiddleware(censor))
		for _, word := range []string{"rude", "blunt", "fine"} {
			w.near.Send(pid, msg(word))
		}
		d.want("Started", `["polite"]`, `["fine"]`)
	})
}

func TestSenderMiddleware(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		layer := func(name string) proto.SenderMiddleware {
			return func(next proto.SenderFunc) proto.SenderFunc {
				return func(c proto.SenderContext, target *proto.PID, e *proto.MessageEnvelope) {
					if describe(e.Message) == `["secret"]` {
						d.note("%s keeps it", name)
						return
					}
					d.note("%s sends %s", name, describe(e.Message))
					next(c, target, e)
				}
			}
		}
		receiver := w.far.spawn(func(c proto.Context) {
			if tag(c) != "" {
				d.Receive(c)
			}
		})
		middleware := proto.WithSenderMiddleware(layer("outer"), layer("inner"))
		t.Run("of an actor", func(t *testing.T) {
			pid := w.near.spawn(func(c proto.Context) {
				switch tag(c) {
				case "go":
					c.Send(receiver, msg("secret"))
					c.Send(receiver, msg("hello"))
				case "ask":
					c.Request(receiver, msg("request"))
				case "pass on":
					c.Forward(receiver)
				}
			}, middleware)
			w.near.Send(pid, msg("go"))
			d.want("outer keeps it", `outer sends ["hello"]`, `inner sends ["hello"]`, `["hello"]`)
			w.near.Send(pid, msg("ask"))
			d.want(`outer sends ["request"]`, `inner sends ["request"]`, `["request"]`)
			w.near.Send(pid, msg("pass on"))
			d.want(`outer sends ["pass on"]`, `inner sends ["pass on"]`, `["pass on"]`)
		})
		t.Run("of a root context", func(t *testing.T) {
			root := proto.NewRootContext(w.near.ActorSystem(), nil, layer("outer"), layer("inner"))
			root.Send(receiver, msg("secret"))
			root.Send(receiver, msg("hello"))
			d.want("outer keeps it", `outer sends ["hello"]`, `inner sends ["hello"]`, `["hello"]`)
		})
	})
}

func TestSpawnMiddleware(t *testing.T) {
	w := oneSystem(t)
	d := newDiary(t)
	errForbidden := errors.New("forbidden name")
	layer := func(name string) proto.SpawnMiddleware {
		return func(next proto.SpawnFunc) proto.SpawnFunc {
			return func(s *proto.ActorSystem, id string, p *proto.Props, parent proto.SpawnerContext) (*proto.PID, error) {
				d.note("%s spawns", name)
				if id == "forbidden" {
					return nil, errForbidden
				}
				return next(s, id, p, parent)
			}
		}
	}
	child := proto.PropsFromFunc(func(proto.Context) {})
	t.Run("of an actor", func(t *testing.T) {
		w.near.spawn(func(c proto.Context) {
			if _, ok := c.Message().(*proto.Started); ok {
				c.Spawn(child)
				d.note("children: %d", len(c.Children()))
			}
		}, proto.WithSpawnMiddleware(layer("outer"), layer("inner")))
		d.want("outer spawns", "inner spawns", "children: 1")
	})
	t.Run("of a root context", func(t *testing.T) {
		root := proto.NewRootContext(w.near.ActorSystem(), nil).WithSpawnMiddleware(layer("outer"))
		root.Spawn(child)
		if _, err := root.SpawnNamed(child, "forbidden"); !errors.Is(err, errForbidden) {
			t.Errorf("got error %v, want %v", err, errForbidden)
		}
		d.want("outer spawns", "outer spawns")
	})
}

// A politeContext changes what an actor does with its context.
type politeContext struct{ proto.Context }

func (c politeContext) Respond(response any) { c.Context.Respond(msg("please", response)) }

func TestContextDecorator(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		polite := func(next proto.ContextDecoratorFunc) proto.ContextDecoratorFunc {
			return func(c proto.Context) proto.Context { return politeContext{next(c)} }
		}
		pid := w.far.spawn(func(c proto.Context) {
			if tag(c) == "ask" {
				c.Respond("take it")
			}
		}, proto.WithContextDecorator(polite))
		wantResult(t, w.near.RequestFuture(pid, msg("ask"), patience), "please", "take it")
	})
}

// Headers have no form on the wire, and travel on one system only.
func TestHeaders(t *testing.T) {
	w := oneSystem(t)
	d := newDiary(t)
	sign := func(next proto.SenderFunc) proto.SenderFunc {
		return func(c proto.SenderContext, target *proto.PID, e *proto.MessageEnvelope) {
			e.SetHeader("signed", "by me")
			next(c, target, e)
		}
	}
	receiver := w.far.spawn(func(c proto.Context) {
		if tag(c) != "" {
			d.note("signed %s", c.MessageHeader().Get("signed"))
		}
	})
	proto.NewRootContext(w.near.ActorSystem(), nil, sign).Send(receiver, msg("hello"))
	d.want("signed by me")
}
