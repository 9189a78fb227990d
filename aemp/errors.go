package aemp

import (
	"errors"
	"fmt"
)

// Errors of IDs and values.
var (
	// ErrInvalidID: a node or port ID has a form that cannot be used.
	ErrInvalidID = errors.New("invalid ID")
	// ErrValue: an element of a message is missing, or of another kind than
	// the receiver wants.
	ErrValue = errors.New("wrong value")
)

// What can go wrong in a handshake. [Handshake] returns them within a
// [HandshakeError].
var (
	// ErrLineTooLong: the peer sent a line of more than 4096 bytes before it
	// had authenticated itself.
	ErrLineTooLong = errors.New("line is longer than 4096 bytes")
	// ErrGreeting: the peer's first line is not a greeting of this protocol.
	ErrGreeting = errors.New("not an AEMP greeting")
	// ErrVersion: the peer speaks another version of the protocol.
	ErrVersion = errors.New("protocol version mismatch")
	// ErrSelf: the peer has our own node ID; most likely it is us.
	ErrSelf = errors.New("refusing to talk to myself")
	// ErrConnected: there is already a connection to that node.
	ErrConnected = errors.New("already connected")
	// ErrEcho: the peer sent our own greeting back.
	ErrEcho = errors.New("peer echoes our greeting")
	// ErrNoAuth: the peer accepts no authentication method that we can use.
	ErrNoAuth = errors.New("no common authentication method")
	// ErrNoFraming: the peer understands no framing of ours, or chose one
	// that we did not offer.
	ErrNoFraming = errors.New("no common framing")
	// ErrAuth: the peer did not prove that it knows the secret.
	ErrAuth = errors.New("authentication failed: the secrets differ")
	// ErrAuthMethod: the peer chose an authentication method that we do not
	// accept, at all or without TLS.
	ErrAuthMethod = errors.New("authentication method not accepted")
	// ErrTLS: the TLS handshake failed, or the peer's certificate is not
	// trusted.
	ErrTLS = errors.New("TLS handshake failed")
)

// A Phase is a stage of the handshake.
type Phase uint8

// The phases, in order.
const (
	PhaseGreeting Phase = iota + 1 // waiting for the peer's greeting line
	PhaseNonce                     // waiting for its nonce
	PhaseTLS                       // negotiating TLS
	PhaseAuth                      // waiting for its authentication line
)

// String names the phase.
func (p Phase) String() string {
	switch p {
	case PhaseGreeting:
		return "greeting"
	case PhaseNonce:
		return "nonce"
	case PhaseTLS:
		return "TLS"
	case PhaseAuth:
		return "authentication"
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// A HandshakeError tells why a handshake failed. It wraps one of the errors
// above, or what the connection returned, such as [io.EOF] when the peer
// closed it, which is also what Perl nodes do when the secrets differ.
type HandshakeError struct {
	Phase Phase  // what was going on
	Peer  NodeID // the peer as it named itself, empty as long as it had not
	Err   error
}

func (e *HandshakeError) Error() string {
	if e.Peer == "" {
		return fmt.Sprintf("aemp: handshake (%s): %v", e.Phase, e.Err)
	}
	return fmt.Sprintf("aemp: handshake with %s (%s): %v", e.Peer, e.Phase, e.Err)
}

// Unwrap returns e.Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Timeout reports whether time ran out.
func (e *HandshakeError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}
