package aemp

import (
	"errors"
	"fmt"
)

// A Framing is one way to write packets on a connection (section 3 of the
// protocol). A packet is a list of values; what a value may be is told at
// [Message].
//
// The set of framings is open: what a connection offers is the list in
// [Config.Framings], and a Framing of another package serves as well as the
// ones here.
type Framing interface {
	// Name is the word that stands for the framing in greetings.
	Name() string
	// NewEncoder returns an encoder, for use by one goroutine at a time.
	NewEncoder() Encoder
	// NewDecoder returns a decoder, for use by one goroutine at a time. It
	// refuses packets that pass the limits.
	NewDecoder(Limits) Decoder
}

// An Encoder writes packets value by value, without an intermediate form. A
// packet is one Begin, its values, one End:
//
//	e.Begin(buf, 3) // a packet of three values, appended to buf
//	e.Text("port")
//	e.Text("tag")
//	e.Array(2) // the third value is a list of two
//	e.Int(1)
//	e.Nil()
//	e.Close()
//	buf, err = e.End()
//
// A value that the framing cannot carry is remembered and reported by End, so
// that no call in between needs a check. The caller keeps to the announced
// counts and closes what it opens; an Encoder may panic when it does not.
type Encoder interface {
	// Begin starts a packet of n values, which will be appended to dst. It
	// forgets a packet that was not ended.
	Begin(dst []byte, n int)
	Nil()
	Bool(v bool)
	Int(v int64)
	Uint(v uint64)
	Float(v float64)
	// Text writes a string of characters. It must be valid UTF-8.
	Text(v string)
	// Octets writes a string of bytes.
	Octets(v []byte)
	// Array opens a list of n values, which follow, and then Close.
	Array(n int)
	// Map opens a map of n pairs, which follow, each a Key and a value, and
	// then Close.
	Map(n int)
	// Key writes the key of a pair: text when it is valid UTF-8, octets
	// otherwise.
	Key(k string)
	// Close ends the innermost open Array or Map.
	Close()
	// End completes the packet and returns dst with the packet appended. With
	// an error, which wraps [ErrUnsupportedValue], nothing is to be sent: the
	// content of dst up to its former length is as it was.
	End() ([]byte, error)
}

// A Decoder finds packets in a stream of bytes and reads them value by value.
//
// Scan finds the packet, checks it against the limits, and proves it well
// formed as far as its structure goes, so that what follows cannot run out of
// input. Reset goes to its first value, and then:
//
//	for d.Kind() != aemp.End {
//		... // read one value by the method that fits its kind
//	}
//
// A method that does not fit the kind of the next value, as well as an error
// in the content of a value, yields the zero value and is remembered: Err
// tells the first, and from then on every Kind is End.
type Decoder interface {
	// Scan looks for one packet at the start of b and returns its length, or
	// zero when b ends before the packet does; then it is called again with
	// the same bytes and more behind them, and goes on where it stopped.
	// White space that the framing allows before a packet counts into its
	// length. An error wraps [ErrMalformed], [ErrNotArray], [ErrTooDeep] or
	// [ErrTooLarge]; it ends the stream.
	Scan(b []byte) (n int, err error)
	// Reset goes to the first value of the packet, which is what Scan found.
	// The decoder reads it in place: the caller keeps it unchanged until it
	// is read.
	Reset(packet []byte)
	// Kind tells the kind of the next value, without reading it. It is End
	// behind the last value of the packet, or of the innermost open array or
	// map.
	Kind() Kind
	// Len is the number of values that are left in the packet, or in the
	// innermost open array, or pairs in the map; -1 when the framing does not
	// tell. It is never larger than the number of bytes left.
	Len() int
	Nil()
	Bool() bool
	Int() int64
	Uint() uint64
	Float() float64
	// Bytes reads a Text or Octets value. The bytes are valid until the next
	// call of any method.
	Bytes() []byte
	// Open goes into the next value, which is an array or a map. In a map,
	// keys and values take turns; every key is Text or Octets.
	Open()
	// Close leaves the innermost open array or map, past what was not read.
	Close()
	// Skip passes over the next value, whatever it is.
	Skip()
	// Err returns the first error since Reset, or nil.
	Err() error
}

// A Kind is the kind of a value as the wire tells it.
type Kind uint8

// The kinds of values.
const (
	End    Kind = iota // no value: the end of the packet, array or map
	Nil                // undef, null
	Bool               // true or false
	Int                // a whole number that fits an int64
	Uint               // a whole number above that which fits a uint64
	Float              // any other number
	Text               // characters, valid UTF-8
	Octets             // bytes
	Array              // a list of values
	Map                // pairs of keys and values
)

var kindNames = [...]string{"end", "undef", "boolean", "integer", "integer", "number", "text", "octets", "array", "map"}

// String names the kind as error texts do.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Limits bound what a peer can make a decoder hold.
type Limits struct {
	// MessageSize is the largest packet accepted, in bytes as sent. Zero
	// means [DefaultMessageSize].
	MessageSize int
	// Depth is how deep arrays and maps may be nested; a flat packet has the
	// depth 1. Zero means [DefaultDepth].
	Depth int
}

// The limits that hold where none are set. The depth is the one at which
// Perl's decoders stop.
const (
	DefaultMessageSize = 64 << 20
	DefaultDepth       = 512
)

// WithDefaults returns l with zeros replaced by the defaults.
func (l Limits) WithDefaults() Limits {
	if l.MessageSize == 0 {
		l.MessageSize = DefaultMessageSize
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	return l
}

// What can be wrong with a packet. Except for ErrUnsupportedValue, which is
// the sender's own mistake, each of them ends the connection.
var (
	// ErrMalformed: the bytes are not what the framing prescribes.
	ErrMalformed = errors.New("malformed packet")
	// ErrNotArray: a packet is well formed but not a list.
	ErrNotArray = errors.New("packet is not an array")
	// ErrTooDeep: arrays and maps are nested deeper than [Limits.Depth].
	ErrTooDeep = errors.New("packet is nested too deeply")
	// ErrTooLarge: a packet is larger than [Limits.MessageSize], or would be
	// when its references are resolved.
	ErrTooLarge = errors.New("packet is too large")
	// ErrPortName: the first element of a packet is not a string.
	ErrPortName = errors.New("port name is not a string")
	// ErrUnsupportedValue: a value cannot be carried, by this framing or by
	// any.
	ErrUnsupportedValue = errors.New("value cannot be sent")
)
