// Package tap shows what two nodes say to each other.
//
// A [Proxy] stands between them: it forwards what it gets at once and
// unchanged, and tells of every piece as a [Read]. A [Decoder] makes [Event]s of
// reads: the lines of the handshake, then each packet, in whatever framing
// either side has chosen. Reads can be kept in a file, one JSON object in each
// line, and decoded later, in the same way; the recordings of package wiretest
// are such files.
//
// Without TLS no secret is needed to see everything. With TLS, a proxy that
// holds the mesh's certificate can end it on both sides; any other proxy
// forwards the encrypted bytes and says that it cannot read them.
//
// A recording holds all that was said, and with the authentication method
// "cleartext" that is the secret too. Events never hold it.
package tap
