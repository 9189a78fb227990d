package conformance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// echo answers each message with itself.
func echo(c proto.Context) {
	if m, ok := content(c).(actor.Message); ok {
		c.Respond(append(msg("echo"), m...))
	}
}

func TestSendKeepsOrder(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		pid, d := w.far.recorder()
		want := []string{"Started"}
		for i := range 500 {
			w.near.Send(pid, msg("n", i))
			want = append(want, fmt.Sprintf(`["n", %d]`, i))
		}
		d.want(want...)
	})
}

// A message of the root context has no sender.
func TestSendHasNoSender(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		senders := make(chan *proto.PID, 1)
		pid := w.far.spawn(func(c proto.Context) {
			if tag(c) != "" {
				senders <- c.Sender()
			}
		})
		w.near.Send(pid, msg("hello", "there"))
		if sender := next(t, senders); sender != nil {
			t.Errorf("got sender %v, want none", sender)
		}
	})
}

// The answer to an actor's request is a message like any other.
func TestRequestOfAnActor(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		server := w.far.spawn(func(c proto.Context) {
			if tag(c) == "question" {
				d.note("server: %s", describe(content(c)))
				c.Respond(msg("answer", 42))
			}
		})
		client := w.near.spawn(func(c proto.Context) {
			switch tag(c) {
			case "ask":
				c.Request(server, msg("question", "why"))
			case "answer":
				d.note("client: %s, to be answered: %t", describe(content(c)), c.Sender() != nil)
			}
		})
		w.near.Send(client, msg("ask"))
		d.want(`server: ["question", "why"]`, `client: ["answer", 42], to be answered: false`)
	})
}

func TestSenderIsTheActorThatAsked(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		senders := make(chan *proto.PID, 1)
		server := w.far.spawn(func(c proto.Context) {
			if tag(c) == "who" {
				senders <- c.Sender()
			}
		})
		client := w.near.spawn(func(c proto.Context) {
			if tag(c) == "ask" {
				c.Request(server, msg("who"))
			}
		})
		w.near.Send(client, msg("ask"))
		if sender := next(t, senders); !sender.Equal(client) {
			t.Errorf("got sender %v, want %v", sender, client)
		}
	})
}

func TestRequestWithCustomSender(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		server := w.far.spawn(echo)
		client, d := w.near.recorder()
		w.near.RequestWithCustomSender(server, msg("hello"), client)
		d.want("Started", `["echo", "hello"]`)
	})
}

// Who answers later keeps the sender's address.
func TestLateAnswer(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		var asked *proto.PID
		server := w.far.spawn(func(c proto.Context) {
			switch tag(c) {
			case "ask":
				asked = c.Sender()
			case "now":
				c.Send(asked, msg("answer"))
			}
		})
		f := w.near.RequestFuture(server, msg("ask"), patience)
		w.near.Send(server, msg("now"))
		wantResult(t, f, "answer")
	})
}

func TestRequestFutureFromAnActor(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		server := w.far.spawn(echo)
		client := w.near.spawn(func(c proto.Context) {
			if tag(c) == "ask" {
				result, err := c.RequestFuture(server, msg("hello"), patience).Result()
				c.Respond(msg(describe(result), err == nil))
			}
		})
		wantResult(t, w.near.RequestFuture(client, msg("ask"), patience), `["echo", "hello"]`, true)
	})
}

// A forwarded request is answered by the one to whom it was forwarded, and the
// answer goes to the one who asked.
func TestForward(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		for _, test := range []struct {
			name   string
			server *side
		}{{"to this side", w.near}, {"to that side", w.far}} {
			t.Run(test.name, func(t *testing.T) {
				server := test.server.spawn(func(c proto.Context) {
					if m, ok := c.Message().(actor.Message); ok {
						c.Respond(msg("answer", m[0], m[1]))
					}
				})
				proxy := w.far.spawn(func(c proto.Context) { c.Forward(server) })
				wantResult(t, w.near.RequestFuture(proxy, msg("question", 7), patience), "answer", "question", 7)
			})
		}
	})
}

// A message that has no sender is forwarded without one.
func TestForwardOfASend(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		receiver, d := w.near.recorder()
		d.want("Started")
		proxy := w.far.spawn(func(c proto.Context) {
			if tag(c) != "" {
				c.Forward(receiver)
			}
		})
		w.near.Send(proxy, msg("hello", 7))
		d.want(`["hello", 7]`)
	})
}

// An answer that nobody asked for is a dead letter where it is given.
func TestRespondToNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		server := w.far.spawn(echo)
		w.near.Send(server, msg("hello"))
		if letter := w.far.wantLetter(msg("echo", "hello")); letter.PID != nil {
			t.Errorf("got a letter to %v, want one to nobody", letter.PID)
		}
	})
}

// Of two answers, the one that came first counts, and the other is a dead
// letter where the question came from. On one system protoactor-go lets the
// second answer overwrite the first while it is being read.
func TestRespondTwiceAcrossNodes(t *testing.T) {
	w := twoNodes(t)
	server := w.far.spawn(func(c proto.Context) {
		if tag(c) == "ask" {
			c.Respond(msg("first"))
			c.Respond(msg("second"))
		}
	})
	f := w.near.RequestFuture(server, msg("ask"), patience)
	wantResult(t, f, "first")
	letter := w.near.wantLetter(msg("second"))
	if !letter.PID.Equal(f.PID()) {
		t.Errorf("got a letter to %v, want %v", letter.PID, f.PID())
	}
	wantResult(t, f, "first")
}

// An actor answers as often as it likes to an actor.
func TestManyAnswersToAnActor(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		server := w.far.spawn(func(c proto.Context) {
			if tag(c) == "count" {
				for i := range 3 {
					c.Respond(msg(i))
				}
			}
		})
		client, d := w.near.recorder()
		w.near.RequestWithCustomSender(server, msg("count"), client)
		d.want("Started", "[0]", "[1]", "[2]")
	})
}

// An address is a value: it can be part of a message, and means the same at
// the other side.
func TestAddressInAMessage(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		target, d := w.near.recorder()
		d.want("Started")
		got := make(chan *proto.PID, 1)
		server := w.far.spawn(func(c proto.Context) {
			m, _ := c.Message().(actor.Message)
			if tag(c) == "tell" {
				var port actor.PortID
				if err := m[1:].Scan(&port); err != nil {
					t.Error(err)
				}
				pid := w.far.sys.PID(port)
				c.Send(pid, msg("told"))
				got <- pid
			}
		})
		w.near.Send(server, msg("tell", actor.PortOf(target), "and nothing else"))
		d.want(`["told"]`)
		if pid := next(t, got); !pid.Equal(target) || !proto.NewPIDSet(pid).Contains(target) {
			t.Errorf("got %v, want %v", pid, target)
		}
	})
}

// Two actors play, each with the address that the other's message gave it.
func TestPingPong(t *testing.T) {
	const rounds = 200
	everywhere(t, func(t *testing.T, w world) {
		done := make(chan int)
		ponger := w.far.spawn(func(c proto.Context) {
			if m, _ := content(c).(actor.Message); tag(c) == "ping" {
				c.Request(c.Sender(), msg("pong", m[1]))
			}
		})
		w.near.spawn(func(c proto.Context) {
			if _, ok := c.Message().(*proto.Started); ok {
				c.Request(ponger, msg("ping", 0))
				return
			}
			if tag(c) == "pong" {
				var n int
				if err := c.Message().(actor.Message)[1:2].Scan(&n); err != nil {
					t.Error(err)
				}
				if n++; n == rounds {
					done <- n
					return
				}
				c.Request(c.Sender(), msg("ping", n))
			}
		})
		next(t, done)
	})
}

// Many requests at once find their own answers.
func TestScatterAndGather(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		var futures []*proto.Future
		for i := range 50 {
			server := w.far.spawn(echo)
			futures = append(futures, w.near.RequestFuture(server, msg("job", i), patience))
		}
		for i, f := range futures {
			wantResult(t, f, "echo", "job", i)
		}
	})
}

// A letter carries several messages into a mailbox.
type letter []any

func (l letter) GetMessages() []any { return l }

func TestMessageBatch(t *testing.T) {
	w := oneSystem(t)
	pid, d := w.far.recorder()
	w.near.Send(pid, letter{msg("one"), msg("two")})
	d.want("Started", `["one"]`, `["two"]`, "conformance.letter")
}

// A knock is answered by itself.
type knock struct{}

func (knock) GetAutoResponse(c proto.Context) any { return msg("at home", actor.PortOf(c.Self())) }

func TestAutoRespond(t *testing.T) {
	w := oneSystem(t)
	pid := w.far.spawn(func(proto.Context) {})
	wantResult(t, w.near.RequestFuture(pid, knock{}, patience), "at home", actor.PortOf(pid))

	result, err := w.near.RequestFuture(pid, &proto.Touch{}, patience).Result()
	if touched, ok := result.(*proto.Touched); err != nil || !ok || !touched.Who.Equal(pid) {
		t.Errorf("touched: got %v, %v", result, err)
	}
}

// Between nodes, a single value becomes a message with one element.
func TestSingleValuesBetweenNodes(t *testing.T) {
	w := twoNodes(t)
	for _, test := range []struct {
		name string
		send any
		want actor.Message
	}{
		{"string", "hello", msg("hello")},
		{"int", 42, msg(42)},
		{"float", 1.5, msg(1.5)},
		{"bool", true, msg(true)},
		{"bytes", []byte{0xff, 0}, msg([]byte{0xff, 0})},
		{"list", []int{1, 2}, msg([]any{1, 2})},
		{"map", map[string]int{"a": 1}, msg(map[string]any{"a": 1})},
		{"nil", nil, msg(nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			pid, d := w.far.recorder()
			w.near.Send(pid, test.send)
			d.want("Started", test.want.String())
		})
	}
	t.Run("answer", func(t *testing.T) {
		pid := w.far.spawn(func(c proto.Context) {
			if c.Sender() != nil {
				c.Respond("pong")
			}
		})
		wantResult(t, w.near.RequestFuture(pid, "ping", patience), "pong")
	})
}

// The reply port of a request from another node is the last element, too.
func TestReplyPortIsLastElement(t *testing.T) {
	w := twoNodes(t)
	messages := make(chan actor.Message, 1)
	pid := w.far.spawn(func(c proto.Context) {
		if m, ok := c.Message().(actor.Message); ok {
			messages <- slices.Clone(m)
		}
	})
	f := w.near.RequestFuture(pid, msg("ask", 1), 10*time.Millisecond)
	want := msg("ask", 1, string(actor.PortOf(f.PID())))
	if got := next(t, messages); got.String() != want.String() {
		t.Errorf("got %v, want %v", got, want)
	}
	f.Wait()
}

// A port ID at the end of a message from another node is the sender, even if
// it was not sent as one: AEMP does not tell the two apart.
func TestLastPortIDIsTheSenderAcrossNodes(t *testing.T) {
	w := twoNodes(t)
	server := w.far.spawn(echo)
	client, d := w.near.recorder()
	w.near.Send(server, msg("hello", actor.PortOf(client)))
	d.want("Started", `["echo", "hello"]`)
}

// A batch is one message to another node, and one list.
func TestMessageBatchAcrossNodes(t *testing.T) {
	w := twoNodes(t)
	pid, d := w.far.recorder()
	w.near.Send(pid, letter{msg("one"), msg("two")})
	d.want("Started", `[[["one"], ["two"]]]`)
}
