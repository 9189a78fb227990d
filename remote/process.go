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
	header, m, sender := proto.UnwrapEnvelope(message)
	switch m.(type) {
	case *proto.PoisonPill:
		v.Stop(pid)
		return
	case *proto.DeadLetterResponse:
		return // AEMP does not tell
	}
	if header != nil && header.Length() > 0 {
		v.node.headers.Do(func() { // middleware would fill the log with it
			v.node.log.Warn("message headers are not sent to other nodes", "port", actor.PortOf(pid), "headers", header.Keys())
		})
	}
	out := actor.Outgoing{Port: pid.Id, Message: m}
	if sender != nil {
		out.Reply = v.node.global(sender)
	}
	if err := v.node.gateway.Send(v.id, out); err != nil {
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
	if err := v.node.sys.Kill(v.id.Port(pid.Id)); err != nil {
		v.node.log.Warn("kill cannot be sent", "port", actor.PortOf(pid), "err", err)
	}
}

// global returns the port ID of a PID as other nodes know it. An actor that was
// spawned before the node was started knows itself by [actor.LocalNode].
func (n *Node) global(pid *proto.PID) actor.PortID {
	if actor.NodeID(pid.Address) == actor.LocalNode {
		return n.ID().Port(pid.Id)
	}
	return actor.PortOf(pid)
}
