package supervision

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// How long a supervisor waits between its attempts to reach a lost node, and
// for how long it tries when there is nothing left there but ports to be killed.
const (
	probeInterval = time.Second
	fenceTime     = time.Hour
)

// badTime is how long a node on which a start has failed comes behind others.
const badTime = time.Minute

// nodes is what a supervisor knows of the nodes of its children.
type nodes struct {
	loads map[actor.NodeID]int // how many incarnations are there
	ports map[actor.PortID]*incarnation
	watch map[actor.NodeID]*nodeWatch
	mute  map[actor.NodeID]bool      // those that do not answer whether they know a function
	bad   map[actor.NodeID]time.Time // where a start failed, and when
}

// A nodeWatch is a lost node with children on it, each of which may be alive:
// those that are waited for, and those that were replaced and are to be killed.
type nodeWatch struct {
	node    actor.NodeID
	since   time.Time // when the latest came to it
	probing bool      // an attempt to reach it is under way, or will be
	counted bool      // its loss has counted for the intensity
	lost    map[*incarnation]bool
	fences  map[actor.PortID]*fence
}

// A fence is around a port that is to be killed before there can be another
// one of the child on that node.
type fence struct {
	child   *child
	watched bool
}

func (n *nodes) load(node actor.NodeID, d int) {
	if n.loads == nil {
		n.loads = make(map[actor.NodeID]int)
	}
	if n.loads[node] += d; n.loads[node] == 0 {
		delete(n.loads, node)
	}
}

func (n *nodes) muted(node actor.NodeID) {
	if n.mute == nil {
		n.mute = make(map[actor.NodeID]bool)
	}
	n.mute[node] = true
}

func (n *nodes) failed(node actor.NodeID) {
	if n.bad == nil {
		n.bad = make(map[actor.NodeID]time.Time)
	}
	maps.DeleteFunc(n.bad, func(_ actor.NodeID, at time.Time) bool { return time.Since(at) > badTime })
	n.bad[node] = time.Now()
}

// better reports whether a is a better place for a child than b.
func (n *nodes) better(a, b actor.NodeID) bool {
	good := func(node actor.NodeID) bool {
		return n.watch[node] == nil && time.Since(n.bad[node]) > badTime
	}
	if ga, gb := good(a), good(b); ga != gb {
		return ga
	}
	return n.loads[a] < n.loads[b]
}

// spawned remembers whose port that is.
func (n *nodes) spawned(inc *incarnation) {
	if n.ports == nil {
		n.ports = make(map[actor.PortID]*incarnation)
	}
	n.ports[inc.port] = inc
}

// watched returns what is known of a lost node.
func (s *supervisor) watched(node actor.NodeID) *nodeWatch {
	delete(s.nodes.mute, node) // it may come back as another one
	w := s.nodes.watch[node]
	if w == nil {
		w = &nodeWatch{node: node, lost: make(map[*incarnation]bool), fences: make(map[actor.PortID]*fence)}
		if s.nodes.watch == nil {
			s.nodes.watch = make(map[actor.NodeID]*nodeWatch)
		}
		s.nodes.watch[node] = w
	}
	w.since = time.Now()
	return w
}

// left is called when an incarnation has ended, as far as the supervisor is
// concerned.
func (s *supervisor) left(inc *incarnation) {
	r := &inc.remote
	if r.node == "" {
		return
	}
	if r.endCall != nil {
		r.endCall()
		r.endCall = nil
	}
	if r.endWatch != nil {
		r.endWatch()
	}
	s.nodes.load(r.node, -1)
	delete(s.nodes.ports, inc.port)
	if w := s.nodes.watch[r.node]; w != nil {
		delete(w.lost, inc)
		s.unwatch(w)
	}
}

// unwatch forgets a node when there is nothing left to be done.
func (s *supervisor) unwatch(w *nodeWatch) {
	if len(w.lost) == 0 && len(w.fences) == 0 {
		delete(s.nodes.watch, w.node)
	}
}

// counted reports whether the death of a child need not count for the
// intensity: the loss of a node is one mishap, however many children it had.
func (s *supervisor) counted(inc *incarnation) bool {
	w := s.nodes.watch[inc.remote.node]
	if inc.child.state != Unreachable || w == nil {
		return false
	}
	before := w.counted
	w.counted = true
	return before
}

// disconnected is called when the connection to an incarnation's node is lost.
func (s *supervisor) disconnected(inc *incarnation, reason actor.Reason) {
	ch := inc.child
	inc.remote.endWatch = nil
	switch ch.state {
	case Running:
		ch.state = Unreachable
		inc.unannounce()
		s.emit(ch, NodeLost, reason)
		inc.remote.reason = reason
		s.lose(inc)
	case Unreachable: // lost again before it was found
		s.lose(inc)
	default: // whether it is there is not to be known
		s.fence(inc, ch.spec.Lost.Wait)
		s.died(inc, reason)
	}
}

// lose waits for an incarnation whose node is lost.
func (s *supervisor) lose(inc *incarnation) {
	w := s.watched(inc.remote.node)
	w.lost[inc] = true
	s.probe(w)
	s.allow(inc)
}

// allow gives a lost incarnation all of its time, from now on. It is called
// whenever the node was heard of: if the child has heard of us as well, its own
// clock begins anew.
func (s *supervisor) allow(inc *incarnation) {
	if wait := inc.child.spec.Lost.Wait; wait > 0 {
		s.timer(inc, wait, func() { s.verdict(inc) })
	} else {
		s.verdict(inc)
	}
}

// verdict decides about a child that stays lost.
func (s *supervisor) verdict(inc *incarnation) {
	ch, reason := inc.child, inc.remote.reason
	if ch.spec.Lost.Then == GiveUp {
		s.giveUp(fmt.Sprintf("the node of child %q is lost:", ch.id), reason)
		return
	}
	s.fence(inc, 0)
	s.died(inc, reason)
}

// fence has the port of an incarnation killed as soon as its node can be
// reached. Until then there is no other one of the child on that node, and for
// so long, in which an orphan ends by itself, none anywhere.
func (s *supervisor) fence(inc *incarnation, wait time.Duration) {
	if inc.port == "" {
		return
	}
	ch := inc.child
	w := s.watched(inc.remote.node)
	w.fences[inc.port] = &fence{child: ch}
	if ch.fenced == nil {
		ch.fenced = make(map[actor.PortID]time.Time)
	}
	ch.fenced[inc.port] = time.Now().Add(wait)
	s.endRemote(ch, inc.port) // what is on its way may arrive
	s.probe(w)
}

// fencedFor returns how long a child cannot be started on a node, and whether it
// is not known how long, because one of its former ports may be alive there.
func (ch *child) fencedFor(node actor.NodeID) (wait time.Duration, unknown bool) {
	for port, until := range ch.fenced {
		unknown = unknown || port.Node() == node
		wait = max(wait, time.Until(until))
	}
	return wait, unknown
}

// endRemote tells a child on another node to end.
func (s *supervisor) endRemote(ch *child, port actor.PortID) {
	if ch.spec.Start.supervisor() {
		s.sys.Send(port, tagStop)
	} else {
		s.sys.Kill(port, reasonShutdown, "replaced")
	}
}

// unfence is called when a fenced port is dead. A child that waits for that
// goes on with its start.
func (s *supervisor) unfence(w *nodeWatch, port actor.PortID) {
	f := w.fences[port]
	if f == nil {
		return
	}
	delete(w.fences, port)
	s.unwatch(w)
	ch := f.child
	delete(ch.fenced, port)
	s.publish(Event{Time: time.Now(), Kind: Fenced, Supervisor: s.self, Path: s.pathOf(ch), Port: port, Restarts: ch.restarts})
	if ch.inc != nil && ch.inc.remote.fenced {
		ch.spec.Start.(Remote).admit(s, ch.inc)
	}
}

// probe tries to reach a lost node until it can be reached.
func (s *supervisor) probe(w *nodeWatch) {
	if w.probing {
		return
	}
	w.probing = true
	s.c.Call(w.node.NodePort(), func(_ *actor.Context, _ actor.Message, err error) error {
		w.probing = false
		switch {
		case s.nodes.watch[w.node] != w:
		case err == nil:
			s.reached(w)
		case len(w.lost) == 0 && time.Since(w.since) > fenceTime:
			s.sys.Logger().Warn("node with replaced children did not come back", "node", w.node, "children", len(w.fences))
			s.dropFences(w)
		default:
			w.probing = true
			s.c.After(probeInterval, func(*actor.Context) error {
				if w.probing = false; s.nodes.watch[w.node] == w {
					s.probe(w)
				}
				return nil
			})
		}
		s.advance()
		return nil
	}, "time")
}

// dropFences forgets the fenced ports of a node.
func (s *supervisor) dropFences(w *nodeWatch) {
	for port, f := range w.fences {
		delete(f.child.fenced, port)
	}
	clear(w.fences)
	s.unwatch(w)
}

// reached finds out which ports are still there, now that the node is, and
// kills those that were replaced.
func (s *supervisor) reached(w *nodeWatch) {
	for port, f := range w.fences {
		if f.watched {
			continue
		}
		f.watched = true
		s.endRemote(f.child, port)
		s.c.Monitor(port, func(reason actor.Reason) {
			if f.watched = false; reason.Kind() == aemp.ReasonTransport {
				s.probe(w)
			} else {
				s.unfence(w, port)
			}
			s.advance()
		})
	}
	if len(w.lost) == 0 {
		return
	}
	lost := slices.Collect(maps.Keys(w.lost))
	for _, inc := range lost {
		inc.stopTimer() // it is found, or lost anew
		inc.remote.endWatch = s.watch(inc.port, inc)
	}
	// The answer is behind the deaths of those that are not there any more.
	s.c.Call(w.node.NodePort(), func(_ *actor.Context, _ actor.Message, err error) error {
		for _, inc := range lost {
			if err == nil && inc.child.inc == inc && inc.child.state == Unreachable {
				s.found(w, inc)
			}
		}
		s.advance()
		return nil // after an error, the monitors have told
	}, "time")
}

// found is called when a lost child turns out to be alive.
func (s *supervisor) found(w *nodeWatch, inc *incarnation) {
	ch := inc.child
	inc.stopTimer()
	delete(w.lost, inc)
	s.unwatch(w)
	ch.state = Running
	s.emit(ch, NodeFound, nil)
	if err := s.announce(inc); err != nil {
		inc.cause = actor.Reason{aemp.ReasonDie, err.Error()}
		s.stop(ch)
	}
}
