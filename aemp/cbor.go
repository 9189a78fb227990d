package aemp

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/portmesh/portmesh/internal/ascii"
)

// CBOR is the framing "cbor": packets are CBOR arrays (RFC 8949), back to
// back. It is what two Perl nodes of generation 2 choose.
//
// What it writes has the form that Perl's CBOR::XS gives it: strings in ASCII
// go out as byte strings, as Perl's ordinary strings do, like octets; strings
// with other characters go out as text.
//
// It reads what CBOR::XS can be told to write: shared values and references to
// them (tags 28 and 29), string references (tags 25 and 256), references to
// scalars (tag 22098), big numbers (tags 2 and 3, as text when no integer type
// holds them). Other tags are passed over. Perl objects (tag 26) are refused.
var CBOR Framing = cborFraming{}

type cborFraming struct{}

func (cborFraming) Name() string { return "cbor" }

func (cborFraming) NewEncoder() Encoder { return &cborEncoder{} }

func (cborFraming) NewDecoder(l Limits) Decoder { return newCBORDecoder(l.WithDefaults()) }

// The major types, which are the upper three bits of an item's first byte.
const (
	cborUint   = 0
	cborNegint = 1 // the number is -1 minus the argument
	cborBytes  = 2
	cborText   = 3
	cborArray  = 4
	cborMap    = 5
	cborTag    = 6
	cborSimple = 7 // also floats and the break
)

// First bytes that carry no argument, or one of fixed size.
const (
	cborFalse   = 0xf4
	cborTrue    = 0xf5
	cborNull    = 0xf6
	cborFloat32 = 0xfa
	cborFloat64 = 0xfb
	cborBreak   = 0xff
)

// Additional information, the lower five bits of the first byte: below
// cborInfo8 it is the argument itself, else it tells how the argument follows.
const (
	cborInfo8          = 24
	cborInfo16         = 25
	cborInfo32         = 26
	cborInfo64         = 27
	cborInfoIndefinite = 31
)

// cborNaN is the NaN that CBOR::XS writes, whatever the NaN.
const cborNaN = 0x7ff8000000000000

// A cborEncoder never meets a value that it cannot carry, so that End has no
// error to tell.
type cborEncoder struct {
	buf  []byte
	head head
}

func (e *cborEncoder) Begin(dst []byte, n int) {
	e.buf = appendCBORHead(dst, cborArray, uint64(n))
}

func (e *cborEncoder) resume(dst []byte, n int, port, tag string) bool {
	wire, known := e.head.find(n, port, tag)
	if !known {
		return false
	}
	e.buf = append(dst, wire...)
	return true
}

func (e *cborEncoder) hasBegun(start, n int, port, tag string) {
	e.head.learn(e.buf[start:], n, port, tag)
}

// End lets go of the buffer: it is the caller's from here on.
func (e *cborEncoder) End() ([]byte, error) {
	buf := e.buf
	e.buf = nil
	return buf, nil
}

func (e *cborEncoder) Nil() { e.buf = append(e.buf, cborNull) }

func (e *cborEncoder) Bool(v bool) {
	if v {
		e.buf = append(e.buf, cborTrue)
	} else {
		e.buf = append(e.buf, cborFalse)
	}
}

func (e *cborEncoder) Int(v int64) {
	if v >= 0 {
		e.buf = appendCBORHead(e.buf, cborUint, uint64(v))
	} else {
		e.buf = appendCBORHead(e.buf, cborNegint, uint64(^v))
	}
}

func (e *cborEncoder) Uint(v uint64) { e.buf = appendCBORHead(e.buf, cborUint, v) }

func (e *cborEncoder) Float(v float64) {
	single := float32(v)
	switch {
	case math.IsNaN(v):
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, cborFloat64), cborNaN)
	case float64(single) == v:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, cborFloat32), math.Float32bits(single))
	default:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, cborFloat64), math.Float64bits(v))
	}
}

func (e *cborEncoder) Text(v string) {
	e.buf = appendCBORHead(e.buf, cborStringMajor(v), uint64(len(v)))
	e.buf = append(e.buf, v...)
}

func (e *cborEncoder) Octets(v []byte) {
	e.buf = appendCBORHead(e.buf, cborBytes, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

func (e *cborEncoder) Array(n int) { e.buf = appendCBORHead(e.buf, cborArray, uint64(n)) }

func (e *cborEncoder) Map(n int) { e.buf = appendCBORHead(e.buf, cborMap, uint64(n)) }

func (e *cborEncoder) Key(k string) { e.Text(k) }

// Close has nothing to write, since the counts came first.
func (e *cborEncoder) Close() {}

// cborStringMajor tells how a string travels: as text only if it is text that
// a byte string could not say as well.
func cborStringMajor(s string) byte {
	if !ascii.Only(s) && utf8.ValidString(s) {
		return cborText
	}
	return cborBytes
}

// appendCBORHead appends the shortest head that carries the argument.
func appendCBORHead(b []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < cborInfo8:
		return append(b, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(b, major|cborInfo8, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|cborInfo16), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|cborInfo32), uint32(arg))
	default:
		return binary.BigEndian.AppendUint64(append(b, major|cborInfo64), arg)
	}
}

// A cborHead is the start of an item: its major type, and the argument, which
// is a number, a length, a count or the number of a tag.
type cborHead struct {
	major byte
	info  byte
	arg   uint64
	next  int // the offset behind the head
}

// readCBORHead reads the head at b[pos:]. It returns false when b ends before
// the head does. Whether the head makes sense is told by fault.
func readCBORHead(b []byte, pos int) (cborHead, bool) {
	if pos >= len(b) {
		return cborHead{}, false
	}
	h := cborHead{major: b[pos] >> 5, info: b[pos] & 0x1f, next: pos + 1}
	if h.info < cborInfo8 {
		h.arg = uint64(h.info)
		return h, true
	}
	rest := b[h.next:]
	switch h.info {
	case cborInfo8:
		if len(rest) < 1 {
			return h, false
		}
		h.arg = uint64(rest[0])
		h.next++
	case cborInfo16:
		if len(rest) < 2 {
			return h, false
		}
		h.arg = uint64(binary.BigEndian.Uint16(rest))
		h.next += 2
	case cborInfo32:
		if len(rest) < 4 {
			return h, false
		}
		h.arg = uint64(binary.BigEndian.Uint32(rest))
		h.next += 4
	case cborInfo64:
		if len(rest) < 8 {
			return h, false
		}
		h.arg = binary.BigEndian.Uint64(rest)
		h.next += 8
	}
	return h, true
}

// indefinite reports whether a break, and not a count, ends the item.
func (h cborHead) indefinite() bool {
	return h.info == cborInfoIndefinite && h.major != cborSimple
}

func (h cborHead) isBreak() bool {
	return h.info == cborInfoIndefinite && h.major == cborSimple
}

// fault tells what makes the head impossible, or "".
func (h cborHead) fault() string {
	switch {
	case h.info <= cborInfo64:
		if h.major == cborSimple && h.info == cborInfo8 && h.arg < 32 {
			return "simple value in a longer form than allowed"
		}
	case h.info < cborInfoIndefinite:
		return "reserved additional information"
	case h.major < cborBytes || h.major == cborTag:
		return "number or tag of indefinite length"
	}
	return ""
}
