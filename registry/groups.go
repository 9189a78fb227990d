package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/portmesh/portmesh/actor"
)

// ErrNotLocal: a port belongs to another node, which has to do itself what was
// asked for.
var ErrNotLocal = errors.New("port is not local")

// PortGroups are the groups of ports of generation 1 (module
// AnyEvent::MP::Global; section 7 of the protocol). All nodes of that mesh know
// them: its Perl nodes, and the nodes of ours that gossip with these. Nodes of
// generation 2 have families instead; see [Config.Bridge] for both at once.
//
// Its methods may be called by any goroutine at any time.
type PortGroups struct{ r *Registry }

// PortGroups returns the groups of generation 1, and makes the node a member of
// that mesh even if no Perl node has done so.
func (r *Registry) PortGroups() PortGroups {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joinGossip()
	return PortGroups{r}
}

// A GroupChange tells what has happened to a group that is monitored.
type GroupChange struct {
	// Ports are all the ports of the group now, sorted.
	Ports []actor.PortID
	// Added and Removed are those that came and went.
	Added, Removed []actor.PortID
}

// groups are the groups as we know them: the view holds the ports of a node as
// keys without values.
type groups struct {
	view   *view
	own    database // our own ports
	copies map[string]*family
}

// Join makes a local port a member of a group, for as long as it lives. (AEMP:
// grp_reg.) The returned function takes it out before. A port may be a member of
// many groups, and joins each once: to join again does nothing, and neither does
// the function that is returned for it. The error wraps [ErrNotLocal] or
// [ErrFamily], for a group without a name.
func (g PortGroups) Join(group string, port actor.PortID) (leave func(), err error) {
	if group == "" {
		return nil, fmt.Errorf("registry: group %q: %w", group, ErrFamily)
	}
	r := g.r
	if port.IsNodePort() || !r.sys.IsLocal(port) {
		return nil, fmt.Errorf("registry: group %q: %s: %w", group, port, ErrNotLocal)
	}
	key := string(port)
	r.mu.Lock()
	if _, joined := r.gossip.groups.own[group][key]; joined {
		r.mu.Unlock()
		return func() {}, nil
	}
	r.joinGroup(group, key)
	r.mu.Unlock()

	remove := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.leaveGroup(group, key)
	}
	stop := r.sys.Monitor(port, func(actor.Reason) { remove() })
	return func() {
		stop()
		remove()
	}, nil
}

// joinGroup makes a port of ours a member.
func (r *Registry) joinGroup(group, port string) {
	r.gossip.groups.own.set(group, port, nil)
	r.changeGroup(r.node.ID(), group, []string{port}, nil)
	r.tellGroup(tagRegister, group, port)
}

// leaveGroup takes a port of ours out, if it is in.
func (r *Registry) leaveGroup(group, port string) {
	if _, joined := r.gossip.groups.own[group][port]; !joined {
		return
	}
	forget(r.gossip.groups.own, group, port)
	r.changeGroup(r.node.ID(), group, nil, []string{port})
	r.tellGroup(tagUnregister, group, port)
}

// Ports returns the ports of a group, sorted, as far as they are known here.
// (AEMP: grp_get.)
func (g PortGroups) Ports(group string) []actor.PortID {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	return portIDs(slices.Collect(maps.Keys(g.r.gossip.groups.view.families[group])))
}

// Monitor calls fn with the ports of a group, soon and even if there are none,
// and then whenever they change, as [Registry.Monitor] does. (AEMP: grp_mon,
// which is silent about a group that is empty.)
func (g PortGroups) Monitor(group string, fn func(GroupChange)) (stop func()) {
	r := g.r
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watch(r.gossip.groups.copies, group, func(c Change) {
		fn(GroupChange{portIDs(slices.Collect(maps.Keys(c.Content))), portIDs(c.Added), portIDs(c.Deleted)})
	}, func(f *family) {
		r.content(f, r.gossip.groups.view.content(group))
	}, func() {})
}

func portIDs(keys []string) []actor.PortID {
	ports := make([]actor.PortID, len(keys))
	for i, key := range keys {
		ports[i] = actor.PortID(key)
	}
	slices.Sort(ports)
	return ports
}

// changeGroup changes the ports that a node has in a group.
func (r *Registry) changeGroup(node actor.NodeID, group string, add, remove []string) {
	set := make(map[string]any, len(add))
	for _, port := range add {
		set[port] = nil
	}
	r.groupsChanged(r.gossip.groups.view.update(node, true, group, set, remove))
}

// groupsGone forgets the ports of a node.
func (r *Registry) groupsGone(node actor.NodeID) {
	r.groupsChanged(r.gossip.groups.view.replace(node, true, nil))
}

func (r *Registry) groupsChanged(c changes) {
	for group, change := range c.all {
		r.change(r.gossip.groups.copies[group], change.set, change.del)
		r.importGroup(group, change)
	}
}

// tellGroup tells all nodes of a port that joined or left.
func (r *Registry) tellGroup(tag, group, port string) {
	for node := range r.gossip.ports {
		r.tellGlobal(node, tag, group, port)
	}
}

// checkPorts returns those that a node may speak for: its own.
func checkPorts(node actor.NodeID, ports []string) (own []string, err error) {
	for _, port := range ports {
		if strings.HasPrefix(port, string(node)+"#") {
			own = append(own, port)
		} else {
			err = fmt.Errorf("%q is no port of that node", port)
		}
	}
	return own, err
}

func (r *Registry) onGroups(node actor.NodeID, m actor.Message) error {
	var told map[string][]string
	if err := m.Scan(&told); err != nil {
		return err
	}
	var strange error
	for group, ports := range told {
		own, err := checkPorts(node, ports)
		if err != nil {
			strange = fmt.Errorf("group %q: %w", group, err)
		}
		r.changeGroup(node, group, own, nil)
	}
	return strange
}

func (r *Registry) onRegister(node actor.NodeID, m actor.Message) error {
	return r.onMember(node, m, func(group string, port []string) { r.changeGroup(node, group, port, nil) })
}

func (r *Registry) onUnregister(node actor.NodeID, m actor.Message) error {
	return r.onMember(node, m, func(group string, port []string) { r.changeGroup(node, group, nil, port) })
}

func (r *Registry) onMember(node actor.NodeID, m actor.Message, change func(group string, port []string)) error {
	var group, port string
	if err := m.Scan(&group, &port); err != nil {
		return err
	}
	own, err := checkPorts(node, []string{port})
	if err == nil {
		change(group, own)
	}
	return err
}
