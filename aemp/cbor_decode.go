package aemp

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/portmesh/portmesh/internal/ascii"
)

const (
	// cborMaxBignum is the size in bytes of the largest big number that is
	// turned into digits, which takes time that grows with its square.
	cborMaxBignum = 1024
	// A packet may refer to this many times its own length, and to so many
	// bytes more. Without a bound, values that refer twice to another grow
	// exponentially.
	cborRefFactor = 2
	cborRefExtra  = 64 << 10
	// cborKeep bounds what a decoder keeps from one packet for the next: so
	// many bytes, and so many targets of references.
	cborKeep = 64 << 10
)

// A cborDecoder reads a packet where it lies. It holds the place of the next
// value, and what is known about that value once Kind was asked for.
type cborDecoder struct {
	limits Limits
	scan   cborScanner // belongs to Scan
	walk   cborScanner // finds the ends of values

	packet []byte
	pos    int
	level  cborFrame   // innermost
	outer  []cborFrame // around it, outermost first
	known  bool        // next is filled in
	next   cborValue
	err    error

	refs    cborRefs
	indexed bool // refs are those of the packet
	budget  int  // how many bytes may still be referred to

	scratch []byte // strings that do not stand in the packet as they are
	number  big.Int
}

// A cborFrame is an open array or map.
type cborFrame struct {
	left  int // values that are left, keys included; -1 when a break tells
	isMap bool
	value bool // in a map: the key was read
	depth int
	space int // offset of the tag whose string reference space this is in, or -1
	back  int // where to go on behind it, when a reference led here; else -1
}

// A cborValue is the next value, behind its tags and references.
type cborValue struct {
	kind  Kind
	num   uint64 // Bool, Int, Uint, and Float as its bits
	str   []byte // Text, Octets
	left  int    // Array, Map: as in cborFrame
	start int    // offset of the value without tags
	end   int    // offset behind it, or of its first element
	depth int    // of the value itself, if it is an array or a map
	space int
	back  int
}

func newCBORDecoder(l Limits) *cborDecoder {
	d := &cborDecoder{
		limits: l,
		scan:   cborScanner{size: l.MessageSize, depth: l.Depth},
		walk:   cborScanner{depth: l.Depth},
	}
	d.scan.startPacket()
	return d
}

func (d *cborDecoder) Scan(b []byte) (int, error) {
	if d.scan.pos == 0 {
		if n := scanShort(b, cborArray<<5, &cborSizes); n > 0 && n <= d.limits.MessageSize {
			return n, nil
		}
	}
	done, err := d.scan.run(b)
	n := d.scan.pos
	if done || err != nil {
		d.scan.startPacket()
	}
	if !done || err != nil {
		return 0, err
	}
	return n, nil
}

// Reset reads the head of the packet as if it were a value in an array of one.
func (d *cborDecoder) Reset(packet []byte) {
	d.scan.startPacket()
	d.walk.size = len(packet)
	d.packet, d.pos, d.err = packet, 0, nil
	d.outer, d.known, d.indexed = d.outer[:0], false, false
	d.budget = cborRefFactor*len(packet) + cborRefExtra
	if cap(d.scratch) > cborKeep {
		d.scratch = nil
	}
	if cap(d.refs.shared)+cap(d.refs.spaces)+cap(d.refs.strings)+cap(d.refs.open) > cborKeep {
		d.refs = cborRefs{}
	}

	if len(packet) > 0 && packet[0]&^0x0f == cborArray<<5 { // as usual
		d.level = cborFrame{left: int(packet[0] & 0x0f), depth: 1, space: -1, back: -1}
		d.pos = 1
		return
	}
	d.level = cborFrame{left: 1, space: -1, back: -1}
	if kind := d.Kind(); kind != Array && d.err == nil {
		d.fail(ErrNotArray, 0, "%s", kind)
	}
	d.level, d.pos = d.enter(), d.next.end
	d.known = false
}

func (d *cborDecoder) behind() int {
	if len(d.outer) > 0 || d.level.left < 0 || d.level.space >= 0 || d.next.back >= 0 || d.err != nil {
		return 0
	}
	return d.pos
}

func (d *cborDecoder) skipTo(end, n int) {
	d.pos = end
	d.level.left -= n
	d.known = false
}

func (d *cborDecoder) Kind() Kind {
	if !d.known {
		d.look()
	}
	return d.next.kind
}

func (d *cborDecoder) Len() int {
	switch {
	case d.err != nil:
		return 0
	case d.level.isMap && d.level.left > 0:
		return (d.level.left + 1) / 2
	}
	return d.level.left
}

func (d *cborDecoder) Nil() { d.take(Nil) }

func (d *cborDecoder) Bool() bool { return d.take(Bool) && d.next.num != 0 }

func (d *cborDecoder) Int() int64 {
	if !d.take(Int) {
		return 0
	}
	return int64(d.next.num)
}

func (d *cborDecoder) Uint() uint64 {
	if !d.take(Uint) {
		return 0
	}
	return d.next.num
}

func (d *cborDecoder) Float() float64 {
	if !d.take(Float) {
		return 0
	}
	return math.Float64frombits(d.next.num)
}

func (d *cborDecoder) Bytes() []byte {
	if kind := d.Kind(); kind != Text && kind != Octets {
		d.mismatch("string")
		return nil
	}
	d.pass(d.next.end)
	return d.next.str
}

func (d *cborDecoder) Open() {
	if kind := d.Kind(); kind != Array && kind != Map {
		d.mismatch("array or map")
		return
	}
	inner := d.enter()
	d.pass(d.next.end)
	d.outer = append(d.outer, d.level)
	d.level, d.pos = inner, d.next.end
}

func (d *cborDecoder) Close() {
	if d.err != nil {
		return
	}
	if len(d.outer) == 0 {
		d.fail(ErrMalformed, d.pos, "nothing open to close")
		return
	}
	if d.level.back >= 0 {
		d.pos = d.level.back
	} else if d.level.left != 0 {
		level := cborLevel{left: d.level.left}
		if d.level.isMap {
			level.major, level.odd = cborMap, d.level.value
		}
		end, ok := d.endOf(d.pos, level)
		if !ok {
			return
		}
		d.pos = end
	}
	d.level = d.outer[len(d.outer)-1]
	d.outer = d.outer[:len(d.outer)-1]
	d.known = false
}

func (d *cborDecoder) Skip() {
	switch d.Kind() {
	case End:
		d.mismatch("value")
	case Array, Map:
		if d.next.back >= 0 {
			d.pass(d.next.back)
		} else if end, ok := d.endOf(d.next.start, cborLevel{left: 1}); ok {
			d.pass(end)
		}
	default:
		d.pass(d.next.end)
	}
}

func (d *cborDecoder) Err() error { return d.err }

// take reads the next value if it is of the kind wanted.
func (d *cborDecoder) take(want Kind) bool {
	if d.Kind() != want {
		d.mismatch(want.String())
		return false
	}
	d.pass(d.next.end)
	return true
}

// pass leaves the next value behind. Where a reference led to it, reading goes
// on behind the reference.
func (d *cborDecoder) pass(end int) {
	d.pos = end
	if d.next.back >= 0 {
		d.pos = d.next.back
	}
	if d.level.left > 0 {
		d.level.left--
	}
	d.level.value = d.level.isMap && !d.level.value
	d.known = false
}

// enter returns the frame of the next value, which is an array or a map; or,
// after an error, one that is empty.
func (d *cborDecoder) enter() cborFrame {
	if d.err != nil {
		return cborFrame{back: -1}
	}
	return cborFrame{
		left:  d.next.left,
		isMap: d.next.kind == Map,
		depth: d.next.depth,
		space: d.next.space,
		back:  d.next.back,
	}
}

// endOf returns the offset behind what is left of a level.
func (d *cborDecoder) endOf(pos int, level cborLevel) (int, bool) {
	d.walk.start(pos, level)
	done, err := d.walk.run(d.packet)
	if err != nil {
		d.stop(err)
	}
	return d.walk.pos, done
}

func (d *cborDecoder) mismatch(want string) {
	d.fail(ErrMalformed, d.pos, "wanted %s, found %s", want, d.next.kind)
}

// fail records what is wrong at an offset, if it is the first thing.
func (d *cborDecoder) fail(sentinel error, pos int, format string, args ...any) {
	d.stop(fmt.Errorf("%w: cbor: %s at offset %d", sentinel, fmt.Sprintf(format, args...), pos))
}

func (d *cborDecoder) stop(err error) {
	if d.err == nil {
		d.err = err
	}
	d.next = cborValue{back: -1}
	d.known = true
}

// lookShort finds out what the next value is if it is of a usual kind, and no key.
func (d *cborDecoder) lookShort() bool {
	if d.level.left <= 0 || d.level.isMap || d.pos >= len(d.packet) || d.err != nil {
		return false
	}
	v, rest := &d.next, d.packet[d.pos:]
	c := rest[0]
	switch c >> 5 {
	case cborUint:
		switch {
		case c < cborInfo8:
			v.num, v.end = uint64(c), d.pos+1
		case c == cborInfo32 && len(rest) >= 5:
			v.num, v.end = uint64(binary.BigEndian.Uint32(rest[1:])), d.pos+5
		default:
			return false
		}
		v.kind = Int
	case cborBytes, cborText:
		start, n := 1, int(c&0x1f)
		switch {
		case n == cborInfo8 && len(rest) >= 2:
			start, n = 2, int(rest[1])
		case n == cborInfo16 && len(rest) >= 3:
			start, n = 3, int(binary.BigEndian.Uint16(rest[1:]))
		case n >= cborInfo8:
			return false
		}
		if n > len(rest)-start {
			return false
		}
		v.str, v.end = rest[start:start+n:start+n], d.pos+start+n
		v.kind = Octets
		if c>>5 == cborText {
			if !ascii.Only(v.str) {
				return false
			}
			v.kind = Text
		}
	default:
		return false
	}
	v.back = -1
	return true
}

// look finds out what the next value is.
func (d *cborDecoder) look() {
	d.known = true
	if d.lookShort() {
		return
	}
	d.next = cborValue{depth: d.level.depth + 1, space: d.level.space, back: -1}
	if d.err != nil || d.level.left == 0 {
		return
	}
	if d.level.left < 0 && d.pos < len(d.packet) && d.packet[d.pos] == cborBreak {
		return
	}
	h, bignum := d.untag()
	if d.err != nil {
		return
	}
	v := &d.next
	v.end = h.next
	if bignum != 0 && h.major != cborBytes {
		d.fail(ErrMalformed, v.start, "big number that is not a byte string")
		return
	}
	switch h.major {
	case cborUint:
		v.kind, v.num = Int, h.arg
		if h.arg > math.MaxInt64 {
			v.kind = Uint
		}
	case cborNegint:
		d.negative(h.arg)
	case cborBytes, cborText:
		d.lookString(h)
		if bignum != 0 {
			d.bignum(bignum == cborTagNegBignum)
		}
	case cborArray, cborMap:
		d.lookList(h)
	default:
		d.lookSimple(h)
	}
	if d.level.isMap && !d.level.value {
		d.toKey()
	}
}

// untag goes past the tags before the next value, following references, and
// reads the head of the value itself. It returns the tag of a big number too.
func (d *cborDecoder) untag() (h cborHead, bignum uint64) {
	v := &d.next
	pos := d.pos
	for tags := 0; ; tags++ {
		v.start = pos
		h, ok := readCBORHead(d.packet, pos)
		if !ok {
			d.fail(ErrMalformed, pos, "unexpected end")
			return h, 0
		}
		if h.info >= cborInfo8 {
			if fault := h.fault(); fault != "" {
				d.fail(ErrMalformed, pos, "%s", fault)
				return h, 0
			}
		}
		if h.major != cborTag {
			return h, bignum
		}
		v.depth++
		if tags == cborMaxTags {
			d.fail(ErrTooDeep, pos, "more than %d tags and references in a row", cborMaxTags)
			return h, 0
		}
		pos = h.next
		switch h.arg {
		case cborTagPosBignum, cborTagNegBignum:
			if bignum != 0 {
				d.fail(ErrMalformed, v.start, "big number that is not a byte string")
				return h, 0
			}
			bignum = h.arg
		case cborTagStringSpace:
			v.space = v.start
		case cborTagStringRef, cborTagSharedRef:
			pos, ok = d.follow(h)
		case cborTagPerlObject:
			d.refuseObject(h)
			ok = false
		}
		if !ok {
			return h, 0
		}
	}
}

// lookList is look for arrays and maps.
func (d *cborDecoder) lookList(h cborHead) {
	v := &d.next
	if v.depth > d.limits.Depth {
		// Scan has seen to what stands here, but not to what references add.
		d.fail(ErrTooDeep, v.start, "deeper than %d", d.limits.Depth)
		return
	}
	v.kind, v.left = Array, -1
	room := uint64(len(d.packet) - h.next)
	if h.major == cborMap {
		v.kind = Map
		room /= 2
	}
	if h.arg > room {
		d.fail(ErrMalformed, v.start, "count beyond the end")
		return
	}
	if !h.indefinite() {
		v.left = int(h.arg)
		if v.kind == Map {
			v.left *= 2
		}
	}
}

// lookString is look for strings of either type.
func (d *cborDecoder) lookString(h cborHead) {
	v := &d.next
	if h.indefinite() {
		if !d.join(h) {
			return
		}
	} else {
		if h.arg > uint64(len(d.packet)-h.next) {
			d.fail(ErrMalformed, v.start, "string beyond the end")
			return
		}
		v.end = h.next + int(h.arg)
		v.str = d.packet[h.next:v.end:v.end]
	}
	v.kind = Octets
	if h.major == cborText && utf8.Valid(v.str) {
		v.kind = Text
	}
}

// join puts the chunks of a string together.
func (d *cborDecoder) join(h cborHead) bool {
	d.scratch = d.scratch[:0]
	for pos := h.next; ; {
		chunk, ok := readCBORHead(d.packet, pos)
		if ok && chunk.isBreak() {
			d.next.str, d.next.end = d.scratch, chunk.next
			return true
		}
		if !ok || chunk.major != h.major || chunk.info > cborInfo64 || chunk.arg > uint64(len(d.packet)-chunk.next) {
			d.fail(ErrMalformed, pos, "bad chunk of a string")
			return false
		}
		pos = chunk.next + int(chunk.arg)
		d.scratch = append(d.scratch, d.packet[chunk.next:pos]...)
	}
}

// lookSimple is look for the simple values and floats.
func (d *cborDecoder) lookSimple(h cborHead) {
	v := &d.next
	switch h.info {
	case 20, 21:
		v.kind, v.num = Bool, uint64(h.info-20)
	case 22, 23: // null and undefined
		v.kind = Nil
	case cborInfo16:
		v.kind, v.num = Float, math.Float64bits(halfFloat(uint16(h.arg)))
	case cborInfo32:
		v.kind, v.num = Float, math.Float64bits(float64(math.Float32frombits(uint32(h.arg))))
	case cborInfo64:
		v.kind, v.num = Float, h.arg
	case cborInfoIndefinite:
		d.fail(ErrMalformed, v.start, "break out of place")
	default:
		d.fail(ErrMalformed, v.start, "simple value %d", h.arg)
	}
}

// negative is look for the number -1-arg. What no int64 holds becomes digits,
// as Perl would send it.
func (d *cborDecoder) negative(arg uint64) {
	v := &d.next
	if arg <= math.MaxInt64 {
		v.kind, v.num = Int, ^arg
		return
	}
	v.kind = Text
	if arg == math.MaxUint64 {
		d.scratch = append(d.scratch[:0], "-18446744073709551616"...)
	} else {
		d.scratch = strconv.AppendUint(append(d.scratch[:0], '-'), arg+1, 10)
	}
	v.str = d.scratch
}

// bignum turns the byte string that is the next value into the number that it
// stands for.
func (d *cborDecoder) bignum(negative bool) {
	v := &d.next
	if d.err != nil {
		return
	}
	if len(v.str) > cborMaxBignum {
		d.fail(ErrTooLarge, v.start, "number of %d bytes", len(v.str))
		return
	}
	n := d.number.SetBytes(v.str)
	switch {
	case n.IsUint64() && negative:
		d.negative(n.Uint64())
		return
	case n.IsUint64():
		v.kind, v.num = Int, n.Uint64()
		if v.num > math.MaxInt64 {
			v.kind = Uint
		}
		return
	case negative:
		n.Not(n)
	}
	d.scratch = n.Append(d.scratch[:0], 10)
	v.kind, v.str = Text, d.scratch
}

// toKey makes a string of the next value, which is a key, the way Perl does.
func (d *cborDecoder) toKey() {
	v := &d.next
	buf := d.scratch[:0]
	switch v.kind {
	case Text, Octets, End:
		return
	case Nil:
	case Bool, Uint:
		buf = strconv.AppendUint(buf, v.num, 10)
	case Int:
		buf = strconv.AppendInt(buf, int64(v.num), 10)
	case Float:
		buf = appendPerlFloat(buf, math.Float64frombits(v.num))
	default:
		d.fail(ErrMalformed, v.start, "%s as a key", v.kind)
		return
	}
	d.scratch = buf
	v.kind, v.str = Text, buf
}

// halfFloat returns the number with these bits in IEEE's binary16.
func halfFloat(bits uint16) float64 {
	exp, frac := int(bits>>10)&0x1f, float64(bits&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 0x1f:
		f = math.Inf(1)
		if frac != 0 {
			return math.NaN()
		}
	default:
		f = math.Ldexp(frac+1024, exp-25)
	}
	if bits&0x8000 != 0 {
		return math.Copysign(f, -1)
	}
	return f
}

// follow returns the offset that a reference leads to. The next value then
// lies there, and reading goes on behind the reference afterwards.
func (d *cborDecoder) follow(tag cborHead) (int, bool) {
	v := &d.next
	number, ok := readCBORHead(d.packet, tag.next)
	if !ok || number.major != cborUint || number.info > cborInfo64 {
		d.fail(ErrMalformed, v.start, "reference without a number")
		return 0, false
	}
	if !d.indexed {
		if err := d.refs.build(&d.walk, d.packet); err != nil {
			d.stop(err)
			return 0, false
		}
		d.indexed = true
	}
	var target int
	if tag.arg == cborTagStringRef {
		target, ok = d.refs.lookup(v.space, number.arg)
	} else if ok = number.arg < uint64(len(d.refs.shared)); ok {
		shared := d.refs.shared[number.arg]
		target, v.space = int(shared.value), int(shared.space)
	}
	if !ok || target > v.start {
		d.fail(ErrMalformed, v.start, "reference to value %d, which has not come", number.arg)
		return 0, false
	}
	end, ok := d.endOf(target, cborLevel{left: 1})
	if !ok {
		return 0, false
	}
	if end > v.start {
		d.fail(ErrMalformed, v.start, "reference to value %d, which it is part of", number.arg)
		return 0, false
	}
	d.budget -= end - target
	if d.budget < 0 {
		d.fail(ErrTooLarge, v.start, "too much is referred to")
		return 0, false
	}
	if v.back < 0 {
		v.back = number.next
	}
	return target, true
}

// refuseObject names the class of the Perl object behind the tag, which is an
// array of the class and its arguments.
func (d *cborDecoder) refuseObject(tag cborHead) {
	start := d.next.start
	class := "unknown"
	if list, ok := readCBORHead(d.packet, tag.next); ok && list.major == cborArray {
		pos := list.next
		name, ok := readCBORHead(d.packet, pos)
		if ok && name.major == cborTag && name.arg == cborTagStringRef {
			d.next.start = pos
			if pos, ok = d.follow(name); ok {
				name, ok = readCBORHead(d.packet, pos)
			}
		}
		if ok && (name.major == cborBytes || name.major == cborText) && name.arg <= uint64(len(d.packet)-name.next) {
			class = fmt.Sprintf("%.80q", d.packet[name.next:name.next+int(name.arg)])
		}
	}
	d.fail(ErrMalformed, start, "Perl object of class %s", class)
}
