package aemp

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Scan stores the elements of m in what dest points to, in order, converting
// as AEMP peers expect: a number is taken from a string that spells one, and a
// string from a number; undef leaves its variable as it is, except that it
// clears pointers, slices, maps and interfaces. A nil among dest passes over
// an element. Elements beyond len(dest) are ignored, as Perl does. What is
// stored may share memory with m. docs/values.md has all the rules.
//
// An error wraps [ErrValue] and names the element, what was wanted and what
// was found; elements before it have been stored. When elements are missing,
// none has. (A dest that is no pointer is the caller's own mistake, and
// another error.) Tagged receivers get their message without the tag, so that
// the elements are the arguments:
//
//	var job string
//	var reply aemp.PortID
//	err := m.Scan(&job, &reply)
func (m Message) Scan(dest ...any) error {
	if len(m) < len(dest) {
		return fmt.Errorf("%w: element %d is missing, %d are wanted", ErrValue, len(m), len(dest))
	}
	for i, d := range dest {
		if d == nil || store(d, m[i]) {
			continue
		}
		v := reflect.ValueOf(notKept(d))
		if v.Kind() != reflect.Pointer {
			return fmt.Errorf("aemp: Scan of element %d into %s, which is not a pointer", i, v.Type())
		}
		if v.IsNil() {
			return fmt.Errorf("aemp: Scan of element %d into a nil %s", i, v.Type())
		}
		if err := assign(v.Elem(), m[i]); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// Convert stores v in what dest points to, as Scan does with one element. An
// error wraps [ErrValue] and tells what was wanted and what was found.
func Convert(dest, v any) error {
	d := reflect.ValueOf(dest)
	if d.Kind() != reflect.Pointer || d.IsNil() {
		return fmt.Errorf("aemp: Convert into %T, which is not a pointer", dest)
	}
	return assign(d.Elem(), v)
}

// assign converts v to the type of dst.
func assign(dst reflect.Value, v any) error {
	if dst.Kind() == reflect.Interface {
		return assignAny(dst, v)
	}
	found := v // for error texts
	v = plain(v)
	if v == nil {
		switch dst.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			dst.SetZero()
		}
		return nil
	}
	if dst.Type() == durationType {
		seconds, ok := toFloat(v)
		if !ok || !(math.Abs(seconds) < math.MaxInt64/1e9) {
			return mismatch(dst, found)
		}
		dst.SetInt(int64(math.Round(seconds * 1e9)))
		return nil
	}
	switch dst.Kind() {
	case reflect.Pointer:
		elem := reflect.New(dst.Type().Elem())
		if err := assign(elem.Elem(), v); err != nil {
			return err
		}
		dst.Set(elem)
	case reflect.Bool:
		dst.SetBool(truth(v))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := toInt(v)
		if !ok || dst.OverflowInt(n) {
			return mismatch(dst, found)
		}
		dst.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		n, ok := toUint(v)
		if !ok || dst.OverflowUint(n) {
			return mismatch(dst, found)
		}
		dst.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, ok := toFloat(v)
		if !ok || dst.OverflowFloat(f) {
			return mismatch(dst, found)
		}
		dst.SetFloat(f)
	case reflect.String:
		s, ok := toString(v)
		if !ok {
			return mismatch(dst, found)
		}
		dst.SetString(s)
	case reflect.Slice:
		if dst.Type().Elem().Kind() == reflect.Uint8 {
			b, ok := toBytes(v)
			if !ok {
				return mismatch(dst, found)
			}
			dst.SetBytes(b)
			return nil
		}
		list, ok := v.([]any)
		if !ok {
			return mismatch(dst, found)
		}
		return assignList(dst, list)
	case reflect.Map:
		m, ok := v.(map[string]any)
		if !ok || dst.Type().Key().Kind() != reflect.String {
			return mismatch(dst, found)
		}
		return assignMap(dst, m)
	default:
		return mismatch(dst, found)
	}
	return nil
}

// assignAny stores the element as it is.
func assignAny(dst reflect.Value, v any) error {
	if v == nil {
		dst.SetZero()
		return nil
	}
	value := reflect.ValueOf(v)
	if !value.Type().AssignableTo(dst.Type()) {
		return mismatch(dst, v)
	}
	dst.Set(value)
	return nil
}

func assignList(dst reflect.Value, list []any) error {
	slice := reflect.MakeSlice(dst.Type(), len(list), len(list))
	for i, elem := range list {
		if err := assign(slice.Index(i), elem); err != nil {
			return fmt.Errorf("index %d: %w", i, err)
		}
	}
	dst.Set(slice)
	return nil
}

func assignMap(dst reflect.Value, m map[string]any) error {
	out := reflect.MakeMapWithSize(dst.Type(), len(m))
	for k, elem := range m {
		value := reflect.New(dst.Type().Elem()).Elem()
		if err := assign(value, elem); err != nil {
			return fmt.Errorf("key %s: %w", quoteShort(k), err)
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(dst.Type().Key()), value)
	}
	dst.Set(out)
	return nil
}

func mismatch(dst reflect.Value, v any) error {
	return fmt.Errorf("%w: want %s, found %T %s", ErrValue, dst.Type(), v, shorten(appendValue(nil, v, maxShown)))
}

// maxShown is how much of a value error texts show, in bytes. They travel as
// kill reasons, so they have to stay short.
const maxShown = 64

func quoteShort(s string) string { return shorten(appendValue(nil, s, maxShown)) }

// shorten cuts between characters.
func shorten(text []byte) string {
	const more = "..."
	if len(text) <= maxShown {
		return string(text)
	}
	end := maxShown - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return string(text[:end]) + more
}

// plain brings a value to the types that a message from the wire holds, as far
// as it can be sent at all: receivers do not have to know whether the sender
// is on their own node. What is in a list or map is left as it is.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, []byte, []any, map[string]any:
		return v
	case int:
		return int64(v)
	case Message:
		return []any(v)
	case Reason:
		return []any(v)
	}
	r, err := followPointers(reflect.ValueOf(v))
	switch {
	case err != nil:
		return v
	case !r.IsValid():
		return nil
	case r.Type() == durationType:
		return time.Duration(r.Int()).Seconds()
	case r.CanInt():
		return r.Int()
	case r.CanUint() && r.Uint() <= math.MaxInt64:
		return int64(r.Uint())
	case r.CanUint():
		return r.Uint()
	case r.CanFloat():
		return r.Float()
	}
	switch r.Kind() {
	case reflect.String:
		return r.String()
	case reflect.Bool:
		return r.Bool()
	case reflect.Slice, reflect.Array:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return reflectBytes(r)
		}
		list := make([]any, r.Len())
		for i := range list {
			list[i] = r.Index(i).Interface()
		}
		return list
	case reflect.Map:
		if r.Type().Key().Kind() != reflect.String {
			return v
		}
		m := make(map[string]any, r.Len())
		for key, elem := range r.Seq2() {
			m[key.String()] = elem.Interface()
		}
		return m
	}
	return v
}

// The conversions below take what plain returns.

// truth is Perl's: undef, "", 0, "0" and false are false.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != "" && v != "0"
	case []byte:
		return len(v) > 0 && string(v) != "0"
	}
	return true
}

func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case float64:
		return int64(v), v == math.Trunc(v) && v >= -1<<63 && v < 1<<63
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.ParseInt(trimNumber(v), 10, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			return n, err == nil
		}
		f, ok := toFloat(v)
		if !ok {
			return 0, false
		}
		return toInt(f)
	case []byte:
		return toInt(string(v))
	}
	return 0, false
}

func toUint(v any) (uint64, bool) {
	switch v := v.(type) {
	case uint64:
		return v, true
	case float64:
		return uint64(v), v == math.Trunc(v) && v >= 0 && v < 1<<64
	case string:
		n, err := strconv.ParseUint(strings.TrimPrefix(trimNumber(v), "+"), 10, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			return n, err == nil
		}
		f, ok := toFloat(v)
		if !ok {
			return 0, false
		}
		return toUint(f)
	case []byte:
		return toUint(string(v))
	}
	n, ok := toInt(v)
	return uint64(n), ok && n >= 0
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		return parseNumber(v)
	case []byte:
		return parseNumber(string(v))
	}
	return 0, false
}

// parseNumber reads what Perl takes for a number as a whole: decimal digits
// with a point and an exponent maybe, Inf or NaN in letters of any size. Perl
// reads the start of any other string, too; here those are no numbers.
func parseNumber(s string) (float64, bool) {
	s = trimNumber(s)
	if strings.ContainsAny(s, "xX_") { // Go's own notations
		return 0, false
	}
	if len(s) == len("-nan") && (s[0] == '-' || s[0] == '+') && strings.EqualFold(s[1:], "nan") {
		return math.NaN(), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// trimNumber removes the white space that Perl allows around a number, such as
// the end of the line that it was read from.
func trimNumber(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

// toString writes numbers as Perl does in a string.
func toString(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return octetsToText(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case float64:
		return string(appendPerlFloat(nil, v)), true
	case bool:
		if v {
			return "1", true
		}
		return "", true
	}
	return "", false
}

// toBytes takes text for the bytes that Perl would have sent as that text:
// where each character fits a byte, these bytes; elsewhere its UTF-8 form.
func toBytes(v any) ([]byte, bool) {
	switch v := v.(type) {
	case []byte:
		return v, true
	case string:
		b := make([]byte, 0, len(v))
		for _, r := range v {
			if r > 0xff {
				return []byte(v), true
			}
			b = append(b, byte(r))
		}
		return b, true
	}
	s, ok := toString(v)
	return []byte(s), ok
}

// appendPerlFloat writes a number as Perl's strings show it, with 15 digits,
// but with 17 where 15 would not give the same number back.
func appendPerlFloat(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...)
	case math.IsInf(v, 1):
		return append(b, "Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	}
	short := strconv.AppendFloat(b, v, 'g', 15, 64)
	if back, err := strconv.ParseFloat(string(short[len(b):]), 64); err == nil && back == v {
		return short
	}
	return strconv.AppendFloat(b, v, 'g', 17, 64)
}
