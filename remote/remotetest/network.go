package remotetest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// A network is the hosts of a mesh, and what is between them. It has one lock
// for everything, down to the connections: what a test does to the network
// then happens at one moment.
type network struct {
	mu        sync.Mutex
	listeners map[actor.NodeID]*listener // of the nodes that run
	paths     map[pair]*path
	lastPort  int
}

// A pair is two nodes, the smaller ID first.
type pair struct{ a, b actor.NodeID }

func pairOf(a, b actor.NodeID) pair {
	if b < a {
		a, b = b, a
	}
	return pair{a, b}
}

// A path is the way between two nodes.
type path struct {
	parted  bool
	delay   time.Duration
	conns   map[*conn]bool // both ends of each connection, as long as they are in use
	changed chan any       // closed at the next change
}

// arrival is when something arrives that is sent now, behind what is under way.
func (p *path) arrival(latest time.Time) time.Time {
	at := time.Now().Add(p.delay)
	if at.Before(latest) {
		return latest
	}
	return at
}

// path returns the way between two nodes. The caller holds the lock.
func (n *network) path(a, b actor.NodeID) *path {
	key := pairOf(a, b)
	p := n.paths[key]
	if p == nil {
		p = &path{conns: make(map[*conn]bool), changed: make(chan any)}
		n.paths[key] = p
	}
	return p
}

// change alters a path, and lets all who wait on it look again. The caller
// holds the lock.
func (p *path) change(alter func()) {
	alter()
	close(p.changed)
	p.changed = make(chan any)
	for c := range p.conns {
		c.changed.Broadcast()
	}
}

// between does something to the path of each pair with one node in one group
// and the other in another.
func (n *network) between(groups [][]actor.NodeID, do func(*path)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, group := range groups {
		for _, other := range groups[i+1:] {
			for _, a := range group {
				for _, b := range other {
					if a != b {
						do(n.path(a, b))
					}
				}
			}
		}
	}
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.paths {
		if p.parted {
			p.change(func() { p.parted = false })
		}
	}
}

// breakAll breaks the connections of a path at both ends. The caller holds the
// lock.
func (p *path) breakAll() {
	for c := range p.conns {
		c.breakOff(syscall.ECONNRESET)
	}
}

// unplug ends the connections of a node, and its listener, as the end of its
// process does.
func (n *network) unplug(id actor.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, p := range n.paths {
		if key.a != id && key.b != id {
			continue
		}
		for c := range p.conns {
			if c.local.node == id {
				c.reset()
			}
		}
	}
	if l := n.listeners[id]; l != nil {
		l.close()
	}
}

// listen makes the listener of a node.
func (n *network) listen(id actor.NodeID) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{net: n, addr: addr{id, port}, changed: sync.NewCond(&n.mu)}
	n.listeners[id] = l
	return l
}

// dial opens a connection. While the nodes are parted it waits, as packets that
// nobody answers do.
func (n *network) dial(ctx context.Context, from, to actor.NodeID) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastPort++
	local, remote := addr{from, n.lastPort}, addr{to, port}
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: local.Network(), Source: local, Addr: remote, Err: err}
	}
	p := n.path(from, to)
	// A packet there and one back; what is in the way of them costs them.
	for there := false; !there || p.parted; {
		changed, wait := p.changed, time.NewTimer(2*p.delay)
		arrives := wait.C
		if p.parted {
			arrives = nil
		}
		n.mu.Unlock()
		select {
		case <-arrives:
			there = true
		case <-changed:
		case <-ctx.Done():
		}
		wait.Stop()
		n.mu.Lock()
		if ctx.Err() != nil {
			return nil, failed(context.Cause(ctx))
		}
	}
	l := n.listeners[to]
	if l == nil || n.listeners[from] == nil {
		return nil, failed(syscall.ECONNREFUSED)
	}
	ours, theirs := newConns(n, p, local, remote)
	l.waiting = append(l.waiting, theirs)
	l.changed.Broadcast()
	return ours, nil
}

// A listener is where a node takes connections.
type listener struct {
	net     *network
	addr    addr
	changed *sync.Cond
	waiting []*conn
	closed  bool
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.close()
	return nil
}

// close refuses all who wait. The caller holds the lock.
func (l *listener) close() {
	if l.closed {
		return
	}
	l.closed = true
	for _, c := range l.waiting {
		c.reset()
	}
	l.waiting = nil
	if l.net.listeners[l.addr.node] == l {
		delete(l.net.listeners, l.addr.node)
	}
	l.changed.Broadcast()
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// port is where every node listens.
const port = 4040

// An addr is the address of a node: its ID is the host.
type addr struct {
	node actor.NodeID
	port int
}

// Network implements net.Addr.
func (addr) Network() string { return "remotetest" }

// String implements net.Addr.
func (a addr) String() string { return net.JoinHostPort(string(a.node), strconv.Itoa(a.port)) }

// parseAddr returns the node that has an address.
func parseAddr(address string) (actor.NodeID, error) {
	host, at, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if at != strconv.Itoa(port) {
		return "", errors.New("nobody listens at " + address)
	}
	return actor.NodeID(host), nil
}
