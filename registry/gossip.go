package registry

import (
	"fmt"

	"github.com/portmesh/portmesh/actor"
)

// The part of the mesh of generation 1 that is served (section 7 of the
// protocol): its nodes learn our address and those of each other, and we learn
// theirs. Every node spawns a global port on every other and tells it what it
// knows. The groups of ports that it can tell of as well are not kept.

// functionGlobal is what global ports are made of, by its name in Perl.
const functionGlobal = "AnyEvent::MP::Global::connect"

// The messages to global ports.
const (
	tagAddr     = "addr"    // list of addresses: where the sender listens
	tagNodes    = "nodes"   // node IDs with their addresses: others that it knows
	tagSetup    = "setup"   // all has been said
	tagFind     = "find"    // node ID: where is it
	tagSeedMe   = "seedme1" // tell me of new nodes
	tagUnseedMe = "seedme0" // no longer
)

// gossip is what is known of the nodes of generation 1. It is guarded by the
// lock of the registry.
type gossip struct {
	ports     map[actor.NodeID]actor.PortID // our global port on each node that is up
	addresses map[actor.NodeID][]string
	seeding   map[actor.NodeID]bool // nodes that want to hear of new ones
}

// meet begins to gossip with a node that has come up.
func (r *Registry) meet(node actor.NodeID) {
	port := r.sys.Spawn(node, functionGlobal, 0, r.node.ID())
	r.gossip.ports[node] = port
	r.tellGlobal(node, tagAddr, anyList(listening(r.node.Addresses())))
	r.tellGlobal(node, tagSetup)
	r.tellGlobal(node, tagSeedMe)
}

// part forgets a node that is down, but for where it was.
func (r *Registry) part(node actor.NodeID) {
	delete(r.gossip.ports, node)
	delete(r.gossip.seeding, node)
}

// tellGlobal sends a message to our global port on a node.
func (r *Registry) tellGlobal(node actor.NodeID, msg ...any) {
	port, ok := r.gossip.ports[node]
	if !ok {
		return
	}
	if err := r.node.Request(node, "snd", append([]any{string(port)}, msg...)...); err != nil {
		r.log.Debug("gossip not sent", "peer", node, "err", err)
	}
}

// globalPort is the function that other nodes spawn their global ports here by.
func (r *Registry) globalPort(c *actor.Context, args actor.Message) error {
	var version float64
	var node actor.NodeID
	if err := args.Scan(&version, &node); err != nil {
		return err
	}
	if int(version) != 0 {
		return fmt.Errorf("version mismatch: we speak 0, %s %v", node, version)
	}
	c.Monitor(node.NodePort(), func(actor.Reason) { c.Kill() })
	locked := func(f func(m actor.Message) error) actor.Handler {
		return func(_ *actor.Context, m actor.Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if err := f(m); err != nil {
				r.log.Warn("gossip ignored", "peer", node, "err", err)
			}
			return nil
		}
	}
	c.Receive(tagAddr, locked(func(m actor.Message) error {
		var addresses []string
		if err := m.Scan(&addresses); err != nil {
			return err
		}
		r.gossip.addresses[node] = addresses
		for other := range r.gossip.seeding {
			if other != node {
				r.tellGlobal(other, tagNodes, map[string]any{string(node): anyList(addresses)})
			}
		}
		return nil
	}))
	c.Receive(tagNodes, locked(func(m actor.Message) error {
		var nodes map[string][]string
		if err := m.Scan(&nodes); err != nil {
			return err
		}
		for name, addresses := range nodes {
			r.hearOf(actor.NodeID(name), addresses)
		}
		return nil
	}))
	c.Receive(tagFind, locked(func(m actor.Message) error {
		var wanted string
		if err := m.Scan(&wanted); err != nil {
			return err
		}
		if addresses, ok := r.gossip.addresses[actor.NodeID(wanted)]; ok {
			r.tellGlobal(node, tagNodes, map[string]any{wanted: anyList(addresses)})
		}
		return nil
	}))
	c.Receive(tagSeedMe, locked(func(actor.Message) error {
		r.gossip.seeding[node] = true
		known := make(map[string]any)
		for other, addresses := range r.gossip.addresses {
			if other != node && r.up[other] {
				known[string(other)] = anyList(addresses)
			}
		}
		if len(known) > 0 {
			r.tellGlobal(node, tagNodes, known)
		}
		return nil
	}))
	c.Receive(tagUnseedMe, locked(func(actor.Message) error {
		delete(r.gossip.seeding, node)
		return nil
	}))
	c.Default(func(*actor.Context, actor.Message) error { return nil }) // groups
	return nil
}

// hearOf takes note of a node, and connects with it, as every node of
// generation 1 does with every other.
func (r *Registry) hearOf(node actor.NodeID, addresses []string) {
	if node == r.node.ID() || node.Validate() != nil || len(addresses) == 0 {
		return
	}
	r.gossip.addresses[node] = addresses
	if r.up[node] {
		return
	}
	// A message that does nothing makes a connection.
	if err := r.node.Request(node, "devnull"); err != nil {
		r.log.Debug("node of generation 1 not connected", "peer", node, "err", err)
	}
}
