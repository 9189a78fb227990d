package aemp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Greeting is the first line that a node sends (section 2 of the protocol).
type Greeting struct {
	// Protocol is "aemp", or the name of an extension such as
	// "aemp-dataconn".
	Protocol string
	// Version is the version of the protocol, 1.
	Version int
	// Node is the ID of the node that greets.
	Node NodeID
	// Auths are the authentication methods it accepts, best first.
	Auths []string
	// Framings are the framings it understands, best first.
	Framings []string
	// Extra holds what follows as KEY=VALUE.
	Extra map[string]string
}

// Keys of a greeting that mean something here.
const (
	keyProvider = "provider" // the program and its version
	keyPeerAddr = "peeraddr" // our address as the greeter sees it
	keyTLS      = "tls"      // "1.0": has a certificate and wants TLS
	keyMesh     = "mproto"   // generation 2: version of the node protocol
	keyGlobal   = "gproto"   // generation 2: version of the mesh protocol
)

const (
	protocolName    = "aemp"
	protocolVersion = 1
	// maxLine bounds what a peer can make us read before it has proved that
	// it knows the secret: a line, its end included (section 2).
	maxLine = 4096
)

// ProtocolDataConn is the word that asks for a data connection, and
// KeyDataConnID the key that says for which (section 8 of the protocol).
const (
	ProtocolDataConn = "aemp-dataconn"
	KeyDataConnID    = "dataconn_id"
)

// KeyTimeout is the key by which a node says after how many seconds of silence
// it should be taken for dead, and promises to send something in shorter
// intervals. It is from the first days of the protocol; Perl nodes do not send
// it any more and ignore it.
const KeyTimeout = "timeout"

// Generation tells which generation of AnyEvent::MP the greeter belongs to: 2
// if it names a version of the node protocol, else 1. They differ in the
// requests to the node port and in how the mesh is formed.
func (g *Greeting) Generation() int {
	if _, ok := g.Extra[keyMesh]; ok {
		return 2
	}
	return 1
}

// IsPortmesh reports whether the greeter is a node of ours.
func (g *Greeting) IsPortmesh() bool {
	return strings.HasPrefix(g.Extra[keyProvider], providerName+"-")
}

// TLS reports whether the greeter has a certificate and wants TLS.
func (g *Greeting) TLS() bool {
	major, _, _ := strings.Cut(g.Extra[keyTLS], ".")
	return major == "1"
}

// String returns the line, without its end. The extra keys are sorted.
func (g *Greeting) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s;%d;%s;%s;%s", g.Protocol, g.Version, escapeField(string(g.Node)),
		strings.Join(g.Auths, ","), strings.Join(g.Framings, ","))
	keys := make([]string, 0, len(g.Extra))
	for k := range g.Extra {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b.WriteString(";" + k + "=" + escapeField(g.Extra[k]))
	}
	return b.String()
}

// ParseGreeting reads a greeting line, without its end. It checks the form
// only; whether to talk to the greeter is for the handshake to say. The error
// wraps [ErrGreeting].
func ParseGreeting(line string) (*Greeting, error) {
	fields := strings.Split(line, ";")
	if len(fields) < 5 {
		return nil, fmt.Errorf("%w: %d fields, want at least 5: %s", ErrGreeting, len(fields), quoteLine(line))
	}
	if fields[0] != protocolName && !isExtension(fields[0]) {
		return nil, fmt.Errorf("%w: it begins with %s", ErrGreeting, quoteLine(fields[0]))
	}
	version, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil, fmt.Errorf("%w: version %s is not a number", ErrGreeting, quoteLine(fields[1]))
	}
	g := &Greeting{
		Protocol: fields[0],
		Version:  version,
		Node:     NodeID(unescapeField(fields[2])),
		Auths:    splitList(fields[3]),
		Framings: splitList(fields[4]),
		Extra:    make(map[string]string),
	}
	if err := g.Node.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGreeting, err)
	}
	for _, f := range fields[5:] {
		if key, value, _ := strings.Cut(f, "="); key != "" {
			g.Extra[key] = unescapeField(value)
		}
	}
	return g, nil
}

// isExtension reports whether word matches aemp-\w+.
func isExtension(word string) bool {
	name, ok := strings.CutPrefix(word, protocolName+"-")
	if !ok || name == "" {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

var (
	fieldEscaper   = strings.NewReplacer("%", "%25", ";", "%3b", "\n", "", "\r", "")
	fieldUnescaper = strings.NewReplacer("%25", "%", "%3b", ";", "%3B", ";")
)

func escapeField(s string) string   { return fieldEscaper.Replace(s) }
func unescapeField(s string) string { return fieldUnescaper.Replace(s) }

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// quoteLine makes a peer's bytes fit for an error text.
func quoteLine(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
