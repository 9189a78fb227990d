package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
	"github.com/portmesh/portmesh/remote"
)

// config returns what the handshake of a node is made with, so that its
// greeting is the recorded one in all that matters.
func (r *recording) config(t *testing.T, node string) aemp.Config {
	t.Helper()
	g := r.greetings[node]
	cfg := aemp.Config{NodeID: g.Node, Secret: wiretest.Secret, Auths: g.Auths, Extra: make(map[string]string)}
	for _, key := range []string{"mproto", "gproto", "provider"} {
		cfg.Extra[key] = g.Extra[key] // none at all in generation 1
	}
	for _, name := range g.Framings {
		cfg.Framings = append(cfg.Framings, packets.Framing(t, name))
	}
	return cfg
}

// asAlpha starts our node as alpha, to which beta has connected.
func (r *recording) asAlpha(t *testing.T, change ...func(*remote.Config)) (*testNode, *scriptedPeer) {
	t.Helper()
	n := newMesh(t).start("alpha", change...)
	conn, err := aemp.Dial(t.Context(), n.Addresses()[0], r.config(t, "beta"))
	if err != nil {
		t.Fatalf("step connect: %v", err)
	}
	return n, newScriptedPeer(t, r, conn)
}

// asBeta starts our node as beta, which has connected to alpha.
func (r *recording) asBeta(t *testing.T, change ...func(*remote.Config)) (*testNode, *scriptedPeer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := newMesh(t)
	m.addresses["alpha"] = []string{l.Addr().String()}
	n := m.start("beta", change...)

	connected := make(chan error, 1)
	go func() { connected <- n.Connect(t.Context(), "alpha") }()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	nc, err := l.Accept()
	if err != nil {
		t.Fatalf("step connect: %v", err)
	}
	conn, err := aemp.Handshake(t.Context(), nc, r.config(t, "alpha"))
	if err != nil {
		t.Fatalf("step connect: %v", err)
	}
	peer := newScriptedPeer(t, r, conn)
	if err := nextIn(t, "connect", connected); err != nil {
		t.Fatalf("step connect: %v", err)
	}
	return n, peer
}

// A scriptedPeer plays one of the recorded nodes towards ours.
type scriptedPeer struct {
	t        *testing.T
	rec      *recording
	conn     *aemp.Conn
	us       actor.NodeID
	same     func(want, got packet) bool
	compared int
	fences   int
}

func newScriptedPeer(t *testing.T, rec *recording, conn *aemp.Conn) *scriptedPeer {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	conn.NetConn().SetDeadline(time.Now().Add(patience))
	return &scriptedPeer{t: t, rec: rec, conn: conn, us: conn.Remote().Node}
}

// write sends the recorded bytes of a packet.
func (s *scriptedPeer) write(p packet) {
	s.t.Helper()
	if _, err := s.conn.NetConn().Write(p.raw); err != nil {
		s.t.Fatalf("step %s: cannot write %s: %v", p.step, excerpt(p.String(), 0), err)
	}
}

// receive returns our node's next packet, of those that are compared.
func (s *scriptedPeer) receive() (packet, error) {
	for {
		port, m, err := s.conn.Receive()
		p := packet{port: port, message: m}
		if err != nil || !s.rec.leftOut(p) {
			return p, err
		}
	}
}

// expect compares our node's next packet with the recorded one.
func (s *scriptedPeer) expect(want packet) {
	s.t.Helper()
	s.compared++
	got, err := s.receive()
	if err != nil {
		s.t.Fatalf("step %s, packet %d of %s: %v; want %s", want.step, s.compared, s.us, err, excerpt(want.String(), 0))
	}
	if !s.same(want, got) {
		s.t.Fatalf("step %s, packet %d of %s differs:\n%s", want.step, s.compared, s.us, diff(got, want))
	}
}

// fence waits until our node has read all that it was sent. A packet that it
// has sent beyond those expected makes the test fail.
func (s *scriptedPeer) fence(step string) {
	s.t.Helper()
	s.fences++
	if err := s.conn.Send("", "snd", string(s.conn.Local().Node.Port("fence")), s.fences); err != nil {
		s.t.Fatalf("step %s: %v", step, err)
	}
	got, err := s.receive()
	if err != nil {
		s.t.Fatalf("step %s: behind its packet %d, %s does not answer: %v", step, s.compared, s.us, err)
	}
	if got.port != "fence" || !reflect.DeepEqual(got.message, actor.Message{int64(s.fences)}) {
		s.t.Fatalf("step %s: behind its packet %d, %s sends %s; want nothing more", step, s.compared, s.us, excerpt(got.String(), 0))
	}
}

// wantEnd waits for our node to close the connection.
func (s *scriptedPeer) wantEnd() {
	s.t.Helper()
	if got, err := s.receive(); !errors.Is(err, io.EOF) {
		s.t.Errorf("step down: got %s, %v; want %v", excerpt(got.String(), 0), err, io.EOF)
	}
}

// nextIn returns the next value, or fails the test, naming the step.
func nextIn[T any](t *testing.T, step string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-timeout():
		t.Fatalf("step %s: nothing came", step)
	}
	return v
}

// diff shows two things that are not the same, around the first difference.
func diff(got, want any) string {
	g, w := fmt.Sprint(got), fmt.Sprint(want)
	if g == w { // it is in the types
		g, w = fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want)
	}
	at := 0
	for at < min(len(g), len(w)) && g[at] == w[at] {
		at++
	}
	return fmt.Sprintf(" got %s\nwant %s", excerpt(g, at), excerpt(w, at))
}

// excerpt cuts a long text down to what is around a place.
func excerpt(text string, at int) string {
	const around = 200
	from, to := max(at-around, 0), min(at+around, len(text))
	if from > 0 {
		text = "..." + text[from:]
		to += 3 - from
	}
	if to < len(text) {
		text = text[:to] + "..."
	}
	return text
}
