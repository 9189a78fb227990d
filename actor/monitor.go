package actor

import (
	"io"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
)

// Monitor calls fn when the port dies, once, with the reason; also when it does
// not exist, or its node cannot be reached any more. (AEMP: mon $port, sub.)
// A port on another node may be alive after a transport error: a new monitor
// finds out. To monitor a node port is to monitor the connection to its node.
//
// Such functions are called one after another, by a goroutine of their own;
// one that takes long delays the others. [Context.Monitor] runs them in a port
// instead. The returned function ends the monitor; fn is not called after it,
// unless it is running already.
func (s *System) Monitor(port PortID, fn func(Reason)) (stop func()) {
	m := &monitor{}
	m.action = callbackAction{m, fn}
	return s.start(port, m)
}

// MonitorMessage sends a message to the port to when the port dies: the
// elements given, and then those of the reason. (AEMP: mon $port, $rcvport,
// @msg.) The returned function ends the monitor.
func (s *System) MonitorMessage(port, to PortID, msg ...any) (stop func()) {
	return s.start(port, &monitor{action: messageAction{to, append(Message(nil), msg...)}})
}

// Link kills victim when the port dies, with the same reason; a normal end
// does not spread. (AEMP: mon $port, $victim.) The returned function ends the
// link.
func (s *System) Link(port, victim PortID) (stop func()) {
	return s.start(port, &monitor{action: linkAction(victim)})
}

// Guard closes the values when the port dies, so that what a port uses goes with
// it. (AEMP: mon_guard.) The returned function ends the guard and closes
// nothing. What Close returns goes to the log.
func (s *System) Guard(port PortID, values ...io.Closer) (stop func()) {
	return s.Monitor(port, func(Reason) {
		for _, v := range values {
			if err := v.Close(); err != nil {
				s.log.Warn("guarded value cannot be closed", "port", port, "err", err)
			}
		}
	})
}

// start makes a monitor, of whatever form.
func (s *System) start(port PortID, m *monitor) (stop func()) {
	node, name := port.Split()
	if s.isLocal(node) {
		return s.startLocal(name, m)
	}
	// Requests leave under the lock of the table, so that their order is that
	// of the changes that they tell of. So does the look at the provider,
	// which goes before it fires what is in the table.
	s.remote.mu.Lock()
	p, err := s.provider()
	if err != nil {
		s.remote.mu.Unlock()
		m.action.fire(s, port, aemp.TransportError(node, err.Error()))
		return func() {}
	}
	if s.remote.add(node, name, m) {
		p.Monitor(port)
	}
	s.remote.mu.Unlock()
	return func() {
		s.remote.mu.Lock()
		defer s.remote.mu.Unlock()
		if s.remote.remove(node, name, m) {
			p.Unmonitor(port)
		}
	}
}

func (s *System) startLocal(name string, m *monitor) (stop func()) {
	s.local.mu.Lock()
	first := s.local.add(LocalNode, name, m)
	s.local.mu.Unlock()
	if first && name != "" {
		s.watchLocal(name)
	}
	return func() {
		s.local.mu.Lock()
		defer s.local.mu.Unlock()
		s.local.remove(LocalNode, name, m)
	}
}

// fire carries out what there is to do about the death of a port.
func (s *System) fire(t *monitorTable, port PortID, reason Reason) {
	node, name := port.Split()
	if t == &s.local {
		node = LocalNode
	}
	t.mu.Lock()
	actions, reason := t.take(node, name, reason)
	t.mu.Unlock()
	for _, a := range actions {
		a.fire(s, port, reason)
	}
	// An error that nobody hears of must not be lost; AEMP does the same.
	if len(actions) == 0 && t == &s.local && !reason.Normal() && reason.Kind() != aemp.ReasonNoSuchPort {
		s.log.Warn("unmonitored port died", "port", port, "reason", reason.String())
	}
}

// fireNode does so for the node port and all other ports of a node.
func (s *System) fireNode(node NodeID, reason Reason) {
	s.remote.mu.Lock()
	type death struct {
		port    PortID
		actions []action
	}
	var deaths []death
	for name := range s.remote.nodes[node] {
		actions, _ := s.remote.take(node, name, reason)
		deaths = append(deaths, death{node.Port(name).Canonical(), actions})
	}
	s.remote.mu.Unlock()
	for _, d := range deaths {
		for _, a := range d.actions {
			a.fire(s, d.port, reason)
		}
	}
}

// An action is what a monitor does. It is carried out without any lock held,
// and does not wait.
type action interface {
	fire(s *System, port PortID, reason Reason)
}

// A callbackAction calls a function from the system's own goroutine.
type callbackAction struct {
	m  *monitor
	fn func(Reason)
}

func (a callbackAction) fire(s *System, _ PortID, reason Reason) {
	s.callbacks.Run(func() {
		if !a.m.ended.Load() {
			a.fn(reason)
		}
	})
}

// An inlineAction calls a function that does not wait.
type inlineAction func(Reason)

func (a inlineAction) fire(_ *System, _ PortID, reason Reason) { a(reason) }

// A linkAction kills a port.
type linkAction PortID

func (a linkAction) fire(s *System, port PortID, reason Reason) {
	if reason.Normal() {
		return
	}
	if err := s.Kill(PortID(a), reason...); err != nil {
		s.log.Warn("linked port cannot be killed", "port", PortID(a), "err", err)
	}
}

// A messageAction sends a message with the reason behind it.
type messageAction struct {
	to  PortID
	msg Message
}

func (a messageAction) fire(s *System, port PortID, reason Reason) {
	msg := append(a.msg[:len(a.msg):len(a.msg)], reason...)
	if err := s.Send(a.to, msg...); err != nil {
		s.log.Warn("monitor message cannot be sent", "port", port, "to", a.to, "err", err)
	}
}

// A watchAction tells a protoactor-go actor that watches a port.
type watchAction struct{ who, watcher *proto.PID }

func (a watchAction) fire(s *System, _ PortID, reason Reason) {
	s.unwatch(a.who, a.watcher)
	process, ok := s.actors.ProcessRegistry.Get(a.watcher)
	if !ok {
		return
	}
	why := proto.TerminatedReason_Stopped
	switch reason.Kind() {
	case aemp.ReasonNoSuchPort:
		why = proto.TerminatedReason_NotFound
	case aemp.ReasonTransport:
		why = proto.TerminatedReason_AddressTerminated
	}
	process.SendSystemMessage(a.watcher, &proto.Terminated{Who: a.who, Why: why})
}
