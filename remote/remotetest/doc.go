// Package remotetest runs a mesh of nodes inside one process, over a network in
// memory that a test controls: it can part nodes, break their connections, slow
// them down, and let nodes crash.
//
//	func TestFailover(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			mesh := remotetest.NewMesh(t)
//			a, b := mesh.Start("a"), mesh.Start("b")
//			port := b.System().Port(setup)
//			var reason actor.Reason
//			a.System().Monitor(port, func(r actor.Reason) { reason = r })
//			synctest.Wait() // connected, and the monitor is set
//
//			mesh.Partition([]actor.NodeID{"a"}, []actor.NodeID{"b"})
//			time.Sleep(time.Minute) // takes no time
//			if reason.Kind() != aemp.ReasonTransport {
//				t.Errorf("got reason %v", reason)
//			}
//		})
//	}
//
// The nodes are real ones, of package remote, with everything but the sockets:
// greeting, authentication, framings, heartbeats. [Mesh.Start] gives a [Node],
// whose System a test uses as any program does.
//
// # Time
//
// The package works in real time and in a bubble of testing/synctest. Prefer
// the bubble. There, a timeout of 30 seconds takes no time; synctest.Wait
// returns when all that was sent has been dealt with, so that no test has to
// sleep and hope; and time moves only as far as the test lets it. Inside a
// bubble, everything happens at the same moment unless [Mesh.Delay] says
// otherwise.
//
// What happens at one moment may still happen in any order, since nodes are
// goroutines. Only the order of messages from one node to one port is certain.
//
// # Network
//
// A connection has a buffer of 64 KiB in each direction, so that a write waits
// only when the other end does not read. The faults are those of TCP:
//
//   - [Mesh.Partition] is a cable that is pulled out. Nobody is told; nodes
//     find out by [remote.Config.SilenceTimeout]. What is in the buffers goes
//     on its way after [Mesh.Heal].
//   - [Mesh.Cut] is a firewall that loses its state: connections break with an
//     error, and what was on its way is lost.
//   - [Mesh.Crash] is a process that is killed; with a partition before it, a
//     machine without power. [Mesh.Stop] is an orderly end.
//
// Nodes find each other by their IDs, without seeds. [Address] is for those
// tests that are about seeds.
package remotetest
