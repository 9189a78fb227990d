package remote

import (
	"sync"

	"github.com/portmesh/portmesh/actor"
)

// The requests to the node port that belong to a connection (section 5 of the
// protocol), and those that differ between the generations. Package actor
// answers the others.
const (
	requestMonitor   = "mon1" // port name: tell me when it dies
	requestUnmonitor = "mon0" // port name: no longer
	requestDied      = "kil0" // port name, reason: a monitored port died
	requestKill1     = "kil"  // port name, reason: kill it, generation 1
	requestKill2     = "kil1" // port name, reason: kill it, generation 2
)

// request carries out a request of the peer.
func (l *link) request(m actor.Message) {
	n := l.peer.node
	tag, _ := m.Tag()
	switch tag {
	case requestMonitor, requestUnmonitor, requestDied:
		var name string
		if err := m[1:].Scan(&name); err != nil || name == "" {
			// Perl sends such a mon0 when a monitor of a node port ends.
			n.log.Debug("request without a port", "peer", l.peer.id, "request", m.String())
			return
		}
		switch tag {
		case requestMonitor:
			l.monitors.start(l, name)
		case requestUnmonitor:
			l.monitors.end(name)
		case requestDied:
			n.gateway.PortDied(l.peer.id.Port(name), actor.Reason(m[2:]))
		}
	case requestExpect:
		n.expectData(l.peer.id, m[1:])
	case requestConnect:
		n.connectData(l.peer.id, m[1:])
	default:
		n.gateway.Request(l.peer.id, m)
	}
}

// remoteMonitors are the monitors that the peer has on local ports. They end
// with the link.
type remoteMonitors struct {
	mu    sync.Mutex
	ports map[string]*remoteMonitor
	ended bool
}

type remoteMonitor struct{ stop func() }

// start makes a monitor, unless the peer has one on that port already.
func (r *remoteMonitors) start(l *link, name string) {
	m := &remoteMonitor{}
	r.mu.Lock()
	if r.ended || r.ports[name] != nil {
		r.mu.Unlock()
		return
	}
	if r.ports == nil {
		r.ports = make(map[string]*remoteMonitor)
	}
	r.ports[name] = m
	r.mu.Unlock()

	stop := l.peer.node.gateway.Monitor(name, func(reason actor.Reason) {
		if r.remove(name, m) {
			l.send(append(actor.Message{requestDied, name}, reason...))
		}
	})

	r.mu.Lock()
	current := r.ports[name] == m
	if current {
		m.stop = stop
	}
	r.mu.Unlock()
	if !current { // it fired or was ended meanwhile
		stop()
	}
}

// remove takes m away, and returns whether it was there.
func (r *remoteMonitors) remove(name string, m *remoteMonitor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ports[name] != m {
		return false
	}
	delete(r.ports, name)
	return true
}

// end ends the monitor on that port, if there is one.
func (r *remoteMonitors) end(name string) {
	r.mu.Lock()
	m := r.ports[name]
	delete(r.ports, name)
	r.mu.Unlock()
	if m != nil && m.stop != nil {
		m.stop()
	}
}

func (r *remoteMonitors) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ports)
}

// stop ends all monitors, for good.
func (r *remoteMonitors) stop() {
	r.mu.Lock()
	ports := r.ports
	r.ports, r.ended = nil, true
	r.mu.Unlock()
	for _, m := range ports {
		if m.stop != nil {
			m.stop()
		}
	}
}
