package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// The mesh of generation 1 (section 7 of the protocol): every node is connected
// with every other, spawns a global port there, and tells it what it knows: where
// it listens, who else there is, and which ports belong to which group.

// functionGlobal is what global ports are made of, by its name in Perl, and
// functionSpawn how one asks for that.
const (
	functionGlobal = "AnyEvent::MP::Global::connect"
	functionSpawn  = "AnyEvent::MP::_spawn"
)

// The messages to global ports.
const (
	tagAddr       = "addr"    // list of addresses: where the sender listens
	tagNodes      = "nodes"   // node IDs with their addresses: others that it knows
	tagSetup      = "setup"   // all has been said
	tagFind       = "find"    // node ID: where is it
	tagSeedMe     = "seedme1" // tell me of new nodes
	tagUnseedMe   = "seedme0" // no longer
	tagSet        = "set"     // groups with their ports: those of the sender
	tagRegister   = "reg1"    // group, port: joined
	tagUnregister = "reg0"    // group, port: left
)

// gossip is what is known of the nodes of that mesh. It is guarded by the lock of
// the registry.
type gossip struct {
	joined    bool                          // there is such a mesh, and nodes of ours gossip too
	ports     map[actor.NodeID]actor.PortID // our global port on each node that is up
	addresses map[actor.NodeID][]string
	seeding   map[actor.NodeID]bool // nodes that want to hear of new ones
	trying    map[actor.NodeID]bool // nodes that we were told of and try to reach
	master    actor.NodeID          // who lets us hear of new ones; empty: nobody
	names     uint64                // global ports that were named
	groups    groups
}

// What is known of nodes that are not up is kept for so many, and so many are
// tried at the same time, each for so long: a node may tell of as many as it
// likes.
const (
	addressesKept  = 1000
	gossipPatience = 30 * time.Second
)

// New nodes are told of after a while, between one and two of these, so that
// nodes do not dial each other at the same moment.
const gossipDelay = time.Second

var globalCookie = rand.Text()[:16] + "_"

// joinGossip takes part in the mesh of generation 1. Perl nodes do so anyway;
// nodes of ours gossip with each other as soon as one of them has begun to.
func (r *Registry) joinGossip() {
	if r.gossip.joined {
		return
	}
	r.gossip.joined = true
	for node, greeting := range r.up {
		if greeting.IsPortmesh() {
			r.meet(node)
		}
	}
}

// meet begins to gossip with a node that is up.
func (r *Registry) meet(node actor.NodeID) {
	if _, met := r.gossip.ports[node]; met {
		return
	}
	r.joinGossip()
	r.gossip.names++
	port := node.Port(globalCookie + strconv.FormatUint(r.gossip.names, 36))
	r.gossip.ports[node] = port
	r.request(node, functionSpawn, port.Name(), functionGlobal, 0, r.node.ID())
	r.sys.Monitor(port, func(actor.Reason) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.gossip.ports[node] == port {
			r.part(node)
		}
	})
	if r.up[node].Generation() == 1 {
		r.bridgeOld(node)
	}
	r.tellGlobal(node, tagAddr, anyList(r.listening))
	if known := r.addressesFor(node); len(known) > 0 {
		r.tellGlobal(node, tagNodes, known)
	}
	if own := groupsMessage(r.gossip.groups.own); len(own) > 0 {
		r.tellGlobal(node, tagSet, own)
	}
	r.tellGlobal(node, tagSetup)
	r.chooseGossipMaster(node)
}

// part forgets a node that is down, or does not gossip, but for where it was.
func (r *Registry) part(node actor.NodeID) {
	if _, met := r.gossip.ports[node]; !met {
		return
	}
	delete(r.gossip.ports, node)
	delete(r.gossip.seeding, node)
	r.groupsGone(node)
	r.withdrawOld(node)
	if r.gossip.master == node {
		r.gossip.master = ""
	}
	r.chooseGossipMaster("")
	r.forgetAddresses()
	if r.gossip.master != "" {
		r.tellGlobal(r.gossip.master, tagFind, node)
	}
}

func (r *Registry) forgetAddresses() {
	if len(r.gossip.addresses) <= addressesKept {
		return
	}
	for node := range r.gossip.addresses {
		if r.up[node] == nil && !r.gossip.trying[node] {
			delete(r.gossip.addresses, node)
		}
	}
}

// chooseGossipMaster sees to it that somebody tells us of new nodes: a seed that
// is up, or else any node. A seed that has just come up is taken in its turn.
func (r *Registry) chooseGossipMaster(come actor.NodeID) {
	var seeds []actor.NodeID
	for node := range r.gossip.ports {
		if r.seeds[node] {
			seeds = append(seeds, node)
		}
	}
	master := r.gossip.master
	switch {
	case r.seeds[master] && !(r.seeds[come] && mathrand.IntN(len(seeds)) == 0):
		return
	case r.seeds[come]:
		master = come
	case len(seeds) > 0:
		master = seeds[mathrand.IntN(len(seeds))]
	case master == "" && len(r.gossip.ports) > 0:
		master = slices.Max(slices.Collect(maps.Keys(r.gossip.ports)))
	}
	if master == r.gossip.master {
		return
	}
	if r.gossip.master != "" {
		r.tellGlobal(r.gossip.master, tagUnseedMe)
	}
	r.gossip.master = master
	r.tellGlobal(master, tagSeedMe)
}

// tellGlobal sends a message to our global port on a node.
func (r *Registry) tellGlobal(node actor.NodeID, msg ...any) {
	port, ok := r.gossip.ports[node]
	if !ok {
		return
	}
	if err := r.node.Post(port, msg...); err != nil {
		r.log.Debug("gossip not sent", "peer", node, "err", err)
	}
}

// addressesFor returns the addresses of all nodes that gossip, but for that one.
func (r *Registry) addressesFor(node actor.NodeID) map[string]any {
	known := make(map[string]any)
	for other := range r.gossip.ports {
		if addresses := r.gossip.addresses[other]; other != node && len(addresses) > 0 {
			known[string(other)] = anyList(addresses)
		}
	}
	r.standIns(known)
	return known
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
	// Those that gossip with us hear from us as well.
	r.mu.Lock()
	if r.up[node] != nil {
		r.meet(node)
	}
	r.mu.Unlock()
	receive := func(tag string, f func(node actor.NodeID, m actor.Message) error) {
		c.Receive(tag, func(_ *actor.Context, m actor.Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.up[node] == nil {
				return nil // what is left of a connection that has ended
			}
			if err := f(node, m); err != nil {
				r.log.Warn("gossip ignored", "peer", node, "tag", tag, "err", err)
			}
			return nil
		})
	}
	receive(tagAddr, r.onAddr)
	receive(tagNodes, r.onNodes)
	receive(tagFind, r.onGossipFind)
	receive(tagSeedMe, r.onSeedMe)
	receive(tagUnseedMe, r.onUnseedMe)
	receive(tagSet, r.onGroups)
	receive(tagRegister, r.onRegister)
	receive(tagUnregister, r.onUnregister)
	c.Default(func(*actor.Context, actor.Message) error { return nil })
	return nil
}

func (r *Registry) onAddr(node actor.NodeID, m actor.Message) error {
	var addresses []string
	if err := m.Scan(&addresses); err != nil {
		return err
	}
	r.gossip.addresses[node] = addresses
	if r.up[node].Generation() == 1 {
		r.bridgeOld(node)
	}
	r.later(func() {
		if _, met := r.gossip.ports[node]; !met {
			return
		}
		for other := range r.gossip.seeding {
			if other != node {
				r.tellGlobal(other, tagNodes, map[string]any{string(node): anyList(r.gossip.addresses[node])})
			}
		}
	})
	return nil
}

// later calls f with the lock, after a while, unless the registry closes.
func (r *Registry) later(f func()) { r.after(gossipDelay+mathrand.N(gossipDelay), f) }

func (r *Registry) onNodes(_ actor.NodeID, m actor.Message) error {
	var nodes map[string][]string
	if err := m.Scan(&nodes); err != nil {
		return err
	}
	left := 0
	for name, addresses := range nodes {
		if !r.hearOf(actor.NodeID(name), addresses) {
			left++
		}
	}
	if left > 0 {
		return fmt.Errorf("too many nodes at once: %d are left out", left)
	}
	return nil
}

// hearOf takes note of a node, and connects with it, as every node of
// generation 1 does with every other. It returns whether there is room for it.
func (r *Registry) hearOf(node actor.NodeID, addresses []string) bool {
	if node == r.node.ID() || node.Validate() != nil || len(addresses) == 0 {
		return true
	}
	if r.up[node] != nil || r.gossip.trying[node] {
		r.gossip.addresses[node] = addresses
		return true
	}
	if len(r.gossip.trying) == addressesKept {
		return false
	}
	r.gossip.addresses[node] = addresses
	r.forgetAddresses()
	r.gossip.trying[node] = true
	r.goroutines.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, gossipPatience)
		defer cancel()
		r.node.Connect(ctx, node) // or not
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.gossip.trying, node)
	})
	return true
}

func (r *Registry) onGossipFind(node actor.NodeID, m actor.Message) error {
	var wanted string
	if err := m.Scan(&wanted); err != nil {
		return err
	}
	r.findFor(node, actor.NodeID(wanted), func(nodes map[string]any) { r.tellGlobal(node, tagNodes, nodes) })
	return nil
}

// findFor calls found with where a node is, if that is known, at once or later.
func (r *Registry) findFor(asker, wanted actor.NodeID, found func(nodes map[string]any)) {
	answer := func(addresses []string) { found(map[string]any{string(wanted): anyList(addresses)}) }
	if addresses := r.gossip.addresses[wanted]; len(addresses) == 0 {
		r.findForOld(wanted, answer)
	} else if wanted != asker {
		answer(addresses)
	}
}

func (r *Registry) onSeedMe(node actor.NodeID, _ actor.Message) error {
	r.gossip.seeding[node] = true
	if known := r.addressesFor(node); len(known) > 0 {
		r.tellGlobal(node, tagNodes, known)
	}
	return nil
}

func (r *Registry) onUnseedMe(node actor.NodeID, _ actor.Message) error {
	delete(r.gossip.seeding, node)
	return nil
}
