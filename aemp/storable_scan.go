package aemp

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// A storableHead is an opcode with what belongs to it.
type storableHead struct {
	op byte
	// n is the value of an integer, the index of an OBJECT, the number of a
	// class, or the number of values or pairs of a container.
	n int
	// data is where the bytes of a string or class name begin; they go up to
	// next.
	data int
	// next is where that begins which follows: the first value within a
	// container, else the next value.
	next int
}

// storableRefused names what other nodes have no use for.
var storableRefused = map[byte]string{
	storableInteger:    "native integer",
	storableDouble:     "native double",
	storableTiedArray:  "tied array",
	storableTiedHash:   "tied hash",
	storableTiedScalar: "tied scalar",
	storableHook:       "object with a hook",
	storableTiedKey:    "element of a tied hash",
	storableTiedIdx:    "element of a tied array",
	storableCode:       "code",
	storableRegexp:     "regular expression",
	storableLObject:    "large object",
}

// readStorableHead reads the opcode at pos. It fails when the opcode is not
// accepted, or when p has no room for what it announces.
func readStorableHead(p []byte, pos int) (h storableHead, err error) {
	if pos >= len(p) {
		return h, storableError(len(p), "image ends where a value should be")
	}
	h.op = p[pos]
	r := storableReader{p: p, pos: pos + 1}
	switch h.op {
	case storableRef, storableOverload, storableWeakRef, storableWeakOver,
		storableUndef, storableSVUndef, storableUndefElem,
		storableSVYes, storableSVNo, storableTrue, storableFalse:
	case storableByte:
		h.n = int(r.u8()) - 128
	case storableNetInt:
		h.n = int(int32(r.u32()))
	case storableScalar, storableUTF8Str, storableVString:
		h.data = r.bytes(int64(r.u8()))
	case storableLScalar, storableLUTF8Str, storableLVString:
		h.data = r.bytes(int64(r.u32()))
	case storableObject:
		h.n = r.count(int64(r.u32()), 0)
	case storableArray:
		h.n = r.count(int64(r.u32()), 1)
	case storableHash:
		h.n = r.count(int64(r.u32()), 1+4)
	case storableFlagHash:
		r.u8() // whether it is locked; of no meaning here
		h.n = r.count(int64(r.u32()), 1+1+4)
	case storableBless:
		h.data = r.bytes(r.classSize())
	case storableIXBless:
		h.n = r.count(r.classSize(), 0)
	default:
		if what, ok := storableRefused[h.op]; ok {
			return h, storableError(pos, "%s is not accepted", what)
		}
		return h, storableError(pos, "unknown opcode %d", h.op)
	}
	if r.short {
		return h, storableError(pos, "opcode %d claims more than the image holds", h.op)
	}
	h.next = r.pos
	return h, nil
}

// A storableReader reads numbers and lengths. When the image is too short for
// one, it notes that and stays where it is.
type storableReader struct {
	p     []byte
	pos   int
	short bool
}

func (r *storableReader) u8() byte {
	if r.pos >= len(r.p) {
		r.short = true
		return 0
	}
	r.pos++
	return r.p[r.pos-1]
}

func (r *storableReader) u32() uint32 {
	if len(r.p)-r.pos < 4 {
		r.short = true
		return 0
	}
	r.pos += 4
	return binary.BigEndian.Uint32(r.p[r.pos-4:])
}

// classSize reads the length of a class name, or the number of a class.
func (r *storableReader) classSize() int64 {
	n := r.u8()
	if n&0x80 != 0 {
		return int64(r.u32())
	}
	return int64(n)
}

// bytes passes over n bytes and returns where they begin.
func (r *storableReader) bytes(n int64) (begin int) {
	begin = r.pos
	if n > int64(len(r.p)-r.pos) {
		r.short = true
		return begin
	}
	r.pos += int(n)
	return begin
}

// count checks a count of things that take size bytes or more each; an index
// of something met before is below the size of the image as well.
func (r *storableReader) count(n, size int64) int {
	if n*size > int64(len(r.p)-r.pos) || n > int64(len(r.p)) {
		r.short = true
		return 0
	}
	return int(n)
}

// A storablePairKey is the key of a pair, as it stands behind the value.
type storablePairKey struct {
	flags byte
	data  int // where its bytes begin
	next  int // where the next pair begins
}

// readStorableKey reads the key at pos, of a hash that was opened by op.
func readStorableKey(p []byte, pos int, op byte) (k storablePairKey, err error) {
	r := storableReader{p: p, pos: pos}
	if op == storableFlagHash {
		k.flags = r.u8()
	}
	k.data = r.bytes(int64(r.u32()))
	if r.short {
		return k, storableError(pos, "key claims more than the image holds")
	}
	if k.flags&storableKeyIsValue != 0 {
		return k, storableError(pos, "key that is a value is not accepted")
	}
	k.next = r.pos
	return k, nil
}

// A storableIndex is what must be known of a packet, besides its bytes, to
// read it from front to back.
type storableIndex struct {
	// spans are the containers, in the order of their starts: a pair's key
	// stands behind its value, and so is found without walking through that.
	spans []storableSpan
	// shared are the values that an OBJECT refers to, in the order of their
	// indices.
	shared []storableShared
	// booleans tells of each class whether it is one of JSON booleans.
	booleans []bool
}

type storableSpan struct {
	start, end uint32 // from the opcode to behind the last value or key
}

type storableShared struct {
	index uint32
	start uint32 // the first opcode of the value
}

// storableKeep is how many entries a table may have and still be kept for
// the next packet.
const storableKeep = 1 << 12

func (x *storableIndex) clear() {
	x.spans = storableEmpty(x.spans)
	x.shared = storableEmpty(x.shared)
	x.booleans = storableEmpty(x.booleans)
}

func storableEmpty[E any](s []E) []E {
	if cap(s) > storableKeep {
		return nil
	}
	return s[:0]
}

// end returns where the container ends that starts at pos.
func (x *storableIndex) end(pos int) (end int, ok bool) {
	i := sort.Search(len(x.spans), func(i int) bool { return int(x.spans[i].start) >= pos })
	if i == len(x.spans) || int(x.spans[i].start) != pos {
		return 0, false
	}
	return int(x.spans[i].end), true
}

// start returns where the shared value with that index starts.
func (x *storableIndex) start(index int) (pos int, ok bool) {
	i := sort.Search(len(x.shared), func(i int) bool { return int(x.shared[i].index) >= index })
	if i == len(x.shared) || int(x.shared[i].index) != index {
		return 0, false
	}
	return int(x.shared[i].start), true
}

// storableBooleanClass tells whether the objects of a class are JSON booleans.
func storableBooleanClass(name []byte) bool {
	switch string(name) {
	case "JSON::PP::Boolean", "JSON::XS::Boolean", "Types::Serialiser::Boolean":
		return true
	}
	return false
}

// readStorableSize reads the length in front of an image. It returns where
// the image begins, or zero when b is too short to tell. A length that cannot
// be within the limit is refused as soon as that is certain.
func readStorableSize(b []byte, limit int) (begin, size int, err error) {
	var n uint64
	for i, c := range b {
		if i == 5 {
			return 0, 0, storableError(0, "length has more than 5 bytes")
		}
		n = n<<7 | uint64(c&0x7f)
		if n > storableMaxImage || n > uint64(limit-min(limit, i+1)) {
			return 0, 0, fmt.Errorf("%w: image of at least %d bytes, the limit is %d", ErrTooLarge, n, limit)
		}
		if c&0x80 == 0 {
			return i + 1, int(n), nil
		}
	}
	return 0, 0, nil
}

// A storableWalk goes through an image once, without recursion, and proves
// that it is well formed.
type storableWalk struct {
	p      []byte
	depth  int
	x      *storableIndex
	levels []storableLevel
	next   int // index of the next value
	// found is how many of x.shared have their start already. Which values
	// are shared is known only behind the first walk, so that the starts are
	// noted in a second one, of the few images that need it.
	found  int
	second bool
}

// A storableLevel is a container that the walk is in.
type storableLevel struct {
	op   byte
	left int // values that are not complete
	span int // its number in storableIndex.spans
	// first and last are indices: those of the references that lead to the
	// container, and its own. None of them is complete before it is.
	first, last int
}

// walkStorable walks through p from the start of the image, at pos, and fills
// x. The levels are scratch space, returned for the next time.
func walkStorable(p []byte, pos, depth int, x *storableIndex, levels []storableLevel) ([]storableLevel, error) {
	x.clear()
	pos, err := readStorableHeader(p, pos)
	if err != nil {
		return levels, err
	}
	w := storableWalk{p: p, depth: depth, x: x, levels: levels}
	if err := w.run(pos); err != nil {
		return w.levels, err
	}
	if len(x.shared) == 0 {
		return w.levels, nil
	}
	slices.SortFunc(x.shared, func(a, b storableShared) int { return cmp.Compare(a.index, b.index) })
	x.shared = slices.Compact(x.shared)
	x.spans = x.spans[:0]
	x.booleans = x.booleans[:0]
	w.second = true
	err = w.run(pos)
	return w.levels, err
}

// readStorableHeader checks the start of the image up to the opcode of the
// outermost array, whose place it returns.
func readStorableHeader(p []byte, pos int) (int, error) {
	if len(p)-pos < 2 {
		return 0, storableError(pos, "image is too short")
	}
	switch major := p[pos] >> 1; {
	case p[pos]&1 == 0:
		return 0, storableError(pos, "image is in native byte order, not in network order")
	case p[pos] != storableMajor:
		return 0, storableError(pos, "image has major version %d", major)
	}
	return pos + 2, nil
}

// run walks from the opcode of the outermost value to the end of the image.
func (w *storableWalk) run(pos int) error {
	w.levels = w.levels[:0]
	w.next = 0
	for {
		opened, next, err := w.value(pos)
		if err != nil {
			return err
		}
		if pos, err = w.complete(next, !opened); err != nil {
			return err
		}
		if len(w.levels) == 0 {
			break
		}
	}
	if pos != len(w.p) {
		return storableError(pos, "image ends %d bytes behind its value", len(w.p)-pos)
	}
	return nil
}

// value reads the value at pos, of a container only the head, and tells
// whether it was one.
func (w *storableWalk) value(pos int) (opened bool, next int, err error) {
	first, start := w.next, pos
	for {
		h, err := readStorableHead(w.p, pos)
		if err != nil {
			return false, 0, err
		}
		if len(w.levels) == 0 && h.op != storableArray && h.op != storableBless && h.op != storableIXBless {
			return false, 0, fmt.Errorf("%w: image of a value with opcode %d", ErrNotArray, h.op)
		}
		switch h.op {
		case storableRef, storableOverload, storableWeakRef, storableWeakOver:
			w.number(start)
			start = h.next
		case storableBless:
			w.x.booleans = append(w.x.booleans, storableBooleanClass(w.p[h.data:h.next]))
		case storableIXBless:
			if h.n >= len(w.x.booleans) {
				return false, 0, storableError(pos, "class %d was not seen before", h.n)
			}
		case storableVString, storableLVString:
		case storableArray, storableHash, storableFlagHash:
			w.number(start)
			return true, h.next, w.open(h, pos, first)
		case storableObject:
			return false, h.next, w.object(h.n, pos, first)
		default:
			w.number(start)
			return false, h.next, nil
		}
		pos = h.next
	}
}

// number gives the value that starts at pos its index.
func (w *storableWalk) number(pos int) {
	if w.second && w.found < len(w.x.shared) && int(w.x.shared[w.found].index) == w.next {
		w.x.shared[w.found].start = uint32(pos)
		w.found++
	}
	w.next++
}

func (w *storableWalk) open(h storableHead, pos, first int) error {
	if len(w.levels) >= w.depth {
		return fmt.Errorf("%w: more than %d levels at offset %d", ErrTooDeep, w.depth, pos)
	}
	w.levels = append(w.levels, storableLevel{
		op: h.op, left: h.n, span: len(w.x.spans), first: first, last: w.next - 1,
	})
	w.x.spans = append(w.x.spans, storableSpan{start: uint32(pos)})
	return nil
}

// object checks a reference to the value with that index. What is complete
// cannot contain the value that refers to it, so that there are no cycles.
func (w *storableWalk) object(index, pos, first int) error {
	if index >= w.next {
		return storableError(pos, "value %d was not seen before", index)
	}
	i := sort.Search(len(w.levels), func(i int) bool { return w.levels[i].last >= index })
	if index >= first || i < len(w.levels) && w.levels[i].first <= index {
		return storableError(pos, "cyclic data: value %d contains itself", index)
	}
	if !w.second {
		w.x.shared = append(w.x.shared, storableShared{index: uint32(index)})
	}
	return nil
}

// complete goes on behind a value, or behind the head of a container: past
// the ends of all containers that have no more values, and past keys.
func (w *storableWalk) complete(pos int, value bool) (int, error) {
	for len(w.levels) > 0 {
		top := &w.levels[len(w.levels)-1]
		if value {
			top.left--
			if top.op != storableArray {
				key, err := readStorableKey(w.p, pos, top.op)
				if err != nil {
					return 0, err
				}
				pos = key.next
			}
		}
		if top.left > 0 {
			break
		}
		w.x.spans[top.span].end = uint32(pos)
		w.levels = w.levels[:len(w.levels)-1]
		value = true
	}
	return pos, nil
}

// storableError tells what is wrong at that offset of the packet.
func storableError(pos int, format string, args ...any) error {
	return fmt.Errorf("%w: storable: %s at offset %d", ErrMalformed, fmt.Sprintf(format, args...), pos)
}
