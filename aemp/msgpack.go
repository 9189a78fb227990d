package aemp

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// MessagePack is the framing "msgpack": MessagePack arrays back to back. Perl
// nodes do not know it; between two nodes of ours it is the one that costs
// least, and it keeps apart what theirs mix up: text and octets, whole numbers
// and others.
//
// Numbers take the shortest form, but a float is always written as one, with
// 64 bits. A received timestamp is a Float, in seconds; other extension types
// are refused. Keys of maps that are not strings are received as the Text that
// Perl would make of them.
var MessagePack Framing = msgpackFraming{}

type msgpackFraming struct{}

func (msgpackFraming) Name() string { return "msgpack" }

func (msgpackFraming) NewEncoder() Encoder { return &msgpackEncoder{} }

func (msgpackFraming) NewDecoder(limits Limits) Decoder {
	return &msgpackDecoder{limits: limits.WithDefaults()}
}

// The first bytes of values. Numbers and lengths behind them are big endian.
const (
	msgpackPosFixInt = 0x00 // up to 0x7f: the integer itself
	msgpackFixMap    = 0x80 // up to 0x8f: the low 4 bits count the pairs
	msgpackFixArray  = 0x90 // up to 0x9f: the low 4 bits count the values
	msgpackFixStr    = 0xa0 // up to 0xbf: the low 5 bits are the length
	msgpackNil       = 0xc0
	msgpackNever     = 0xc1
	msgpackFalse     = 0xc2
	msgpackTrue      = 0xc3
	msgpackBin8      = 0xc4
	msgpackBin16     = 0xc5
	msgpackBin32     = 0xc6
	msgpackExt8      = 0xc7 // u8 length, i8 type, bytes
	msgpackExt16     = 0xc8
	msgpackExt32     = 0xc9
	msgpackFloat32   = 0xca
	msgpackFloat64   = 0xcb
	msgpackUint8     = 0xcc
	msgpackUint16    = 0xcd
	msgpackUint32    = 0xce
	msgpackUint64    = 0xcf
	msgpackInt8      = 0xd0
	msgpackInt16     = 0xd1
	msgpackInt32     = 0xd2
	msgpackInt64     = 0xd3
	msgpackFixExt1   = 0xd4 // i8 type, 1 byte
	msgpackFixExt2   = 0xd5
	msgpackFixExt4   = 0xd6
	msgpackFixExt8   = 0xd7
	msgpackFixExt16  = 0xd8
	msgpackStr8      = 0xd9
	msgpackStr16     = 0xda
	msgpackStr32     = 0xdb
	msgpackArray16   = 0xdc
	msgpackArray32   = 0xdd
	msgpackMap16     = 0xde
	msgpackMap32     = 0xdf
	msgpackNegFixInt = 0xe0 // up to 0xff: the integer itself, as an i8
)

type msgpackEncoder struct {
	b     []byte
	start int
	err   error
	head  head
}

func (e *msgpackEncoder) Begin(dst []byte, n int) {
	e.b = dst
	e.start = len(dst)
	e.err = nil
	e.Array(n)
}

func (e *msgpackEncoder) resume(dst []byte, n int, port, tag string) bool {
	wire, known := e.head.find(n, port, tag)
	if !known {
		return false
	}
	e.b = append(dst, wire...)
	e.start = len(dst)
	e.err = nil
	return true
}

func (e *msgpackEncoder) hasBegun(start, n int, port, tag string) {
	e.head.learn(e.b[start:], n, port, tag)
}

func (e *msgpackEncoder) End() ([]byte, error) {
	b := e.b
	e.b = nil
	if e.err != nil {
		return b[:e.start], e.err
	}
	return b, nil
}

func (e *msgpackEncoder) Nil() { e.b = append(e.b, msgpackNil) }

func (e *msgpackEncoder) Bool(v bool) {
	if v {
		e.b = append(e.b, msgpackTrue)
	} else {
		e.b = append(e.b, msgpackFalse)
	}
}

func (e *msgpackEncoder) Int(v int64) {
	switch {
	case v >= 0:
		e.Uint(uint64(v))
	case v >= -32:
		e.b = append(e.b, byte(v))
	case v >= math.MinInt8:
		e.b = append(e.b, msgpackInt8, byte(v))
	case v >= math.MinInt16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, msgpackInt16), uint16(v))
	case v >= math.MinInt32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, msgpackInt32), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, msgpackInt64), uint64(v))
	}
}

func (e *msgpackEncoder) Uint(v uint64) {
	switch {
	case v < msgpackFixMap:
		e.b = append(e.b, byte(v))
	case v <= math.MaxUint8:
		e.b = append(e.b, msgpackUint8, byte(v))
	case v <= math.MaxUint16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, msgpackUint16), uint16(v))
	case v <= math.MaxUint32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, msgpackUint32), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, msgpackUint64), v)
	}
}

func (e *msgpackEncoder) Float(v float64) {
	e.b = binary.BigEndian.AppendUint64(append(e.b, msgpackFloat64), math.Float64bits(v))
}

// Text takes v for UTF-8 without looking: it costs as much as the rest, and if
// it is not, the decoder tells.
func (e *msgpackEncoder) Text(v string) {
	if len(v) < 32 {
		e.b = append(e.b, msgpackFixStr|byte(len(v)))
	} else {
		e.size(msgpackStr8, msgpackStr16, msgpackStr32, len(v))
	}
	e.b = append(e.b, v...)
}

func (e *msgpackEncoder) Octets(v []byte) {
	e.size(msgpackBin8, msgpackBin16, msgpackBin32, len(v))
	e.b = append(e.b, v...)
}

func (e *msgpackEncoder) Array(n int) {
	if n < 16 {
		e.b = append(e.b, msgpackFixArray|byte(n))
	} else {
		e.size(0, msgpackArray16, msgpackArray32, n)
	}
}

func (e *msgpackEncoder) Map(n int) {
	if n < 16 {
		e.b = append(e.b, msgpackFixMap|byte(n))
	} else {
		e.size(0, msgpackMap16, msgpackMap32, n)
	}
}

func (e *msgpackEncoder) Key(k string) {
	if utf8.ValidString(k) {
		e.Text(k)
	} else {
		e.Octets([]byte(k))
	}
}

// Close has nothing to write: counts stand in front.
func (e *msgpackEncoder) Close() {}

// size writes a length or count with the smallest of the codes for 8, 16 and
// 32 bits; zero is none.
func (e *msgpackEncoder) size(code8, code16, code32 byte, n int) {
	switch {
	case n <= math.MaxUint8 && code8 != 0:
		e.b = append(e.b, code8, byte(n))
	case n <= math.MaxUint16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, code16), uint16(n))
	case uint64(n) <= math.MaxUint32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, code32), uint32(n))
	case e.err == nil:
		e.err = fmt.Errorf("%w: msgpack has no room for a length of %d", ErrUnsupportedValue, n)
	}
}
