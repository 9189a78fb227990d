// Package aemp speaks the AEMP protocol, by which the nodes of Perl's
// AnyEvent::MP, of both generations, and those of Portmesh talk to each other.
// It knows nothing of actors and can be used alone, to write a client of any
// node in a few lines:
//
//	conn, err := aemp.Dial(ctx, "10.0.0.1:4040", aemp.Config{
//		NodeID: "monitor/7",
//		Secret: secret,
//	})
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	conn.Send("", "time", "monitor/7#clock") // ask the node port
//	port, message, err := conn.Receive()     // "clock", [1795225744.733]
//
// Three types matter: the [Config], which says who we are; the [Conn], an
// authenticated connection that sends and receives messages; and the [Message],
// a list of values, which goes to a port of the peer.
//
// # Connections
//
// [Handshake] makes a Conn of any [net.Conn]; both sides do the same, and it
// does not matter which of them opened the connection. The two prove to each
// other that they know the shared secret, or hold a certificate that the other
// trusts ([NewTLSConfig]), and agree on a [Framing] for each direction. What is
// wrong with a peer is told by a [HandshakeError] that wraps one of the errors
// of this package.
//
// # Messages
//
// A [PortID] names a port anywhere: "node#port". A Conn reaches the ports of its
// peer, by their names. A node also has a port with the empty name, which
// answers requests; to send to it is to take part in the protocol between nodes
// ("mon1", "snd", and so on), which this package carries but does not carry
// out.
//
// Values are those that Perl and Go have in common; [Message] lists them, and
// docs/values.md tells what becomes of each in every framing.
//
// # Framings
//
// [JSON], [CBOR], [Storable] and [MessagePack] are the framings that nodes know.
// An [Encoder] and a [Decoder] work value by value, so that types of one's own
// can be written and read without a Message in between.
//
// # Safety
//
// Nothing that a peer sends makes this package panic, block for longer than the
// handshake timeout, or allocate more than a small multiple of the bytes
// received; [Limits] bounds these. Before a peer has authenticated itself it
// cannot send more than three lines of 4096 bytes.
package aemp
