package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// These tests look at a link without its loops, which could hide that a sender
// did not write by itself.

// tcpPair returns the two ends of a connection.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return a, b
}

// What comes while a socket gathers, or afterwards, is read as ever: a single byte, too.
func TestSocketGathers(t *testing.T) {
	a, b := tcpPair(t)
	s := newSocket(a)
	if s == nil {
		t.Skip("this system has no sockets that do not wait: nor do they gather")
	}
	got := make([]byte, 10)
	for i := range 20 {
		if i%2 == 0 {
			b.Write([]byte("before"))
		}
		s.gather(time.Millisecond, 1<<14)
		if i%2 == 1 {
			go b.Write([]byte("after")) // the read is likely to wait for it
		}
		n, err := io.ReadAtLeast(a, got, 5)
		if err != nil || !strings.HasPrefix("before", string(got[:n])) && string(got[:n]) != "after" {
			t.Fatalf("round %d: got %q, %v", i, got[:n], err)
		}
	}
}

// A connection that is more than a socket is none: of what has come, it reads a record
// at a time.
func TestSocketIsBare(t *testing.T) {
	a, _ := tcpPair(t)
	if newSocket(tls.Client(a, new(tls.Config))) != nil {
		t.Error("TLS is taken for a socket")
	}
}

// A socket takes what there is room for, says how much that was, and does not
// wait for more room.
func TestSocketDoesNotWait(t *testing.T) {
	a, b := tcpPair(t)
	s := newSocket(a)
	if s == nil {
		t.Skip("this system has no sockets that do not wait: links are written by their loops only")
	}
	var sent []byte
	for i := byte(0); ; i++ {
		part := bytes.Repeat([]byte{i}, 1<<20)
		n := s.write(part)
		sent = append(sent, part[:n]...)
		if n < len(part) {
			break
		}
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("what came is not what was sent: %v", err)
	}
	a.Close()
	if n := s.write([]byte{1}); n != 0 {
		t.Errorf("%d bytes written to a closed socket", n)
	}
}

// newTestLink returns a link whose loops do not run, and the other end of its
// connection.
func newTestLink(t *testing.T) (*link, *aemp.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	type result struct {
		conn *aemp.Conn
		err  error
	}
	other := make(chan result)
	go func() {
		conn, err := aemp.Handshake(context.Background(), b, aemp.Config{NodeID: "b", Secret: "s"})
		other <- result{conn, err}
	}()
	conn, err := aemp.Handshake(t.Context(), a, aemp.Config{NodeID: "a", Secret: "s"})
	r := <-other
	if err != nil || r.err != nil {
		t.Fatal(err, r.err)
	}
	p := newPeer(&Node{}, "b")
	p.link = newLink(p, conn)
	p.link.socket = newSocket(conn.NetConn())
	if p.link.socket == nil {
		t.Skip("this system has no sockets that do not wait: links are written by their loops only")
	}
	return p.link, r.conn
}

// send sends a message as a sender does.
func send(t *testing.T, l *link, args ...any) {
	t.Helper()
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	if err := l.append(&actor.Outgoing{Port: "p", Message: actor.Message(args)}); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c *aemp.Conn, args ...any) {
	t.Helper()
	if _, m, err := c.Receive(); err != nil || fmt.Sprint(m) != fmt.Sprint(actor.Message(args)) {
		t.Fatalf("got %v, %v; want %v", m, err, args)
	}
}

// A sender writes by itself when few messages are on their way, and leaves it
// to the loop when there are many. The order is that of the calls.
func TestCalmLink(t *testing.T) {
	l, other := newTestLink(t)
	send(t, l, "first")
	want(t, other, "first")

	l.wrote = time.Now().Add(time.Hour) // as if it were a moment ago
	send(t, l, "gathered")
	if len(l.pending) == 0 {
		t.Error("a message that follows another was not left to the loop")
	}
	l.received.Add(1)
	send(t, l, "too") // behind what waits for the loop
	l.conn.Write(l.pending)
	l.pending = nil
	want(t, other, "gathered")
	want(t, other, "too")

	send(t, l, "an answer") // to the one message that came
	want(t, other, "an answer")
	if len(l.pending) != 0 {
		t.Errorf("%d bytes are pending", len(l.pending))
	}
	l.received.Add(2)
	send(t, l, "one of two answers")
	if len(l.pending) == 0 {
		t.Error("one of several answers was not left to the loop")
	}

	l.pending = nil
	l.writing, l.wrote = true, time.Time{}
	send(t, l, "behind what the loop is writing")
	if len(l.pending) == 0 {
		t.Error("a message may have overtaken what the loop was writing")
	}
}

// What a socket has no room for stays, in order, for the loop to write.
func TestFullSocket(t *testing.T) {
	l, other := newTestLink(t)
	text := string(make([]byte, 1000))
	n := 0
	for ; len(l.pending) == 0; n++ {
		l.wrote = time.Time{}
		send(t, l, n, text)
	}
	go l.conn.NetConn().Write(l.pending)
	for i := range n {
		want(t, other, i, text)
	}
}
