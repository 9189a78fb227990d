package actor

import (
	"fmt"
	"reflect"
	"time"
	"unsafe"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/ascii"
)

// The codecs of types that contain no others. Each has a short way for the kind
// of value that it is usually sent as, and leaves the rest to convert.

func boolCodec(t reflect.Type) codec {
	return codec{
		encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Bool(*(*bool)(p)); return nil },
		decode: func(d aemp.Decoder, p unsafe.Pointer) error {
			if d.Kind() != aemp.Bool {
				return convert(d, t, p)
			}
			*(*bool)(p) = d.Bool()
			return d.Err()
		},
	}
}

func intCodec(t reflect.Type) codec {
	if t.Size() == 8 {
		return codec{
			encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Int(*(*int64)(p)); return nil },
			decode: func(d aemp.Decoder, p unsafe.Pointer) error {
				if d.Kind() != aemp.Int {
					return convert(d, t, p)
				}
				*(*int64)(p) = d.Int()
				return d.Err()
			},
		}
	}
	return codec{
		encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Int(reflect.NewAt(t, p).Elem().Int()); return nil },
		decode: func(d aemp.Decoder, p unsafe.Pointer) error { return convert(d, t, p) },
	}
}

func uintCodec(t reflect.Type) codec {
	return codec{
		encode: func(e aemp.Encoder, p unsafe.Pointer) error {
			if v := reflect.NewAt(t, p).Elem().Uint(); v <= 1<<63-1 {
				e.Int(int64(v))
			} else {
				e.Uint(v)
			}
			return nil
		},
		decode: func(d aemp.Decoder, p unsafe.Pointer) error { return convert(d, t, p) },
	}
}

func floatCodec(t reflect.Type) codec {
	if t.Kind() == reflect.Float64 {
		return codec{
			encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Float(*(*float64)(p)); return nil },
			decode: func(d aemp.Decoder, p unsafe.Pointer) error {
				if d.Kind() != aemp.Float {
					return convert(d, t, p)
				}
				*(*float64)(p) = d.Float()
				return d.Err()
			},
		}
	}
	return codec{
		encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Float(float64(*(*float32)(p))); return nil },
		decode: func(d aemp.Decoder, p unsafe.Pointer) error { return convert(d, t, p) },
	}
}

// stringCodec is that of all string types, PortID among them.
func stringCodec(t reflect.Type) codec {
	return codec{
		encode: func(e aemp.Encoder, p unsafe.Pointer) error { aemp.EncodeString(e, *(*string)(p)); return nil },
		decode: func(d aemp.Decoder, p unsafe.Pointer) error {
			switch d.Kind() {
			case aemp.Text:
				*(*string)(p) = string(d.Bytes())
				return d.Err()
			case aemp.Octets: // the usual form of Perl's strings in CBOR
				if b := d.Bytes(); ascii.Only(b) {
					*(*string)(p) = string(b)
				} else {
					return aemp.Convert(reflect.NewAt(t, p).Interface(), b)
				}
				return d.Err()
			}
			return convert(d, t, p)
		},
	}
}

func bytesCodec(t reflect.Type) codec {
	return codec{
		encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Octets(*(*[]byte)(p)); return nil },
		decode: func(d aemp.Decoder, p unsafe.Pointer) error {
			if d.Kind() != aemp.Octets {
				return convert(d, t, p)
			}
			*(*[]byte)(p) = append([]byte{}, d.Bytes()...)
			return d.Err()
		},
	}
}

var anyCodec = codec{
	encode: func(e aemp.Encoder, p unsafe.Pointer) error { return aemp.EncodeValue(e, *(*any)(p)) },
	decode: func(d aemp.Decoder, p unsafe.Pointer) error {
		*(*any)(p) = aemp.DecodeValue(d)
		return d.Err()
	},
}

// timeCodec sends seconds since 1970, with fractions, as Perl's time does. The
// zero time is undef.
var timeCodec = codec{
	encode: func(e aemp.Encoder, p unsafe.Pointer) error {
		if t := *(*time.Time)(p); t.IsZero() {
			e.Nil()
		} else {
			e.Float(float64(t.Unix()) + float64(t.Nanosecond())/1e9)
		}
		return nil
	},
	decode: func(d aemp.Decoder, p unsafe.Pointer) error {
		if d.Kind() == aemp.Nil {
			d.Nil()
			*(*time.Time)(p) = time.Time{}
			return d.Err()
		}
		var seconds float64
		if err := convert(d, reflect.TypeFor[float64](), unsafe.Pointer(&seconds)); err != nil {
			return err
		}
		if seconds < -1e15 || seconds > 1e15 || seconds != seconds {
			return fmt.Errorf("%w: want time.Time, found %v seconds", aemp.ErrValue, seconds)
		}
		whole := int64(seconds)
		// A float64 tells the time of today to less than a microsecond.
		*(*time.Time)(p) = time.Unix(whole, int64((seconds-float64(whole))*1e9)).Round(time.Microsecond)
		return nil
	},
}

// durationCodec sends seconds, with fractions.
var durationCodec = codec{
	encode: func(e aemp.Encoder, p unsafe.Pointer) error { e.Float((*(*time.Duration)(p)).Seconds()); return nil },
	decode: func(d aemp.Decoder, p unsafe.Pointer) error {
		var seconds float64
		if err := convert(d, reflect.TypeFor[float64](), unsafe.Pointer(&seconds)); err != nil {
			return err
		}
		if seconds < -9.2e9 || seconds > 9.2e9 || seconds != seconds {
			return fmt.Errorf("%w: want time.Duration, found %v seconds", aemp.ErrValue, seconds)
		}
		*(*time.Duration)(p) = time.Duration(seconds * float64(time.Second))
		return nil
	},
}

// pidCodec sends the port ID; nil is undef.
var pidCodec = codec{
	encode: func(e aemp.Encoder, p unsafe.Pointer) error {
		if pid := *(**proto.PID)(p); pid == nil {
			e.Nil()
		} else {
			aemp.EncodeString(e, string(PortOf(pid)))
		}
		return nil
	},
	decode: func(d aemp.Decoder, p unsafe.Pointer) error {
		if d.Kind() == aemp.Nil {
			d.Nil()
			*(**proto.PID)(p) = nil
			return d.Err()
		}
		var id PortID
		if err := convert(d, reflect.TypeFor[PortID](), unsafe.Pointer(&id)); err != nil {
			return err
		}
		node, name := id.Split()
		*(**proto.PID)(p) = proto.NewPID(string(node), name)
		return nil
	},
}
