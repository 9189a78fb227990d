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

// An oldPeer plays a Perl node of generation 1: it remembers what it is told, and
// answers nothing by itself.
type oldPeer struct {
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

func oldConfig(id aemp.NodeID) aemp.Config {
	return aemp.Config{
		NodeID: id, Secret: "geheim-for-tests-0123456789", Framings: []aemp.Framing{aemp.JSON},
		Auths: []string{"hmac_md6_64_256", "cleartext"},
		Extra: map[string]string{"provider": "AE-1.30", "mproto": "", "gproto": ""},
	}
}

// dialOld connects to a node, and spawns a global port there as Perl does.
func dialOld(t *testing.T, id aemp.NodeID, address string) *oldPeer {
	t.Helper()
	conn, err := aemp.Dial(t.Context(), address, oldConfig(id))
	if err != nil {
		t.Fatal(err)
	}
	return newOldPeer(t, id, conn)
}

// acceptOld waits for a node to connect.
func acceptOld(t *testing.T, id aemp.NodeID, l net.Listener) *oldPeer {
	t.Helper()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := aemp.Handshake(t.Context(), nc, oldConfig(id))
	if err != nil {
		t.Fatal(err)
	}
	return newOldPeer(t, id, conn)
}

func newOldPeer(t *testing.T, id aemp.NodeID, conn *aemp.Conn) *oldPeer {
	p := &oldPeer{t: t, id: id, conn: conn, port: string(id) + "Global.a", more: make(chan struct{}), ended: make(chan struct{})}
	t.Cleanup(p.close)
	go p.loop()
	p.send("", "AnyEvent::MP::_spawn", p.port, "AnyEvent::MP::Global::connect", 0, string(id))
	p.send("", "mon1", p.port)
	return p
}

func (p *oldPeer) close() {
	p.conn.Close()
	<-p.ended
}

func (p *oldPeer) loop() {
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
		line := strings.ReplaceAll(fmt.Sprintf("%s %s", port, m), p.global, "GLOBAL")
		p.heard = append(p.heard, line)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *oldPeer) send(port string, m ...any) {
	p.t.Helper()
	if err := p.conn.Send(port, m...); err != nil {
		p.t.Fatal(err)
	}
}

// tell sends to the global port.
func (p *oldPeer) tell(m ...any) {
	p.t.Helper()
	p.send(p.port, m...)
}

// hear waits for a packet, and forgets it and what came before it.
func (p *oldPeer) hear(want string) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		if i := slices.Index(p.heard, want); i >= 0 {
			p.heard = p.heard[i+1:]
			p.mu.Unlock()
			return
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
