package aemp

import "bytes"

// BeginMessage starts a packet of n values as e.Begin does, and writes the first
// two of them: the name of a port, and a tag. Most packets begin like the one
// before; then the encoders of this package copy what they wrote.
func BeginMessage(e Encoder, dst []byte, n int, port, tag string) {
	r, ok := e.(resumer)
	if ok && r.resume(dst, n, port, tag) {
		return
	}
	e.Begin(dst, n)
	EncodeString(e, port)
	EncodeString(e, tag)
	if ok {
		r.hasBegun(len(dst), n, port, tag)
	}
}

// A resumer is an Encoder that knows how packets began.
type resumer interface {
	// resume begins a packet, appended to dst, and writes its head, if that is known.
	resume(dst []byte, n int, port, tag string) bool
	// hasBegun is told of a head that was written, from start on in the buffer.
	hasBegun(start, n int, port, tag string)
}

// A head is what a packet begins with.
type head struct {
	n         int
	port, tag string
	wire      []byte // the same as it is written; empty until it has come twice
}

// mostHead is how many bytes of a head are kept at most.
const mostHead = 256

func (h *head) is(n int, port, tag string) bool {
	return h.n == n && h.port == port && h.tag == tag
}

// find returns what a head is written as, if that is known.
func (h *head) find(n int, port, tag string) (wire []byte, known bool) {
	return h.wire, len(h.wire) > 0 && h.is(n, port, tag)
}

// learn remembers a head that comes for the second time in a row.
func (h *head) learn(wire []byte, n int, port, tag string) {
	if !h.is(n, port, tag) {
		h.n, h.port, h.tag, h.wire = n, port, tag, h.wire[:0]
	} else if len(wire) <= mostHead {
		h.wire = append(h.wire[:0], wire...)
	}
}

// A Head remembers how a packet began, so that what the first values of the next
// one are is known without reading them, if it begins alike. The zero value
// remembers nothing.
type Head struct {
	wire []byte
	n    int
}

// Set remembers the first n values of a packet, which are strings, and all that was
// read of it by now.
func (h *Head) Set(d Decoder, packet []byte, n int) {
	h.wire = h.wire[:0]
	if s, ok := d.(skipper); ok {
		if end := s.behind(); end <= mostHead {
			h.wire, h.n = append(h.wire, packet[:end]...), n
		}
	}
}

// Clear remembers nothing.
func (h *Head) Clear() { h.wire = h.wire[:0] }

// Skip passes over the values that it remembers, and returns true, if the packet,
// of which nothing was read, begins with them. The decoder is of the same framing.
func (h *Head) Skip(d Decoder, packet []byte) bool {
	if len(h.wire) == 0 || !bytes.HasPrefix(packet, h.wire) {
		return false
	}
	d.(skipper).skipTo(len(h.wire), h.n)
	return true
}

// A skipper is a Decoder that can pass over values without looking at them.
type skipper interface {
	// behind returns where the last value ends that was read. It is zero if there is
	// more to it than the bytes up to there.
	behind() int
	// skipTo passes over n values of the packet itself, up to that end.
	skipTo(end, n int)
}
