package actor

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
)

// A plan encodes and decodes the fields of a struct type. It is made once, so
// that a message on its way costs no reflection for fields of the usual types.
type plan struct {
	fields   []plannedField
	required int           // fields up to this one must be there
	rest     *plannedField // the slice that takes further elements
	port     *plannedField // the last field, if it is a PortID
}

type plannedField struct {
	name   string
	typ    reflect.Type
	offset uintptr
	codec  *codec
}

// A codec encodes and decodes values of one type, which p points to.
type codec struct {
	encode func(e aemp.Encoder, p unsafe.Pointer) error
	decode func(d aemp.Decoder, p unsafe.Pointer) error
}

// planOf makes the plan of a struct type.
func planOf(t reflect.Type) (*plan, error) { return newPlanner().plan(t) }

// A planner remembers what it has planned, since types may contain themselves.
type planner struct {
	codecs map[reflect.Type]*codec
}

func newPlanner() *planner { return &planner{make(map[reflect.Type]*codec)} }

func (pl *planner) plan(t reflect.Type) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	p := &plan{required: -1}
	for i := range t.NumField() {
		f := t.Field(i)
		option := f.Tag.Get("aemp")
		if !f.IsExported() || option == "-" {
			continue
		}
		if p.rest != nil {
			return nil, fmt.Errorf("field %s stands behind the rest", f.Name)
		}
		field := plannedField{name: f.Name, typ: f.Type, offset: f.Offset}
		var err error
		switch option {
		case "rest":
			if f.Type.Kind() != reflect.Slice {
				return nil, fmt.Errorf("field %s takes the rest and is no slice", f.Name)
			}
			if field.codec, err = pl.codec(f.Type.Elem()); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			p.rest = &field
			continue
		case "optional":
			if p.required < 0 {
				p.required = len(p.fields)
			}
		case "":
		default:
			return nil, fmt.Errorf("field %s: unknown option %q", f.Name, option)
		}
		if field.codec, err = pl.codec(f.Type); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		p.fields = append(p.fields, field)
	}
	if p.required < 0 {
		p.required = len(p.fields)
	}
	if n := len(p.fields); n > 0 && p.rest == nil && p.fields[n-1].typ == reflect.TypeFor[PortID]() {
		p.port = &p.fields[n-1]
	}
	return p, nil
}

// reply returns the field for the reply port, if there is one.
func (p *plan) reply(base unsafe.Pointer) unsafe.Pointer {
	if p.port == nil {
		return nil
	}
	return unsafe.Add(base, p.port.offset)
}

// sent is the number of fields that are sent: optional ones at the end that are
// zero are not.
func (p *plan) sent(base unsafe.Pointer) int {
	n := len(p.fields)
	if p.rest != nil && p.restLen(base) > 0 {
		return n
	}
	for n > p.required && reflect.NewAt(p.fields[n-1].typ, unsafe.Add(base, p.fields[n-1].offset)).Elem().IsZero() {
		n--
	}
	return n
}

func (p *plan) restLen(base unsafe.Pointer) int {
	return reflect.NewAt(p.rest.typ, unsafe.Add(base, p.rest.offset)).Elem().Len()
}

// count is the number of values that encode writes.
func (p *plan) count(base unsafe.Pointer, replyField bool) int {
	if replyField {
		return len(p.fields)
	}
	n := p.sent(base)
	if p.rest != nil {
		n += p.restLen(base)
	}
	return n
}

// encode writes the fields. If into is not nil, the reply port is written in
// the place of that field.
func (p *plan) encode(e aemp.Encoder, base, into unsafe.Pointer, reply PortID) error {
	sent := len(p.fields)
	if into == nil {
		sent = p.sent(base)
	}
	for i := range p.fields[:sent] {
		f := &p.fields[i]
		at := unsafe.Add(base, f.offset)
		if at == into && into != nil {
			aemp.EncodeString(e, string(reply))
			continue
		}
		if err := f.codec.encode(e, at); err != nil {
			return fmt.Errorf("argument %d (%s): %w", i+1, f.name, err)
		}
	}
	if p.rest == nil {
		return nil
	}
	list := reflect.NewAt(p.rest.typ, unsafe.Add(base, p.rest.offset)).Elem()
	for i := range list.Len() {
		if err := p.rest.codec.encode(e, list.Index(i).Addr().UnsafePointer()); err != nil {
			return fmt.Errorf("argument %d (%s): %w", sent+i+1, p.rest.name, err)
		}
	}
	return nil
}

// decode reads the fields, and the rest if there is a field for it.
func (p *plan) decode(d aemp.Decoder, base unsafe.Pointer) error {
	for i := range p.fields {
		f := &p.fields[i]
		if d.Kind() == aemp.End {
			if i >= p.required {
				return d.Err()
			}
			if err := d.Err(); err != nil {
				return err
			}
			return fmt.Errorf("argument %d (%s): %w: missing, want %s", i+1, f.name, aemp.ErrValue, f.typ)
		}
		if err := f.codec.decode(d, unsafe.Add(base, f.offset)); err != nil {
			return fmt.Errorf("argument %d (%s): %w", i+1, f.name, err)
		}
	}
	if p.rest == nil {
		return nil
	}
	list := reflect.NewAt(p.rest.typ, unsafe.Add(base, p.rest.offset)).Elem()
	for i := len(p.fields); d.Kind() != aemp.End; i++ {
		elem := reflect.New(p.rest.typ.Elem())
		if err := p.rest.codec.decode(d, elem.UnsafePointer()); err != nil {
			return fmt.Errorf("argument %d (%s): %w", i+1, p.rest.name, err)
		}
		list.Set(reflect.Append(list, elem.Elem()))
	}
	return nil
}

// codec returns the codec of a type.
func (pl *planner) codec(t reflect.Type) (*codec, error) {
	if c := pl.codecs[t]; c != nil {
		return c, nil
	}
	c := new(codec)
	pl.codecs[t] = c
	if err := pl.fill(c, t); err != nil {
		return nil, err
	}
	return c, nil
}

func (pl *planner) fill(c *codec, t reflect.Type) error {
	switch t {
	case reflect.TypeFor[time.Time]():
		*c = timeCodec
		return nil
	case reflect.TypeFor[time.Duration]():
		*c = durationCodec
		return nil
	case reflect.TypeFor[*proto.PID]():
		*c = pidCodec
		return nil
	}
	switch t.Kind() {
	case reflect.Bool:
		*c = boolCodec(t)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		*c = intCodec(t)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		*c = uintCodec(t)
	case reflect.Float32, reflect.Float64:
		*c = floatCodec(t)
	case reflect.String:
		*c = stringCodec(t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s cannot be sent", t)
		}
		*c = anyCodec
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			*c = bytesCodec(t)
			return nil
		}
		return pl.fillSlice(c, t)
	case reflect.Map:
		return pl.fillMap(c, t)
	case reflect.Pointer:
		return pl.fillPointer(c, t)
	case reflect.Struct:
		return pl.fillStruct(c, t)
	default:
		return fmt.Errorf("%s cannot be sent", t)
	}
	return nil
}

// convert reads a value that is not of the kind that a codec wants, and makes
// what is wanted of it if it can.
func convert(d aemp.Decoder, t reflect.Type, p unsafe.Pointer) error {
	v := aemp.DecodeValue(d)
	if err := d.Err(); err != nil {
		return err
	}
	return aemp.Convert(reflect.NewAt(t, p).Interface(), v)
}

func mismatch(d aemp.Decoder, t reflect.Type) error {
	found := d.Kind().String()
	if k := d.Kind(); k == aemp.Text || k == aemp.Octets {
		found = "string" // which of the two is a matter of the framing
	}
	d.Skip()
	if err := d.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: want %s, found %s", aemp.ErrValue, t, found)
}

// list reads an array, value by value.
func list(d aemp.Decoder, t reflect.Type, next func(i int) error) error {
	if d.Kind() != aemp.Array {
		return mismatch(d, t)
	}
	d.Open()
	for i := 0; d.Kind() != aemp.End; i++ {
		if err := next(i); err != nil {
			return fmt.Errorf("index %d: %w", i, err)
		}
	}
	d.Close()
	return d.Err()
}

func (pl *planner) fillSlice(c *codec, t reflect.Type) error {
	elem, err := pl.codec(t.Elem())
	if err != nil {
		return err
	}
	c.encode = func(e aemp.Encoder, p unsafe.Pointer) error {
		values := reflect.NewAt(t, p).Elem()
		e.Array(values.Len())
		for i := range values.Len() {
			if err := elem.encode(e, values.Index(i).Addr().UnsafePointer()); err != nil {
				return fmt.Errorf("index %d: %w", i, err)
			}
		}
		e.Close()
		return nil
	}
	c.decode = func(d aemp.Decoder, p unsafe.Pointer) error {
		values := reflect.NewAt(t, p).Elem()
		if d.Kind() == aemp.Nil {
			d.Nil()
			values.SetZero()
			return d.Err()
		}
		values.Set(reflect.MakeSlice(t, 0, 0))
		return list(d, t, func(int) error {
			v := reflect.New(t.Elem())
			if err := elem.decode(d, v.UnsafePointer()); err != nil {
				return err
			}
			values.Set(reflect.Append(values, v.Elem()))
			return nil
		})
	}
	return nil
}

func (pl *planner) fillMap(c *codec, t reflect.Type) error {
	if t.Key().Kind() != reflect.String {
		return fmt.Errorf("%s cannot be sent: its keys are not strings", t)
	}
	elem, err := pl.codec(t.Elem())
	if err != nil {
		return err
	}
	c.encode = func(e aemp.Encoder, p unsafe.Pointer) error {
		values := reflect.NewAt(t, p).Elem()
		e.Map(values.Len())
		for key, value := range values.Seq2() {
			e.Key(key.String())
			v := reflect.New(t.Elem())
			v.Elem().Set(value)
			if err := elem.encode(e, v.UnsafePointer()); err != nil {
				return fmt.Errorf("key %q: %w", key.String(), err)
			}
		}
		e.Close()
		return nil
	}
	c.decode = func(d aemp.Decoder, p unsafe.Pointer) error {
		values := reflect.NewAt(t, p).Elem()
		if d.Kind() == aemp.Nil {
			d.Nil()
			values.SetZero()
			return d.Err()
		}
		if d.Kind() != aemp.Map {
			return mismatch(d, t)
		}
		values.Set(reflect.MakeMap(t))
		d.Open()
		for d.Kind() != aemp.End {
			key := reflect.New(t.Key()).Elem()
			key.SetString(strings.ToValidUTF8(string(d.Bytes()), "\uFFFD"))
			v := reflect.New(t.Elem())
			if err := elem.decode(d, v.UnsafePointer()); err != nil {
				return fmt.Errorf("key %q: %w", key.String(), err)
			}
			values.SetMapIndex(key, v.Elem())
		}
		d.Close()
		return d.Err()
	}
	return nil
}

func (pl *planner) fillPointer(c *codec, t reflect.Type) error {
	elem, err := pl.codec(t.Elem())
	if err != nil {
		return err
	}
	c.encode = func(e aemp.Encoder, p unsafe.Pointer) error {
		if to := *(*unsafe.Pointer)(p); to != nil {
			return elem.encode(e, to)
		}
		e.Nil()
		return nil
	}
	c.decode = func(d aemp.Decoder, p unsafe.Pointer) error {
		pointer := reflect.NewAt(t, p).Elem()
		if d.Kind() == aemp.Nil {
			d.Nil()
			pointer.SetZero()
			return d.Err()
		}
		v := reflect.New(t.Elem())
		pointer.Set(v)
		return elem.decode(d, v.UnsafePointer())
	}
	return nil
}

func (pl *planner) fillStruct(c *codec, t reflect.Type) error {
	// The codec is in use by the fields already, if the type contains itself.
	fields, err := pl.plan(t)
	if err != nil {
		return err
	}
	c.encode = func(e aemp.Encoder, p unsafe.Pointer) error {
		e.Array(fields.count(p, false))
		if err := fields.encode(e, p, nil, ""); err != nil {
			return err
		}
		e.Close()
		return nil
	}
	c.decode = func(d aemp.Decoder, p unsafe.Pointer) error {
		if d.Kind() == aemp.Nil {
			d.Nil()
			return d.Err()
		}
		if d.Kind() != aemp.Array {
			return mismatch(d, t)
		}
		d.Open()
		if err := fields.decode(d, p); err != nil {
			return err
		}
		d.Close()
		return d.Err()
	}
	return nil
}
