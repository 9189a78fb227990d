// Package relay lets nodes talk that do not understand each other, because one
// speaks generation 1 of the protocol and the other generation 2.
//
// A relay stands in for nodes: it listens under the name of a node of one
// generation, in the language of the other. When somebody connects, it connects
// to the real node under the name of him who has come, and carries the packets
// over, translating what differs. So each pair of nodes has a connection of its
// own, on which both see the other under its true name: order, losses, monitors,
// kills and spawns are between these two, and port IDs mean the same everywhere.
//
// It needs what a node needs: the secret or the certificate of the mesh.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// Errors by which a peer is refused.
var (
	errDirect     = errors.New("a node of ours is to connect to the real node")
	errGeneration = errors.New("peer is of the same generation")
	errWithdrawn  = errors.New("nobody stands in for that node any more")
)

// Config is what a relay works with. All functions are called by any goroutine.
type Config struct {
	Secret  string
	TLS     *tls.Config
	Limits  aemp.Limits
	Timeout time.Duration // bounds a handshake, and waiting for the real node
	Log     *slog.Logger
	// Listen opens a listener for a node that the relay begins to stand in for.
	Listen func() (net.Listener, error)
	// Resolve returns where the real node listens.
	Resolve func(ctx context.Context, node aemp.NodeID) ([]string, error)
	Dial    func(ctx context.Context, address string) (net.Conn, error)
	// Opened is called when two nodes are connected, before anything is carried
	// over, and Closed when they no longer are.
	Opened, Closed func(l *Link)
	// Intercept is called with each message of the one of generation 1, or for it,
	// and returns whether it is to be kept from the other.
	Intercept func(l *Link, fromOld bool, port string, m aemp.Message) bool
}

// A Relay stands in for any number of nodes. Its methods may be called by any
// goroutine at any time.
type Relay struct {
	cfg        Config
	ctx        context.Context
	cancel     context.CancelFunc
	goroutines sync.WaitGroup

	mu     sync.Mutex
	stands map[aemp.NodeID]*stand
	links  map[pair]*Link // an entry without a value: it is being made
	closed bool
}

// A pair of nodes has one link at most.
type pair struct{ old, new aemp.NodeID }

// A stand is how we stand in for a node.
type stand struct {
	node       aemp.NodeID
	generation int // of the node, and not of those that may connect to us
	listener   net.Listener
	links      map[pair]bool
}

// New returns a relay that does nothing yet.
func New(config Config) *Relay {
	r := &Relay{cfg: config, stands: make(map[aemp.NodeID]*stand), links: make(map[pair]*Link)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// StandIn begins to stand in for a node of that generation, towards the other
// one, and returns the address. If the relay does so already, nothing changes.
func (r *Relay) StandIn(node aemp.NodeID, generation int) (address string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.stands[node]; s != nil {
		if s.generation != generation {
			return "", fmt.Errorf("relay: %s is of generation %d and of %d", node, generation, s.generation)
		}
		return s.listener.Addr().String(), nil
	}
	if r.closed {
		return "", net.ErrClosed
	}
	l, err := r.cfg.Listen()
	if err != nil {
		return "", fmt.Errorf("relay: %w", err)
	}
	s := &stand{node: node, generation: generation, listener: l, links: make(map[pair]bool)}
	r.stands[node] = s
	r.goroutines.Go(func() { r.accept(s) })
	return l.Addr().String(), nil
}

// Withdraw stops standing in for a node, and closes its links.
func (r *Relay) Withdraw(node aemp.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.stands[node]; s != nil {
		r.withdraw(s)
	}
}

func (r *Relay) withdraw(s *stand) {
	delete(r.stands, s.node)
	s.listener.Close()
	for p := range s.links {
		if l := r.links[p]; l != nil {
			l.close()
		}
	}
}

// Close ends all. When it returns, nothing is left.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	for _, s := range r.stands {
		r.withdraw(s)
	}
	r.mu.Unlock()
	r.cancel()
	r.goroutines.Wait()
}

// accept takes the connections to a node that we stand in for.
func (r *Relay) accept(s *stand) {
	for {
		nc, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			r.cfg.Log.Error("relay cannot accept", "node", s.node, "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-r.ctx.Done():
				return
			}
		}
		r.goroutines.Go(func() {
			if err := r.serve(s, nc); err != nil {
				r.cfg.Log.Debug("relay refused a connection", "node", s.node, "peer", nc.RemoteAddr(), "err", err)
			}
		})
	}
}

// serve carries out one connection to a node that we stand in for.
func (r *Relay) serve(s *stand, nc net.Conn) error {
	defer nc.Close()
	var p pair
	var reserved bool
	defer func() {
		if reserved {
			r.release(s, p)
		}
	}()
	cfg := r.config(s.node, 3-s.generation)
	cfg.Admit = func(peer *aemp.Greeting) (func(context.Context) error, error) {
		switch {
		case peer.IsPortmesh():
			return nil, errDirect
		case peer.Generation() == s.generation:
			return nil, errGeneration
		}
		if p = (pair{peer.Node, s.node}); s.generation == 1 {
			p = pair{s.node, peer.Node}
		}
		err := r.reserve(s, p)
		reserved = err == nil
		return nil, err
	}
	near, err := aemp.Handshake(r.ctx, nc, cfg)
	if err != nil {
		return err
	}
	far, err := r.reach(s, near.Remote().Node)
	if err != nil {
		return fmt.Errorf("%s wants %s: %w", near.Remote().Node, s.node, err)
	}
	defer far.Close()
	l := &Link{Old: p.old, New: p.new, relay: r, old: near, new: far}
	if s.generation == 1 {
		l.old, l.new = far, near
	}
	if !r.open(s, p, l) {
		return errWithdrawn
	}
	r.cfg.Opened(l)
	l.run()
	r.cfg.Closed(l)
	return nil
}

// config is what connections are made with under the name of a node.
func (r *Relay) config(name aemp.NodeID, generation int) aemp.Config {
	cfg := aemp.Config{
		NodeID: name, Secret: r.cfg.Secret, TLS: r.cfg.TLS, Limits: r.cfg.Limits, HandshakeTimeout: r.cfg.Timeout,
		// Who sees a relay in a greeting shall know that it is one.
		Extra: map[string]string{"provider": "relay-" + aemp.Version},
	}
	if generation == 1 {
		cfg.Extra["mproto"], cfg.Extra["gproto"] = "", ""
	}
	return cfg
}

// reserve makes sure that the two have no link yet, and will get no other.
func (r *Relay) reserve(s *stand, p pair) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.links[p]; there {
		return aemp.ErrConnected
	}
	if r.closed || r.stands[s.node] != s {
		return errWithdrawn
	}
	r.links[p] = nil
	s.links[p] = true
	return nil
}

func (r *Relay) open(s *stand, p pair, l *Link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.stands[s.node] != s {
		return false
	}
	r.links[p] = l
	return true
}

func (r *Relay) release(s *stand, p pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.links, p)
	delete(s.links, p)
}

// reach connects to the real node under the name of another.
func (r *Relay) reach(s *stand, as aemp.NodeID) (*aemp.Conn, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.Timeout)
	defer cancel()
	addresses, err := r.cfg.Resolve(ctx, s.node)
	if err != nil {
		return nil, err
	}
	err = errors.New("its address is not known")
	for _, address := range addresses {
		var nc net.Conn
		if nc, err = r.cfg.Dial(ctx, address); err != nil {
			continue
		}
		var conn *aemp.Conn
		if conn, err = aemp.Handshake(ctx, nc, r.config(as, s.generation)); err != nil {
			nc.Close()
			continue
		}
		if got := conn.Remote().Node; got != s.node {
			conn.Close()
			err = fmt.Errorf("%s is at its address %s", got, address)
			continue
		}
		return conn, nil
	}
	return nil, err
}
