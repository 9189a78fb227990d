package remote_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// echoData answers what it gets on a data connection, after the arguments.
func echoData(conn net.Conn, from actor.NodeID, args actor.Message) {
	defer conn.Close()
	io.WriteString(conn, string(from)+" "+args.String()+"\n")
	io.Copy(conn, conn)
}

func TestDataConnections(t *testing.T) {
	listens := func(*remote.Config) {}
	mute := func(c *remote.Config) { c.Listen = nil }
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(c *remote.Config) { c.TLS = certificate }
	for _, test := range []struct {
		name string
		a, b func(*remote.Config)
	}{
		{"both listen", listens, listens},
		{"only the asker listens", listens, mute},
		{"only the asked listens", mute, listens},
		{"TLS", encrypted, encrypted},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMesh(t)
			a, b := m.start("a", test.a), m.start("b", test.b)
			b.HandleData("Echo::data", echoData)
			if len(a.Addresses()) == 0 {
				a.connect(t, b)
			} else {
				b.connect(t, a)
			}
			conn, err := a.DialData(t.Context(), "b", "Echo::data", "x", 7)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			sent := make([]byte, 1<<20)
			rand.Read(sent)
			go func() {
				conn.Write(sent)
				conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			got, err := io.ReadAll(conn)
			if want := append([]byte("a [\"x\", 7]\n"), sent...); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
			}
			if len(a.Nodes()) != 1 || len(b.Nodes()) != 1 {
				t.Errorf("nodes: %v, %v", a.Nodes(), b.Nodes())
			}
		})
	}
}

func TestDataConnectionErrors(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b", func(c *remote.Config) { c.Resolve = nil })
	never := func(net.Conn, actor.NodeID, actor.Message) { t.Error("the function was called") }
	b.HandleData("Never::data", never)

	_, err := a.DialData(t.Context(), "b", "Nobody::knows")
	if !errors.Is(err, remote.ErrDataConn) || !strings.Contains(err.Error(), "AnyEvent::MP::DataConn no such function: Nobody::knows") {
		t.Errorf("unknown function: got error %v", err)
	}

	m.mu.Lock()
	addresses := m.addresses["b"]
	m.addresses["b"] = []string{"127.0.0.1:1"}
	m.mu.Unlock()
	if _, err = a.DialData(t.Context(), "b", "Never::data"); !errors.Is(err, remote.ErrDataConn) {
		t.Errorf("nothing listens: got error %v", err)
	}
	m.mu.Lock()
	m.addresses["b"] = nil
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = a.DialData(ctx, "b", "Never::data")
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, remote.ErrDataConn) {
		t.Errorf("no address is known on either side: got error %v", err)
	}

	// A connection that nobody expects is closed, and a bad request ignored.
	m.mu.Lock()
	m.addresses["b"] = addresses
	m.mu.Unlock()
	a.sys.Send("b", "AnyEvent::MP::DataConn::_expect", "id")
	a.sys.Send("b", "AnyEvent::MP::DataConn::_connect")
	self, got := a.collector()
	a.sys.Send("b", "snd", self, "alive")
	wantMessage(t, next(t, got), "alive")

	died := a.monitored("b")
	b.Close()
	next(t, died)
	if _, err := a.DialData(deadline(t, time.Second), "b", "Never::data"); err == nil {
		t.Error("a node that is down: no error")
	}
}

// The asker's port is killed, when the one that was asked runs out of time.
func TestDataConnectionTimeoutKillsTheAsker(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	b.HandleData("Never::data", func(net.Conn, actor.NodeID, actor.Message) { t.Error("the function was called") })
	port, _ := a.collector()
	died := a.monitored(port)
	a.sys.Send("b", "AnyEvent::MP::DataConn::_expect", "some id", port, "0.05", "Never::data")
	if r := next(t, died); r.Kind() != "AnyEvent::MP::DataConn" || len(r) != 2 {
		t.Errorf("got reason %v", r)
	}
}
