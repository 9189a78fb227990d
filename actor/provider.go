package actor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
)

// A Provider connects a system to other nodes; package remote is one. Its
// methods, and those of a [Peer], are called by any goroutine. Only Send may wait,
// and only for a peer that is slow to read.
//
// What a provider accepts for a node is delivered in order, or the provider
// calls [Gateway.NodeDown] before it delivers anything that came later.
type Provider interface {
	// Send sends a message to a port of another node. A list in it is valid until
	// Send returns.
	Send(node NodeID, m Outgoing) error
	// Peer returns what sends to that node, for those who do so often. It is good
	// for as long as the provider is; there may be no such node.
	Peer(node NodeID) Peer
	// Kill asks the port's node to kill it.
	Kill(port PortID, reason Reason) error
	// Monitor asks the port's node to tell when the port dies; for a node
	// port it makes a connection. It is called when the first monitor on the
	// port appears, and Unmonitor when the last one goes. Both are called
	// with a lock held, and must neither wait nor call the system.
	Monitor(port PortID)
	Unmonitor(port PortID)
	// Nodes returns the nodes that are connected.
	Nodes() []NodeID
	// Process returns what stands for another node towards protoactor-go, whose PIDs
	// keep it: it may be used for longer than the provider.
	Process(node NodeID) proto.Process
}

// A Peer sends to another node, as its [Provider] does.
type Peer interface {
	Send(m Outgoing) error
}

// Outgoing is a message on its way to another node.
type Outgoing struct {
	// Port is the name of the port.
	Port string
	// Message is the message: a [Message], a pointer to a value of a bound type
	// ([Bind]), or any other single value.
	Message any
	// Reply is the port that an answer should go to. It travels as the last
	// element, where Perl's cal puts it. Empty means none.
	Reply PortID
	// NoWait marks what must not wait for a slow peer, because it answers or
	// controls: the provider gives up the peer instead when too much piles up.
	NoWait bool

	binding *binding // of the message, if it is known already
}

// Encode writes the packet, appended to dst. With an error, which wraps
// [aemp.ErrUnsupportedValue], dst is as it was.
func (o Outgoing) Encode(e aemp.Encoder, dst []byte) ([]byte, error) {
	m, ok := o.Message.(Message)
	if !ok {
		typed, b := o.Message, o.binding
		if b == nil {
			typed, b = typedMessage(typed)
		}
		if b != nil {
			return b.encode(e, dst, o.Port, typed, o.Reply)
		}
		m = Message{o.Message}
	}
	// A request that is forwarded has its reply port as its last element already,
	// if it came from another node.
	if o.Reply != "" && replyPort(m) != o.Reply {
		m = append(m[:len(m):len(m)], o.Reply)
	}
	return aemp.EncodeMessage(e, dst, o.Port, m...)
}

// A Gateway is the side of a system that a provider works with.
type Gateway struct {
	// Allow tells whether a node may spawn or call the function of that name.
	// Nil allows all. It is set before the first request comes.
	Allow func(from NodeID, function string) bool

	s *System
}

// Attach makes the system the node of that name, which sends through p what is
// for other nodes. It fails with [ErrAttached] when there is a provider
// already. Attach before ports are made whose IDs other nodes will see: the
// IDs of earlier ones name [LocalNode].
func (s *System) Attach(node NodeID, p Provider) (*Gateway, error) {
	if err := node.Validate(); err != nil {
		return nil, fmt.Errorf("actor: %w", err)
	}
	alone := s.net.Load()
	if alone.provider != nil || !s.net.CompareAndSwap(alone, &network{node, p}) {
		return nil, ErrAttached
	}
	// protoactor-go reads it without a lock, which matters when a node comes back.
	if registry := s.actors.ProcessRegistry; registry.Address != string(node) {
		registry.Address = string(node)
	}
	return &Gateway{s: s}, nil
}

// Detach ends what Attach began, and fires the monitors on all other nodes.
// The system keeps its name.
func (g *Gateway) Detach() {
	g.s.net.Store(&network{node: g.s.Node()})
	g.s.routes.clear() // they keep the provider
	g.s.remote.mu.Lock()
	nodes := slices.Collect(maps.Keys(g.s.remote.nodes))
	g.s.remote.mu.Unlock()
	for _, node := range nodes {
		g.NodeDown(node, aemp.TransportError(node, ErrNoNetwork.Error()))
	}
}

// resolve finds the process for a protoactor-go PID of another node.
func (s *System) resolve(pid *proto.PID) (proto.Process, bool) {
	node := NodeID(pid.Address)
	p, err := s.provider()
	if err != nil || s.isLocal(node) || node.Validate() != nil {
		return nil, false
	}
	return p.Process(node), true
}

// replyPort returns the last element of a message if it can be the port that
// an answer is to be sent to.
func replyPort(m Message) PortID {
	if len(m) == 0 {
		return ""
	}
	var port PortID
	switch last := m[len(m)-1].(type) {
	case string:
		port = PortID(last)
	case PortID:
		port = last
	}
	node, name := port.Split()
	// A text may have a '#' in it as well.
	if name == "" || strings.ContainsRune(string(node), ' ') || node.Validate() != nil {
		return ""
	}
	return port
}

// Request answers a request to the node port that came from that node:
// everything but the monitor requests, which belong to a connection.
func (g *Gateway) Request(from NodeID, m Message) { g.s.request(from, m, g.Allow) }

// Monitor calls fired when the local port dies, once, from whatever goroutine
// sees it die; it must not wait. The returned function ends the monitor.
func (g *Gateway) Monitor(name string, fired func(Reason)) (stop func()) {
	return g.s.startLocal(name, &monitor{action: inlineAction(fired)})
}

// Kill kills the local port of that name.
func (g *Gateway) Kill(name string, reason Reason) { g.s.kill(name, reason) }

// Send sends a message to a port of another node, by the provider that the
// system has now: a PID keeps its process for longer than a node lives.
func (g *Gateway) Send(node NodeID, m Outgoing) error {
	p, err := g.s.provider()
	if err != nil {
		return err
	}
	return p.Send(node, m)
}

// PortDied fires the monitors on a port of another node.
func (g *Gateway) PortDied(port PortID, reason Reason) {
	if !port.IsNodePort() {
		g.s.fire(&g.s.remote, port, reason)
	}
}

// NodeDown fires all monitors on that node and its ports. When it returns,
// each has at least been posted to where it is dealt with, before anything
// that is sent later.
func (g *Gateway) NodeDown(node NodeID, reason Reason) { g.s.fireNode(node, reason) }

// Watch makes protoactor-go's Watch on the port of another node: the watcher
// gets one Terminated. Unwatch ends it.
func (g *Gateway) Watch(who, watcher *proto.PID) { g.s.watch(who, watcher) }

// Unwatch ends what Watch began.
func (g *Gateway) Unwatch(who, watcher *proto.PID) { g.s.unwatch(who, watcher) }
