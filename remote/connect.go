package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// listen opens the configured listeners, all or none.
func (n *Node) listen(ctx context.Context) error {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive, Control: setUserTimeout(n.cfg.MonitorTimeout)}
	for _, address := range n.cfg.Listen {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			n.closeListeners()
			return fmt.Errorf("remote: Config.Listen: %w", err)
		}
		n.listeners = append(n.listeners, l)
	}
	return nil
}

func (n *Node) closeListeners() {
	for _, l := range n.listeners {
		l.Close()
	}
}

// acceptLoop takes connections until the listener is closed.
func (n *Node) acceptLoop(l net.Listener) {
	room := make(chan struct{}, n.cfg.MaxHandshakes)
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: others have to end first.
			n.log.Error("cannot accept", "address", l.Addr(), "err", err)
			if !n.sleep(100 * time.Millisecond) {
				return
			}
			continue
		}
		select {
		case room <- struct{}{}:
		case <-n.ctx.Done():
			nc.Close()
			return
		}
		started := n.spawn(func() {
			defer func() { <-room }()
			n.accepted(nc)
		})
		if !started {
			nc.Close()
		}
	}
}

// accepted does the handshake on a connection that somebody has opened.
func (n *Node) accepted(nc net.Conn) {
	address := nc.RemoteAddr().String()
	if !n.strangers.enter(address, n.cfg.MaxHandshakesPerAddress) {
		n.log.Warn("too many handshakes in progress", "address", address)
		nc.Close()
		return
	}
	defer n.strangers.leave(address)
	if _, err := n.handshake(n.ctx, nc); err != nil {
		n.logHandshake("accepted connection failed", address, err)
	}
}

// strangers counts the handshakes in progress by IP address.
type strangers struct {
	mu    sync.Mutex
	hosts map[string]int
}

func (s *strangers) enter(address string, most int) bool {
	host := hostOf(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[host] >= most {
		return false
	}
	if s.hosts == nil {
		s.hosts = make(map[string]int)
	}
	s.hosts[host]++
	return true
}

func (s *strangers) leave(address string) {
	host := hostOf(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[host]--; s.hosts[host] == 0 {
		delete(s.hosts, host)
	}
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// dial connects to an address, and returns the ID of the node that is there.
func (n *Node) dial(ctx context.Context, address string) (actor.NodeID, error) {
	nc, err := n.cfg.Dial(ctx, address)
	if err != nil {
		return "", err
	}
	return n.handshake(ctx, nc)
}

// handshake makes a link of a connection, whichever side opened it. It returns
// the ID of the peer as soon as that is known, with an error too.
func (n *Node) handshake(ctx context.Context, nc net.Conn) (actor.NodeID, error) {
	var p *peer
	var slot bool
	cfg := n.cfg.handshakeConfig()
	cfg.Extensions = []string{aemp.ProtocolDataConn}
	cfg.Admit = func(greeting *aemp.Greeting) (func(context.Context) error, error) {
		if greeting.Protocol == aemp.ProtocolDataConn {
			return nil, nil
		}
		var err error
		if p, err = n.enter(greeting.Node); err != nil || !p.serializes(greeting) {
			return nil, err
		}
		return func(ctx context.Context) error {
			err := p.takeSlot(ctx)
			slot = err == nil
			return err
		}, nil
	}
	conn, err := aemp.Handshake(ctx, nc, cfg)
	if err == nil && p == nil {
		return conn.Remote().Node, n.data.connected(conn)
	}
	if err == nil {
		if err = p.attach(newLink(p, conn)); err != nil {
			conn.Close()
		}
	}
	if slot {
		p.freeSlot()
	}
	if p == nil {
		var failed *aemp.HandshakeError
		if errors.As(err, &failed) {
			return failed.Peer, err
		}
		return "", err
	}
	p.leave()
	return p.id, err
}

// enter begins a handshake with the peer of that name.
func (n *Node) enter(id actor.NodeID) (*peer, error) {
	for {
		p, err := n.peer(id)
		if err == nil {
			err = p.enter()
		}
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// hungUp reports whether a handshake failed because the peer ended the
// connection.
func hungUp(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// logHandshake tells of a failure once. What is part of normal life is not
// worth a warning.
func (n *Node) logHandshake(what, address string, err error) {
	var failed *aemp.HandshakeError
	// A peer that goes away without a word may be a probe, or ourselves. When
	// both sides dial at once, one of the two connections ends so.
	expected := errors.As(err, &failed) && hungUp(err) && (failed.Phase == aemp.PhaseGreeting || n.isComing(failed.Peer))
	if expected || errors.Is(err, aemp.ErrConnected) || errors.Is(err, aemp.ErrSelf) || n.ctx.Err() != nil {
		n.log.Debug(what, "address", address, "err", err)
		return
	}
	n.log.Warn(what, "address", address, "err", err)
}

// sleep waits, and returns whether the node is still open.
func (n *Node) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-n.ctx.Done():
		return false
	}
}
