package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// Errors of this package. What a method returns, and the texts of transport
// errors, come from them.
var (
	// ErrClosed: the node was closed.
	ErrClosed = errors.New("node is closed")
	// ErrSlowPeer: a peer did not read what was sent to it for so long that
	// its connection was given up.
	ErrSlowPeer = errors.New("peer does not read")
	// ErrUnreachable: no connection to a node could be made in time.
	ErrUnreachable = errors.New("node cannot be reached")
	// ErrSwitched: the peer made a new connection, so that the old one is
	// given up.
	ErrSwitched = errors.New("switched connections")
)

// A NodeUp event is published on protoactor-go's event stream when a
// connection to a node is ready, before anything that comes over it.
type NodeUp struct {
	Node     actor.NodeID
	Greeting *aemp.Greeting // what the node said of itself
}

// A NodeDown event is published when the connection to a node has ended,
// behind everything that came over it.
type NodeDown struct {
	Node   actor.NodeID
	Reason actor.Reason
}

// A SeedUp event is published when the node at an address of a seed is
// connected, each time anew, next to its NodeUp and in either order. If the
// node is this one itself, that is found out once. An entry of [Config.Seeds]
// may stand for several addresses, and a node may be at several of them.
type SeedUp struct {
	Address string
	Node    actor.NodeID
}

// A SeedFailed event is published when a seed could not be reached, once for
// each cause: attempts go on. The address is the entry of [Config.Seeds]; if it
// stands for several, none could be reached. The error wraps one of package aemp,
// or that of the network or of the look-up, for each of them.
type SeedFailed struct {
	Address string
	Err     error
}

// A Node connects a system with other nodes. Its methods may be called by any
// goroutine at any time.
type Node struct {
	// Immutable.
	sys       *actor.System
	cfg       Config
	log       *slog.Logger
	gateway   *actor.Gateway
	listeners []net.Listener
	ctx       context.Context // done when the node closes
	cancel    context.CancelFunc

	lookout   lookout
	strangers strangers
	totals    totals
	headers   sync.Once // to warn that they are not sent
	data      dataConns

	// Locks are taken in the order in which they stand here, with that of a
	// peer between the two.
	mu    sync.RWMutex
	peers map[actor.NodeID]*peer

	life       sync.RWMutex
	closed     bool
	goroutines sync.WaitGroup // all that the node has started
}

// Start makes the system a node: it listens, connects to the seeds, and from
// then on carries what is sent to the ports of other nodes. The context bounds
// the start only; to stop the node, call Close. Nothing is left behind when
// Start fails.
func Start(ctx context.Context, sys *actor.System, config Config) (*Node, error) {
	cfg, err := config.WithProfile(ctx)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	err = cfg.validate()
	if err == nil {
		err = cfg.handshakeConfig().Validate()
	}
	if err != nil {
		return nil, err
	}
	n := &Node{
		sys:   sys,
		cfg:   cfg,
		log:   sys.Logger().With("node", cfg.NodeID),
		peers: make(map[actor.NodeID]*peer),
	}
	n.lookout.node = n
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.listen(ctx); err != nil {
		n.cancel()
		return nil, err
	}
	if err := n.attach(); err != nil {
		n.closeListeners()
		n.cancel()
		return nil, fmt.Errorf("remote: %w", err)
	}
	if err := n.startMetrics(); err != nil {
		n.log.Warn("metrics are not reported", "err", err)
	}
	n.listeners = append(n.listeners, cfg.Listeners...)
	for _, l := range n.listeners {
		n.goroutines.Go(func() { n.acceptLoop(l) })
	}
	for _, entry := range cfg.Seeds {
		hosts, _ := parseSeed(entry) // has been validated
		s := &seed{n: n, entry: entry, hosts: hosts, addresses: make(map[string]*seedAddress)}
		n.goroutines.Go(s.run)
	}
	return n, nil
}

// attach makes the node known to its system. Who sends to another node from then on
// gets no peer, and nothing is started, before the gateway is there.
func (n *Node) attach() error {
	n.life.Lock()
	defer n.life.Unlock()
	gateway, err := n.sys.Attach(n.cfg.NodeID, provider{n})
	if err != nil {
		return err
	}
	gateway.Allow = n.cfg.Allow
	n.gateway = gateway
	return nil
}

// ID returns the node's ID.
func (n *Node) ID() actor.NodeID { return n.cfg.NodeID }

// System returns the system that the node belongs to.
func (n *Node) System() *actor.System { return n.sys }

// Addresses returns the addresses that the node listens on.
func (n *Node) Addresses() []string {
	var addresses []string
	for _, l := range n.listeners {
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// Nodes returns the nodes that are connected, in the order of their IDs.
func (n *Node) Nodes() []actor.NodeID {
	var up []actor.NodeID
	for _, p := range n.allPeers() {
		if p.connected() {
			up = append(up, p.id)
		}
	}
	slices.Sort(up)
	return up
}

// Greeting returns what a connected node said of itself; nil if it is not
// connected.
func (n *Node) Greeting(node actor.NodeID) *aemp.Greeting {
	p := n.knownPeer(node)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil {
		return nil
	}
	return p.link.conn.Remote()
}

// Connect waits until a node is connected, making a connection if there is
// none, and trying anew until ctx is done. The error wraps that of ctx,
// [ErrClosed], or [aemp.ErrInvalidID].
func (n *Node) Connect(ctx context.Context, node actor.NodeID) error {
	for {
		p, err := n.peer(node)
		if err != nil {
			return fmt.Errorf("remote: connect to %s: %w", node, err)
		}
		changed, err := p.connect()
		if changed == nil && err == nil {
			return nil
		}
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return fmt.Errorf("remote: connect to %s: %w", node, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("remote: connect to %s: %w", node, context.Cause(ctx))
		case <-n.ctx.Done():
			return fmt.Errorf("remote: connect to %s: %w", node, ErrClosed)
		}
	}
}

// Request sends a request to the node port of another node. Unlike Send it does
// not wait for a peer that is slow to read: it gives up the connection when too
// much piles up.
func (n *Node) Request(node actor.NodeID, request string, args ...any) error {
	return n.Post(node.NodePort(), append(actor.Message{request}, args...)...)
}

// Post sends a message to a port of another node as Request does: for what
// controls a mesh, and comes from where nothing may wait.
func (n *Node) Post(port actor.PortID, msg ...any) error {
	node, name := port.Split()
	if err := (provider{n}).Send(node, actor.Outgoing{Port: name, Message: actor.Message(msg), NoWait: true}); err != nil {
		return fmt.Errorf("remote: message to %s: %w", port, err)
	}
	return nil
}

// WaitForRoom waits until a node is not behind with reading, as Send does before
// it sends: for those who have sent a lot by Request or Post, and may wait now. The
// error is that of Send; for a node that is not known it is nil.
func (n *Node) WaitForRoom(node actor.NodeID) error {
	p := n.knownPeer(node)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending() < n.cfg.PendingBytes {
		return nil
	}
	return p.waitForRoom(false)
}

// Close ends all connections, after it has sent what was accepted for sending,
// for which it waits as long as [Config.CloseTimeout]. The monitors on the
// ports of other nodes fire. When Close returns, no goroutine and no socket of
// the node is left. The system goes on without a network.
func (n *Node) Close() error {
	n.life.Lock()
	first := !n.closed
	n.closed = true
	n.life.Unlock()
	if !first {
		n.goroutines.Wait()
		return nil
	}
	n.closeListeners()
	for _, p := range n.allPeers() {
		p.shutdown()
	}
	n.cancel()
	n.goroutines.Wait()
	n.gateway.Detach()
	return nil
}

// knownPeer returns the peer of that name, or nil if there is none.
func (n *Node) knownPeer(id actor.NodeID) *peer {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.peers[id]
}

// peer returns the peer of that name. It may be gone by the time it is used,
// of which its methods tell with errGone.
func (n *Node) peer(id actor.NodeID) (*peer, error) {
	if p := n.knownPeer(id); p != nil {
		return p, nil
	}
	if n.isClosed() {
		return nil, ErrClosed
	}
	if err := id.Validate(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[id]
	if p == nil {
		p = newPeer(n, id)
		n.peers[id] = p
	}
	return p, nil
}

func (n *Node) isClosed() bool {
	n.life.RLock()
	defer n.life.RUnlock()
	return n.closed
}

func (n *Node) allPeers() []*peer {
	n.mu.RLock()
	defer n.mu.RUnlock()
	peers := make([]*peer, 0, len(n.peers))
	for _, p := range n.peers {
		peers = append(peers, p)
	}
	return peers
}

// spawn starts a goroutine that Close waits for, unless the node is closed.
func (n *Node) spawn(f func()) bool {
	n.life.RLock()
	defer n.life.RUnlock()
	if n.closed {
		return false
	}
	n.goroutines.Go(f)
	return true
}

// publish puts an event on protoactor-go's event stream, whose subscribers are
// user code.
func (n *Node) publish(event any) {
	defer func() {
		if r := recover(); r != nil {
			n.log.Error("subscriber panicked", "event", fmt.Sprintf("%T", event), "err", r)
		}
	}()
	n.sys.Actors().EventStream.Publish(event)
}

// provider is the node as the system sees it.
type provider struct{ n *Node }

// Peer returns the way to another node.
func (v provider) Peer(node actor.NodeID) actor.Peer { return &way{node: v.n, to: node} }

// Send sends a message to a port of another node.
func (v provider) Send(node actor.NodeID, m actor.Outgoing) error {
	_, err := v.n.send(nil, node, &m)
	return err
}

// A way leads to another node, by the peer that stands for it at the time.
type way struct {
	node *Node
	to   actor.NodeID
	peer atomic.Pointer[peer] // that was used last
}

// Send sends a message to a port of that node.
func (w *way) Send(m actor.Outgoing) error {
	last := w.peer.Load()
	p, err := w.node.send(last, w.to, &m)
	if p != last {
		w.peer.Store(p)
	}
	return err
}

// send sends a message to a port of another node by that peer, or if it is nil or
// gone by the one that stands for the node now. It returns the one that was used.
func (n *Node) send(p *peer, to actor.NodeID, m *actor.Outgoing) (*peer, error) {
	for {
		if p != nil {
			if err := p.send(m); !errors.Is(err, errGone) {
				return p, err
			}
		}
		var err error
		if p, err = n.peer(to); err != nil {
			return nil, err
		}
	}
}

// Kill asks the port's node to kill it.
func (v provider) Kill(port actor.PortID, reason actor.Reason) error {
	node, name := port.Split()
	msg := append(actor.Message{requestKill2, name}, reason...)
	return v.Send(node, actor.Outgoing{Message: msg, NoWait: true})
}

// Monitor asks the port's node to tell when the port dies.
func (v provider) Monitor(port actor.PortID) { v.monitorRequest(port, requestMonitor) }

// Unmonitor ends what Monitor began.
func (v provider) Unmonitor(port actor.PortID) { v.monitorRequest(port, requestUnmonitor) }

func (v provider) monitorRequest(port actor.PortID, request string) {
	node, name := port.Split()
	msg := actor.Message{request, name}
	if name == "" {
		// Of a node port's death the connection tells; an empty message is
		// enough to have one.
		if request == requestUnmonitor {
			return
		}
		msg = actor.Message{""}
	}
	err := v.Send(node, actor.Outgoing{Message: msg, NoWait: true})
	if err != nil && request == requestMonitor {
		// The caller holds the lock of the monitors. When the node is closed
		// they are fired anyway.
		v.n.spawn(func() {
			v.n.gateway.NodeDown(node, aemp.TransportError(node, err.Error()))
		})
	}
}

// Nodes returns the nodes that are connected.
func (v provider) Nodes() []actor.NodeID { return v.n.Nodes() }

// Process returns what stands for another node towards protoactor-go.
func (v provider) Process(node actor.NodeID) proto.Process { return process{v.n, node} }
