package aemp

import (
	"fmt"
	"unicode/utf8"
)

// A storableDecoder reads an image in place. References and classes are looked
// through for the value behind them; where an OBJECT stands, reading goes on
// at the value that it refers to, and then returns.
type storableDecoder struct {
	limits Limits

	// Of the packet that was scanned last.
	scanned []byte
	index   storableIndex
	levels  []storableLevel // scratch space

	// Of the packet that is being read.
	packet []byte
	budget int // how many more bytes OBJECTs may refer to
	err    error
	in     storablePlace
	outer  []storablePlace // the containers around it, outermost first
	known  bool
	value  storableValue // the next value, if it is known; else the last one
	text   []byte        // bytes that are not in the packet
}

// A storablePlace is a place in a container.
type storablePlace struct {
	op      byte // opened the container
	left    int  // values or pairs, the next one included
	pos     int  // the next value, or pair
	keyRead bool // of the next pair
	next    int  // where the pair behind it is, once its key was found
}

// A storableValue is what is behind the references and classes, or a key.
type storableValue struct {
	kind  Kind
	num   int64        // of Int; of Bool: 0 or 1
	bytes []byte       // of Text and Octets
	head  storableHead // of Array and Map
	next  int          // where the next value is
}

func (d *storableDecoder) Scan(b []byte) (int, error) {
	begin, size, err := readStorableSize(b, d.limits.MessageSize)
	if err != nil || begin == 0 || len(b)-begin < size {
		return 0, err
	}
	packet := b[:begin+size]
	if err := d.walk(packet, begin); err != nil {
		return 0, err
	}
	return len(packet), nil
}

func (d *storableDecoder) walk(packet []byte, begin int) (err error) {
	d.scanned = nil
	d.levels, err = walkStorable(packet, begin, d.limits.Depth, &d.index, d.levels)
	if err == nil {
		d.scanned = packet
	}
	return err
}

// OBJECTs of a packet may refer to so many times its own bytes altogether,
// and so many more.
const (
	storableExpansion     = 2
	storableExpansionMore = 64 << 10
)

// Reset needs what Scan found out about the packet. When that was another
// packet, it scans this one.
func (d *storableDecoder) Reset(packet []byte) {
	d.packet = packet
	d.budget = storableExpansion*len(packet) + storableExpansionMore
	d.err = nil
	d.in = storablePlace{op: storableArray}
	d.outer = d.outer[:0]
	d.known = false
	d.text = storableEmpty(d.text)
	if err := d.enter(); err != nil {
		d.fail(err)
	}
}

// enter goes into the outermost array.
func (d *storableDecoder) enter() error {
	begin, size, err := readStorableSize(d.packet, d.limits.MessageSize)
	if err != nil {
		return err
	}
	if begin == 0 || begin+size != len(d.packet) {
		return storableError(0, "packet is not of the length that it says")
	}
	if !sameMemory(d.packet, d.scanned) {
		if err := d.walk(d.packet, begin); err != nil {
			return err
		}
	}
	pos, err := readStorableHeader(d.packet, begin)
	if err != nil {
		return err
	}
	h, err := readStorableHead(d.packet, pos)
	for err == nil && h.op != storableArray {
		h, err = readStorableHead(d.packet, h.next)
	}
	d.in = storablePlace{op: storableArray, left: h.n, pos: h.next}
	return err
}

func sameMemory(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// find looks for the next value or key. At the end of a container it finds
// kind End.
func (d *storableDecoder) find() {
	d.known = true
	var err error
	switch {
	case d.in.left == 0:
		d.value.kind = End
	case d.in.op == storableArray || d.in.keyRead:
		err = d.findValue()
	default:
		err = d.findKey()
	}
	if err != nil {
		d.fail(err)
	}
}

// findKey finds the key of the next pair, behind its value. Pairs that are not
// really in the hash are passed over.
func (d *storableDecoder) findKey() error {
	for ; d.in.left > 0; d.in.left-- {
		end, err := d.end(d.in.pos)
		if err != nil {
			return err
		}
		key, err := readStorableKey(d.packet, end, d.in.op)
		if err != nil {
			return err
		}
		if key.flags&storableKeyPlaceholder != 0 {
			d.in.pos = key.next
			continue
		}
		d.in.next = key.next
		bytes := d.packet[key.data:key.next]
		switch {
		case key.flags&storableKeyUTF8 != 0:
			d.setCharacters(bytes)
		case key.flags&storableKeyWasUTF8 != 0:
			d.text = d.text[:0]
			for _, c := range bytes {
				d.text = utf8.AppendRune(d.text, rune(c))
			}
			d.setBytes(Text, d.text)
		default:
			d.setBytes(Octets, bytes)
		}
		return nil
	}
	d.value.kind = End
	return nil
}

// findValue looks through references and classes for the next value.
func (d *storableDecoder) findValue() error {
	next := d.in.next // within a pair, the next one
	boolean := false  // the value is an object of a class of JSON booleans
	pos := d.in.pos
	for {
		h, err := readStorableHead(d.packet, pos)
		if err != nil {
			return err
		}
		switch h.op {
		case storableRef, storableOverload, storableWeakRef, storableWeakOver:
			boolean = false
		case storableBless:
			boolean = storableBooleanClass(d.packet[h.data:h.next])
		case storableIXBless:
			boolean = h.n < len(d.index.booleans) && d.index.booleans[h.n]
		case storableVString, storableLVString:
		case storableObject:
			if next == 0 {
				next = h.next
			}
			if h.next, err = d.follow(h.n); err != nil {
				return err
			}
		default:
			d.setValue(h)
			if boolean {
				d.setBool()
			}
			if next == 0 {
				next, err = d.endBehind(pos, h)
			}
			d.value.next = next
			return err
		}
		pos = h.next
	}
}

// follow returns where the value with that index starts, and takes its size
// off the budget.
func (d *storableDecoder) follow(index int) (pos int, err error) {
	pos, ok := d.index.start(index)
	if !ok {
		return 0, storableError(0, "packet is not the one that was scanned")
	}
	end, err := d.end(pos)
	if err != nil {
		return 0, err
	}
	if d.budget -= end - pos; d.budget < 0 {
		return 0, fmt.Errorf("%w: storable: more than %d times its bytes with what it refers to", ErrTooLarge, storableExpansion)
	}
	return pos, nil
}

// end returns where the value at pos ends.
func (d *storableDecoder) end(pos int) (int, error) {
	for {
		h, err := readStorableHead(d.packet, pos)
		if err != nil {
			return 0, err
		}
		switch h.op {
		case storableRef, storableOverload, storableWeakRef, storableWeakOver,
			storableBless, storableIXBless, storableVString, storableLVString:
			pos = h.next
		default:
			return d.endBehind(pos, h)
		}
	}
}

// endBehind returns where the value ends whose head, at pos, is h.
func (d *storableDecoder) endBehind(pos int, h storableHead) (int, error) {
	switch h.op {
	case storableArray, storableHash, storableFlagHash:
		end, ok := d.index.end(pos)
		if !ok {
			return 0, storableError(pos, "packet is not the one that was scanned")
		}
		return end, nil
	}
	return h.next, nil
}

// setValue makes h the next value.
func (d *storableDecoder) setValue(h storableHead) {
	switch h.op {
	case storableByte, storableNetInt:
		d.value.kind = Int
		d.value.num = int64(h.n)
	case storableScalar, storableLScalar:
		d.setBytes(Octets, d.packet[h.data:h.next])
	case storableUTF8Str, storableLUTF8Str:
		d.setCharacters(d.packet[h.data:h.next])
	case storableSVYes:
		d.text = append(d.text[:0], '1')
		d.setBytes(Text, d.text)
	case storableSVNo:
		d.setBytes(Text, d.text[:0])
	case storableTrue:
		d.value.kind = Bool
		d.value.num = 1
	case storableFalse:
		d.value.kind = Bool
		d.value.num = 0
	case storableArray:
		d.value.kind = Array
		d.value.head = h
	case storableHash, storableFlagHash:
		d.value.kind = Map
		d.value.head = h
	default:
		d.value.kind = Nil
	}
}

// setBool makes a boolean of the next value, if that is what a JSON boolean
// holds.
func (d *storableDecoder) setBool() {
	switch v := &d.value; {
	case v.kind == Int && (v.num == 0 || v.num == 1):
		v.kind = Bool
	case v.kind != Text && v.kind != Octets:
	case string(v.bytes) == "1":
		v.kind = Bool
		v.num = 1
	case len(v.bytes) == 0 || string(v.bytes) == "0":
		v.kind = Bool
		v.num = 0
	}
}

// setCharacters sets what Perl takes for UTF-8.
func (d *storableDecoder) setCharacters(b []byte) {
	if utf8.Valid(b) {
		d.setBytes(Text, b)
	} else {
		d.setBytes(Octets, b)
	}
}

func (d *storableDecoder) setBytes(kind Kind, b []byte) {
	d.value.kind = kind
	d.value.bytes = b
}

func (d *storableDecoder) Kind() Kind {
	if !d.known {
		d.find()
	}
	return d.value.kind
}

// Len does not trust a FLAG_HASH, some of whose pairs may not really be in it.
func (d *storableDecoder) Len() int {
	switch {
	case d.err != nil:
		return 0
	case d.in.op == storableFlagHash:
		return -1
	}
	return d.in.left
}

func (d *storableDecoder) Nil()       { d.take(Nil) }
func (d *storableDecoder) Bool() bool { return d.take(Bool) && d.value.num == 1 }

func (d *storableDecoder) Int() int64 {
	if !d.take(Int) {
		return 0
	}
	return d.value.num
}

// Uint fails: numbers that large are strings.
func (d *storableDecoder) Uint() uint64 {
	d.take(Uint)
	return 0
}

// Float fails: numbers that are not whole are strings.
func (d *storableDecoder) Float() float64 {
	d.take(Float)
	return 0
}

func (d *storableDecoder) Bytes() []byte {
	if kind := d.Kind(); kind != Text && kind != Octets {
		d.mismatch(Octets)
		return nil
	}
	d.advance()
	return d.value.bytes
}

func (d *storableDecoder) Open() {
	if kind := d.Kind(); kind != Array && kind != Map {
		d.mismatch(Array)
		return
	}
	if 1+len(d.outer) >= d.limits.Depth {
		d.fail(fmt.Errorf("%w: storable: more than %d levels with what it refers to", ErrTooDeep, d.limits.Depth))
		return
	}
	d.advance()
	d.outer = append(d.outer, d.in)
	h := &d.value.head
	d.in = storablePlace{op: h.op, left: h.n, pos: h.next}
}

func (d *storableDecoder) Close() {
	if d.err != nil {
		return
	}
	if len(d.outer) == 0 {
		d.fail(storableError(len(d.packet), "no array or map to close"))
		return
	}
	d.in = d.outer[len(d.outer)-1]
	d.outer = d.outer[:len(d.outer)-1]
	d.known = false
}

func (d *storableDecoder) Skip() {
	if d.Kind() == End {
		d.fail(storableError(d.in.pos, "no value to skip"))
	} else {
		d.advance()
	}
}

func (d *storableDecoder) Err() error { return d.err }

// take goes past the next value, provided that it is of that kind.
func (d *storableDecoder) take(kind Kind) bool {
	if d.Kind() != kind {
		d.mismatch(kind)
		return false
	}
	d.advance()
	return true
}

// advance goes past the next value, which is known.
func (d *storableDecoder) advance() {
	d.known = false
	if d.in.op != storableArray && !d.in.keyRead {
		d.in.keyRead = true
		return
	}
	d.in.keyRead = false
	d.in.left--
	d.in.pos = d.value.next
}

func (d *storableDecoder) mismatch(wanted Kind) {
	d.fail(storableError(d.in.pos, "want %s, found %s", wanted, d.value.kind))
}

// fail remembers the first error. There are no values from then on.
func (d *storableDecoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.known = true
	d.value.kind = End
}
