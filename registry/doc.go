// Package registry is the distributed database of a mesh, by which nodes find
// each other and share names.
//
// A program says where a seed is, and finds everything else by itself:
//
//	reg, err := registry.Start(ctx, sys, remote.Config{
//		NodeID: "worker/",
//		Secret: secret,
//		Listen: []string{":0"},
//		Seeds:  []string{"10.0.0.1:4040"},
//	}, registry.Config{})
//	if err != nil {
//		return err
//	}
//	defer reg.Close()
//	reg.Register("workers", port, nil)             // as long as the port lives
//	workers, err := reg.Keys(ctx, "workers")       // anywhere in the mesh
//
// The database has families, and each family keys with values. What a node sets
// is part of the whole mesh as long as the node is. Every node can read and
// monitor ([Registry.Monitor]) all of it.
//
// # Families
//
// Set, Keys and the like are one of several ways to use a family:
//
//   - [Registry.Changes] is a loop over what happens to it, for those who take
//     their time, and [Registry.WaitFor] waits until somebody is there.
//   - [FamilyOf] makes it one of values of a Go type. What others have set and
//     that does not convert is left out and told of.
//   - A [Group] is a family whose keys are ports, such as [Registry.Register]
//     makes. It follows the family, so that a member can be picked without asking
//     anybody: in turn, at random, or by a key, which stays with its member as long
//     as that is there.
//   - A router ([Group.Router]) is a port that stands for a group: it forwards what
//     it receives to one member or all of them. While there is none, messages wait,
//     and what is not forwarded in the end is told of.
//
// Whoever waits for the mesh does so with a context, and gets [ErrNoMaster] when
// there was no global node to ask in that time. What could not be sent to every
// node, of whatever framing, is refused where it is set.
//
// # The mesh
//
// This is the mesh of AnyEvent::MP's second generation (section 6 of the
// protocol). The nodes at the addresses of the seeds are global nodes: they are
// connected with each other and hold the database. Every other node is the slave
// of one of them, its master, and is connected with others only on demand. A
// node becomes global when another one has it as its seed. All nodes can have the
// same seeds, in one name even that stands for all of their addresses
// ([remote.Config.Seeds]); a seed that is the node itself is recognised. When a master is
// gone, its slaves look for another seed that is connected; nothing is lost,
// since every node keeps what is its own. They get a few seconds for that, before
// anybody is told that what they had set is gone; so, for as long, keys of a
// global node that has died are still there, except its ports.
//
// Perl nodes of generation 2 are full members.
//
// # The mesh of generation 1
//
// Perl nodes of generation 1 have another mesh (section 7 of the protocol): each
// is connected with every other, and they share groups of ports
// ([Registry.PortGroups]). A node that meets one of them becomes a member of that
// mesh too, besides the one above: it learns of the others and connects with them.
package registry
