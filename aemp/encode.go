package aemp

import (
	"fmt"
	"reflect"
	"unicode/utf8"
)

// EncodeMessage writes a packet that carries the message to the port of that
// name, appended to dst, and returns the result. With an error, which wraps
// [ErrUnsupportedValue] and names the element, dst is as it was.
func EncodeMessage(e Encoder, dst []byte, port string, m ...any) ([]byte, error) {
	e.Begin(dst, 1+len(m))
	EncodeString(e, port)
	for i, v := range m {
		if err := EncodeValue(e, v); err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
	}
	out, err := e.End()
	if err != nil {
		return dst, err
	}
	return out, nil
}

// EncodeString writes a Go string: as text when it is valid UTF-8, else as
// octets.
func EncodeString(e Encoder, s string) {
	if utf8.ValidString(s) {
		e.Text(s)
	} else {
		e.Octets([]byte(s))
	}
}

// EncodeValue writes one value of a message; [Message] tells which types it
// may have. The error wraps [ErrUnsupportedValue].
func EncodeValue(e Encoder, v any) error { return encodeValue(e, v, 1) }

// encodeValue keeps to the depth that every peer accepts, which also ends the
// walk through Go data that contains itself.
func encodeValue(e Encoder, v any, depth int) error {
	if depth > DefaultDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrUnsupportedValue, DefaultDepth)
	}
	switch v := v.(type) {
	case nil:
		e.Nil()
	case bool:
		e.Bool(v)
	case int:
		e.Int(int64(v))
	case int64:
		e.Int(v)
	case uint64:
		encodeUint(e, v)
	case float64:
		e.Float(v)
	case string:
		EncodeString(e, v)
	case PortID:
		EncodeString(e, string(v))
	case NodeID:
		EncodeString(e, string(v))
	case []byte:
		e.Octets(v)
	case []any:
		return encodeList(e, v, depth)
	case Message:
		return encodeList(e, v, depth)
	case Reason:
		return encodeList(e, v, depth)
	case map[string]any:
		e.Map(len(v))
		for k, v := range v {
			e.Key(k)
			if err := encodeValue(e, v, depth+1); err != nil {
				return fmt.Errorf("key %q: %w", k, err)
			}
		}
		e.Close()
	default:
		return encodeReflect(e, reflect.ValueOf(v), depth)
	}
	return nil
}

func encodeList(e Encoder, list []any, depth int) error {
	e.Array(len(list))
	for i, v := range list {
		if err := encodeValue(e, v, depth+1); err != nil {
			return fmt.Errorf("index %d: %w", i, err)
		}
	}
	e.Close()
	return nil
}

// encodeUint keeps to the rule that Uint is for what Int cannot hold.
func encodeUint(e Encoder, v uint64) {
	if v <= 1<<63-1 {
		e.Int(int64(v))
	} else {
		e.Uint(v)
	}
}

// encodeReflect writes the types that encodeValue does not know by name.
func encodeReflect(e Encoder, v reflect.Value, depth int) error {
	switch v.Kind() {
	case reflect.Bool:
		e.Bool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.Int(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		encodeUint(e, v.Uint())
	case reflect.Float32, reflect.Float64:
		e.Float(v.Float())
	case reflect.String:
		EncodeString(e, v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			e.Nil()
			return nil
		}
		return encodeValue(e, v.Elem().Interface(), depth+1)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			octets := make([]byte, v.Len())
			for i := range octets {
				octets[i] = byte(v.Index(i).Uint())
			}
			e.Octets(octets)
			return nil
		}
		e.Array(v.Len())
		for i := range v.Len() {
			if err := encodeValue(e, v.Index(i).Interface(), depth+1); err != nil {
				return fmt.Errorf("index %d: %w", i, err)
			}
		}
		e.Close()
	case reflect.Map:
		return encodeMap(e, v, depth)
	default:
		return fmt.Errorf("%w: %s", ErrUnsupportedValue, v.Type())
	}
	return nil
}

func encodeMap(e Encoder, v reflect.Value, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("%w: %s, whose keys are not strings", ErrUnsupportedValue, v.Type())
	}
	e.Map(v.Len())
	for k, elem := range v.Seq2() {
		e.Key(k.String())
		if err := encodeValue(e, elem.Interface(), depth+1); err != nil {
			return fmt.Errorf("key %q: %w", k.String(), err)
		}
	}
	e.Close()
	return nil
}
