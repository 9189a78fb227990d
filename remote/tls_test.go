package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// certificate makes the bundle of a mesh.
func certificate(t testing.TB) []byte {
	t.Helper()
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{CommonName: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// withTLS gives a node a certificate, and no secret.
func withTLS(t testing.TB, bundle []byte) func(*remote.Config) {
	t.Helper()
	cfg, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *remote.Config) { c.TLS, c.Secret = cfg, "" }
}

func withSecret(c *remote.Config) { c.Secret = secret }

func TestTLSMesh(t *testing.T) {
	for name, more := range map[string]func(*remote.Config){
		"certificate only":       func(*remote.Config) {},
		"certificate and secret": withSecret,
	} {
		t.Run(name, func(t *testing.T) {
			m, mesh := newMesh(t), withTLS(t, certificate(t))
			a, b := m.start("a", mesh, more), m.start("b", mesh, more)
			for _, n := range []*testNode{a, b} {
				n.registerPeer()
			}
			for _, side := range []struct{ from, to *testNode }{{a, b}, {b, a}} {
				self, got := side.from.collector()
				port := side.from.sys.Spawn(side.to.ID(), "Peer::echo", self, "via")
				died := side.from.monitored(port)
				side.from.sys.Send(port, "hello", 42)
				wantMessage(t, next(t, got), "via", "echo", "hello", 42)
				side.from.sys.Kill(port, "because", 3)
				wantReason(t, next(t, died), "because", 3)
			}
			for _, n := range []*testNode{a, b} {
				if log := n.log.String(); strings.Count(log, "tls=true") != 1 || strings.Contains(log, "tls=false") {
					t.Errorf("%s logged %s\nwant one link with TLS", n.ID(), log)
				}
				if w := n.log.warnings(); len(w) > 0 {
					t.Errorf("%s logged %q", n.ID(), w)
				}
			}
		})
	}
}

// A node that has a certificate talks to one that has none only if they share a
// secret.
func TestTLSOnOneSide(t *testing.T) {
	m, mesh := newMesh(t), withTLS(t, certificate(t))
	a, b := m.start("a", mesh, withSecret), m.start("b")
	port, got := b.collector()
	a.sys.Send(port, "hello")
	wantMessage(t, next(t, got), "hello")
	if !strings.Contains(a.log.String(), "tls=false") {
		t.Errorf("a logged %s\nwant a link without TLS", a.log)
	}

	c := m.start("c", mesh, func(c *remote.Config) { c.MonitorTimeout = 300 * time.Millisecond })
	if r := next(t, c.monitored(port)); r.Kind() != aemp.ReasonTransport || !strings.Contains(r.String(), remote.ErrUnreachable.Error()) {
		t.Errorf("got reason %v, want a transport_error with %q", r, remote.ErrUnreachable)
	}
}

// Who comes with another certificate is refused with one warning that names the
// cause, in either role of TLS, and the others do not notice.
func TestTLSStranger(t *testing.T) {
	m, mesh := newMesh(t), withTLS(t, certificate(t))
	a, b := m.start("a", mesh, withSecret), m.start("b", mesh, withSecret)
	a.connect(t, b)
	port, got := a.collector()
	stranger, err := aemp.NewTLSConfig(certificate(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ role, nonce, want string }{
		{"as TLS server", "~", "unknown authority"},
		{"as TLS client", " ", "remote error: tls: bad certificate"}, // it refuses the node's certificate first
	} {
		t.Run(test.role, func(t *testing.T) {
			before := len(a.log.warnings())
			conn, err := aemp.Dial(t.Context(), a.Addresses()[0], aemp.Config{
				NodeID: "stranger", TLS: stranger, Secret: secret, Nonce: func() string { return test.nonce },
			})
			if !errors.Is(err, aemp.ErrTLS) || conn != nil {
				t.Errorf("got error %v, want ErrTLS", err)
			}
			for len(a.log.warnings()) == before && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			b.sys.Send(port, "unimpressed")
			wantMessage(t, next(t, got), "unimpressed")
			if w := a.log.warnings()[before:]; len(w) != 1 || !strings.Contains(w[0], aemp.ErrTLS.Error()) || !strings.Contains(w[0], test.want) {
				t.Errorf("logged %q, want one line with %q", w, test.want)
			}
		})
	}
	if nodes := fmt.Sprint(a.Nodes()); nodes != "[b]" {
		t.Errorf("nodes of a: %v", nodes)
	}
}

// A node with another certificate cannot be reached, and says why.
func TestTLSUnreachableNode(t *testing.T) {
	m := newMesh(t)
	a := m.start("a", withTLS(t, certificate(t)), func(c *remote.Config) { c.MonitorTimeout = 300 * time.Millisecond })
	b := m.start("b", withTLS(t, certificate(t)))
	if r := next(t, a.monitored("b#port")); r.Kind() != aemp.ReasonTransport || !strings.Contains(r.String(), remote.ErrUnreachable.Error()) {
		t.Errorf("got reason %v, want a transport_error with %q", r, remote.ErrUnreachable)
	}
	b.Close() // so that it has logged what there was
	for _, w := range b.log.warnings() {
		if !strings.Contains(w, aemp.ErrTLS.Error()) {
			t.Errorf("b logged %q, want only %q", w, aemp.ErrTLS)
		}
	}
}

// What the system sends before Close arrives.
func TestTLSCloseSendsWhatIsPending(t *testing.T) {
	m, mesh := newMesh(t), withTLS(t, certificate(t))
	const patient = 15 * time.Second
	a, b := m.start("a", mesh, func(c *remote.Config) { c.CloseTimeout = patient }), m.start("b", mesh)
	port, got := b.collector()
	a.connect(t, b)
	next(t, b.events)
	const n = 1000
	for i := range n {
		a.sys.Send(port, "n", i, make([]byte, 1000))
	}
	start := time.Now()
	a.Close()
	if took := time.Since(start); took >= patient {
		t.Errorf("Close took %v: the peer was not told the end", took)
	}
	for i := range n {
		if msg := next(t, got); msg[1] != int64(i) {
			t.Fatalf("got message %v, want %d", msg[1], i)
		}
	}
	if down, ok := next(t, b.events).(remote.NodeDown); !ok || !strings.Contains(down.Reason.String(), "the peer closed the connection") {
		t.Errorf("b was told %+v, want an orderly end", down)
	}
}

func TestTLSCrossingDials(t *testing.T) {
	mesh := withTLS(t, certificate(t))
	for i := range 10 {
		m := newMesh(t)
		a, b := m.start("a", mesh), m.start("b", mesh)
		portA, gotA := a.collector()
		portB, gotB := b.collector()
		go a.sys.Send(portB, "n", i)
		go b.sys.Send(portA, "n", i)
		wantMessage(t, next(t, gotA), "n", i)
		wantMessage(t, next(t, gotB), "n", i)
		for _, n := range []*testNode{a, b} {
			if _, ok := next(t, n.events).(remote.NodeUp); !ok || len(n.events) > 0 {
				t.Errorf("round %d: %s saw more than one connection", i, n.ID())
			}
		}
		a.Close()
		b.Close()
	}
}

// tlsFarewell is how long TLS would wait for a peer that does not read when a
// connection is closed.
const tlsFarewell = 5 * time.Second

// withDeafPeer lets a node reach one that never reads, over a connection that
// buffers nothing.
func withDeafPeer(t *testing.T, m *mesh, bundle []byte) func(*remote.Config) {
	t.Helper()
	cfg, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		t.Fatal(err)
	}
	m.addresses["deaf"] = []string{"pipe"}
	return func(c *remote.Config) {
		c.Dial = func(context.Context, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { theirs.Close() })
			go aemp.Handshake(t.Context(), theirs, aemp.Config{NodeID: "deaf", TLS: cfg})
			return ours, nil
		}
	}
}

// A receiver that does not read costs its senders as much time as without TLS.
func TestTLSSlowPeer(t *testing.T) {
	m, bundle := newMesh(t), certificate(t)
	a := m.start("a", withTLS(t, bundle), withDeafPeer(t, m, bundle), func(c *remote.Config) {
		c.PendingBytes = 64 << 10
		c.MonitorTimeout = 500 * time.Millisecond
	})
	if err := a.Connect(t.Context(), "deaf"); err != nil {
		t.Fatal(err)
	}
	died := a.monitored("deaf")
	payload := make([]byte, 10000)
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = a.sys.Send("deaf#port", i, payload)
	}
	if !errors.Is(err, remote.ErrSlowPeer) {
		t.Fatalf("got error %v, want ErrSlowPeer", err)
	}
	stopped := time.Now()
	if r := next(t, died); r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v", r)
	}
	if took := time.Since(stopped); took >= tlsFarewell {
		t.Errorf("monitors fired %v later", took)
	}
}

func TestTLSCloseWithSlowPeer(t *testing.T) {
	m, bundle := newMesh(t), certificate(t)
	a := m.start("a", withTLS(t, bundle), withDeafPeer(t, m, bundle), func(c *remote.Config) {
		c.CloseTimeout = 100 * time.Millisecond
	})
	if err := a.Connect(t.Context(), "deaf"); err != nil {
		t.Fatal(err)
	}
	if err := a.sys.Send("deaf#port", "hello"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	a.Close()
	if took := time.Since(start); took >= tlsFarewell {
		t.Errorf("Close took %v", took)
	}
}

// A node that dies has no time for the farewell of TLS.
func TestTLSKilledProcess(t *testing.T) {
	m, bundle := newMesh(t), certificate(t)
	file := filepath.Join(t.TempDir(), "mesh.pem")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	peer := startPeer(t, m, file)
	a := m.start("a", withTLS(t, bundle))
	self, got := a.collector()
	counter := a.sys.Spawn("peer", "Count::init", self, 1)
	died, node := a.monitored(counter), a.monitored("peer")
	a.sys.Send(counter, "n", 0)
	wantMessage(t, next(t, got), "all", 1)
	peer.Signal(os.Kill)
	for _, d := range []<-chan actor.Reason{died, node} {
		if r := next(t, d); r.Kind() != aemp.ReasonTransport || r[1] != "peer" {
			t.Errorf("got reason %v, want a transport_error of peer", r)
		}
	}
	if nodes := a.Nodes(); len(nodes) != 0 {
		t.Errorf("nodes that are up: %v", nodes)
	}
}

// A peer that writes each message as a record of its own, of which a read brings one.
func TestTLSFlood(t *testing.T) {
	encrypted := withTLS(t, certificate(t))
	a := newMesh(t).start("a", encrypted)
	a.registerPeer()
	port, got := a.collector()
	var cfg remote.Config
	encrypted(&cfg)
	c, err := aemp.Dial(t.Context(), a.Addresses()[0], aemp.Config{NodeID: "simple", TLS: cfg.TLS})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const few, many = 500, 5000
	for i := range few {
		c.Send(port.Name(), i)
	}
	for i := range many {
		c.Send(port.Name(), few+i, strings.Repeat("x", 300))
	}
	for i := range few + many {
		if m := next(t, got); m[0] != int64(i) {
			t.Fatalf("got %v, want %d", m[0], i)
		}
	}
}
