// Package actor runs AEMP ports as protoactor-go actors.
//
// A [System] holds the ports of one process. A port receives messages, one at
// a time, and dies with a reason of which its monitors hear. All of that works
// without any network; package remote connects systems, and then the same
// calls reach the ports of other nodes, in Go or in Perl:
//
//	sys := actor.NewSystem()
//	adder := sys.Port(func(c *actor.Context) error {
//		c.Receive("add", func(c *actor.Context, m actor.Message) error {
//			var x, y int
//			if err := m.Scan(&x, &y); err != nil {
//				return err
//			}
//			return c.Respond("sum", x+y)
//		})
//		return nil
//	})
//	sys.Send(adder, "add", 1, 2, reply)
//
// Three types matter: the System, on which ports are made, sent to, monitored
// and killed; the [Context], which is a port as its own code sees it; and the
// [PortID], a plain string that names a port anywhere and can be part of any
// message.
//
// # Messages
//
// A message is a list. By custom its first element is a string, the tag, and
// the port has a receiver for each tag that it knows ([Context.Receive]) and
// perhaps one for the rest ([Context.Default]). A message that no receiver
// wants kills the port, as does a receiver that returns an error or panics. The
// elements of a message from another node have the types listed at
// [aemp.Message]; [aemp.Message.Scan] converts them.
//
// A port that wants an answer sends its own ID as the last element, which is
// where [Context.Reply] finds it.
//
// # Monitors
//
// [System.Monitor], [System.MonitorMessage] and [System.Link] say what is to
// happen when a port dies: call a function, send a message, kill another port.
// A monitor fires exactly once, also when the port does not exist or its node
// cannot be reached. [Context.Monitor] and [Context.Link] belong to a port and
// end with it.
//
// # Spawning
//
// [System.Register] gives a function a name by which any node can make a port
// of it ([System.Spawn]). The ID of the new port is valid at once, for sending
// and for monitoring; if the function fails, the monitors tell.
//
// # Typed messages
//
// [Bind] binds a struct type to a tag; from then on it is sent and received as
// itself, here without a copy and between nodes as a list of the tag and its
// fields. [On] sets a receiver for it, and [RegisterTyped] makes a function
// known whose arguments are the fields of a struct.
//
// # Mailboxes
//
// What a port has not got to waits in its [Mailbox], which may be bounded. The
// goroutines that run ports are kept for a fifth of a second after they were
// last needed. A test within a bubble of testing/synctest has to sleep for that
// long before it ends.
//
// # protoactor-go
//
// [System.Actors] is an ordinary protoactor-go actor system. Every actor that
// is spawned there is a port of this system, and its [PortID] and PID stand for
// the same thing ([PortOf], [System.PID]): it can be sent to, monitored and
// killed by its port ID, here and from other nodes. Conversely, Send, Request,
// Watch and Stop on a PID of another node work as on a local one. A request's
// sender travels as the last element of the message.
package actor
