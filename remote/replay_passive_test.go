package remote_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// Here we are alpha, which listens: beta's recorded bytes come in, and what
// Perl answered is what we must answer.

// An alphaSide is our node in the place of alpha, with the ports that the Perl
// program had.
type alphaSide struct {
	t    *testing.T
	node *testNode
	rec  *recording
	peer *scriptedPeer

	tagged actor.PortID // has a receiver for "tag", one for "other", and one for the rest
	got    <-chan received
	beta   actor.PortID // where beta takes messages
	linked actor.PortID // the port that lives until beta goes
}

// received is a message with the receiver that it came to.
type received struct {
	receiver string
	message  actor.Message
}

func TestReplayAsAlpha(t *testing.T) { replay(t, "-two-nodes-", 5, replayAsAlpha) }

func replayAsAlpha(t *testing.T, rec *recording) {
	a := newAlphaSide(t, rec)
	for name := range alphaSteps {
		if !rec.has(name) {
			t.Errorf("step %s was not recorded", name)
		}
	}
	for _, step := range rec.steps {
		own := alphaSteps[step.name]
		if own.does != nil {
			own.does(a)
		}
		// One by one, as it was recorded, and not all of the step's bytes at
		// once: since our ports run at the same time, their answers would
		// come in any order.
		for _, p := range step.packets {
			switch {
			case p.from == "beta":
				a.peer.write(p)
			case !rec.leftOut(p):
				a.peer.expect(p)
			}
		}
		a.peer.fence(step.name)
		if own.reports != nil {
			own.reports(a)
		}
	}
	if a.peer.compared < 25 {
		t.Errorf("only %d packets were compared", a.peer.compared)
	}
	a.endedMonitor()
	a.down()
	for _, line := range a.node.log.warnings() {
		if strings.Contains(line, "level=ERROR") {
			t.Errorf("logged %q", line)
		}
	}
}

func newAlphaSide(t *testing.T, rec *recording) *alphaSide {
	t.Helper()
	n, peer := rec.asAlpha(t)
	peer.same = rec.sameAsAlpha
	n.registerPeer()
	a := &alphaSide{t: t, node: n, rec: rec, peer: peer}
	got := make(chan received, 100)
	a.got = got
	a.tagged = a.port("snd", "tag", func(c *actor.Context) error {
		for _, tag := range []string{"tag", "other"} {
			c.Receive(tag, func(_ *actor.Context, m actor.Message) error { got <- received{tag, m}; return nil })
		}
		c.Default(func(_ *actor.Context, m actor.Message) error { got <- received{"default", m}; return nil })
		return nil
	})
	a.port("unhandled", "surprise", func(*actor.Context) error { return nil })
	a.port("die-in-callback", "boom", func(c *actor.Context) error {
		c.Receive("boom", func(*actor.Context, actor.Message) error { return errText("died on boom") })
		return nil
	})
	a.port("cal", "q", func(c *actor.Context) error {
		c.Receive("q", func(c *actor.Context, m actor.Message) error {
			var reply actor.PortID
			if err := m.Scan(&reply); err != nil {
				return err
			}
			return c.Send(reply, append(actor.Message{"q-reply"}, m[1:]...)...)
		})
		return nil
	})
	a.beta = actor.NodeID("beta").Port(rec.packet(t, "snd", "alpha", "tag").port)
	a.linked = n.ID().Port(rec.packet(t, "mon-link", "beta", "AnyEvent::MP::_spawn").message[1].(string))
	up, ok := nextIn(t, "connect", n.events).(remote.NodeUp)
	if !ok || up.Node != "beta" || up.Greeting.Generation() != rec.generation {
		t.Fatalf("step connect: got event %+v, want beta of generation %d", up, rec.generation)
	}
	return a
}

// port makes a port with the name of the one to which beta sends that message.
func (a *alphaSide) port(step, tag string, setup func(*actor.Context) error) actor.PortID {
	a.t.Helper()
	port, err := a.node.sys.NamedPort(a.rec.packet(a.t, step, "beta", tag).port, setup)
	if err != nil {
		a.t.Fatal(err)
	}
	return port
}

// alphaSteps is what alpha does of its own accord when a step begins, and what
// its ports must have received in it.
var alphaSteps = map[string]struct{ does, reports func(*alphaSide) }{
	"snd": {
		does: func(a *alphaSide) {
			a.node.sys.Send(a.beta, "tag", "from alpha")
			a.node.sys.Send(a.beta)
		},
		reports: func(a *alphaSide) {
			a.wantReceived("snd", "tag", everyKind(a.rec.sends["beta"])...)
			a.wantReceived("snd", "default", "untagged", int64(1))
			for i := range int64(3) {
				a.wantReceived("snd", "other", i)
			}
		},
	},
	"snd-large": {reports: func(a *alphaSide) {
		a.wantReceived("snd-large", "tag", large()...)
	}},
	"mon-link": {reports: func(a *alphaSide) {
		// Of the two linked ports one has died with its owner.
		dead := a.node.ID().Port(a.rec.packet(a.t, "mon-link", "alpha", "kil0").message[1].(string))
		a.wantDeath("mon-link", a.node.monitored(dead), aemp.NoSuchPort(dead)...)
		self, got := a.node.collector()
		a.node.sys.Send(a.linked, "ping", self)
		if m := nextIn(a.t, "mon-link", got); !reflect.DeepEqual(m, actor.Message{"pong"}) {
			a.t.Errorf("step mon-link: the port whose owner lives answers %v, want pong", m)
		}
	}},
}

// knownDifferences are the packets in which we, as alpha, need not say what
// Perl said.
var knownDifferences = []struct {
	what, why string
	is        func(r *recording, want packet) bool
	same      func(want, got packet) bool
}{
	{
		"eval", "we evaluate nothing, and answer with an error text in the place of the first result",
		func(_ *recording, want packet) bool { return want.step == "req-eval" },
		func(want, got packet) bool {
			if len(got.message) != 2 || got.message[0] != want.message[0] {
				return false
			}
			text, ok := got.message[1].(string)
			return ok && text != ""
		},
	},
	{
		"time", "time has gone on",
		func(_ *recording, want packet) bool {
			return want.step == "req-time" || want.step == "cal" && want.tag() != "q-reply"
		},
		func(want, got packet) bool {
			n := len(want.message) - 1
			if len(got.message) != n+1 || !reflect.DeepEqual(got.message[:n], want.message[:n]) {
				return false
			}
			var seconds float64
			err := got.message[n:].Scan(&seconds)
			return err == nil && reflect.TypeOf(got.message[n]) == reflect.TypeOf(want.message[n]) &&
				time.Since(time.UnixMicro(int64(seconds*1e6))).Abs() < patience
		},
	},
	{
		"unhandled messages in generation 1", "the reason of generation 2 says the same with a name",
		func(r *recording, want packet) bool { return want.step == "unhandled" && r.generation == 1 },
		func(want, got packet) bool {
			return reflect.DeepEqual(got.message, actor.Message{
				"kil0", want.message[1],
				aemp.ReasonUnhandled, "no callback found for message 'surprise'",
			})
		},
	},
	{
		"known_nodes", "Perl names alpha twice; the order means nothing",
		func(_ *recording, want packet) bool { return want.tag() == "known_nodes" },
		func(_, got packet) bool {
			words := slices.Clone(got.message)
			slices.SortFunc(words, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			return reflect.DeepEqual(words, actor.Message{"alpha", "beta", "known_nodes"})
		},
	},
	{
		"spawn-broken", "a monitor that is there when the function fails hears why, a later one that there is no such port",
		func(_ *recording, want packet) bool { return want.step == "spawn-broken" },
		func(want, got packet) bool {
			died := actor.Message{"kil0", want.message[1], aemp.ReasonDie, "Peer::broken: broken"}
			return reflect.DeepEqual(got.message, want.message) || reflect.DeepEqual(got.message, died)
		},
	},
}

// sameAsAlpha compares what we say as alpha with what Perl said.
func (r *recording) sameAsAlpha(want, got packet) bool {
	if want.port != got.port {
		return false
	}
	for _, d := range knownDifferences {
		if d.is(r, want) {
			return d.same(want, got)
		}
	}
	return reflect.DeepEqual(want.message, got.message)
}

// wantReceived compares the next message at the tagged port, types included.
func (a *alphaSide) wantReceived(step, receiver string, message ...any) {
	a.t.Helper()
	want := received{receiver, message}
	if got := nextIn(a.t, step, a.got); !reflect.DeepEqual(got, want) {
		a.t.Fatalf("step %s: alpha's port received another message:\n%s", step, diff(got, want))
	}
}

// wantDeath compares the reason for which a port died.
func (a *alphaSide) wantDeath(step string, died <-chan actor.Reason, want ...any) {
	a.t.Helper()
	if got := nextIn(a.t, step, died); !reflect.DeepEqual(got, actor.Reason(want)) {
		a.t.Errorf("step %s: a port died of another reason:\n%s", step, diff(got, actor.Reason(want)))
	}
}

// endedMonitor kills a port whose monitor beta has ended: beta must not be
// told.
func (a *alphaSide) endedMonitor() {
	died := a.node.monitored(a.tagged)
	a.node.sys.Kill(a.tagged, "unseen")
	a.wantDeath("mon-twice-unmon", died, "unseen")
	a.peer.fence("mon-twice-unmon")
}

// down is the end: alpha monitors beta and a port there, of which nothing goes
// over the wire since the linked port does the same, and beta goes.
func (a *alphaSide) down() {
	died := map[string]<-chan actor.Reason{
		"beta":           a.node.monitored("beta"),
		"beta's port":    a.node.monitored(a.beta),
		"alpha's linked": a.node.monitored(a.linked),
	}
	a.peer.fence("mon-node")
	if err := a.peer.conn.CloseWrite(); err != nil {
		a.t.Fatal(err)
	}
	a.peer.wantEnd()
	for what, reasons := range died {
		if r := nextIn(a.t, "down", reasons); r.Kind() != aemp.ReasonTransport || r[1] != "beta" {
			a.t.Errorf("step down: %s died of %v, want a transport_error of beta", what, r)
		}
	}
}
