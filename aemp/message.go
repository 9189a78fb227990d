package aemp

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Message is what one port sends to another: a list whose first element is,
// by custom, a string that tells what the message is about, its tag.
//
// # Values
//
// A message that was received holds these types and no others:
//
//	nil             undef, null
//	bool            true and false of JSON, CBOR and MessagePack
//	int64           a whole number
//	uint64          a whole number above the largest int64
//	float64         any other number
//	string          characters, and bytes that are all ASCII
//	[]byte          bytes that are not all ASCII
//	[]any           a list
//	map[string]any  a map
//
// A message to be sent may hold, besides these, every integer and float type,
// strings and bools of named types such as [PortID], [Message] and [Reason],
// and slices, arrays, maps with string keys, and pointers to all of them. A nil
// pointer is undef, a nil slice an empty list, a nil map an empty map, and a
// nil []byte an empty string. The table in docs/values.md tells what each
// becomes on the wire, and what Perl makes of it.
//
// Perl does not tell "12" from 12. Use the conversions of [Message.Scan],
// which take one for the other, rather than type assertions.
type Message []any

// Tag returns the message's tag, and false when the message is empty or its
// first element is not a string.
func (m Message) Tag() (string, bool) {
	if len(m) == 0 {
		return "", false
	}
	tag, ok := m[0].(string)
	return tag, ok
}

// String returns the message in a form for logs, in the manner of JSON.
func (m Message) String() string { return string(appendValue(nil, m, math.MaxInt)) }

// A Reason tells why a port died. The empty reason is a normal end, and does
// not spread over links. By custom the first element is a string, its kind;
// the kinds that the system itself uses are below, and everything else is the
// application's.
type Reason []any

// The kinds of reasons that the system uses.
const (
	// ReasonDie: a receiver failed; the second element is the error text.
	ReasonDie = "die"
	// ReasonUnhandled: a message came for which there is no receiver; the
	// second element is a text that names its tag.
	ReasonUnhandled = "unhandled_message"
	// ReasonNoSuchPort: the port does not exist; a text and the port ID
	// follow.
	ReasonNoSuchPort = "no_such_port"
	// ReasonTransport: the connection to the port's node ended, or could not
	// be made. The node ID and a text follow. The port may still be alive.
	ReasonTransport = "transport_error"
)

// Normal reports whether r is the reason of a normal end.
func (r Reason) Normal() bool { return len(r) == 0 }

// Kind returns the first element if it is a string.
func (r Reason) Kind() string {
	if len(r) == 0 {
		return ""
	}
	kind, _ := r[0].(string)
	return kind
}

// String returns the reason in a form for people: "normal", or its elements
// with blanks between.
func (r Reason) String() string {
	if r.Normal() {
		return "normal"
	}
	words := make([]string, len(r))
	for i, v := range r {
		if s, ok := v.(string); ok {
			words[i] = s
		} else {
			words[i] = string(appendValue(nil, v, math.MaxInt))
		}
	}
	return strings.Join(words, " ")
}

// NoSuchPort returns the reason that the monitors of a port get which does not
// exist.
func NoSuchPort(port PortID) Reason {
	return Reason{ReasonNoSuchPort, "cannot monitor nonexistent port", string(port)}
}

// TransportError returns the reason that the monitors of a node's ports get
// when the connection to it ends, or cannot be made.
func TransportError(node NodeID, text string) Reason {
	return Reason{ReasonTransport, string(node), text}
}

// appendValue appends a value in the manner of JSON. It ends early behind the
// limit, so that the start of a long value can be had cheaply.
func appendValue(b []byte, v any, limit int) []byte {
	switch v := plain(v).(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return strconv.AppendQuote(b, v[:min(len(v), max(limit-len(b), 0))])
	case []byte:
		return strconv.AppendQuote(b, string(v[:min(len(v), max(limit-len(b), 0))]))
	case []any:
		b = append(b, '[')
		for i, elem := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			if len(b) > limit {
				break
			}
			b = appendValue(b, elem, limit)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ", "...)
			}
			if len(b) > limit {
				break
			}
			b = append(appendValue(b, key, limit), ": "...)
			b = appendValue(b, v[key], limit)
		}
		return append(b, '}')
	default:
		return fmt.Append(b, v)
	}
}
