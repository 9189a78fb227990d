package registry_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// A peer plays a Perl node: it remembers what it is told, and answers nothing by
// itself.
type peer struct {
	t    *testing.T
	id   aemp.NodeID
	conn *aemp.Conn
	port string // the name of our global port at the other node

	mu     sync.Mutex
	heard  []string
	global string        // the name of the other node's global port here
	more   chan struct{} // closed and replaced when something is heard
	ended  chan struct{}
}

// newConfig is that of a Perl node of generation 2.
func newConfig(id aemp.NodeID) aemp.Config {
	cfg := oldConfig(id)
	cfg.Auths = []string{"hmac_sha3_512", "cleartext"}
	cfg.Extra = map[string]string{"provider": "AE-2.01"}
	return cfg
}

// oldConfig is that of a Perl node of generation 1.
func oldConfig(id aemp.NodeID) aemp.Config {
	return aemp.Config{
		NodeID: id, Secret: "geheim-for-tests-0123456789", Framings: []aemp.Framing{aemp.JSON},
		Auths: []string{"hmac_md6_64_256", "cleartext"},
		Extra: map[string]string{"provider": "AE-1.30", "mproto": "", "gproto": ""},
	}
}

// dialOld connects to a node as one of generation 1, and spawns a global port
// there as Perl does.
func dialOld(t *testing.T, id aemp.NodeID, address string) *peer {
	t.Helper()
	p := dialPeer(t, oldConfig(id), address)
	p.send("", "AnyEvent::MP::_spawn", p.port, "AnyEvent::MP::Global::connect", 0, string(id))
	p.send("", "mon1", p.port)
	return p
}

// dialPeer connects to a node.
func dialPeer(t *testing.T, cfg aemp.Config, address string) *peer {
	t.Helper()
	conn, err := aemp.Dial(t.Context(), address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, cfg.NodeID, conn)
}

// acceptPeer waits for a node to connect.
func acceptPeer(t *testing.T, cfg aemp.Config, l net.Listener) *peer {
	t.Helper()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := aemp.Handshake(t.Context(), nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, cfg.NodeID, conn)
}

func newPeer(t *testing.T, id aemp.NodeID, conn *aemp.Conn) *peer {
	p := &peer{t: t, id: id, conn: conn, port: string(id) + "Global.a", more: make(chan struct{}), ended: make(chan struct{})}
	t.Cleanup(p.close)
	go p.loop()
	return p
}

func (p *peer) close() {
	p.conn.Close()
	<-p.ended
}

func (p *peer) loop() {
	defer close(p.ended)
	for {
		port, m, err := p.conn.Receive()
		if err != nil {
			return
		}
		p.mu.Lock()
		if tag, _ := m.Tag(); port == "" && tag == "AnyEvent::MP::_spawn" {
			p.global = fmt.Sprint(m[1])
			m[1] = "PORT"
		}
		line := fmt.Sprintf("%s %s", port, m)
		if p.global != "" {
			line = strings.ReplaceAll(line, p.global, "GLOBAL")
		}
		p.heard = append(p.heard, line)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *peer) send(port string, m ...any) {
	p.t.Helper()
	if err := p.conn.Send(port, m...); err != nil {
		p.t.Fatal(err)
	}
}

// tell sends to the global port.
func (p *peer) tell(m ...any) {
	p.t.Helper()
	p.send(p.port, m...)
}

// hear waits for a packet, and forgets it and what came before it.
func (p *peer) hear(want string) {
	p.t.Helper()
	p.wait(want, func(line string) bool { return line == want })
}

// hearPrefix does so for one of which the beginning is known, and returns it.
func (p *peer) hearPrefix(prefix string) string {
	p.t.Helper()
	return p.wait(prefix, func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// hearAll waits for packets that are to be the next, and the only ones.
func (p *peer) hearAll(want ...string) {
	p.t.Helper()
	for _, w := range want {
		p.mu.Lock()
		heard := slices.Clone(p.heard)
		p.mu.Unlock()
		if p.hear(w); len(heard) > 0 && heard[0] != w {
			p.t.Errorf("%s: wanted %s, heard before\n%s", p.id, w, strings.Join(heard, "\n"))
		}
	}
}

func (p *peer) wait(want string, match func(line string) bool) string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		if i := slices.IndexFunc(p.heard, match); i >= 0 {
			line := p.heard[i]
			p.heard = p.heard[i+1:]
			p.mu.Unlock()
			return line
		}
		more, heard := p.more, slices.Clone(p.heard)
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.ended:
			p.t.Fatalf("%s: the connection has ended; wanted %s, heard\n%s", p.id, want, strings.Join(heard, "\n"))
		case <-deadline:
			p.t.Fatalf("%s: wanted %s, heard\n%s", p.id, want, strings.Join(heard, "\n"))
		}
	}
}
