package aemp

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/portmesh/portmesh/internal/ascii"
)

// A jsonScanner finds the ends of packets. It looks at each byte once, however
// many pieces a packet comes in, and checks what that takes: the nesting, the
// kinds of brackets, and that no byte stands outside strings that has no use
// there. The rest of the grammar is checked as the packet is read.
type jsonScanner struct {
	limits   Limits
	seen     int    // so many bytes have been looked at
	inString bool   // they end inside a string
	due      []byte // the closing brackets that are due, the next one last
}

func (s *jsonScanner) reset() {
	s.seen = 0
	s.inString = false
	s.due = s.due[:0]
}

// Scan implements [Decoder]. The limit on the size counts white space before
// the packet too, since a connection has to hold it. Bytes beyond the limit
// are not looked at, so that the answer does not depend on how many of them
// have come already.
func (s *jsonScanner) Scan(b []byte) (int, error) {
	limit := s.limits.MessageSize
	n, err := s.scan(b[:min(len(b), limit)])
	if n == 0 && err == nil && len(b) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return n, err
}

func (s *jsonScanner) scan(b []byte) (int, error) {
	i := s.seen
	if len(s.due) == 0 {
		for i < len(b) && jsonClasses[b[i]] == jsonSpace {
			i++
		}
		if i < len(b) && b[i] != '[' {
			s.seen = i
			return 0, notJSONArray(b[i], i)
		}
	}
	for i < len(b) {
		if s.inString {
			end, closed := jsonStringEnd(b, i)
			i = end
			if !closed {
				break
			}
			s.inString = false
			continue
		}
		c := b[i]
		switch jsonClasses[c] {
		case jsonQuote:
			s.inString = true
		case jsonOpening:
			if len(s.due) >= s.limits.Depth {
				s.seen = i
				return 0, fmt.Errorf("%w: more than %d levels at byte %d", ErrTooDeep, s.limits.Depth, i)
			}
			s.due = append(s.due, c+2) // as it happens, ']' is '['+2 and '}' is '{'+2
		case jsonClosing:
			last := len(s.due) - 1
			if s.due[last] != c {
				s.seen = i
				return 0, fmt.Errorf("%w: want %q, found %q at byte %d", ErrMalformed, s.due[last], c, i)
			}
			s.due = s.due[:last]
			if last == 0 {
				s.reset()
				return i + 1, nil
			}
		case jsonNever:
			s.seen = i
			return 0, fmt.Errorf("%w: found %q at byte %d", ErrMalformed, c, i)
		}
		i++
	}
	s.seen = i
	return 0, nil
}

// jsonShort is up to which length the end of a string is looked for as it is when
// the string is read.
const jsonShort = 32

// jsonStringEnd returns the position behind the quote that ends the string
// which b[i] is in. When that has not come yet, it returns false and the
// position to go on from: the end of b, or a last backslash that waits for what
// it escapes.
func jsonStringEnd(b []byte, i int) (end int, closed bool) {
	// Most strings are short and have no escapes.
	if at := jsonPlain(b[:min(i+jsonShort, len(b))], i); at < len(b) && b[at] == '"' {
		return at + 1, true
	}
	for {
		// Two fast searches over long strings beat one loop that looks for
		// both bytes. The second stays in front of what the first found, so
		// that many escapes do not make it quadratic.
		stop := len(b)
		quote := bytes.IndexByte(b[i:], '"')
		if quote >= 0 {
			stop = i + quote
		}
		for i < stop {
			escape := bytes.IndexByte(b[i:stop], '\\')
			if escape < 0 {
				i = stop
				break
			}
			i += escape + 2
		}
		// Now i is at stop, or one further when a backslash stands before it.
		switch {
		case quote < 0 && i > stop:
			return len(b) - 1, false
		case quote < 0:
			return len(b), false
		case i == stop:
			return stop + 1, true
		}
	}
}

// notJSONArray tells what begins with c, where only an array may.
func notJSONArray(c byte, at int) error {
	switch c {
	case '{', '"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 't', 'f', 'n', 'i':
		return fmt.Errorf("%w: it begins with %q at byte %d", ErrNotArray, c, at)
	}
	return fmt.Errorf("%w: want '[', found %q at byte %d", ErrMalformed, c, at)
}

// What a byte outside of strings is to the scanner.
const (
	jsonNever   = iota // of no use there
	jsonSpace          // white space
	jsonWord           // part of a number or of a word, or a separator
	jsonQuote          // the start of a string
	jsonOpening        // [ or {
	jsonClosing        // ] or }
)

var jsonClasses = [256]uint8{
	' ': jsonSpace, '\t': jsonSpace, '\n': jsonSpace, '\r': jsonSpace,
	'"': jsonQuote,
	'[': jsonOpening, '{': jsonOpening,
	']': jsonClosing, '}': jsonClosing,
	',': jsonWord, ':': jsonWord, '+': jsonWord, '-': jsonWord, '.': jsonWord,
	'0': jsonWord, '1': jsonWord, '2': jsonWord, '3': jsonWord, '4': jsonWord,
	'5': jsonWord, '6': jsonWord, '7': jsonWord, '8': jsonWord, '9': jsonWord,
	'a': jsonWord, 'e': jsonWord, 'f': jsonWord, 'i': jsonWord, 'l': jsonWord,
	'n': jsonWord, 'r': jsonWord, 's': jsonWord, 't': jsonWord, 'u': jsonWord,
	'E': jsonWord,
}

// jsonPlainText tells whether a long string stands for itself, and is ASCII. To look
// at it three times takes a third of the time that jsonPlain needs.
func jsonPlainText(s []byte) bool {
	return ascii.Printable(s) && bytes.IndexByte(s, '"') < 0 && bytes.IndexByte(s, '\\') < 0
}

// jsonPlain returns the position of the first byte of s, at i or later, that
// does not stand for itself in a string: a quote, a backslash or a control
// character. It returns len(s) when there is none.
func jsonPlain[S string | []byte](s S, i int) int {
	const ones = 0x0101010101010101
	for ; i+8 <= len(s); i += 8 {
		t := s[i : i+8]
		w := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
			uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		// In each line the lowest byte whose top bit is set is the first one
		// sought; a borrow can only mark bytes above it.
		control := (w - ones*0x20) &^ w
		quote := w ^ ones*'"'
		quote = (quote - ones) &^ quote
		escape := w ^ ones*'\\'
		escape = (escape - ones) &^ escape
		if found := (control | quote | escape) & (ones << 7); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// text reads a string whose characters begin at i, and returns it and the
// position behind its closing quote. It is a part of the packet if it can be,
// else it stands in scratch.
func (d *jsonDecoder) text(i int) (text []byte, end int) {
	b := d.packet
	if end = min(i+jsonShort, len(b)); bytes.IndexByte(b[i:end], '"') < 0 {
		quote := bytes.IndexByte(b[end:], '"')
		if quote >= 0 && jsonPlainText(b[i:end+quote]) {
			end += quote
			return b[i:end:end], end + 1
		}
	}
	end = jsonPlain(b, i)
	if end < len(b) && b[end] == '"' && (ascii.Only(b[i:end]) || utf8.Valid(b[i:end])) {
		return b[i:end:end], end + 1
	}
	d.scratch = d.scratch[:0]
	for {
		d.scratch = append(d.scratch, b[i:end]...)
		switch {
		case !utf8.Valid(b[i:end]):
			d.fail(i+jsonInvalid(b[i:end]), "string that is not UTF-8")
		case end == len(b):
			d.wantedAt(end, "the end of a string")
		case b[end] == '"':
			return d.scratch, end + 1
		case b[end] == '\\':
			i = d.unescape(end)
		default:
			d.fail(end, fmt.Sprintf("control character %q in a string", b[end]))
		}
		if d.err != nil {
			return nil, end
		}
		end = jsonPlain(b, i)
	}
}

// jsonInvalid returns the position of the first byte of b that is not UTF-8.
func jsonInvalid(b []byte) int {
	at := 0
	for at < len(b) {
		r, size := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// unescape appends what the backslash at i and the characters after it stand
// for to scratch, and returns the position behind them.
func (d *jsonDecoder) unescape(i int) (end int) {
	var c byte
	if i+1 < len(d.packet) {
		c = d.packet[i+1]
	}
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	default:
		r := jsonUnit(d.packet[i:])
		if r < 0 {
			d.fail(i, "unknown escape")
			return i
		}
		i += 6
		if utf16.IsSurrogate(r) {
			// Only two that belong together make a character.
			r = utf16.DecodeRune(r, jsonUnit(d.packet[i:]))
			if r != utf8.RuneError {
				i += 6
			}
		}
		d.scratch = utf8.AppendRune(d.scratch, r)
		return i
	}
	d.scratch = append(d.scratch, c)
	return i + 2
}

// jsonUnit returns the UTF-16 unit that b begins with, in the form \u0000, or
// -1.
func jsonUnit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// numeral finds the end and the kind of the number at pos, and the value of an
// integer.
func (d *jsonDecoder) numeral() {
	b, i := d.packet, d.pos
	negative := b[i] == '-'
	if negative {
		i++
		if i < len(b) && b[i] == 'i' {
			d.word("-inf", Float)
			return
		}
		if i < len(b) && b[i] == 'n' {
			d.word("-nan", Float)
			return
		}
	}
	first := i
	var n, over uint64 // the integer, and whether it is larger than that
	for ; i < len(b) && jsonDigit(b[i]); i++ {
		high, low := bits.Mul64(n, 10)
		sum, carry := bits.Add64(low, uint64(b[i]-'0'), 0)
		n = sum
		over |= high | carry
	}
	switch {
	case i == first:
		d.wantedAt(i, "a digit")
		return
	case b[first] == '0' && i > first+1:
		d.fail(first, "number with a leading zero")
		return
	}
	whole := i
	if i < len(b) && b[i] == '.' {
		i = d.digits(i + 1)
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		i = d.digits(i)
	}
	if d.err != nil {
		return
	}
	d.end = i
	switch {
	case i > whole || over != 0 || negative && n > 1<<63:
		d.kind = Float
	case negative:
		d.kind, d.number = Int, -n
	case n > math.MaxInt64:
		d.kind, d.number = Uint, n
	default:
		d.kind, d.number = Int, n
	}
}

// digits returns the position behind the digits at i, of which there must be
// one.
func (d *jsonDecoder) digits(i int) (end int) {
	end = i
	for end < len(d.packet) && jsonDigit(d.packet[end]) {
		end++
	}
	if end == i {
		d.wantedAt(i, "a digit")
	}
	return end
}

func jsonDigit(c byte) bool { return '0' <= c && c <= '9' }
