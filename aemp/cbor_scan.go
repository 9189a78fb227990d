package aemp

import (
	"fmt"
	"math"
	"sort"
)

// Tags that change what an item means. All others are passed over.
const (
	cborTagPosBignum   = 2
	cborTagNegBignum   = 3
	cborTagStringRef   = 25
	cborTagPerlObject  = 26
	cborTagShareable   = 28
	cborTagSharedRef   = 29
	cborTagStringSpace = 256
	cborTagSelf        = 55799 // "this is CBOR"
)

// cborMaxTags is how many tags may stand before one item.
const cborMaxTags = 16

// A cborScanner walks over the heads of items without reading what they hold.
// Where it stands is kept between calls of run, so that bytes which were
// walked over are never looked at again.
type cborScanner struct {
	size  int       // largest offset allowed
	depth int       // largest depth allowed
	refs  *cborRefs // where to note targets of references, or nil

	pos    int // of the next head; beyond the bytes there are while a string comes in
	tags   int // tags before that head
	spaces int // string reference spaces that these tags opened
	stack  []cborLevel
}

// A cborLevel is something whose items are being walked over: an array, a map,
// a string in chunks, or the stream.
type cborLevel struct {
	major  byte
	odd    bool // in a map: a key was met, its value not yet
	left   int  // items that are missing, -1 when a break ends the level
	depth  int
	spaces int
}

// cborStream, in the place of a major type, is the level around a packet: its
// one item must be an array.
const cborStream = 8

// startPacket makes the scanner expect a packet at the start of the bytes.
func (s *cborScanner) startPacket() { s.start(0, cborLevel{major: cborStream, left: 1}) }

// start makes the scanner look for the end of the level, whose next item is at
// pos.
func (s *cborScanner) start(pos int, level cborLevel) {
	s.pos, s.tags, s.spaces = pos, 0, 0
	s.stack = append(s.stack[:0], level)
}

// run goes on until the level that the scanner was started with has ended,
// when it returns true, or until b ends. The position is then behind what was
// found.
func (s *cborScanner) run(b []byte) (bool, error) {
	for s.pos <= len(b) {
		if s.leave() {
			return true, nil
		}
		h, ok := readCBORHead(b, s.pos)
		switch {
		case !ok && len(b) >= s.size, h.next > s.size:
			return false, s.tooLarge()
		case !ok:
			return false, nil
		}
		if h.info >= cborInfo8 {
			if fault := h.fault(); fault != "" {
				return false, s.malformed(fault)
			}
		}
		var err error
		switch {
		case h.major == cborTag:
			err = s.tag(h)
		case h.isBreak():
			err = s.endIndefinite(h)
		default:
			err = s.item(h)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// leave drops the levels that have all their items. It returns true when none
// is left.
func (s *cborScanner) leave() bool {
	for len(s.stack) > 0 {
		level := s.top()
		if level.left != 0 {
			return false
		}
		if s.refs != nil {
			s.refs.leave(level.spaces)
		}
		s.stack = s.stack[:len(s.stack)-1]
	}
	return true
}

func (s *cborScanner) top() *cborLevel { return &s.stack[len(s.stack)-1] }

// tag passes a tag, which is not an item yet.
func (s *cborScanner) tag(h cborHead) error {
	top := s.top()
	switch top.major {
	case cborStream:
		if h.arg != cborTagSelf && h.arg != cborTagStringSpace && h.arg != cborTagShareable {
			return fmt.Errorf("%w: cbor: tag %d at offset %d", ErrNotArray, h.arg, s.pos)
		}
	case cborBytes, cborText:
		return s.malformed("tag before a chunk of a string")
	}
	s.tags++
	if s.tags > cborMaxTags {
		return fmt.Errorf("%w: cbor: more than %d tags in a row at offset %d", ErrTooDeep, cborMaxTags, s.pos)
	}
	if top.depth+s.tags > s.depth {
		return s.tooDeep()
	}
	if s.refs != nil && s.refs.tag(h, s.pos) {
		s.spaces++
	}
	s.pos = h.next
	return nil
}

// endIndefinite takes a break: the innermost level has no more items.
func (s *cborScanner) endIndefinite(h cborHead) error {
	level := s.top()
	if level.left >= 0 || s.tags > 0 {
		return s.malformed("break out of place")
	}
	if level.odd {
		return s.malformed("map that ends behind a key")
	}
	level.left = 0
	s.pos = h.next
	return nil
}

// item passes a whole number, string or simple value, or enters an item that
// is a level itself.
func (s *cborScanner) item(h cborHead) error {
	top := s.top()
	isChunk := top.major == cborBytes || top.major == cborText
	if isChunk && (h.major != top.major || h.indefinite()) {
		return s.malformed("chunk that is not a string of its string's type")
	}
	if top.major == cborStream && h.major != cborArray {
		return fmt.Errorf("%w: cbor: major type %d at offset %d", ErrNotArray, h.major, s.pos)
	}

	// Every item takes a byte at least. Whoever claims more than can come is
	// stopped here, before anything is waited for.
	room := uint64(s.size - h.next)
	inner := cborLevel{major: h.major, depth: top.depth + s.tags + 1, spaces: s.spaces}
	enter := h.indefinite()
	switch h.major {
	case cborArray, cborMap:
		inner.left = int(min(h.arg, room))
		if h.major == cborMap {
			room /= 2
			inner.left *= 2
		}
		if h.arg > room {
			return s.tooLarge()
		}
		if inner.depth > s.depth {
			return s.tooDeep()
		}
		enter = true
	case cborBytes, cborText:
		if h.arg > room {
			return s.tooLarge()
		}
		if s.refs != nil && !isChunk {
			s.refs.text(s.pos, h.arg)
		}
		h.next += int(h.arg)
	}

	if top.left > 0 {
		top.left--
	}
	if top.major == cborMap {
		top.odd = !top.odd
	}
	if enter {
		if h.indefinite() {
			inner.left = -1
		}
		s.stack = append(s.stack, inner)
	} else if s.refs != nil {
		s.refs.leave(s.spaces)
	}
	s.pos, s.tags, s.spaces = h.next, 0, 0
	return nil
}

func (s *cborScanner) malformed(what string) error {
	return fmt.Errorf("%w: cbor: %s at offset %d", ErrMalformed, what, s.pos)
}

func (s *cborScanner) tooDeep() error {
	return fmt.Errorf("%w: cbor: deeper than %d at offset %d", ErrTooDeep, s.depth, s.pos)
}

func (s *cborScanner) tooLarge() error {
	return fmt.Errorf("%w: cbor: item at offset %d goes beyond %d bytes", ErrTooLarge, s.pos, s.size)
}

// cborRefs tells where in a packet the values stand to which references may
// point. Offsets are kept small, since a hostile packet can hold a target
// every three bytes.
type cborRefs struct {
	shared  []cborShared // in the order of their tags
	spaces  []cborSpace  // in the order of their tags
	strings []int32      // the strings of the spaces, one space behind the other

	inside []cborInside // the spaces around the scanner's position
	open   []int32      // their strings so far
}

// A cborShared is a value behind tag 28.
type cborShared struct {
	value int32
	space int32 // the tag of the string reference space around it, or -1
}

// A cborSpace is what tag 256 opens: in it, strings are numbered as they come,
// and tag 25 stands for the string of a number.
type cborSpace struct {
	tag   int32
	first int32 // index in strings
	count int32
}

type cborInside struct {
	space int // index in spaces
	base  int // index in open
}

// cborMaxRefs is the size of packets in which references are followed.
const cborMaxRefs = math.MaxInt32

// build finds the targets in a packet. The scanner must not be in use.
func (r *cborRefs) build(s *cborScanner, packet []byte) error {
	if len(packet) > cborMaxRefs {
		return fmt.Errorf("%w: cbor: references in more than %d bytes", ErrTooLarge, cborMaxRefs)
	}
	r.shared, r.spaces, r.strings = r.shared[:0], r.spaces[:0], r.strings[:0]
	r.inside, r.open = r.inside[:0], r.open[:0]
	s.startPacket()
	s.refs = r
	_, err := s.run(packet)
	s.refs = nil
	return err
}

// tag notes a tag, and reports whether it opened a space.
func (r *cborRefs) tag(h cborHead, pos int) bool {
	switch h.arg {
	case cborTagShareable:
		space := int32(-1)
		if n := len(r.inside); n > 0 {
			space = r.spaces[r.inside[n-1].space].tag
		}
		r.shared = append(r.shared, cborShared{value: int32(h.next), space: space})
	case cborTagStringSpace:
		r.inside = append(r.inside, cborInside{space: len(r.spaces), base: len(r.open)})
		r.spaces = append(r.spaces, cborSpace{tag: int32(pos)})
		return true
	}
	return false
}

// text notes a string of that length, unless a reference to it would not be
// shorter than itself: then it has no number. Strings in chunks, whose length
// is given as 0, and the chunks have none either.
func (r *cborRefs) text(pos int, length uint64) {
	if len(r.inside) == 0 {
		return
	}
	count := len(r.open) - r.inside[len(r.inside)-1].base
	if length >= cborMinStringRef(uint64(count)) {
		r.open = append(r.open, int32(pos))
	}
}

// cborMinStringRef returns the length of the shortest string that gets the
// number n.
func cborMinStringRef(n uint64) uint64 {
	switch {
	case n < cborInfo8:
		return 3
	case n <= math.MaxUint8:
		return 4
	case n <= math.MaxUint16:
		return 5
	case n <= math.MaxUint32:
		return 7
	}
	return 11
}

// leave closes the innermost n spaces. Only now a space has all its strings;
// those of the spaces around it are still to come.
func (r *cborRefs) leave(n int) {
	for range n {
		last := r.inside[len(r.inside)-1]
		r.inside = r.inside[:len(r.inside)-1]
		space := &r.spaces[last.space]
		space.first = int32(len(r.strings))
		space.count = int32(len(r.open) - last.base)
		r.strings = append(r.strings, r.open[last.base:]...)
		r.open = r.open[:last.base]
	}
}

// lookup returns the offset of a string, or false when the space whose tag is
// at that offset has none of this number.
func (r *cborRefs) lookup(tag int, number uint64) (int, bool) {
	i := sort.Search(len(r.spaces), func(i int) bool { return int(r.spaces[i].tag) >= tag })
	if i == len(r.spaces) || int(r.spaces[i].tag) != tag || number >= uint64(r.spaces[i].count) {
		return 0, false
	}
	return int(r.strings[int(r.spaces[i].first)+int(number)]), true
}

// cborSizes is for scanShort.
var cborSizes = func() (sizes [256]uint8) {
	for c := range sizes {
		switch major, info := c>>5, c&0x1f; major {
		case cborUint, cborNegint:
			if info < cborInfo8 {
				sizes[c] = 1
			} else if info <= cborInfo64 {
				sizes[c] = 1 + 1<<(info-cborInfo8)
			}
		case cborBytes, cborText:
			switch {
			case info < cborInfo8:
				sizes[c] = 1 + uint8(info)
			case info == cborInfo8:
				sizes[c] = length8
			case info == cborInfo16:
				sizes[c] = length16
			}
		}
	}
	for _, c := range []byte{cborFalse, cborTrue, cborNull} {
		sizes[c] = 1
	}
	sizes[cborFloat64] = 9
	return sizes
}()
