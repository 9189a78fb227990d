package remote_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// Here we are beta, which dials: the test does by our functions what the Perl
// program did by its own, our packets must be the recorded ones but for the
// names of ports, and alpha's recorded answers come in.

// A betaSide is our node in the place of beta.
type betaSide struct {
	t     *testing.T
	node  *testNode
	sys   *actor.System
	rec   *recording
	peer  *scriptedPeer
	names names

	step    string
	says    []packet // what we have to say in this step
	answers []packet // what alpha answers

	self   actor.PortID // takes alpha's messages
	got    <-chan actor.Message
	tagged actor.PortID // alpha's, with a receiver
	echo   actor.PortID // spawned, and used by the next step
	linked <-chan actor.Reason
}

func TestReplayAsBeta(t *testing.T) { replay(t, "-two-nodes-", 5, replayAsBeta) }

func replayAsBeta(t *testing.T, rec *recording) {
	b := newBetaSide(t, rec)
	for name := range betaSteps {
		if g := onlyIn[name]; !rec.has(name) && (g == 0 || g == rec.generation) {
			t.Errorf("step %s was not recorded", name)
		}
	}
	for _, step := range rec.steps {
		b.begin(step)
		if do := betaSteps[step.name]; do != nil {
			do(b)
		}
		if len(b.says)+len(b.answers) > 0 {
			t.Fatalf("step %s: %d packets of beta and %d of alpha are left", step.name, len(b.says), len(b.answers))
		}
		b.peer.fence(step.name)
	}
	if b.peer.compared < 45 {
		t.Errorf("only %d packets were compared", b.peer.compared)
	}
	b.down()
}

// down is the end: beta goes, and alpha closes its side too.
func (b *betaSide) down() {
	b.t.Helper()
	b.step = "down"
	closed := make(chan error, 1)
	go func() { closed <- b.node.Close() }()
	b.peer.wantEnd()
	b.peer.conn.Close()
	if err := nextIn(b.t, b.step, closed); err != nil {
		b.t.Error(err)
	}
	b.wantDeath(b.linked, aemp.ReasonTransport, "alpha", "node is closed")
	if len(b.got) > 0 {
		b.t.Errorf("our port received a message too many: %v", <-b.got)
	}
}

func newBetaSide(t *testing.T, rec *recording) *betaSide {
	t.Helper()
	n, peer := rec.asBeta(t)
	b := &betaSide{t: t, node: n, sys: n.sys, rec: rec, peer: peer, names: newNames(rec)}
	b.peer.same = b.names.same
	b.self, b.got = n.collector()
	b.names.match(rec.packet(t, "snd", "alpha", "tag").port, b.self.Name()) // alpha knows it without being told
	b.tagged = b.alphas("snd", "tag")
	return b
}

// alphas returns the port of alpha to which beta sends that message.
func (b *betaSide) alphas(step, tag string) actor.PortID {
	b.t.Helper()
	return actor.NodeID("alpha").Port(b.rec.packet(b.t, step, "beta", tag).port)
}

// begin takes the packets of a step. Those of the mesh come in at once: they
// are not for anybody here.
func (b *betaSide) begin(step recordedStep) {
	b.t.Helper()
	b.step, b.says, b.answers = step.name, nil, nil
	for _, p := range step.packets {
		switch {
		case b.rec.leftOut(p):
			if p.from == "alpha" {
				b.peer.write(p)
			}
		case p.from == "beta":
			b.says = append(b.says, p)
		default:
			b.answers = append(b.answers, p)
		}
	}
}

// exchange compares what we have said in the step, and then gives alpha's
// answers.
func (b *betaSide) exchange() {
	b.t.Helper()
	b.said(len(b.says))
	b.answered(len(b.answers))
}

// said compares our next n packets.
func (b *betaSide) said(n int) {
	b.t.Helper()
	for _, p := range b.says[:n] {
		b.peer.expect(p)
	}
	b.says = b.says[n:]
}

// answered gives alpha's next n answers, with our names in the place of
// beta's, and waits until they are read.
func (b *betaSide) answered(n int) {
	b.t.Helper()
	for _, p := range b.answers[:n] {
		message := b.names.ours([]any(p.message)).([]any)
		if err := b.peer.conn.Send(b.names.ours(p.port).(string), message...); err != nil {
			b.t.Fatalf("step %s: %v", b.step, err)
		}
	}
	b.answers = b.answers[n:]
	b.peer.fence(b.step)
}

// wantMessage compares the next message that came to our port.
func (b *betaSide) wantMessage(want ...any) {
	b.t.Helper()
	if got := nextIn(b.t, b.step, b.got); !reflect.DeepEqual(got, append(actor.Message{}, want...)) {
		b.t.Fatalf("step %s: our port received another message:\n%s", b.step, diff(got, actor.Message(want)))
	}
}

// wantDeath compares the reason for which a port of alpha died, and sees that
// it died once.
func (b *betaSide) wantDeath(died <-chan actor.Reason, want ...any) {
	b.t.Helper()
	got := nextIn(b.t, b.step, died)
	if !reflect.DeepEqual(append(actor.Reason{}, got...), append(actor.Reason{}, want...)) {
		b.t.Fatalf("step %s: the monitor was told another reason:\n%s", b.step, diff([]any(got), want))
	}
	if len(died) > 0 {
		b.t.Errorf("step %s: the monitor fired again, with %v", b.step, <-died)
	}
}

// request sends a request to alpha's node port.
func (b *betaSide) request(request ...any) { b.sys.Send("alpha", request...) }

// betaSteps are the steps in which beta does something that is compared.
var betaSteps = map[string]func(*betaSide){
	"snd": func(b *betaSide) {
		b.sys.Send(b.tagged, append([]any{"tag"}, everyKind("")...)...)
		b.sys.Send(b.tagged, "untagged", 1)
		for i := range 3 {
			b.sys.Send(b.tagged, "other", i)
		}
		b.exchange()
		b.wantMessage("tag", "from alpha")
		b.wantMessage()
	},
	"snd-large": func(b *betaSide) {
		b.sys.Send(b.tagged, append([]any{"tag"}, large()...)...)
		b.exchange()
	},
	"spawn": func(b *betaSide) {
		b.echo = b.sys.Spawn("alpha", "Peer::echo", b.self, "via", 1)
		b.sys.Send(b.echo, "hello", 42)
		b.exchange()
		b.wantMessage("via", int64(1), "echo", "hello", int64(42))
	},
	"mon-die": func(b *betaSide) {
		died := b.node.monitored(b.echo)
		b.sys.Send(b.echo, "die")
		b.exchange()
		b.wantDeath(died, "die", "told to die")
	},
	"mon-kil-reason": func(b *betaSide) {
		port := b.sys.Spawn("alpha", "Peer::echo", b.self)
		died := b.node.monitored(port)
		b.sys.Kill(port, "because", 3, []any{"x"})
		b.exchange()
		b.wantDeath(died, "because", int64(3), []any{"x"})
	},
	"mon-kil-normal": func(b *betaSide) {
		port := b.sys.Spawn("alpha", "Peer::echo", b.self)
		died := b.node.monitored(port)
		b.sys.Kill(port)
		b.exchange()
		b.wantDeath(died)
	},
	"mon-nonexistent": func(b *betaSide) {
		died := b.node.monitored("alpha#nosuchport")
		b.exchange()
		b.wantDeath(died, "no_such_port", "cannot monitor nonexistent port", "alpha#nosuchport")
	},
	"mon-twice-unmon": func(b *betaSide) {
		one := b.sys.Monitor(b.tagged, func(actor.Reason) { b.t.Error("step mon-twice-unmon: the first monitor fired") })
		two := b.sys.Monitor(b.tagged, func(actor.Reason) { b.t.Error("step mon-twice-unmon: the second monitor fired") })
		one()
		two()
		b.exchange()
	},
	"mon-link": func(b *betaSide) {
		b.linked = b.node.monitored(b.sys.Spawn("alpha", "Peer::linked", b.self))
		owner, _ := b.node.collector()
		died := b.node.monitored(b.sys.Spawn("alpha", "Peer::linked", owner))
		b.said(4)
		b.answered(2) // which monitor our two ports
		b.sys.Kill(owner, "gone", "away")
		b.exchange()
		b.wantDeath(died, "gone", "away")
	},
	"kil-nonexistent": func(b *betaSide) {
		b.sys.Kill("alpha#nosuchport", "nobody", "home")
		b.sys.Send("alpha#nosuchport", "into", "the void")
		b.exchange()
	},
	"unhandled": func(b *betaSide) {
		port := b.alphas("unhandled", "surprise")
		died := b.node.monitored(port)
		b.sys.Send(port, "surprise", 1)
		b.exchange()
		if b.rec.generation == 1 {
			b.wantDeath(died, "die", "received message on port without callback at aemp1/lib/AnyEvent/MP.pm line 338.")
			return
		}
		b.wantDeath(died, "unhandled_message", "no callback found for message 'surprise'")
	},
	"die-in-callback": func(b *betaSide) {
		port := b.alphas("die-in-callback", "boom")
		died := b.node.monitored(port)
		b.sys.Send(port, "boom")
		b.exchange()
		b.wantDeath(died, "die", "died on boom")
	},
	"spawn-broken": func(b *betaSide) {
		port := b.sys.Spawn("alpha", "Peer::broken")
		died := b.node.monitored(port)
		b.exchange()
		b.wantDeath(died, "no_such_port", "cannot monitor nonexistent port", string(port))
	},
	"spawn-nofunc": func(b *betaSide) {
		port := b.sys.Spawn("alpha", "Peer::nosuchfunc")
		died := b.node.monitored(port)
		b.exchange()
		b.wantDeath(died, "no_such_port", "cannot monitor nonexistent port", string(port))
	},
	"snd_to_func": func(b *betaSide) {
		b.request("Peer::hello", b.self, "tagged")
		b.exchange()
		b.wantMessage("tagged", "hello", "alpha")
	},
	"cal": func(b *betaSide) {
		type result struct {
			answer actor.Message
			err    error
		}
		done := make(chan result, 1)
		go func() {
			answer, err := b.sys.Call(b.t.Context(), "alpha", "time")
			done <- result{answer, err}
		}()
		b.said(1)
		b.sys.Send(b.alphas("cal", "q"), "q", b.self, 9)
		b.exchange()
		r := nextIn(b.t, b.step, done)
		if r.err != nil {
			b.t.Fatalf("step cal: %v", r.err)
		}
		b.wantTime(r.answer)
		b.wantMessage("q-reply", int64(9))
	},
	"req-time": func(b *betaSide) {
		b.request("time", b.self, "now")
		b.exchange()
		m := nextIn(b.t, b.step, b.got)
		if tag, _ := m.Tag(); tag != "now" {
			b.t.Fatalf("step req-time: got %v", m)
		}
		b.wantTime(m[1:])
	},
	"req-snd": func(b *betaSide) {
		b.request("snd", b.self, "relayed", 1)
		b.exchange()
		b.wantMessage("relayed", int64(1))
	},
	"req-eval": func(b *betaSide) {
		b.request("eval", "6 * 7", b.self, "result")
		b.request("eval", `die qq{oops\n}`, b.self, "result")
		b.request("eval", "(1, 'a', [2], undef)", b.self, "result")
		b.request("eval", "1")
		b.exchange()
		b.wantMessage("result", "", int64(42))
		b.wantMessage("result", "oops\n")
		b.wantMessage("result", "", int64(1), "a", []any{int64(2)}, nil)
	},
	"req-devnull": func(b *betaSide) {
		b.request("devnull", 1, 2)
		b.request("")
		b.exchange()
	},
	"req-can": func(b *betaSide) {
		for _, name := range []string{"mon1", "eval", "nosuch"} {
			b.request("can", name, b.self, name)
		}
		b.exchange()
		b.wantMessage("mon1", "1")
		b.wantMessage("eval", "1")
		b.wantMessage("nosuch", "")
	},
	"req-info": func(b *betaSide) {
		for _, name := range []string{"info", "known_nodes", "up_nodes"} {
			b.request(name, b.self, name)
		}
		b.exchange()
		b.wantMessage("info", "alpha")
		if m := nextIn(b.t, b.step, b.got); !strings.HasPrefix(m.String(), `["known_nodes", `) || len(m) != 4 {
			b.t.Errorf("step req-info: got %v", m)
		}
		b.wantMessage("up_nodes", "beta")
	},
	"req-snd_multiple": func(b *betaSide) {
		b.request("snd_multiple", []any{b.self, "m", 1}, []any{b.self, "m", 2})
		b.exchange()
		b.wantMessage("m", int64(1))
		b.wantMessage("m", int64(2))
	},
	"req-unknown": func(b *betaSide) {
		b.request("nosuchrequest", b.self)
		b.exchange()
	},
}

// onlyIn tells the generation of the steps that were recorded in one alone.
var onlyIn = map[string]int{"req-info": 1, "req-snd_multiple": 1, "req-can": 2}

// wantTime checks that alpha's time is that of the recording: whatever the
// framing makes of it, Scan makes it a number.
func (b *betaSide) wantTime(m actor.Message) {
	b.t.Helper()
	const recorded = 1_795_225_000 // and a few minutes
	var seconds float64
	if err := m.Scan(&seconds); err != nil || len(m) != 1 || seconds < recorded || seconds > recorded+3600 {
		b.t.Errorf("step %s: got time %v, %v", b.step, m, err)
	}
}
