package aemp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/portmesh/portmesh/internal/ascii"
)

// A msgpackHead is the first byte of a value and the number behind it.
type msgpackHead struct {
	// kind is Text for strings, which may turn out not to be UTF-8.
	kind Kind
	size int // how many bytes these are; 0: the input ends within them
	// num is the value of a Bool (0 or 1), Int (as int64) or Uint, the bits
	// of a Float, the length of Text and Octets, the count of an Array (of
	// values) or Map (of pairs).
	num uint64
}

// contents returns how many bytes and how many values follow the head.
func (h msgpackHead) contents() (bytes, values uint64) {
	switch h.kind {
	case Text, Octets:
		return h.num, 0
	case Array:
		return 0, h.num
	case Map:
		return 0, 2 * h.num
	}
	return 0, 0
}

// readMsgpackHead reads the head at pos.
func readMsgpackHead(p []byte, pos int) (msgpackHead, error) {
	b := p[pos:]
	if len(b) == 0 {
		return msgpackHead{}, nil
	}
	switch c := b[0]; {
	case c < msgpackFixMap:
		return msgpackHead{Int, 1, uint64(c)}, nil
	case c >= msgpackNegFixInt:
		return msgpackHead{Int, 1, uint64(int8(c))}, nil
	case c < msgpackFixArray:
		return msgpackHead{Map, 1, uint64(c & 0x0f)}, nil
	case c < msgpackFixStr:
		return msgpackHead{Array, 1, uint64(c & 0x0f)}, nil
	case c < msgpackNil:
		return msgpackHead{Text, 1, uint64(c & 0x1f)}, nil
	}
	switch c := b[0]; c {
	case msgpackNil:
		return msgpackHead{Nil, 1, 0}, nil
	case msgpackFalse:
		return msgpackHead{Bool, 1, 0}, nil
	case msgpackTrue:
		return msgpackHead{Bool, 1, 1}, nil
	case msgpackUint8:
		return msgpackNumber(Int, b, 1), nil
	case msgpackUint16:
		return msgpackNumber(Int, b, 2), nil
	case msgpackUint32:
		return msgpackNumber(Int, b, 4), nil
	case msgpackUint64:
		h := msgpackNumber(Int, b, 8)
		if h.num > math.MaxInt64 {
			h.kind = Uint
		}
		return h, nil
	case msgpackInt8:
		h := msgpackNumber(Int, b, 1)
		h.num = uint64(int8(h.num))
		return h, nil
	case msgpackInt16:
		h := msgpackNumber(Int, b, 2)
		h.num = uint64(int16(h.num))
		return h, nil
	case msgpackInt32:
		h := msgpackNumber(Int, b, 4)
		h.num = uint64(int32(h.num))
		return h, nil
	case msgpackInt64:
		return msgpackNumber(Int, b, 8), nil
	case msgpackFloat32:
		h := msgpackNumber(Float, b, 4)
		h.num = math.Float64bits(float64(math.Float32frombits(uint32(h.num))))
		return h, nil
	case msgpackFloat64:
		return msgpackNumber(Float, b, 8), nil
	case msgpackStr8:
		return msgpackNumber(Text, b, 1), nil
	case msgpackStr16:
		return msgpackNumber(Text, b, 2), nil
	case msgpackStr32:
		return msgpackNumber(Text, b, 4), nil
	case msgpackBin8:
		return msgpackNumber(Octets, b, 1), nil
	case msgpackBin16:
		return msgpackNumber(Octets, b, 2), nil
	case msgpackBin32:
		return msgpackNumber(Octets, b, 4), nil
	case msgpackArray16:
		return msgpackNumber(Array, b, 2), nil
	case msgpackArray32:
		return msgpackNumber(Array, b, 4), nil
	case msgpackMap16:
		return msgpackNumber(Map, b, 2), nil
	case msgpackMap32:
		return msgpackNumber(Map, b, 4), nil
	case msgpackNever:
		return msgpackHead{}, msgpackError(pos, "byte c1 begins no value")
	default:
		return readMsgpackExt(b, pos)
	}
}

// msgpackNumber reads a head whose number has width bytes.
func msgpackNumber(kind Kind, b []byte, width int) msgpackHead {
	if len(b) <= width {
		return msgpackHead{}
	}
	h := msgpackHead{kind: kind, size: 1 + width}
	switch width {
	case 1:
		h.num = uint64(b[1])
	case 2:
		h.num = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		h.num = uint64(binary.BigEndian.Uint32(b[1:]))
	default:
		h.num = binary.BigEndian.Uint64(b[1:])
	}
	return h
}

// msgpackTimestamp is the one extension type that the format itself defines.
const msgpackTimestamp = -1

// readMsgpackExt reads an extension value, at pos of the packet, where b
// begins. A timestamp counts as a head as a whole.
func readMsgpackExt(b []byte, pos int) (msgpackHead, error) {
	var length uint64
	typeAt := 1
	switch b[0] {
	case msgpackExt8, msgpackExt16, msgpackExt32:
		width := 1 << (b[0] - msgpackExt8)
		h := msgpackNumber(Octets, b, width)
		length = h.num
		typeAt += width
	default:
		length = 1 << (b[0] - msgpackFixExt1)
	}
	if len(b) <= typeAt {
		return msgpackHead{}, nil
	}
	if t := int8(b[typeAt]); t != msgpackTimestamp {
		return msgpackHead{}, msgpackError(pos, "extension type %d is not accepted", t)
	}
	if length != 4 && length != 8 && length != 12 {
		return msgpackHead{}, msgpackError(pos, "timestamp of %d bytes", length)
	}
	size := typeAt + 1 + int(length)
	if len(b) < size {
		return msgpackHead{}, nil
	}
	var sec int64
	var nsec uint32
	switch stamp := b[typeAt+1 : size]; length {
	case 4:
		sec = int64(binary.BigEndian.Uint32(stamp))
	case 8: // 30 bits of nanoseconds, 34 of seconds
		v := binary.BigEndian.Uint64(stamp)
		sec = int64(v & (1<<34 - 1))
		nsec = uint32(v >> 34)
	case 12:
		nsec = binary.BigEndian.Uint32(stamp)
		sec = int64(binary.BigEndian.Uint64(stamp[4:]))
	}
	if nsec > 999999999 {
		return msgpackHead{}, msgpackError(pos, "timestamp with %d nanoseconds", nsec)
	}
	return msgpackHead{Float, size, math.Float64bits(float64(sec) + float64(nsec)/1e9)}, nil
}

// msgpackError tells what is wrong at that offset of the packet.
func msgpackError(pos int, format string, args ...any) error {
	return fmt.Errorf("%w: msgpack: %s at offset %d", ErrMalformed, fmt.Sprintf(format, args...), pos)
}

// A msgpackPlace is a place in an array or map.
type msgpackPlace struct {
	left  int // values; a pair counts as two
	isMap bool
}

// atKey tells whether the next value is the key of a pair.
func (p *msgpackPlace) atKey() bool { return p.isMap && p.left&1 == 0 }

type msgpackDecoder struct {
	limits Limits

	// Of the scan that is under way.
	scanned int            // how far it is, which may be beyond the input
	missing int            // values that have to follow, at least
	open    []msgpackPlace // outermost first; one around the packet itself

	// Of the packet that is being read.
	packet []byte
	pos    int // the next value
	err    error
	in     msgpackPlace
	outer  []msgpackPlace // the containers around it, outermost first
	next   msgpackHead    // of the next value, if it is known
	known  bool
	bytes  []byte // of the next value, if it is Text or Octets
	text   []byte // a key that is not a string in the packet
}

func (d *msgpackDecoder) Scan(b []byte) (int, error) {
	if d.scanned == 0 {
		if n := scanShort(b, msgpackFixArray, &msgpackSizes); n > 0 && n <= d.limits.MessageSize {
			return n, nil
		}
		d.missing = 1
		d.open = append(d.open[:0], msgpackPlace{left: 1})
	}
	for d.missing > 0 {
		if d.scanned >= len(b) {
			return 0, nil
		}
		if size := int(msgpackSizes[b[d.scanned]]); size > 0 && size < length8 && d.scanned > 0 {
			if d.limits.MessageSize-d.missing-d.scanned < size-1 {
				return 0, d.tooLarge()
			}
			d.scanned += size
			d.missing--
			d.open[len(d.open)-1].left--
		} else if ok, err := d.scanHead(b); !ok {
			return 0, err
		}
		for len(d.open) > 0 && d.open[len(d.open)-1].left == 0 {
			d.open = d.open[:len(d.open)-1]
		}
	}
	if d.scanned > len(b) {
		return 0, nil
	}
	n := d.scanned
	d.scanned = 0
	return n, nil
}

// scanHead goes past a value, or past the head of a container. What it claims
// has to fit the limit together with all that was claimed before, which takes
// a byte or more for each value. It returns false where it cannot go on.
func (d *msgpackDecoder) scanHead(b []byte) (ok bool, err error) {
	h, err := readMsgpackHead(b, d.scanned)
	if err != nil || h.size == 0 {
		return false, err
	}
	if d.scanned == 0 && h.kind != Array {
		return false, fmt.Errorf("%w but %s", ErrNotArray, h.kind)
	}
	bytes, values := h.contents()
	if room := d.limits.MessageSize - (d.missing - 1) - d.scanned - h.size; room < 0 || bytes+values > uint64(room) {
		return false, d.tooLarge()
	}
	top := &d.open[len(d.open)-1]
	if h.kind == Array || h.kind == Map {
		if top.atKey() {
			return false, msgpackError(d.scanned, "%s as a key", h.kind)
		}
		if len(d.open) > d.limits.Depth {
			return false, fmt.Errorf("%w: msgpack: more than %d levels at offset %d", ErrTooDeep, d.limits.Depth, d.scanned)
		}
		top.left--
		d.open = append(d.open, msgpackPlace{left: int(values), isMap: h.kind == Map})
	} else {
		top.left--
	}
	d.scanned += h.size + int(bytes)
	d.missing += int(values) - 1
	return true, nil
}

func (d *msgpackDecoder) tooLarge() error {
	return fmt.Errorf("%w: msgpack: value at offset %d passes the limit of %d bytes", ErrTooLarge, d.scanned, d.limits.MessageSize)
}

// msgpackSizes is for scanShort.
var msgpackSizes = func() (sizes [256]uint8) {
	for c := range sizes {
		if c < msgpackFixMap || c >= msgpackNegFixInt {
			sizes[c] = 1
		} else if c >= msgpackFixStr && c < msgpackNil {
			sizes[c] = 1 + uint8(c&0x1f)
		}
	}
	sizes[msgpackNil] = 1
	sizes[msgpackFalse] = 1
	sizes[msgpackTrue] = 1
	sizes[msgpackUint8] = 2
	sizes[msgpackInt8] = 2
	sizes[msgpackUint16] = 3
	sizes[msgpackInt16] = 3
	sizes[msgpackUint32] = 5
	sizes[msgpackInt32] = 5
	sizes[msgpackFloat32] = 5
	sizes[msgpackUint64] = 9
	sizes[msgpackInt64] = 9
	sizes[msgpackFloat64] = 9
	sizes[msgpackStr8], sizes[msgpackBin8] = length8, length8
	sizes[msgpackStr16], sizes[msgpackBin16] = length16, length16
	return sizes
}()

// Reset also ends a scan that is under way.
func (d *msgpackDecoder) Reset(packet []byte) {
	d.scanned = 0
	d.packet = packet
	d.pos = 0
	d.err = nil
	d.in = msgpackPlace{left: 1}
	d.outer = d.outer[:0]
	d.known = false
	if len(packet) > 0 && packet[0]&0xf0 == msgpackFixArray {
		d.pos = 1
		d.in.left = int(packet[0] & 0x0f)
	} else if d.Kind() == Array {
		d.in = d.enter()
	} else {
		d.fail(fmt.Errorf("%w but %s", ErrNotArray, d.next.kind))
	}
}

// enter takes the head of the next value, an array or a map, and returns its
// inside.
func (d *msgpackDecoder) enter() msgpackPlace {
	_, values := d.next.contents()
	d.take()
	return msgpackPlace{left: int(values), isMap: d.next.kind == Map}
}

// find looks at the next value. Scan has proved that it is there; a packet
// that was not scanned must not do harm.
func (d *msgpackDecoder) find() {
	d.known = true
	if d.in.left == 0 {
		d.next = msgpackHead{}
		return
	}
	// The usual values outside of maps, which the rest would find as well.
	if rest := d.packet[min(d.pos, len(d.packet)):]; len(rest) > 0 && !d.in.isMap {
		switch c := rest[0]; {
		case c < msgpackFixMap:
			d.next = msgpackHead{Int, 1, uint64(c)}
			return
		case c >= msgpackFixStr && c < msgpackNil:
			n := int(c & 0x1f)
			if n < len(rest) && ascii.Only(rest[1:1+n]) {
				d.next = msgpackHead{Text, 1, uint64(n)}
				d.bytes = rest[1 : 1+n]
				return
			}
		case c == msgpackUint32 && len(rest) > 4:
			d.next = msgpackHead{Int, 5, uint64(binary.BigEndian.Uint32(rest[1:]))}
			return
		}
	}
	d.next = msgpackHead{}
	h, err := d.head()
	if err != nil {
		d.fail(err)
		return
	}
	d.next = h
	switch {
	case h.kind == Octets:
		d.bytes = d.packet[d.pos+h.size:][:h.num]
	case h.kind == Text:
		d.bytes = d.packet[d.pos+h.size:][:h.num]
		if !utf8.Valid(d.bytes) {
			d.next.kind = Octets
		}
	case d.in.atKey():
		d.makeKey(h)
	}
}

// head reads the head at d.pos, and makes sure of what it claims.
func (d *msgpackDecoder) head() (msgpackHead, error) {
	h, err := readMsgpackHead(d.packet, d.pos)
	if err != nil {
		return h, err
	}
	if bytes, values := h.contents(); h.size == 0 || bytes+values > uint64(len(d.packet)-d.pos-h.size) {
		return h, msgpackError(d.pos, "packet ends within a value")
	}
	return h, nil
}

// makeKey makes Text of a key that is not a string.
func (d *msgpackDecoder) makeKey(h msgpackHead) {
	d.text = d.text[:0]
	switch h.kind {
	case Nil:
	case Bool, Uint:
		d.text = strconv.AppendUint(d.text, h.num, 10)
	case Int:
		d.text = strconv.AppendInt(d.text, int64(h.num), 10)
	case Float:
		d.text = appendPerlFloat(d.text, math.Float64frombits(h.num))
	default:
		d.fail(msgpackError(d.pos, "%s as a key", h.kind))
		return
	}
	d.next = msgpackHead{kind: Text, size: h.size}
	d.bytes = d.text
}

func (d *msgpackDecoder) behind() int {
	if len(d.outer) > 0 || d.err != nil {
		return 0
	}
	return d.pos
}

func (d *msgpackDecoder) skipTo(end, n int) {
	d.pos = end
	d.in.left -= n
	d.known = false
}

func (d *msgpackDecoder) Kind() Kind {
	if !d.known {
		d.find()
	}
	return d.next.kind
}

func (d *msgpackDecoder) Len() int {
	switch {
	case d.err != nil:
		return 0
	case d.in.isMap:
		return (d.in.left + 1) / 2
	}
	return d.in.left
}

func (d *msgpackDecoder) Nil()       { d.want(Nil) }
func (d *msgpackDecoder) Bool() bool { return d.want(Bool) == 1 }
func (d *msgpackDecoder) Int() int64 { return int64(d.want(Int)) }

func (d *msgpackDecoder) Uint() uint64 { return d.want(Uint) }

func (d *msgpackDecoder) Float() float64 { return math.Float64frombits(d.want(Float)) }

func (d *msgpackDecoder) Bytes() []byte {
	if d.Kind() != Text && d.next.kind != Octets {
		d.mismatch(Octets)
		return nil
	}
	d.take()
	return d.bytes
}

func (d *msgpackDecoder) Open() {
	if d.Kind() != Array && d.next.kind != Map {
		d.mismatch(Array)
		return
	}
	if 1+len(d.outer) >= d.limits.Depth {
		d.fail(fmt.Errorf("%w: msgpack: more than %d levels at offset %d", ErrTooDeep, d.limits.Depth, d.pos))
		return
	}
	inside := d.enter()
	d.outer = append(d.outer, d.in)
	d.in = inside
}

func (d *msgpackDecoder) Close() {
	if d.err != nil {
		return
	}
	if len(d.outer) == 0 {
		d.fail(msgpackError(d.pos, "no array or map to close"))
		return
	}
	d.skip(uint64(d.in.left))
	if d.err != nil {
		return
	}
	d.in = d.outer[len(d.outer)-1]
	d.outer = d.outer[:len(d.outer)-1]
	d.known = false
}

func (d *msgpackDecoder) Skip() {
	if d.Kind() == End {
		d.fail(msgpackError(d.pos, "no value to skip"))
		return
	}
	d.skip(1)
	if d.err == nil {
		d.in.left--
		d.known = false
	}
}

// skip passes over values with all that is in them.
func (d *msgpackDecoder) skip(values uint64) {
	for ; values > 0; values-- {
		h, err := d.head()
		if err != nil {
			d.fail(err)
			return
		}
		bytes, more := h.contents()
		d.pos += h.size + int(bytes)
		values += more
	}
}

func (d *msgpackDecoder) Err() error { return d.err }

// want takes a value of that kind and returns its number.
func (d *msgpackDecoder) want(kind Kind) uint64 {
	if d.Kind() != kind {
		d.mismatch(kind)
		return 0
	}
	d.take()
	return d.next.num
}

// take goes past the next value, or past the head of a container. The value
// stays in d.next and d.bytes.
func (d *msgpackDecoder) take() {
	bytes := 0
	if d.next.kind == Text || d.next.kind == Octets {
		bytes = int(d.next.num)
	}
	d.pos += d.next.size + bytes
	d.in.left--
	d.known = false
}

func (d *msgpackDecoder) mismatch(wanted Kind) {
	d.fail(msgpackError(d.pos, "want %s, found %s", wanted, d.next.kind))
}

// fail remembers the first error. There are no values from then on.
func (d *msgpackDecoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.next = msgpackHead{}
	d.known = true
}
