package remote_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// Two Perl nodes that dial each other at once finish both handshakes, switch
// to the newer connection, each to another one, and lose both (the recordings
// named crossing). When one of the two is ours, the Perl node completes only
// one, whichever it is, and nothing is lost.
func TestCrossingDialsWithPerl(t *testing.T) {
	for range 50 {
		m := newMesh(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		// Our node dials the peer because of the seed; the peer dials us.
		a := m.start("a", func(c *remote.Config) { c.Seeds = []string{l.Addr().String()} })
		type result struct {
			conn *aemp.Conn
			err  error
		}
		results := make(chan result)
		perl := aemp.Config{
			NodeID: "perl", Secret: secret, Framings: []aemp.Framing{aemp.JSON},
			Auths: []string{"tls_md6_64_256", "hmac_md6_64_256", "tls_anon", "cleartext"},
			Extra: map[string]string{"provider": "AE-1.30", "mproto": "", "gproto": ""},
		}
		shake := func(nc net.Conn, err error) {
			if err != nil {
				t.Error(err)
				results <- result{nil, err}
				return
			}
			conn, err := aemp.Handshake(t.Context(), nc, perl)
			results <- result{conn, err}
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go shake(accepted, nil)
		go func() { shake(net.Dial("tcp", a.Addresses()[0])) }()

		one, two := next(t, results), next(t, results)
		if one.err != nil {
			one, two = two, one
		}
		if one.err != nil || two.err == nil {
			t.Fatalf("got errors %v and %v, want one connection", one.err, two.err)
		}
		port, got := a.collector()
		if err := one.conn.Send(port.Name(), "hello"); err != nil {
			t.Fatal(err)
		}
		wantMessage(t, next(t, got), "hello")
		a.sys.Send("perl#port", "hello yourself")
		if _, msg, err := one.conn.Receive(); err != nil || msg.String() != `["hello yourself"]` {
			t.Errorf("the peer received %v, %v", msg, err)
		}
		if _, ok := next(t, a.events).(remote.NodeUp); !ok || len(a.events) > 0 {
			t.Error("there was more than one connection")
		}
		one.conn.Close()
		l.Close()
		a.Close()
	}
}

// A peer that proves itself on a new connection has lost the old one, even if
// we have not noticed: there is no doubt that monitors fire, and no wait.
func TestSwitchedConnections(t *testing.T) {
	m := newMesh(t)
	b := m.start("b") // has the larger ID, so that it does not withhold anything
	old := goPeer(t, b, "a")
	next(t, b.events)
	died := b.monitored("a")
	port, got := b.collector()
	if err := old.Send(port.Name(), "before"); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, next(t, got), "before")

	// While a connection is up, another one is refused at the greeting.
	nc, err := net.Dial("tcp", b.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := aemp.Handshake(t.Context(), nc, peerConfig("a")); !errors.Is(err, io.EOF) && err == nil {
		t.Error("a second connection was accepted")
	}
	old.Close()
	next(t, died)
	next(t, b.events)

	// Two that were greeted before either was up: the later one wins.
	gate := make(chan bool)
	slow := peerConfig("a")
	slow.Nonce = func() string { return "a slow nonce" }
	first, second := dialGated(t, b, slow, gate), dialGated(t, b, slow, gate)
	close(gate)
	c1, c2 := next(t, first), next(t, second)
	if c1 == nil && c2 == nil {
		t.Fatal("there is no connection")
	}
	for up := 0; ; {
		switch e := next(t, b.events).(type) {
		case remote.NodeUp:
			up++
		case remote.NodeDown:
			if e.Reason[2] != remote.ErrSwitched.Error() {
				t.Errorf("got reason %v", e.Reason)
			}
			continue
		}
		if up == 2 || c1 == nil || c2 == nil {
			break
		}
	}
}

// peerConfig is that of a node of ours.
func peerConfig(id aemp.NodeID) aemp.Config { return aemp.Config{NodeID: id, Secret: secret} }

func goPeer(t *testing.T, n *testNode, id aemp.NodeID) *aemp.Conn {
	t.Helper()
	conn, err := aemp.Dial(t.Context(), n.Addresses()[0], peerConfig(id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// dialGated begins a handshake and finishes it when the gate opens.
func dialGated(t *testing.T, n *testNode, cfg aemp.Config, gate <-chan bool) <-chan *aemp.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", n.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan *aemp.Conn, 1)
	greeted := make(chan bool)
	cfg.Admit = func(*aemp.Greeting) (func(ctx context.Context) error, error) {
		close(greeted)
		<-gate
		return nil, nil
	}
	go func() {
		conn, _ := aemp.Handshake(t.Context(), nc, cfg)
		if conn != nil {
			t.Cleanup(func() { conn.Close() })
		}
		result <- conn
	}()
	next(t, greeted)
	return result
}
