package actor

import (
	"sync"
	"sync/atomic"
)

// A monitorTable holds the monitors on the ports of some nodes. Its methods
// are called with mu held.
type monitorTable struct {
	mu    sync.Mutex
	nodes map[NodeID]map[string]*watched // by port name, "" being the node port
}

// A watched port has monitors, or is about to die with a reason.
type watched struct {
	decided     bool     // it is about to die
	reason      Reason   // why, if decided
	first, last *monitor // in the order in which they were made
}

// A monitor is in the list of its port as long as it can fire.
type monitor struct {
	action     action
	port       *watched // nil when it has fired or was ended
	prev, next *monitor
	ended      atomic.Bool // it was ended; what is under way must not happen
}

// entry returns the entry of a port, and whether it is new.
func (t *monitorTable) entry(node NodeID, name string) (w *watched, created bool) {
	ports := t.nodes[node]
	if w := ports[name]; w != nil {
		return w, false
	}
	if ports == nil {
		ports = make(map[string]*watched)
		if t.nodes == nil {
			t.nodes = make(map[NodeID]map[string]*watched)
		}
		t.nodes[node] = ports
	}
	w = new(watched)
	ports[name] = w
	return w, true
}

func (t *monitorTable) drop(node NodeID, name string) {
	ports := t.nodes[node]
	delete(ports, name)
	if len(ports) == 0 {
		delete(t.nodes, node)
	}
}

// add puts m behind the other monitors of the port. It returns whether the
// port had no entry before.
func (t *monitorTable) add(node NodeID, name string, m *monitor) (first bool) {
	w, created := t.entry(node, name)
	m.port, m.prev = w, w.last
	if w.last == nil {
		w.first = m
	} else {
		w.last.next = m
	}
	w.last = m
	return created
}

// remove takes m away, if it has not fired. It returns whether the port has no
// entry any more.
func (t *monitorTable) remove(node NodeID, name string, m *monitor) (last bool) {
	m.ended.Store(true)
	w := m.port
	if w == nil {
		return false
	}
	m.port = nil
	if m.prev == nil {
		w.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		w.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	if w.first != nil || w.decided {
		return false
	}
	t.drop(node, name)
	return true
}

// take removes the entry of a port that died, and returns what is to be done
// about it. The reason noted before comes before the one given.
func (t *monitorTable) take(node NodeID, name string, reason Reason) ([]action, Reason) {
	w := t.nodes[node][name]
	if w == nil {
		return nil, reason
	}
	t.drop(node, name)
	if w.decided {
		reason = w.reason
	}
	var actions []action
	for m := w.first; m != nil; m = m.next {
		m.port = nil
		actions = append(actions, m.action)
	}
	return actions, reason
}
