package tap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/tap"
)

// A tapped is a proxy with what it has recorded.
type tapped struct {
	address string
	stop    func() []tap.Read // ends the proxy and returns the recording
	events  chan tap.Event    // as they come
}

func startProxy(t *testing.T, p *tap.Proxy) *tapped {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &tapped{address: l.Addr().String(), events: make(chan tap.Event, 10000)}
	var recording []tap.Read
	var d tap.Decoder
	record := p.Record
	p.Record = func(r tap.Read) {
		if record != nil {
			record(r)
		}
		recording = append(recording, r)
		for _, e := range d.Read(r) {
			w.events <- e
		}
	}
	var serve sync.WaitGroup
	serve.Go(func() {
		if err := p.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	w.stop = sync.OnceValue(func() []tap.Read {
		cancel()
		serve.Wait()
		return recording
	})
	t.Cleanup(func() { w.stop() })
	return w
}

// wait returns the events up to the first that the function accepts.
func (w *tapped) wait(t *testing.T, last func(tap.Event) bool) (events []tap.Event) {
	t.Helper()
	for timeout := time.After(10 * time.Second); ; {
		select {
		case e := <-w.events:
			if events = append(events, e); last(e) {
				return events
			}
		case <-timeout:
			t.Fatalf("the event did not come, but %d others", len(events))
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// connect makes an authenticated connection through the proxy.
func connect(t *testing.T, l net.Listener, address string, a, b aemp.Config) (*aemp.Conn, *aemp.Conn) {
	t.Helper()
	accepted := make(chan *aemp.Conn, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		c, err := aemp.Handshake(t.Context(), nc, b)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	ca, err := aemp.Dial(t.Context(), address, a)
	if err != nil {
		t.Fatal(err)
	}
	cb := <-accepted
	if cb == nil {
		t.FailNow()
	}
	t.Cleanup(func() { ca.Close(); cb.Close() })
	return ca, cb
}

// Two nodes talk through a proxy, plain and with TLS, in every framing; the
// proxy changes nothing and shows everything.
func TestProxy(t *testing.T) {
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, encrypted := range []bool{false, true} {
		for _, framing := range aemp.DefaultFramings() {
			name := framing.Name()
			if encrypted {
				name += " over TLS"
			}
			t.Run(name, func(t *testing.T) {
				l := listen(t)
				config := func(node aemp.NodeID, f ...aemp.Framing) aemp.Config {
					c := aemp.Config{NodeID: node, Secret: "s", Framings: f}
					if encrypted {
						if c.TLS, err = aemp.NewTLSConfig(bundle); err != nil {
							t.Fatal(err)
						}
						c.Secret = ""
					}
					return c
				}
				p := &tap.Proxy{Target: l.Addr().String(), TLS: config("").TLS}
				w := startProxy(t, p)
				a, b := connect(t, l, w.address, config("a", framing, aemp.JSON), config("b", aemp.JSON, framing))
				if a.TLS() != encrypted {
					t.Errorf("TLS: %v", a.TLS())
				}
				long := strings.Repeat("long", 50_000)
				a.Send("p", "tag", 1, long)
				a.Send("", "time", "a#r")
				for _, want := range []string{fmt.Sprintf(`["tag", 1, %q]`, long), `["time", "a#r"]`} {
					if _, m, err := b.Receive(); err != nil || m.String() != want {
						t.Fatalf("got %.100v, %v", m, err)
					}
				}
				b.Send("r", "äöü", nil, 7, []any{})
				if _, m, err := a.Receive(); err != nil || len(m) != 4 {
					t.Fatalf("got %v, %v", m, err)
				}
				a.Close()
				if _, _, err := b.Receive(); !errors.Is(err, io.EOF) {
					t.Fatalf("b: %v", err)
				}
				b.Close()
				closed := 0
				events := w.wait(t, func(e tap.Event) bool {
					if e.Kind == tap.Closed {
						closed++
					}
					return closed == 2
				})
				var lines []string
				for _, e := range events {
					if e.Kind == tap.Message || e.Kind == tap.Request || e.Kind == tap.Problem {
						lines = append(lines, strings.Join(strings.Fields(e.Format(40))[2:], " "))
					}
				}
				want := []string{
					`a -> b message p ["tag", 1, "longlonglonglonglonglonglong... (200014 bytes)`,
					`a -> b request ["time", "a#r"]`,
					`b -> a message r ["äöü", null, 7, []]`,
				}
				if g, w := strings.Join(lines, "\n"), strings.Join(want, "\n"); g != w {
					t.Errorf("got\n%s\nwant\n%s", g, w)
				}
			})
		}
	}
}

// Without the certificate, the proxy forwards what it cannot read.
func TestProxyEncrypted(t *testing.T) {
	bundle, _ := aemp.GenerateCertificate(aemp.CertificateConfig{})
	tlsConfig, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	w := startProxy(t, &tap.Proxy{Target: l.Addr().String()})
	a, b := connect(t, l, w.address, aemp.Config{NodeID: "a", TLS: tlsConfig}, aemp.Config{NodeID: "b", TLS: tlsConfig})
	a.Send("p", "hello")
	if _, m, err := b.Receive(); err != nil || m.String() != `["hello"]` {
		t.Fatalf("got %v, %v", m, err)
	}
	w.wait(t, func(e tap.Event) bool { return e.Kind == tap.TLS && strings.Contains(e.Text, "certificate") })
}

// With another certificate than the nodes', the proxy is refused, and says so.
func TestProxyWrongCertificate(t *testing.T) {
	config := func() *aemp.Config {
		bundle, _ := aemp.GenerateCertificate(aemp.CertificateConfig{})
		c, err := aemp.NewTLSConfig(bundle)
		if err != nil {
			t.Fatal(err)
		}
		return &aemp.Config{NodeID: "a", TLS: c}
	}
	l := listen(t)
	w := startProxy(t, &tap.Proxy{Target: l.Addr().String(), TLS: config().TLS})
	nodes := config()
	go func() {
		if nc, err := l.Accept(); err == nil {
			b := *nodes
			b.NodeID = "b"
			aemp.Handshake(t.Context(), nc, b)
		}
	}()
	if _, err := aemp.Dial(t.Context(), w.address, *nodes); err == nil {
		t.Fatal("the proxy was trusted")
	}
	w.wait(t, func(e tap.Event) bool { return e.Kind == tap.Closed && strings.Contains(e.Text, "TLS with the proxy") })
}

// What is no AEMP at all passes too, in pieces of any size, with half-closes.
func TestProxyForwardsAnything(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		l := listen(t)
		p := &tap.Proxy{Target: l.Addr().String()}
		if encrypted {
			bundle, _ := aemp.GenerateCertificate(aemp.CertificateConfig{})
			p.TLS, _ = aemp.NewTLSConfig(bundle)
		}
		w := startProxy(t, p)
		junk := func(seed uint64) []byte {
			b := make([]byte, 300_000)
			rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
			return b
		}
		there, back := junk(1), junk(2)
		echoed := make(chan error, 1)
		go func() {
			nc, err := l.Accept()
			if err != nil {
				echoed <- err
				return
			}
			defer nc.Close()
			written := make(chan struct{})
			go func() {
				defer close(written)
				nc.Write(back)
			}()
			got, err := io.ReadAll(nc)
			<-written
			if err == nil && !bytes.Equal(got, there) {
				err = errors.New("other bytes arrived")
			}
			echoed <- err
		}()
		nc, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		nc.Write(there)
		nc.(*net.TCPConn).CloseWrite()
		if err := <-echoed; err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(nc)
		if err != nil || !bytes.Equal(got, back) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		nc.Close()
		var n int
		for _, r := range w.stop() {
			n += len(r.Data)
		}
		if n != len(there)+len(back) {
			t.Errorf("%d bytes recorded", n)
		}
	}
}

// A target that is not there is told, and the connection closed.
func TestProxyUnreachable(t *testing.T) {
	l := listen(t)
	l.Close()
	w := startProxy(t, &tap.Proxy{Target: l.Addr().String()})
	nc, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
	w.wait(t, func(e tap.Event) bool {
		return e.Kind == tap.Closed && strings.Contains(e.Text, "cannot reach the target")
	})
}

// A recorder that does not get on holds up nobody; the recording says what is
// missing.
func TestProxySlowRecorder(t *testing.T) {
	l := listen(t)
	blocked, release := make(chan bool), make(chan bool)
	first := true
	w := startProxy(t, &tap.Proxy{Target: l.Addr().String(), Record: func(tap.Read) {
		if first {
			first = false
			close(blocked)
			<-release
		}
	}})
	const size = 80 << 20 // more than may wait
	done := make(chan int64)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			close(done)
			return
		}
		defer nc.Close()
		n, _ := io.Copy(io.Discard, nc)
		done <- n
	}()
	nc, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range size / len(block) {
		if _, err := nc.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	<-blocked
	nc.Close()
	if n := <-done; n != size {
		t.Errorf("%d bytes were forwarded", n)
	}
	close(release)
	reads := w.stop()
	lost, recorded := 0, 0
	for _, r := range reads {
		recorded += len(r.Data)
		if r.Lost {
			lost++
		}
	}
	if lost != 1 || recorded >= size {
		t.Errorf("%d bytes recorded, %d times lost", recorded, lost)
	}
}
