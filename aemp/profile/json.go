package profile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A value of the file is nil, a bool, a [json.Number], a string, an *array or an
// *object. Numbers keep their digits, objects the order of their keys, and both
// kinds of containers their comments, so that what is read and written again
// says the same to people as well.
type (
	object struct {
		members []*member
		tail    []string // comments behind the last member
	}
	array struct {
		items []*item
		tail  []string
	}
	member struct {
		key string
		item
	}
	item struct {
		before []string // comments in the lines above
		value  any
		after  string // comment in the same line
	}
)

func (o *object) find(key string) *member {
	for _, m := range o.members {
		if m.key == key {
			return m
		}
	}
	return nil
}

func (o *object) set(key string, value any) {
	if m := o.find(key); m != nil {
		m.value = value
		return
	}
	o.members = append(o.members, &member{key: key, item: item{value: value}})
}

func (o *object) delete(key string) {
	o.members = slices.DeleteFunc(o.members, func(m *member) bool { return m.key == key })
}

// A SyntaxError tells where a file is not what it should be.
type SyntaxError struct {
	Path         string // may be empty
	Line, Column int    // from 1; the column counts characters
	Text         string // what is wrong there
}

func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("profile: line %d, column %d: %s", e.Line, e.Column, e.Text)
	}
	return fmt.Sprintf("profile: %s:%d:%d: %s", e.Path, e.Line, e.Column, e.Text)
}

// maxDepth bounds the nesting of values. It is that of Perl's JSON::XS.
const maxDepth = 512

// A reader reads relaxed JSON: what RFC 8259 allows, besides commas behind the
// last element, comments from # to the end of the line, and tabs in strings.
type reader struct {
	text  string
	pos   int
	depth int
}

// A document is the content of a file: an object, and the comments outside.
type document struct {
	head []string
	root *object
	foot []string
}

// readDocument reads a text that holds one object, or nothing.
func readDocument(text string) (doc document, err error) {
	r := &reader{text: text}
	err = r.catch(func() { doc = r.document() })
	return doc, err
}

// bytes returns the text of a document.
func (d document) bytes() []byte {
	text := writeComments(nil, d.head, "")
	text = append(writeValue(text, d.root, ""), '\n')
	return writeComments(text, d.foot, "")
}

// catch calls f and returns what it failed with.
func (r *reader) catch(f func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *SyntaxError:
			err = e
		default:
			panic(e)
		}
	}()
	f()
	return nil
}

// document reads the whole text.
func (r *reader) document() document {
	for i := 0; i < len(r.text); {
		c, size := utf8.DecodeRuneInString(r.text[i:])
		if c == utf8.RuneError && size == 1 {
			r.pos = i
			r.fail("this is not UTF-8")
		}
		i += size
	}
	_, head := r.space()
	if r.pos == len(r.text) { // as good as no file
		return document{head: head, root: &object{}}
	}
	if r.peek() != '{' {
		r.fail("the file must hold an object, { ... }")
	}
	root := r.value().(*object)
	same, own := r.space()
	if r.pos < len(r.text) {
		r.fail("something follows the end of the object")
	}
	return document{head, root, slices.Concat(same, own)}
}

// fail gives up at the current position.
func (r *reader) fail(format string, args ...any) {
	before := r.text[:r.pos]
	start := strings.LastIndexByte(before, '\n') + 1
	panic(&SyntaxError{
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[start:]) + 1,
		Text:   fmt.Sprintf(format, args...),
	})
}

// peek returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	if r.pos < len(r.text) {
		return r.text[r.pos]
	}
	return 0
}

// what describes the next thing, for errors.
func (r *reader) what() string {
	if r.pos == len(r.text) {
		return "the end of the file"
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.pos:])
	return strconv.QuoteRune(c)
}

// space skips white space, and returns the comments in it: that in the line of
// what stands before, and those in lines of their own.
func (r *reader) space() (same, own []string) {
	newline := r.pos == 0
	for {
		switch r.peek() {
		case '\n':
			newline = true
		case ' ', '\t', '\r':
		case '#':
			line, _, _ := strings.Cut(r.text[r.pos:], "\n")
			r.pos += len(line)
			comment := strings.TrimRight(line, " \t\r")
			if newline {
				own = append(own, comment)
			} else {
				same = append(same, comment)
			}
			continue
		default:
			return same, own
		}
		r.pos++
	}
}

func (r *reader) value() any {
	switch c := r.peek(); {
	case c == '{':
		o := &object{}
		seen := make(map[string]*member)
		o.tail = r.list('}', func(before []string) *item {
			if r.peek() != '"' {
				r.fail("want a key in double quotes, have %s", r.what())
			}
			key := r.string()
			same, own := r.space()
			before = slices.Concat(before, same, own)
			if r.peek() != ':' {
				r.fail("want a colon behind the key %q, have %s", key, r.what())
			}
			r.pos++
			same, own = r.space()
			before = slices.Concat(before, same, own)
			// Of keys that are there twice, the last counts.
			if m := seen[key]; m != nil {
				o.members = slices.DeleteFunc(o.members, func(other *member) bool { return other == m })
				before = slices.Concat(m.before, before)
			}
			m := &member{key: key, item: item{before: before}}
			seen[key] = m
			m.value = r.value()
			o.members = append(o.members, m)
			return &m.item
		})
		return o
	case c == '[':
		a := &array{}
		a.tail = r.list(']', func(before []string) *item {
			i := &item{before: before, value: r.value()}
			a.items = append(a.items, i)
			return i
		})
		return a
	case c == '"':
		return r.string()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	for word, v := range map[string]any{"true": true, "false": false, "null": nil} {
		if strings.HasPrefix(r.text[r.pos:], word) {
			r.pos += len(word)
			return v
		}
	}
	r.fail("want a value, have %s", r.what())
	return nil
}

// list reads what stands between brackets. It returns the comments behind the
// last element.
func (r *reader) list(end byte, element func(before []string) *item) (tail []string) {
	if r.depth++; r.depth > maxDepth {
		r.fail("nested too deeply, more than %d levels", maxDepth)
	}
	defer func() { r.depth-- }()
	r.pos++
	same, own := r.space()
	before := append(same, own...)
	for r.peek() != end {
		i := element(before)
		var after []string
		after, before = r.space()
		comma := r.peek() == ','
		if comma {
			r.pos++
			same, own = r.space()
			if len(before) == 0 {
				after = append(after, same...)
			} else {
				before = append(before, same...)
			}
			before = append(before, own...)
		}
		i.after = strings.Join(after, " ")
		if !comma && r.peek() != end {
			r.fail("want a comma or %c, have %s", end, r.what())
		}
	}
	r.pos++
	return before
}

func (r *reader) string() string {
	r.pos++
	var b strings.Builder
	for {
		switch c := r.peek(); {
		case c == '"':
			r.pos++
			return b.String()
		case r.pos == len(r.text):
			r.fail("the file ends within a string")
		case c == '\\':
			b.WriteRune(r.escape())
		case c < ' ' && c != '\t':
			r.fail("%s within a string; its closing quote may be missing", r.what())
		default:
			b.WriteByte(c)
			r.pos++
		}
	}
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (r *reader) escape() rune {
	start := r.pos
	r.pos++
	if c, ok := escapes[r.peek()]; ok {
		r.pos++
		return c
	}
	if r.peek() != 'u' {
		r.fail("want one of \"\\/bfnrtu behind a backslash, have %s", r.what())
	}
	c := r.hex()
	if !utf16.IsSurrogate(c) {
		return c
	}
	if strings.HasPrefix(r.text[r.pos:], `\u`) {
		r.pos++
		if c = utf16.DecodeRune(c, r.hex()); c != utf8.RuneError {
			return c
		}
	}
	r.pos = start
	r.fail("half of a surrogate pair")
	return 0
}

// hex reads the letter u and four digits.
func (r *reader) hex() rune {
	r.pos++
	digits := r.text[r.pos:min(r.pos+4, len(r.text))]
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil || len(digits) < 4 {
		r.fail("want four hexadecimal digits behind \\u")
	}
	r.pos += 4
	return rune(n)
}

func (r *reader) number() json.Number {
	start := r.pos
	for strings.IndexByte("+-.0123456789eE", r.peek()) >= 0 && r.pos < len(r.text) {
		r.pos++
	}
	text := r.text[start:r.pos]
	if !json.Valid([]byte(text)) {
		r.pos = start
		r.fail("%q is not a number", text)
	}
	return json.Number(text)
}

// writeValue appends a value as JSON::XS writes it when it is to be pretty.
func writeValue(dst []byte, v any, indent string) []byte {
	const step = "   "
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case json.Number:
		return append(dst, v...)
	case string:
		return writeString(dst, v)
	case *object:
		if len(v.members) == 0 && len(v.tail) == 0 {
			return append(dst, "{}"...)
		}
		dst = append(dst, '{', '\n')
		for i, m := range v.members {
			dst = writeComments(dst, m.before, indent+step)
			dst = writeString(append(append(dst, indent...), step...), m.key)
			dst = writeValue(append(dst, " : "...), m.value, indent+step)
			dst = endItem(dst, &m.item, i == len(v.members)-1)
		}
		dst = writeComments(dst, v.tail, indent+step)
		return append(append(dst, indent...), '}')
	case *array:
		if len(v.items) == 0 && len(v.tail) == 0 {
			return append(dst, "[]"...)
		}
		dst = append(dst, '[', '\n')
		for i, it := range v.items {
			dst = writeComments(dst, it.before, indent+step)
			dst = append(append(dst, indent...), step...)
			dst = writeValue(dst, it.value, indent+step)
			dst = endItem(dst, it, i == len(v.items)-1)
		}
		dst = writeComments(dst, v.tail, indent+step)
		return append(append(dst, indent...), ']')
	}
	panic(fmt.Sprintf("profile: a %T in the tree", v))
}

func endItem(dst []byte, i *item, last bool) []byte {
	if !last {
		dst = append(dst, ',')
	}
	if i.after != "" {
		dst = append(append(dst, "  "...), i.after...)
	}
	return append(dst, '\n')
}

func writeComments(dst []byte, comments []string, indent string) []byte {
	for _, c := range comments {
		dst = append(append(append(dst, indent...), c...), '\n')
	}
	return dst
}

func writeString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\b':
			dst = append(dst, `\b`...)
		default:
			if c < ' ' {
				dst = fmt.Appendf(dst, `\u%04x`, c)
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// plain returns a value as [encoding/json] has it.
func plain(v any) any {
	switch v := v.(type) {
	case *object:
		m := make(map[string]any, len(v.members))
		for _, member := range v.members {
			m[member.key] = plain(member.value)
		}
		return m
	case *array:
		list := make([]any, 0, len(v.items))
		for _, i := range v.items {
			list = append(list, plain(i.value))
		}
		return list
	}
	return v
}

// fromPlain is the reverse of plain. It takes over the comments of the value
// that is replaced, for elements that remain.
func fromPlain(v, old any) (any, error) {
	switch v := v.(type) {
	case nil, bool, json.Number:
		return v, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("%q is not UTF-8", v)
		}
		return v, nil
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return fromPlain(list, old)
	case []any:
		a := &array{}
		before, _ := old.(*array)
		if before != nil {
			a.tail = before.tail
		}
		for _, element := range v {
			value, err := fromPlain(element, nil)
			if err != nil {
				return nil, err
			}
			i := &item{value: value}
			if before != nil {
				for _, former := range before.items {
					if text, ok := value.(string); ok && former.value == text {
						i.before, i.after = former.before, former.after
					}
				}
			}
			a.items = append(a.items, i)
		}
		return a, nil
	case map[string]any:
		o := &object{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			value, err := fromPlain(v[key], nil)
			if err != nil {
				return nil, err
			}
			if !utf8.ValidString(key) {
				return nil, fmt.Errorf("the key %q is not UTF-8", key)
			}
			o.set(key, value)
		}
		return o, nil
	}
	return nil, fmt.Errorf("a %T cannot be kept in the file", v)
}
