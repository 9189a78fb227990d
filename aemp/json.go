package aemp

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// JSON is the framing that every AEMP node and the simplest of clients speak:
// arrays of JSON in UTF-8, back to back. Nothing stands between packets, and
// white space that does is passed over.
//
// What it cannot tell apart, or carry:
//   - Text and octets. Octets are sent as the characters with their numbers,
//     as Perl does with its byte strings, and come back as text.
//   - Numbers that are not finite: sending one is an error. Perl's JSON::XS
//     does send them, as the words inf, -inf, nan and -nan, which are no JSON.
//     They are read all the same: such a number need not cost the connection.
//
// A float is always written so that it comes back as one, with a point or an
// exponent; a number that has neither is an integer if it fits one.
var JSON Framing = jsonFraming{}

type jsonFraming struct{}

func (jsonFraming) Name() string { return "json" }

func (jsonFraming) NewEncoder() Encoder { return new(jsonEncoder) }

func (jsonFraming) NewDecoder(l Limits) Decoder {
	return &jsonDecoder{jsonScanner: jsonScanner{limits: l.WithDefaults()}}
}

// A jsonEncoder writes a comma behind every value. The bracket that closes the
// array or map takes the place of the last one.
type jsonEncoder struct {
	buf   []byte
	start int    // where the packet begins in buf
	due   []byte // the closing brackets that are due, the next one last
	err   error
	head  head
}

func (e *jsonEncoder) Begin(dst []byte, n int) {
	e.buf, e.start = dst, len(dst)
	e.due = e.due[:0]
	e.err = nil
	e.Array(n)
}

func (e *jsonEncoder) resume(dst []byte, n int, port, tag string) bool {
	wire, known := e.head.find(n, port, tag)
	if !known {
		return false
	}
	e.buf, e.start = append(dst, wire...), len(dst)
	e.due = append(e.due[:0], ']')
	e.err = nil
	return true
}

func (e *jsonEncoder) hasBegun(start, n int, port, tag string) {
	e.head.learn(e.buf[start:], n, port, tag)
}

func (e *jsonEncoder) End() ([]byte, error) {
	e.closeLast()
	buf := e.buf
	e.buf = nil // it is the caller's again
	if e.err != nil {
		return buf[:e.start], e.err
	}
	return buf, nil
}

func (e *jsonEncoder) Nil() { e.buf = append(e.buf, "null,"...) }

func (e *jsonEncoder) Bool(v bool) {
	if v {
		e.buf = append(e.buf, "true,"...)
	} else {
		e.buf = append(e.buf, "false,"...)
	}
}

func (e *jsonEncoder) Int(v int64) {
	e.buf = append(strconv.AppendInt(e.buf, v, 10), ',')
}

func (e *jsonEncoder) Uint(v uint64) {
	e.buf = append(strconv.AppendUint(e.buf, v, 10), ',')
}

// Float uses an exponent where Perl does, which keeps texts short, and as many
// digits as it takes to read the same number back.
func (e *jsonEncoder) Float(v float64) {
	size := math.Abs(v)
	switch {
	case size > math.MaxFloat64 || v != v:
		if e.err == nil {
			e.err = fmt.Errorf("%w: JSON has no number %v", ErrUnsupportedValue, v)
		}
	case size >= 1e15 || size < 1e-4 && v != 0:
		e.buf = append(strconv.AppendFloat(e.buf, v, 'e', -1, 64), ',')
	case v == math.Trunc(v):
		e.buf = append(strconv.AppendFloat(e.buf, v, 'f', 1, 64), ',')
	default:
		e.buf = append(strconv.AppendFloat(e.buf, v, 'f', -1, 64), ',')
	}
}

// Text writes v as octets if it is not UTF-8 after all, since what is not
// UTF-8 makes no JSON.
func (e *jsonEncoder) Text(v string) {
	e.text(v)
	e.buf = append(e.buf, ',')
}

func (e *jsonEncoder) Octets(v []byte) {
	e.octets(v)
	e.buf = append(e.buf, ',')
}

func (e *jsonEncoder) Key(k string) {
	e.text(k)
	e.buf = append(e.buf, ':')
}

func (e *jsonEncoder) Array(int) {
	e.buf = append(e.buf, '[')
	e.due = append(e.due, ']')
}

func (e *jsonEncoder) Map(int) {
	e.buf = append(e.buf, '{')
	e.due = append(e.due, '}')
}

func (e *jsonEncoder) Close() {
	e.closeLast()
	e.buf = append(e.buf, ',')
}

// closeLast writes the closing bracket that is due. It takes the place of the
// comma, which is missing when nothing was written.
func (e *jsonEncoder) closeLast() {
	last := len(e.due) - 1
	closing := e.due[last]
	e.due = e.due[:last]
	if end := len(e.buf) - 1; e.buf[end] == ',' {
		e.buf[end] = closing
	} else {
		e.buf = append(e.buf, closing)
	}
}

func (e *jsonEncoder) text(v string) {
	start := len(e.buf)
	if len(v) > jsonShort {
		e.buf = append(append(e.buf, '"'), v...)
		if jsonPlainText(e.buf[start+1:]) {
			e.buf = append(e.buf, '"')
			return
		}
	}
	if !isText(v) {
		e.buf = e.buf[:start]
		e.octets([]byte(v))
		return
	}
	e.buf = append(e.buf[:start], '"')
	for i := 0; i < len(v); {
		end := jsonPlain(v, i)
		e.buf = append(e.buf, v[i:end]...)
		if end < len(v) {
			e.escape(v[end])
			end++
		}
		i = end
	}
	e.buf = append(e.buf, '"')
}

func (e *jsonEncoder) octets(v []byte) {
	e.buf = append(e.buf, '"')
	for _, c := range v {
		switch {
		case c >= utf8.RuneSelf:
			e.buf = utf8.AppendRune(e.buf, rune(c))
		case c < ' ' || c == '"' || c == '\\':
			e.escape(c)
		default:
			e.buf = append(e.buf, c)
		}
	}
	e.buf = append(e.buf, '"')
}

// escape writes a character that cannot stand for itself in a string, in the
// form that Perl's JSON::XS has for it.
func (e *jsonEncoder) escape(c byte) {
	switch c {
	case '"', '\\':
	case '\b':
		c = 'b'
	case '\t':
		c = 't'
	case '\n':
		c = 'n'
	case '\f':
		c = 'f'
	case '\r':
		c = 'r'
	default:
		const hex = "0123456789abcdef"
		e.buf = append(e.buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		return
	}
	e.buf = append(e.buf, '\\', c)
}

// A jsonDecoder is always one step ahead: when a method returns, pos is at the
// start of the next value, or at the closing bracket, and kind is known. So
// the packet is read once, and Kind costs nothing.
type jsonDecoder struct {
	jsonScanner

	packet  []byte
	pos     int    // the start of the next value
	kind    Kind   // its kind
	end     int    // its end, for numbers and words
	last    int    // the end of the value before it
	number  uint64 // its value, for integers; of an Int the bits
	isKey   bool   // it is the key of a pair
	inside  []byte // the closing brackets of what is open, innermost last
	scratch []byte // the last string that was not in the packet as it is
	err     error
}

// maxJSONScratch is how much memory for a string a decoder keeps for the next
// packet, since few strings with escapes are long.
const maxJSONScratch = 1 << 20

func (d *jsonDecoder) Reset(packet []byte) {
	d.jsonScanner.reset()
	d.packet, d.pos = packet, 0
	d.kind, d.isKey, d.err = End, false, nil
	d.inside = d.inside[:0]
	if cap(d.scratch) > maxJSONScratch {
		d.scratch = nil
	}
	if d.space() != '[' {
		d.wanted("'['")
		return
	}
	d.enter()
}

func (d *jsonDecoder) behind() int {
	if len(d.inside) > 1 || d.err != nil {
		return 0
	}
	return d.last
}

func (d *jsonDecoder) skipTo(end, _ int) { d.advance(end) }

func (d *jsonDecoder) Kind() Kind { return d.kind }

// Len is not known before all values have been seen.
func (d *jsonDecoder) Len() int { return -1 }

func (d *jsonDecoder) Err() error { return d.err }

func (d *jsonDecoder) Nil() {
	if d.kind != Nil {
		d.mismatch(Nil.String())
		return
	}
	d.advance(d.end)
}

func (d *jsonDecoder) Bool() bool {
	if d.kind != Bool {
		d.mismatch(Bool.String())
		return false
	}
	v := d.packet[d.pos] == 't'
	d.advance(d.end)
	return v
}

func (d *jsonDecoder) Int() int64 {
	if d.kind != Int {
		d.mismatch("integer that fits an int64")
		return 0
	}
	v := int64(d.number)
	d.advance(d.end)
	return v
}

func (d *jsonDecoder) Uint() uint64 {
	if d.kind != Uint {
		d.mismatch("integer above the largest int64")
		return 0
	}
	v := d.number
	d.advance(d.end)
	return v
}

func (d *jsonDecoder) Float() float64 {
	if d.kind != Float {
		d.mismatch(Float.String())
		return 0
	}
	digits := d.packet[d.pos:d.end]
	var v float64
	var err error
	switch string(digits) {
	case "inf":
		v = math.Inf(1)
	case "-inf":
		v = math.Inf(-1)
	case "nan", "-nan":
		v = math.NaN()
	default:
		v, err = strconv.ParseFloat(string(digits), 64)
	}
	if err != nil { // the grammar has been checked, so it is the range
		text := fmt.Sprintf("%.40s", digits)
		d.fail(d.pos, "number out of range: "+text)
		return 0
	}
	d.advance(d.end)
	return v
}

func (d *jsonDecoder) Bytes() []byte {
	if d.kind != Text {
		d.mismatch(Text.String())
		return nil
	}
	text, end := d.text(d.pos + 1)
	if d.err != nil {
		return nil
	}
	d.advance(end)
	return text
}

func (d *jsonDecoder) Open() {
	if d.kind != Array && d.kind != Map {
		d.mismatch("array or map")
		return
	}
	d.enter()
}

func (d *jsonDecoder) Close() {
	if len(d.inside) <= 1 {
		d.fail(d.pos, "Close, but no array or map is open")
		return
	}
	for d.kind != End {
		d.Skip()
	}
	if d.err == nil {
		d.leave()
	}
}

// Skip reads what it passes over, so that no malformed packet escapes notice
// because nobody asked for its values.
func (d *jsonDecoder) Skip() {
	outside := len(d.inside)
	for {
		switch d.kind {
		case Text:
			d.Bytes()
		case Array, Map:
			d.enter()
		case End:
			if len(d.inside) == outside {
				d.mismatch("a value")
				return
			}
			d.leave()
		default:
			d.advance(d.end)
		}
		if d.err != nil || len(d.inside) == outside {
			return
		}
	}
}

// enter goes behind the bracket at pos that opens an array or map.
func (d *jsonDecoder) enter() {
	closing := d.packet[d.pos] + 2 // as in the scanner
	d.inside = append(d.inside, closing)
	d.pos++
	if d.space() == closing {
		d.kind = End
		return
	}
	d.element()
}

// leave goes behind the closing bracket at pos.
func (d *jsonDecoder) leave() {
	d.inside = d.inside[:len(d.inside)-1]
	d.advance(d.pos + 1)
}

// advance goes on to the next value, from the end of the one before.
func (d *jsonDecoder) advance(end int) {
	d.pos, d.last = end, end
	c := d.space()
	if d.isKey {
		if c != ':' {
			d.wanted("':'")
			return
		}
		d.isKey = false
		d.pos++
		d.value()
		return
	}
	closing := d.inside[len(d.inside)-1]
	switch c {
	case ',':
		d.pos++
		d.element()
	case closing:
		d.kind = End
	default:
		d.wanted(fmt.Sprintf("',' or %q", closing))
	}
}

// element goes to the value of an array, or the key of a map, that begins
// behind pos and white space.
func (d *jsonDecoder) element() {
	if d.inside[len(d.inside)-1] == ']' {
		d.value()
		return
	}
	if d.space() != '"' {
		d.wanted("a key")
		return
	}
	d.isKey = true
	d.kind = Text
}

// value finds the kind of the value behind pos and white space, and as much
// more as is found on the way.
func (d *jsonDecoder) value() {
	switch c := d.space(); c {
	case '"':
		d.kind = Text
	case '[':
		d.kind = Array
	case '{':
		d.kind = Map
	case 'n':
		if bytes.HasPrefix(d.packet[d.pos:], []byte("na")) {
			d.word("nan", Float)
		} else {
			d.word("null", Nil)
		}
	case 'i':
		d.word("inf", Float)
	case 't':
		d.word("true", Bool)
	case 'f':
		d.word("false", Bool)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		d.numeral()
	default:
		d.wanted("a value")
	}
}

func (d *jsonDecoder) word(w string, kind Kind) {
	end := d.pos + len(w)
	if end > len(d.packet) || string(d.packet[d.pos:end]) != w {
		d.wanted(w)
		return
	}
	d.kind, d.end = kind, end
}

// space passes over white space and returns the byte behind it, or 0, which
// has no place in JSON, at the end of the packet.
func (d *jsonDecoder) space() byte {
	for d.pos < len(d.packet) {
		c := d.packet[d.pos]
		if c > ' ' || jsonClasses[c] != jsonSpace {
			return c
		}
		d.pos++
	}
	return 0
}

// mismatch remembers that a method was called which the next value does not
// fit.
func (d *jsonDecoder) mismatch(want string) {
	d.fail(d.pos, "want "+want+", found "+d.kind.String())
}

// wanted remembers that the byte at pos is not what the grammar wants there.
func (d *jsonDecoder) wanted(what string) { d.wantedAt(d.pos, what) }

func (d *jsonDecoder) wantedAt(at int, what string) {
	found := "the end"
	if at < len(d.packet) {
		found = fmt.Sprintf("%q", d.packet[at])
	}
	d.fail(at, "want "+what+", found "+found)
}

// fail remembers the first error, and lets every value after it be the end.
func (d *jsonDecoder) fail(at int, what string) {
	d.kind = End
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s at byte %d", ErrMalformed, what, at)
	}
}
