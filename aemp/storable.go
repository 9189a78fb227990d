package aemp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Storable is the framing "storable", which Perl nodes of both generations
// understand: images of Perl's module Storable in network order, each with its
// length in front.
//
// It knows neither numbers that are not whole nor numbers beyond 32 bits; they
// travel as the decimal strings that Perl makes of them, and are received as
// Octets. Booleans travel as Perl's own, the strings "1" and "".
//
// A received image may use the same value twice; it is then read twice. What
// only Perl can make sense of is refused: code, objects with hooks, tied
// variables, regular expressions, and data that contains itself.
var Storable Framing = storableFraming{}

type storableFraming struct{}

func (storableFraming) Name() string { return "storable" }

func (storableFraming) NewEncoder() Encoder { return &storableEncoder{} }

func (storableFraming) NewDecoder(limits Limits) Decoder {
	return &storableDecoder{limits: limits.WithDefaults()}
}

// The two bytes at the start of an image: the major version with the mark of
// network order in the lowest bit, and the minor version, which grows with
// every opcode that Perl adds.
const (
	storableMajor = 2<<1 | 1
	storableMinor = 11
)

// storableMaxImage keeps offsets within 32 bits.
const storableMaxImage = math.MaxUint32

// storableMaxCount is the largest count and string length that Perl writes in
// an image of this version.
const storableMaxCount = math.MaxInt32

// The opcodes of an image. Numbers are big endian. A value gets the next
// index when its opcode is met, from 0; opcodes that only say something about
// the value behind them get none.
const (
	storableObject     = 0  // u32 index: the value with that index again
	storableLScalar    = 1  // u32 length, bytes
	storableArray      = 2  // u32 n, n values
	storableHash       = 3  // u32 n, n times: value, u32 length, key
	storableRef        = 4  // reference to the value that follows
	storableUndef      = 5  // undef
	storableInteger    = 6  // integer of the machine, not in network order
	storableDouble     = 7  // double of the machine, not in network order
	storableByte       = 8  // u8: value + 128
	storableNetInt     = 9  // i32
	storableScalar     = 10 // u8 length, bytes
	storableTiedArray  = 11
	storableTiedHash   = 12
	storableTiedScalar = 13
	storableSVUndef    = 14 // the interpreter's undef: an element never set
	storableSVYes      = 15 // the interpreter's true
	storableSVNo       = 16 // the interpreter's false
	storableBless      = 17 // u8 length (0x80: u32 follows), class: of the value that follows
	storableIXBless    = 18 // u8 (0x80: u32 follows) number of a class met before
	storableHook       = 19
	storableOverload   = 20 // REF to an object with overloaded operators
	storableTiedKey    = 21
	storableTiedIdx    = 22
	storableUTF8Str    = 23 // u8 length, UTF-8
	storableLUTF8Str   = 24 // u32 length, UTF-8
	storableFlagHash   = 25 // u8 flags, u32 n, n times: value, u8 key flags, u32 length, key
	storableCode       = 26
	storableWeakRef    = 27 // REF that does not count
	storableWeakOver   = 28 // OVERLOAD that does not count
	storableVString    = 29 // u8 length, literal: how the string that follows was spelled
	storableLVString   = 30 // u32 length, likewise
	storableUndefElem  = 31 // the interpreter's undef, put into an array
	storableRegexp     = 32
	storableLObject    = 33
	storableTrue       = 34
	storableFalse      = 35
)

// The flags of a key in a FLAG_HASH.
const (
	storableKeyUTF8        = 1  // the key is UTF-8
	storableKeyWasUTF8     = 2  // characters, but here as Latin-1
	storableKeyLocked      = 4  // its value may not be changed
	storableKeyIsValue     = 8  // the key is itself a value; Perl never writes it
	storableKeyPlaceholder = 16 // allowed in the hash, but not in it
)

// A storableEncoder writes what Perl's nfreeze would.
type storableEncoder struct {
	b     []byte
	start int // where the packet starts: one byte is reserved for its length
	open  []storableOpen
	keys  []storableKey // of all open hashes, outermost first
	err   error
}

// A storableOpen is an array or hash that is being written.
type storableOpen struct {
	opcode  int // where its opcode is
	isHash  bool
	flagged bool   // some key needs flags
	key     string // the key that goes behind the next value
	keys    int    // where its keys begin in storableEncoder.keys
}

// A storableKey remembers where a key was written, for the case that a later
// one makes its hash a FLAG_HASH.
type storableKey struct {
	pos   int
	flags byte
}

func (e *storableEncoder) Begin(dst []byte, n int) {
	e.start = len(dst)
	e.b = append(dst, 0, storableMajor, storableMinor)
	e.open = e.open[:0]
	e.keys = e.keys[:0]
	e.err = nil
	e.container(storableArray, n)
}

// End puts the length in front. Messages of less than 128 bytes need no more
// than the reserved byte.
func (e *storableEncoder) End() ([]byte, error) {
	b := e.b
	e.b = nil
	size := len(b) - e.start - 1
	if uint64(size) > storableMaxImage {
		e.fail("a message of %d bytes", size)
	}
	if e.err != nil {
		return b[:e.start], e.err
	}
	var length [5]byte
	first := len(length) - 1
	length[first] = byte(size & 0x7f)
	for rest := size >> 7; rest > 0; rest >>= 7 {
		first--
		length[first] = byte(rest&0x7f) | 0x80
	}
	if extra := len(length) - 1 - first; extra > 0 {
		b = append(b, length[:extra]...)
		copy(b[e.start+1+extra:], b[e.start+1:])
	}
	copy(b[e.start:], length[first:])
	return b, nil
}

func (e *storableEncoder) Nil() {
	e.b = append(e.b, storableUndef)
	e.written()
}

func (e *storableEncoder) Bool(v bool) {
	if v {
		e.b = append(e.b, storableScalar, 1, '1')
	} else {
		e.b = append(e.b, storableScalar, 0)
	}
	e.written()
}

func (e *storableEncoder) Int(v int64) {
	switch {
	case v == int64(int8(v)):
		e.b = append(e.b, storableByte, byte(v+128))
	case v == int64(int32(v)):
		e.b = append(e.b, storableNetInt)
		e.b = binary.BigEndian.AppendUint32(e.b, uint32(v))
	default:
		at := e.beginDecimal()
		e.b = strconv.AppendInt(e.b, v, 10)
		e.endDecimal(at)
	}
	e.written()
}

func (e *storableEncoder) Uint(v uint64) {
	if v <= math.MaxInt64 {
		e.Int(int64(v))
		return
	}
	at := e.beginDecimal()
	e.b = strconv.AppendUint(e.b, v, 10)
	e.endDecimal(at)
	e.written()
}

// storableWhole is the bound below which Perl takes a double without a
// fraction for an integer.
const storableWhole = 1 << 53

// Float writes whole numbers as integers, as Perl does.
func (e *storableEncoder) Float(v float64) {
	if math.Abs(v) < storableWhole && v == math.Trunc(v) {
		e.Int(int64(v))
		return
	}
	at := e.beginDecimal()
	e.b = appendPerlFloat(e.b, v)
	e.endDecimal(at)
	e.written()
}

// beginDecimal starts a number that travels as a string, which is at most 24
// bytes long. It returns where the string's length goes.
func (e *storableEncoder) beginDecimal() (at int) {
	e.b = append(e.b, storableScalar, 0)
	return len(e.b) - 1
}

func (e *storableEncoder) endDecimal(at int) {
	e.b[at] = byte(len(e.b) - at - 1)
}

// Text writes ASCII as Perl has it, without the UTF-8 flag.
func (e *storableEncoder) Text(v string) {
	if storableNeedsUTF8(v) {
		e.str(storableUTF8Str, storableLUTF8Str, len(v))
	} else {
		e.str(storableScalar, storableLScalar, len(v))
	}
	e.b = append(e.b, v...)
	e.written()
}

func (e *storableEncoder) Octets(v []byte) {
	e.str(storableScalar, storableLScalar, len(v))
	e.b = append(e.b, v...)
	e.written()
}

// storableNeedsUTF8 tells whether s has to carry the UTF-8 flag. What is not
// valid UTF-8 is bytes for Perl.
func storableNeedsUTF8(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return utf8.ValidString(s[i:])
		}
	}
	return false
}

// str writes the opcode and length of a string.
func (e *storableEncoder) str(short, long byte, n int) {
	if n <= math.MaxUint8 {
		e.b = append(e.b, short, byte(n))
		return
	}
	e.b = append(e.b, long)
	e.count(n)
}

func (e *storableEncoder) count(n int) {
	if n > storableMaxCount {
		e.fail("a length of %d", n)
	}
	e.b = binary.BigEndian.AppendUint32(e.b, uint32(n))
}

func (e *storableEncoder) Array(n int) {
	e.b = append(e.b, storableRef)
	e.container(storableArray, n)
}

func (e *storableEncoder) Map(n int) {
	e.b = append(e.b, storableRef)
	e.container(storableHash, n)
}

func (e *storableEncoder) container(opcode byte, n int) {
	e.open = append(e.open, storableOpen{
		opcode: len(e.b),
		isHash: opcode == storableHash,
		keys:   len(e.keys),
	})
	e.b = append(e.b, opcode)
	e.count(n)
}

// Key keeps the key for later: in an image it stands behind its value.
func (e *storableEncoder) Key(k string) {
	e.open[len(e.open)-1].key = k
}

// written is called behind each value.
func (e *storableEncoder) written() {
	if hash := &e.open[len(e.open)-1]; hash.isHash {
		e.writeKey(hash)
	}
}

func (e *storableEncoder) writeKey(hash *storableOpen) {
	key := storableKey{pos: len(e.b)}
	switch {
	case !storableNeedsUTF8(hash.key):
		e.count(len(hash.key))
		e.b = append(e.b, hash.key...)
	case storableIsLatin1(hash.key):
		key.flags = storableKeyWasUTF8
		e.count(utf8.RuneCountInString(hash.key))
		for _, r := range hash.key {
			e.b = append(e.b, byte(r))
		}
	default:
		key.flags = storableKeyUTF8
		e.count(len(hash.key))
		e.b = append(e.b, hash.key...)
	}
	hash.flagged = hash.flagged || key.flags != 0
	e.keys = append(e.keys, key)
}

func storableIsLatin1(s string) bool {
	for _, r := range s {
		if r > math.MaxUint8 {
			return false
		}
	}
	return true
}

func (e *storableEncoder) Close() {
	top := &e.open[len(e.open)-1]
	if top.flagged {
		e.addFlags(top.opcode, e.keys[top.keys:])
	}
	e.keys = e.keys[:top.keys]
	e.open = e.open[:len(e.open)-1]
	e.written()
}

// addFlags makes a FLAG_HASH of the HASH just written, which puts one byte
// behind the opcode and one before each key. It moves the parts between them
// from the last to the first.
func (e *storableEncoder) addFlags(opcode int, keys []storableKey) {
	end := len(e.b)
	for range 1 + len(keys) {
		e.b = append(e.b, 0)
	}
	for i := len(keys) - 1; i >= 0; i-- {
		key := keys[i]
		copy(e.b[key.pos+i+2:], e.b[key.pos:end])
		e.b[key.pos+i+1] = key.flags
		end = key.pos
	}
	copy(e.b[opcode+2:], e.b[opcode+1:end])
	e.b[opcode] = storableFlagHash
	e.b[opcode+1] = 0
}

func (e *storableEncoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("%w: storable has no room for %s", ErrUnsupportedValue, fmt.Sprintf(format, args...))
	}
}
