package aemp

import (
	"fmt"
	"strings"
	"unicode"
)

// A NodeID names a node: one process of the mesh (section 1 of the protocol).
// It is a printable string without '#' and ';', such as "cat", "web/eu/1" or
// "10.0.0.1:4040", and means nothing beyond being unique.
type NodeID string

// Port returns the ID of the port of that name on the node n.
func (n NodeID) Port(name string) PortID { return PortID(string(n) + "#" + name) }

// NodePort returns the ID of the node's own port, which answers requests and
// whose life is that of the connection to the node.
func (n NodeID) NodePort() PortID { return PortID(n) }

// Validate reports what keeps n from being a node ID, or nil. The error wraps
// [ErrInvalidID].
func (n NodeID) Validate() error {
	if n == "" {
		return fmt.Errorf("%w: node ID is empty", ErrInvalidID)
	}
	for _, r := range n {
		if r == '#' || r == ';' || r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return fmt.Errorf("%w: node ID %q contains %q", ErrInvalidID, string(n), r)
		}
	}
	return nil
}

// A PortID names a port anywhere in the mesh: "node#name". The name may hold
// any characters, a '#' too, since the first one counts. A bare node ID, as
// well as one with nothing behind its '#', names the node port.
type PortID string

// Node returns the ID of the node that the port is on.
func (p PortID) Node() NodeID {
	if i := strings.IndexByte(string(p), '#'); i >= 0 {
		return NodeID(p[:i])
	}
	return NodeID(p)
}

// Name returns the port's name on its node; it is empty for the node port.
func (p PortID) Name() string {
	_, name, _ := strings.Cut(string(p), "#")
	return name
}

// Split returns what Node and Name return.
func (p PortID) Split() (NodeID, string) {
	node, name, _ := strings.Cut(string(p), "#")
	return NodeID(node), name
}

// IsNodePort reports whether p names the node port of its node.
func (p PortID) IsNodePort() bool { return p.Name() == "" }

// Canonical returns p in the form in which IDs are compared: the node port is
// the bare node ID.
func (p PortID) Canonical() PortID {
	if node, name := p.Split(); name == "" {
		return PortID(node)
	}
	return p
}

// Validate reports what keeps p from being a port ID, or nil. The error wraps
// [ErrInvalidID].
func (p PortID) Validate() error {
	if err := p.Node().Validate(); err != nil {
		return fmt.Errorf("port ID %q: %w", string(p), err)
	}
	return nil
}
