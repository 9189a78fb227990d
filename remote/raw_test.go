package remote_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// These tests talk to a node with nothing but a socket.

// rawPeer connects to a node by the simplest handshake, and reads its lines.
func rawPeer(t *testing.T, n *testNode, id string) *rawConn {
	t.Helper()
	nc, err := net.Dial("tcp", n.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &rawConn{Conn: nc, r: bufio.NewReader(nc)}
	c.say("aemp;1;" + id + ";hmac_sha3_512,hmac_md6_64_256;json\nnonce\ncleartext;" + hex.EncodeToString([]byte(secret)) + ";json\n")
	for range 3 {
		if line, err := c.r.ReadString('\n'); err != nil {
			t.Fatalf("handshake: %q, %v", line, err)
		}
	}
	return c
}

type rawConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *rawConn) say(text string) { io.WriteString(c, text) }

// hear reads as many bytes as are wanted, and compares.
func (c *rawConn) hear(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func TestRawClient(t *testing.T) {
	a := newMesh(t).start("a")
	a.registerPeer()
	port, got := a.collector()
	c := rawPeer(t, a, "simple")
	c.say(fmt.Sprintf(` ["%s", "hello", "from simple"]`+"\r\n\t", port.Name()))
	wantMessage(t, next(t, got), "hello", "from simple")
	c.say(`["","Peer::hello","simple#here","tag"]`)
	c.hear(t, `["here","tag","hello","a"]`)
	c.say(fmt.Sprintf(`["","mon1","%s"]["","mon1","%[1]s"]["","kil","%[1]s","enough"]`, port.Name()))
	c.hear(t, fmt.Sprintf(`["","kil0","%s","enough"]`, port.Name()))
	c.say(`["","AnyEvent::MP::_spawn","mine","Peer::echo","simple#here",1]["mine","x"]["","mon1","mine"]["","kil1","mine"]`)
	c.hear(t, `["here",1,"echo","x"]["","kil0","mine"]`)
	// Since the greeting names no generation, it is taken for the first.
	a.sys.Kill("simple#there", "x")
	c.hear(t, `["","kil","there","x"]`)
	if w := a.log.warnings(); len(w) > 0 {
		t.Errorf("logged %q", w)
	}
}

// A client that writes each message by itself loses none, and is answered at once
// when it asks something, behind as many and again.
func TestRawFlood(t *testing.T) {
	a := newMesh(t).start("a")
	a.registerPeer()
	port, got := a.collector()
	c := rawPeer(t, a, "simple")
	const many = 3000
	for round := range 3 {
		for i := range many {
			c.say(fmt.Sprintf(`["%s","n",%d]`, port.Name(), round*many+i))
		}
		c.say(`["","Peer::hello","simple#here","tag"]`)
		c.hear(t, `["here","tag","hello","a"]`)
		for i := range many {
			wantMessage(t, next(t, got), "n", round*many+i)
		}
	}
}

// What a stranger can send before it has authenticated itself: one warning,
// nothing left, and the other links do not notice.
func TestBadHandshakes(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a", func(c *remote.Config) { c.MonitorTimeout = time.Second }), m.start("b")
	a.connect(t, b)
	port, got := a.collector()
	good := "aemp;1;peer;hmac_sha3_512;json\nnonce\n"
	tests := []struct {
		name, input string
		want        error
	}{
		{"wrong secret", good + "cleartext;00;json\n", aemp.ErrAuth},
		{"wrong version", "aemp;7;peer;hmac_sha3_512;json\n", aemp.ErrVersion},
		{"long greeting", strings.Repeat("x", 5000), aemp.ErrLineTooLong},
		{"garbage", "\x00\x01\x02\n", aemp.ErrGreeting},
		{"our own ID", "aemp;1;a;hmac_sha3_512;json\nnonce\n", nil},
		{"a node that is up", "aemp;1;b;hmac_sha3_512;json\nnonce\n", nil},
		{"unknown framing", "aemp;1;peer;hmac_sha3_512;xml\nnonce\n", aemp.ErrNoFraming},
		{"silence", "", errors.New("deadline")},
		{"silence after the greeting", "aemp;1;peer;hmac_sha3_512;json\n", errors.New("deadline")},
		{"silence after the nonce", good, errors.New("deadline")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := len(a.log.warnings())
			nc, err := net.Dial("tcp", a.Addresses()[0])
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(nc, test.input)
			// The end may come as a reset, since we never read all they say.
			if _, err := io.Copy(io.Discard, nc); errors.Is(err, errTimeout) {
				t.Fatal("the connection is not closed")
			}
			var logged []string
			for range 100 {
				if logged = a.log.warnings()[before:]; len(logged) > 0 || test.want == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			switch {
			case test.want == nil && len(logged) != 0:
				t.Errorf("logged %q, want nothing", logged)
			case test.want != nil && (len(logged) != 1 || !strings.Contains(logged[0], test.want.Error())):
				t.Errorf("logged %q, want one line with %q", logged, test.want)
			}
			b.sys.Send(port, "unimpressed")
			wantMessage(t, next(t, got), "unimpressed")
		})
	}
	if nodes := a.Nodes(); len(nodes) != 1 || nodes[0] != "b" {
		t.Errorf("nodes of a: %v", nodes)
	}
}

// Strangers that only hold connections open cannot take all there are.
func TestHandshakeLimits(t *testing.T) {
	silent := func(t *testing.T, n *testNode) net.Conn {
		nc, err := net.Dial("tcp", n.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		return nc
	}
	t.Run("by address", func(t *testing.T) {
		a := newMesh(t).start("a", func(c *remote.Config) { c.MaxHandshakesPerAddress = 2 })
		var held []net.Conn
		for range 2 {
			nc := silent(t, a)
			if _, err := nc.Read(make([]byte, 1)); err != nil { // its handshake has begun
				t.Fatal(err)
			}
			held = append(held, nc)
		}
		nc := silent(t, a)
		if n, err := nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("a third connection got %d bytes of a greeting", n)
		}
		held[0].Close() // which makes room, as soon as it is noticed
		for {
			nc := silent(t, a)
			if _, err := nc.Read(make([]byte, 1)); err == nil {
				break
			}
			if t.Context().Err() != nil {
				t.Fatal("there is no room")
			}
		}
	})
	t.Run("by listener", func(t *testing.T) {
		a := newMesh(t).start("a", func(c *remote.Config) { c.MaxHandshakes = 1; c.MonitorTimeout = 200 * time.Millisecond })
		nc := silent(t, a)
		if _, err := nc.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		rawPeer(t, a, "next") // when the time of the other is up
	})
}

// What an authenticated peer can send: it loses its link, with a named error;
// monitors fire; the node lives on.
func TestBadPackets(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a", func(c *remote.Config) { c.Limits.MessageSize = 100000 }), m.start("b")
	a.connect(t, b)
	next(t, a.events)
	port, got := a.collector()
	tests := []struct {
		name, input string
		want        error
	}{
		{"garbage", "\x00\x01", aemp.ErrMalformed},
		{"truncated", `["port",}`, aemp.ErrMalformed},
		{"not JSON inside", `["port",tru]`, aemp.ErrMalformed},
		{"not UTF-8", "[\"port\",\"\xff\"]", aemp.ErrMalformed},
		{"an object", `{"port":1}`, aemp.ErrNotArray},
		{"a string", `"port"`, aemp.ErrNotArray},
		{"a number", `17 `, aemp.ErrNotArray},
		{"number as port", `[1,"x"]`, aemp.ErrPortName},
		{"null as port", `[null,"x"]`, aemp.ErrPortName},
		{"list as port", `[["x"],"x"]`, aemp.ErrPortName},
		{"nested 10000 deep", `["port",` + strings.Repeat("[", 10000), aemp.ErrTooDeep},
		{"nested 10000 deep and closed", `["port",` + strings.Repeat("[", 10000) + strings.Repeat("]", 10001), aemp.ErrTooDeep},
		{"too large", `["port","` + strings.Repeat("x", 100000) + `"]`, aemp.ErrTooLarge},
		{"endless", `["port","` + strings.Repeat("x", 200000), aemp.ErrTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := len(a.log.warnings())
			c := rawPeer(t, a, "bad")
			next(t, a.events)
			died := a.monitored("bad#port")
			c.hear(t, `["","mon1","port"]`)
			go c.say(test.input)
			if r := next(t, died); r.Kind() != aemp.ReasonTransport || !strings.Contains(fmt.Sprint(r[2]), test.want.Error()) {
				t.Errorf("got reason %v, want a transport_error with %q", r, test.want)
			}
			if down, ok := next(t, a.events).(remote.NodeDown); !ok || down.Node != "bad" {
				t.Errorf("got event %+v", down)
			}
			if logged := a.log.warnings()[before:]; len(logged) != 1 || !strings.Contains(logged[0], test.want.Error()) {
				t.Errorf("logged %q, want one line with %q", logged, test.want)
			}
			b.sys.Send(port, "unimpressed")
			wantMessage(t, next(t, got), "unimpressed")
		})
	}
}

// A connection that breaks anywhere costs one log line at most, and nothing is
// left of it.
func TestBrokenConnections(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	a.connect(t, b)
	next(t, a.events)
	port, got := a.collector()
	stream := "aemp;1;broken;hmac_sha3_512;json\nnonce\ncleartext;" + hex.EncodeToString([]byte(secret)) + ";json\n"
	handshake := len(stream)
	stream += fmt.Sprintf(`["","mon1","%s"]["%[1]s","x",[1,{"k":"v"}]]["","mon1","nosuch"]`, port.Name())
	var addresses []string
	for n := range len(stream) {
		nc, err := net.Dial("tcp", a.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, "address="+nc.LocalAddr().String()+" ")
		nc.SetDeadline(time.Now().Add(patience))
		io.WriteString(nc, stream[:n])
		nc.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
		nc.Close()
		if n >= handshake {
			if _, ok := next(t, a.events).(remote.NodeUp); !ok {
				t.Fatalf("cut at byte %d: the node does not come up", n)
			}
			if _, ok := next(t, a.events).(remote.NodeDown); !ok {
				t.Fatalf("cut at byte %d: the node does not go down", n)
			}
		}
	}
	logged := strings.Join(a.log.warnings(), "")
	for n, address := range addresses {
		if lines := strings.Count(logged, address); lines > 1 {
			t.Errorf("cut at byte %d: %d lines in the log", n, lines)
		}
	}
	for len(got) > 0 {
		wantMessage(t, next(t, got), "x", []any{1, map[string]any{"k": "v"}})
	}
	if nodes := a.Nodes(); len(nodes) != 1 || len(a.events) != 0 {
		t.Errorf("nodes of a: %v, %d events", nodes, len(a.events))
	}
}

var errTimeout = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string { return "timeout" }

// Is makes errors.Is(err, errTimeout) ask whether err is a timeout.
func (timeoutError) Is(target error) bool { return target == error(errTimeout) }
