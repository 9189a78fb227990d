package aemp

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// Scan stores the elements of m in what dest points to, in order, converting
// as AEMP peers expect: a number is taken from a string that spells one, and a
// string from a number; undef leaves its variable as it is, except that it
// clears pointers, slices, maps and interfaces. A nil among dest passes over
// an element. Elements beyond len(dest) are ignored, as Perl does.
//
// An error wraps [ErrValue] and names the element, what was wanted and what
// was found; elements before it have been stored. Tagged receivers get their
// message without the tag, so that the elements are the arguments:
//
//	var job string
//	var reply aemp.PortID
//	err := m.Scan(&job, &reply)
func (m Message) Scan(dest ...any) error {
	if len(m) < len(dest) {
		return fmt.Errorf("%w: element %d is missing", ErrValue, len(m))
	}
	for i, d := range dest {
		if d == nil {
			continue
		}
		v := reflect.ValueOf(d)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			return fmt.Errorf("aemp: Scan into %T, which is not a pointer", d)
		}
		if err := assign(v.Elem(), m[i]); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// assign converts v to the type of dst.
func assign(dst reflect.Value, v any) error {
	switch dst.Kind() {
	case reflect.Interface:
		return assignAny(dst, v)
	case reflect.Pointer:
		if v == nil {
			dst.SetZero()
			return nil
		}
		elem := reflect.New(dst.Type().Elem())
		if err := assign(elem.Elem(), v); err != nil {
			return err
		}
		dst.Set(elem)
		return nil
	case reflect.Slice, reflect.Map:
		if v == nil {
			dst.SetZero()
			return nil
		}
	}
	if v == nil {
		return nil
	}
	switch dst.Kind() {
	case reflect.Bool:
		dst.SetBool(truth(v))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := toInt(v)
		if !ok || dst.OverflowInt(n) {
			return mismatch(dst, v)
		}
		dst.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, ok := toUint(v)
		if !ok || dst.OverflowUint(n) {
			return mismatch(dst, v)
		}
		dst.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, ok := toFloat(v)
		if !ok {
			return mismatch(dst, v)
		}
		dst.SetFloat(f)
	case reflect.String:
		s, ok := toString(v)
		if !ok {
			return mismatch(dst, v)
		}
		dst.SetString(s)
	case reflect.Slice:
		return assignSlice(dst, v)
	case reflect.Map:
		return assignMap(dst, v)
	default:
		return mismatch(dst, v)
	}
	return nil
}

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

func assignSlice(dst reflect.Value, v any) error {
	if dst.Type().Elem().Kind() == reflect.Uint8 {
		b, ok := toBytes(v)
		if !ok {
			return mismatch(dst, v)
		}
		dst.SetBytes(b)
		return nil
	}
	list, ok := toList(v)
	if !ok {
		return mismatch(dst, v)
	}
	slice := reflect.MakeSlice(dst.Type(), len(list), len(list))
	for i, elem := range list {
		if err := assign(slice.Index(i), elem); err != nil {
			return fmt.Errorf("index %d: %w", i, err)
		}
	}
	dst.Set(slice)
	return nil
}

func assignMap(dst reflect.Value, v any) error {
	m, ok := v.(map[string]any)
	if !ok || dst.Type().Key().Kind() != reflect.String {
		return mismatch(dst, v)
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(m))
	for k, elem := range m {
		value := reflect.New(dst.Type().Elem()).Elem()
		if err := assign(value, elem); err != nil {
			return fmt.Errorf("key %q: %w", k, err)
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(dst.Type().Key()), value)
	}
	dst.Set(out)
	return nil
}

func mismatch(dst reflect.Value, v any) error {
	return fmt.Errorf("%w: want %s, found %s", ErrValue, dst.Type(), describe(v))
}

// describe shortens long values, since error texts travel as kill reasons.
func describe(v any) string {
	s := formatValue(v)
	if len(s) > 64 {
		s = s[:61] + "..."
	}
	return fmt.Sprintf("%T %s", v, s)
}

// truth is Perl's: undef, "", 0, "0" and false are false.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != "" && v != "0"
	}
	if f, ok := toFloat(v); ok {
		return f != 0
	}
	return true
}

func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && v >= -1<<63 && v < 1<<63
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, true
		}
		if f, ok := toFloat(v); ok {
			return toInt(f)
		}
		return 0, false
	case uint64:
		return int64(v), v <= 1<<63-1
	}
	if n, ok := normalize(v); ok {
		return toInt(n)
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
		if n, err := strconv.ParseUint(v, 10, 64); err == nil {
			return n, true
		}
		if f, ok := toFloat(v); ok {
			return toUint(f)
		}
		return 0, false
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
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	if n, ok := normalize(v); ok {
		return toFloat(n)
	}
	return 0, false
}

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
	if n, ok := normalize(v); ok {
		return toString(n)
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

func toList(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case Message:
		return v, true
	case Reason:
		return v, true
	}
	return nil, false
}

// normalize brings the types that a local sender may use to those that a
// message from the wire holds.
func normalize(v any) (any, bool) {
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return r.Int(), true
	case r.CanUint():
		return r.Uint(), true
	case r.CanFloat():
		return r.Float(), true
	case r.Kind() == reflect.String:
		return r.String(), true
	case r.Kind() == reflect.Bool:
		return r.Bool(), true
	}
	return nil, false
}

// appendPerlFloat writes a number as Perl's strings show it: with 15 digits,
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
