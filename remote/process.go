package remote

import (
	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// A process stands for another node towards protoactor-go: what is sent to a
// PID with that node's address comes here. PIDs keep it, so it belongs to the
// node's name and not to any connection.
type process struct {
	node *Node
	id   actor.NodeID
}

// SendUserMessage sends a message to the port that the PID names.
func (v process) SendUserMessage(pid *proto.PID, message any) {
	_, m, sender := proto.UnwrapEnvelope(message)
	switch m.(type) {
	case *proto.PoisonPill:
		v.Stop(pid)
		return
	case *proto.DeadLetterResponse:
		return // AEMP does not tell
	}
	out := actor.Outgoing{Port: pid.Id, Message: m}
	if sender != nil {
		out.Reply = actor.PortOf(sender)
	}
	if err := (provider{v.node}).Send(v.id, out); err != nil {
		v.node.log.Warn("message cannot be sent", "port", actor.PortOf(pid), "err", err)
		v.node.publish(&proto.DeadLetterEvent{PID: pid, Message: m, Sender: sender})
	}
}

// SendSystemMessage makes a monitor of a Watch, and a kill of a Stop. The other
// system messages have no meaning between nodes.
func (v process) SendSystemMessage(pid *proto.PID, message any) {
	switch m := message.(type) {
	case *proto.Watch:
		v.node.gateway.Watch(pid, m.Watcher)
	case *proto.Unwatch:
		v.node.gateway.Unwatch(pid, m.Watcher)
	case *proto.Stop:
		v.Stop(pid)
	default:
		v.node.publish(&proto.DeadLetterEvent{PID: pid, Message: message})
	}
}

// Stop kills the port with the empty reason.
func (v process) Stop(pid *proto.PID) {
	if err := (provider{v.node}).Kill(v.id.Port(pid.Id), nil); err != nil {
		v.node.log.Warn("kill cannot be sent", "port", actor.PortOf(pid), "err", err)
	}
}
