package aemp

import (
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/portmesh/portmesh/internal/ascii"
)

// EncodeMessage writes a packet that carries the message to the port of that
// name, appended to dst, and returns the result. With an error, which wraps
// [ErrUnsupportedValue] and names the element, dst is as it was.
func EncodeMessage(e Encoder, dst []byte, port string, m ...any) ([]byte, error) {
	first := 0
	if tag, ok := Message(m).Tag(); ok {
		BeginMessage(e, dst, 1+len(m), port, tag)
		first = 1
	} else {
		e.Begin(dst, 1+len(m))
		EncodeString(e, port)
	}
	for i := first; i < len(m); i++ {
		if err := EncodeValue(e, m[i]); err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
	}
	out, err := e.End()
	if err != nil {
		return dst, blame(e, m, err)
	}
	return out, nil
}

// blame names the element because of which End reported an error. Which it was
// the encoder does not tell, so they are tried one by one.
func blame(e Encoder, m []any, err error) error {
	for i, v := range m {
		e.Begin(nil, 1)
		_ = EncodeValue(e, v)
		if _, err := e.End(); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return err
}

// EncodeString writes a Go string: as text when it is valid UTF-8, else as
// octets.
func EncodeString(e Encoder, s string) {
	if isText(s) {
		e.Text(s)
	} else {
		e.Octets([]byte(s))
	}
}

// isText tells whether s is valid UTF-8, in least time if it is short and ASCII.
func isText(s string) bool { return ascii.Only(s) || utf8.ValidString(s) }

// EncodeValue writes one element of a packet; [Message] tells which types it
// may have. The error wraps [ErrUnsupportedValue] and tells where in a list or
// map the value is that cannot be sent. The packet is then not to be ended: it
// is forgotten when the next one begins.
func EncodeValue(e Encoder, v any) error { return encodeValue(e, v, 1) }

// encodeValue writes a value that stands at that depth: in the packet itself,
// which is 1, or in that many lists and maps more.
func encodeValue(e Encoder, v any, depth int) error {
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
		return encodeList(e, v, depth+1)
	case Message:
		return encodeList(e, v, depth+1)
	case Reason:
		return encodeList(e, v, depth+1)
	case map[string]any:
		return encodeMap(e, v, depth+1)
	default:
		return encodeReflect(e, reflect.ValueOf(v), depth)
	}
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

func encodeList(e Encoder, list []any, depth int) error {
	if err := checkDepth(depth); err != nil {
		return err
	}
	e.Array(len(list))
	for i, v := range list {
		if err := encodeValue(e, v, depth); err != nil {
			return within(err, depth, "index %d", i)
		}
	}
	e.Close()
	return nil
}

func encodeMap(e Encoder, m map[string]any, depth int) error {
	if err := checkDepth(depth); err != nil {
		return err
	}
	e.Map(len(m))
	for k, v := range m {
		e.Key(k)
		if err := encodeValue(e, v, depth); err != nil {
			return within(err, depth, "key %s", quoteShort(k))
		}
	}
	e.Close()
	return nil
}

// AEMP measures time in seconds, with fractions.
var durationType = reflect.TypeFor[time.Duration]()

// encodeReflect writes the types that encodeValue does not know by name.
func encodeReflect(e Encoder, v reflect.Value, depth int) error {
	v, err := followPointers(v)
	if err != nil {
		return err
	}
	if v.IsValid() && v.Type() == durationType {
		e.Float(time.Duration(v.Int()).Seconds())
		return nil
	}
	switch v.Kind() {
	case reflect.Invalid:
		e.Nil()
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
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			e.Octets(reflectBytes(v))
			return nil
		}
		return encodeReflectList(e, v, depth+1)
	case reflect.Map:
		return encodeReflectMap(e, v, depth+1)
	default:
		return fmt.Errorf("%w: %s", ErrUnsupportedValue, v.Type())
	}
	return nil
}

func encodeReflectList(e Encoder, v reflect.Value, depth int) error {
	if err := checkDepth(depth); err != nil {
		return err
	}
	e.Array(v.Len())
	for i := range v.Len() {
		if err := encodeValue(e, v.Index(i).Interface(), depth); err != nil {
			return within(err, depth, "index %d", i)
		}
	}
	e.Close()
	return nil
}

func encodeReflectMap(e Encoder, v reflect.Value, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("%w: %s, whose keys are not strings", ErrUnsupportedValue, v.Type())
	}
	if err := checkDepth(depth); err != nil {
		return err
	}
	e.Map(v.Len())
	for k, elem := range v.Seq2() {
		e.Key(k.String())
		if err := encodeValue(e, elem.Interface(), depth); err != nil {
			return within(err, depth, "key %s", quoteShort(k.String()))
		}
	}
	e.Close()
	return nil
}

// checkDepth keeps to the depth that every peer accepts, which also ends the
// walk through Go data that contains itself.
func checkDepth(depth int) error {
	if depth > DefaultDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrUnsupportedValue, DefaultDepth)
	}
	return nil
}

// within adds to an error which value of a list or map it is about. Places
// very deep are left out: nobody would find them by a text of that length.
func within(err error, depth int, format string, place any) error {
	if depth > 8 {
		return err
	}
	return fmt.Errorf(format+": %w", place, err)
}

// followPointers returns what v leads to, which is the zero Value for a nil
// pointer. Pointers are no levels of nesting, but may form a ring.
func followPointers(v reflect.Value) (reflect.Value, error) {
	for range DefaultDepth + 1 {
		if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
			return v, nil
		}
		v = v.Elem()
	}
	return v, fmt.Errorf("%w: more than %d pointers in a row", ErrUnsupportedValue, DefaultDepth)
}

// reflectBytes returns the bytes of a slice or array, of a named type maybe.
func reflectBytes(v reflect.Value) []byte {
	if v.Kind() == reflect.Slice {
		return v.Bytes()
	}
	b := make([]byte, v.Len())
	for i := range b {
		b[i] = byte(v.Index(i).Uint())
	}
	return b
}
