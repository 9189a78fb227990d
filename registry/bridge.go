package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/relay"
	"github.com/portmesh/portmesh/remote"
)

// A bridge makes one of two worlds: families of generation 2 are groups of
// generation 1 as well, and a relay stands in for the nodes of each towards those
// of the other.
//
// What is told of the other world goes from its origin to the listener and never
// further, so that several bridges make no loop: a node of generation 1 speaks
// for its own ports only; the key of a family becomes a member of a group unless
// its node belongs to generation 1; and a stand-in refuses nodes of ours, which is
// what other bridges are.
//
// It is guarded by the lock of the registry.
type bridge struct {
	names    map[string]bool // of the families and groups
	relay    *relay.Relay
	old      map[actor.NodeID]bool     // nodes that have been seen to be of generation 1
	stands   map[actor.NodeID][]string // nodes that we stand in for, and at which addresses
	links    map[*relay.Link]*standLink
	exported map[actor.NodeID]database // by node of generation 2, its ports as members of groups
	imported database                  // members of groups, as keys of families
	ours     database                  // our own ports that are members because they are keys
	count    uint64                    // of global ports that were named
}

// A standLink is what we say and hear on a link in the place of the new node.
type standLink struct {
	global string          // our global port at the old node
	heard  map[string]bool // its global ports at the new one; only intercept uses it, for what the old node says
}

// startBridge makes the node a bridge for families and groups of those names.
func (r *Registry) startBridge(names []string, config remote.Config) error {
	for _, name := range names {
		if err := checkFamily(name); err != nil {
			return fmt.Errorf("registry: Config.Bridge: %w", err)
		}
	}
	if len(r.node.Addresses()) == 0 {
		return errors.New("registry: Config.Bridge needs an address to listen on")
	}
	host, _, err := net.SplitHostPort(r.node.Addresses()[0])
	if err != nil {
		return fmt.Errorf("registry: Config.Bridge: the first listener is none of TCP: %w", err)
	}
	dial := config.Dial
	if dial == nil {
		dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	b := &bridge{
		names:    make(map[string]bool),
		old:      make(map[actor.NodeID]bool),
		stands:   make(map[actor.NodeID][]string),
		links:    make(map[*relay.Link]*standLink),
		exported: make(map[actor.NodeID]database),
		imported: make(database),
		ours:     make(database),
	}
	timeout := config.MonitorTimeout
	if timeout <= 0 {
		timeout = aemp.DefaultHandshakeTimeout
	}
	b.relay = relay.New(relay.Config{
		Secret: config.Secret, TLS: config.TLS, Limits: config.Limits, Timeout: timeout, Log: r.log, Dial: dial,
		Listen:    func() (net.Listener, error) { return net.Listen("tcp", net.JoinHostPort(host, "0")) },
		Resolve:   r.findReal,
		Opened:    r.linkOpened,
		Closed:    r.linkClosed,
		Intercept: r.intercept,
	})
	for _, name := range names {
		b.names[name] = true
	}
	r.mu.Lock()
	r.bridge = b
	r.joinGossip()
	for node, greeting := range r.up {
		if greeting.Generation() == 1 {
			r.bridgeOld(node)
		}
	}
	for name := range b.names {
		content := r.gossip.groups.view.content(name)
		r.importGroup(name, &change{set: content})
	}
	r.mu.Unlock()
	for name := range b.names {
		if _, err := r.Monitor(name, func(c Change) { r.exportFamily(name, c) }); err != nil {
			return err
		}
	}
	return nil
}

// importGroup makes members of a group keys of the family: those of nodes of
// generation 1, and our own.
func (r *Registry) importGroup(group string, c *change) {
	b := r.bridge
	if b == nil || !b.names[group] {
		return
	}
	set := make(map[string]any)
	for key := range c.set {
		node := actor.PortID(key).Node()
		_, is := r.local[group][key]
		if is || !b.old[node] && node != r.node.ID() {
			continue
		}
		set[key] = nil
		b.imported.set(group, key, nil)
	}
	var del []string
	for _, key := range c.del {
		if _, is := b.imported[group][key]; is {
			del = append(del, key)
			forget(b.imported, group, key)
		}
	}
	if len(set)+len(del) > 0 {
		r.setLocal(group, set, del)
	}
}

// exportFamily makes keys of a family that are ports members of the group.
func (r *Registry) exportFamily(name string, c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	for _, key := range c.Deleted {
		r.unexport(name, key)
	}
	for _, key := range c.Added {
		r.export(name, key)
	}
}

func (r *Registry) export(name, key string) {
	b := r.bridge
	node, port := actor.PortID(key).Split()
	if port == "" || node.Validate() != nil || b.old[node] {
		return
	}
	if _, is := b.imported[name][key]; is {
		return
	}
	if node == r.node.ID() {
		if _, is := r.gossip.groups.own[name][key]; !is {
			b.ours.set(name, key, nil)
			r.joinGroup(name, key)
		}
		return
	}
	if b.exported[node] == nil {
		b.exported[node] = make(database)
	}
	b.exported[node].set(name, key, nil)
	r.bridgeNew(node)
	b.tell(node, tagRegister, name, key)
}

func (r *Registry) unexport(name, key string) {
	b := r.bridge
	node := actor.PortID(key).Node()
	if _, is := b.ours[name][key]; is {
		forget(b.ours, name, key)
		r.leaveGroup(name, key)
	}
	if _, is := b.exported[node][name][key]; is {
		forget(b.exported[node], name, key)
		b.tell(node, tagUnregister, name, key)
		r.withdrawNew(node)
	}
}

// tell sends a message to the global ports that we have in the place of a node of
// generation 2.
func (b *bridge) tell(node actor.NodeID, msg ...any) {
	for l, s := range b.links {
		if l.New == node {
			l.Tell(s.global, msg...)
		}
	}
}

// bridgeOld stands in for a node of generation 1, or brings its addresses up to
// date: nodes of ours that hear of it go there themselves.
func (r *Registry) bridgeOld(node actor.NodeID) {
	b := r.bridge
	if b == nil {
		return
	}
	if !b.old[node] {
		b.old[node] = true
		if b.exported[node] != nil {
			delete(b.exported, node)
			b.withdraw(node)
		}
	}
	if addresses := r.standIn(node, 1); addresses != nil {
		all := append(slices.Clone(addresses), r.gossip.addresses[node]...)
		r.setLocal(familyAddresses, map[string]any{string(node): anyList(all)}, nil)
	}
}

// withdrawOld no longer stands in for a node of generation 1.
func (r *Registry) withdrawOld(node actor.NodeID) {
	b := r.bridge
	if b == nil || b.stands[node] == nil || !b.old[node] {
		return
	}
	b.withdraw(node)
	r.setLocal(familyAddresses, nil, []string{string(node)})
}

// bridgeNew stands in for a node of generation 2, and tells the others of it,
// which then connect to it.
func (r *Registry) bridgeNew(node actor.NodeID) {
	b := r.bridge
	if b.stands[node] != nil || r.standIn(node, 2) == nil {
		return
	}
	for other := range r.gossip.ports {
		if b.old[other] {
			r.tellGlobal(other, tagNodes, map[string]any{string(node): anyList(b.stands[node])})
		}
	}
}

// withdrawNew no longer stands in for a node of generation 2, if it has no ports
// that would be known and nobody is connected with it.
func (r *Registry) withdrawNew(node actor.NodeID) {
	b := r.bridge
	if len(b.exported[node]) > 0 {
		return
	}
	delete(b.exported, node)
	for l := range b.links {
		if l.New == node {
			return
		}
	}
	if !b.old[node] {
		b.withdraw(node)
	}
}

func (r *Registry) standIn(node actor.NodeID, generation int) (addresses []string) {
	b := r.bridge
	if b.stands[node] == nil {
		if r.ctx.Err() != nil {
			return nil
		}
		address, err := b.relay.StandIn(node, generation)
		if err != nil {
			r.log.Error("bridge cannot stand in for a node", "peer", node, "err", err)
			return nil
		}
		b.stands[node] = listening([]string{address})
	}
	return b.stands[node]
}

func (b *bridge) withdraw(node actor.NodeID) {
	b.relay.Withdraw(node)
	delete(b.stands, node)
}

// standIns adds where we stand in for nodes of generation 2.
func (r *Registry) standIns(known map[string]any) {
	if r.bridge == nil {
		return
	}
	for node, addresses := range r.bridge.stands {
		if !r.bridge.old[node] {
			known[string(node)] = anyList(addresses)
		}
	}
}

// findReal returns where a node itself listens.
func (r *Registry) findReal(ctx context.Context, node actor.NodeID) ([]string, error) {
	r.mu.Lock()
	old, heard := r.bridge.old[node], r.gossip.addresses[node]
	r.mu.Unlock()
	if old {
		return heard, nil
	}
	return r.findInDatabase(ctx, node)
}

// findForOld stands in for a node of generation 2 that one of generation 1 looks
// for, if there is such a node, and then calls found, with the lock.
func (r *Registry) findForOld(node actor.NodeID, found func(addresses []string)) {
	b := r.bridge
	if b == nil || b.old[node] || node == r.node.ID() || node.Validate() != nil {
		return
	}
	if addresses := b.stands[node]; addresses != nil {
		found(addresses)
		return
	}
	r.goroutines.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, globalPatience)
		defer cancel()
		if addresses, err := r.findInDatabase(ctx, node); err != nil || len(addresses) == 0 {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if addresses := r.standIn(node, 2); addresses != nil && r.ctx.Err() == nil {
			found(addresses)
		}
	})
}

// linkOpened begins to gossip with an old node in the place of the new one.
func (r *Registry) linkOpened(l *relay.Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.bridge
	b.count++
	s := &standLink{global: globalCookie + "b" + strconv.FormatUint(b.count, 36), heard: make(map[string]bool)}
	l.Data, b.links[l] = s, s
	l.Tell("", functionSpawn, s.global, functionGlobal, 0, l.New)
	if addresses := r.standIn(l.New, 2); addresses != nil {
		l.Tell(s.global, tagAddr, anyList(addresses))
	}
	if members := groupsMessage(b.exported[l.New]); len(members) > 0 {
		l.Tell(s.global, tagSet, members)
	}
	l.Tell(s.global, tagSetup)
}

func (r *Registry) linkClosed(l *relay.Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.bridge.links, l)
	r.withdrawNew(l.New)
	if len(r.bridge.exported[l.New]) == 0 {
		return
	}
	// It may have been the connection only.
	r.later(func() {
		if addresses := r.bridge.stands[l.New]; addresses != nil && !r.bridge.old[l.New] {
			r.tellGlobal(l.Old, tagNodes, map[string]any{string(l.New): anyList(addresses)})
		}
	})
}

// intercept answers what an old node says to the global ports that it has made at
// the new one, where there are none.
func (r *Registry) intercept(l *relay.Link, fromOld bool, port string, m aemp.Message) bool {
	s := l.Data.(*standLink)
	tag, _ := m.Tag()
	if port == "" {
		var name, function string
		switch {
		case tag == functionSpawn && m[1:].Scan(&name, &function) == nil && function == functionGlobal:
			if fromOld {
				s.heard[name] = true
			}
			return true
		case (tag == "mon1" || tag == "mon0") && fromOld && m[1:].Scan(&name) == nil:
			return s.heard[name]
		}
		return false
	}
	if !fromOld || !s.heard[port] {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch tag {
	case tagSeedMe:
		if known := r.addressesFor(l.Old); len(known) > 0 {
			l.Tell(s.global, tagNodes, known)
		}
	case tagFind:
		var wanted string
		if m[1:].Scan(&wanted) == nil {
			r.findFor(l.Old, actor.NodeID(wanted), func(nodes map[string]any) { l.Tell(s.global, tagNodes, nodes) })
		}
	}
	return true
}

// groupsMessage tells of members of groups.
func groupsMessage(members database) map[string]any {
	m := make(map[string]any)
	for group, ports := range members {
		m[group] = anyList(slices.Sorted(maps.Keys(ports)))
	}
	return m
}
