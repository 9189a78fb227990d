// Package remote makes an actor system a node of an AEMP mesh.
//
//	sys := actor.NewSystem()
//	node, err := remote.Start(ctx, sys, remote.Config{
//		NodeID: "worker/1",
//		Secret: secret,
//		Listen: []string{":4040"},
//		Seeds:  []string{"10.0.0.1:4040"},
//	})
//	if err != nil {
//		return err
//	}
//	defer node.Close()
//
// From then on, the methods of the system and the operations of protoactor-go
// on PIDs reach the ports of other nodes, be they Portmesh or AnyEvent::MP of
// either generation. There is nothing else to call: a [Node] connects when
// there is something to be sent, and keeps the connections to its seeds.
//
// # Promises
//
// Messages from one node to a port arrive in the order in which they were
// sent, or not at all; and after one was lost, nothing that was sent later
// arrives before the port's monitors have fired. So whoever monitors a port
// never takes a gap for the whole. (What was sent between the loss and the
// monitors arrives behind them; whoever starts anew should tell the new from
// the old.)
//
// Sending does not wait for the network, except that past the high-water mark
// ([Config.PendingBytes]) senders wait for a peer that reads slower than they
// write. A peer that does not read at all for [Config.MonitorTimeout] loses its
// connection.
//
// # Connections
//
// There is at most one connection to a node, whichever side made it. When two
// nodes dial each other at the same moment, they settle on one without losing
// a message.
//
// When a connection ends, all monitors on that node and its ports fire with a
// "transport_error", although the ports may live on. A message or a new
// monitor makes a new connection, if the node's address is known: from
// [Config.Resolve], or because the node is behind one of the seeds, or because
// it connects to us.
//
// [NodeUp] and [NodeDown] events are published on protoactor-go's event
// stream.
package remote
