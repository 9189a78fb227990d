package aemp

import (
	"fmt"
	"unicode/utf8"

	"github.com/portmesh/portmesh/internal/ascii"
	"github.com/portmesh/portmesh/internal/box"
)

// DecodeMessage reads what is left of the packet that d is in. Elements that
// the caller has read by itself come first. The error is that of the decoder.
func DecodeMessage(d Decoder, first ...any) (Message, error) {
	n := d.Len()
	if n < 0 {
		n = usualLength - len(first)
	}
	m := append(make([]any, 0, len(first)+max(n, 0)), first...)
	err := DecodeRest(d, &m)
	return m, err
}

// DecodeRest reads what is left of the packet that d is in, appended to m. The error
// is that of the decoder.
func DecodeRest(d Decoder, m *[]any) error {
	for d.Kind() != End {
		*m = append(*m, DecodeValue(d))
	}
	return d.Err()
}

// usualLength is for how many elements there is room at once when a framing
// does not tell how many there are.
const usualLength = 4

// DecodePort reads the first element of a packet, which names the port. It
// returns false for the empty packet, which is a keep-alive. The error wraps
// [ErrPortName] when the element is not a string, else it is that of the
// decoder. The name is valid until the next call of a method of d.
func DecodePort(d Decoder) (name []byte, ok bool, err error) {
	switch kind := d.Kind(); kind {
	case Text, Octets:
		return d.Bytes(), true, d.Err()
	case End:
		return nil, false, d.Err()
	default:
		return nil, false, fmt.Errorf("%w but %s", ErrPortName, kind)
	}
}

// DecodeValue reads the next value into one of the types listed at [Message].
// At the end of the packet, array or map, or after an error, it returns nil.
func DecodeValue(d Decoder) any {
	switch d.Kind() {
	case Bool:
		return d.Bool()
	case Int:
		return d.Int()
	case Uint:
		return d.Uint()
	case Float:
		return d.Float()
	case Text:
		return box.Text(d.Bytes())
	case Octets:
		b := d.Bytes()
		if ascii.Only(b) {
			return box.Text(b)
		}
		return append([]byte(nil), b...)
	case Array:
		d.Open()
		list := decodeList(d)
		d.Close()
		return list
	case Map:
		return decodeMap(d)
	case Nil:
		d.Nil()
	}
	return nil
}

// decodeList trusts Len with the size of the list, since a decoder never tells
// more than there are bytes.
func decodeList(d Decoder) []any {
	list := make([]any, 0, max(d.Len(), 0))
	for d.Kind() != End {
		list = append(list, DecodeValue(d))
	}
	return list
}

func decodeMap(d Decoder) map[string]any {
	d.Open()
	m := make(map[string]any, max(d.Len(), 0))
	for d.Kind() != End {
		key := decodeKey(d)
		m[key] = DecodeValue(d)
	}
	d.Close()
	return m
}

// decodeKey reads a key. Octets that are not ASCII are the Latin-1 form of
// Perl's characters, unless they already are UTF-8.
func decodeKey(d Decoder) string {
	return octetsToText(d.Bytes())
}

func octetsToText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// Normalize returns a value as it would arrive at another node: of one of the
// types listed at [Message]. The error wraps [ErrUnsupportedValue].
func Normalize(v any) (any, error) {
	e := MessagePack.NewEncoder()
	packet, err := EncodeMessage(e, nil, "", v)
	if err != nil {
		return nil, err
	}
	d := MessagePack.NewDecoder(Limits{MessageSize: len(packet)})
	if _, err := d.Scan(packet); err != nil {
		return nil, err
	}
	d.Reset(packet)
	d.Skip()
	return DecodeValue(d), d.Err()
}
