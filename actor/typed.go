package actor

import (
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/portmesh/portmesh/aemp"
)

// Bind binds the struct type T to a tag, for the whole program: from then on a
// T, or a pointer to one, is a message. It is sent and received as itself,
// without a copy within a system, and between nodes as a list of the tag and
// its exported fields in order, so that
//
//	type Ping struct {
//		N    int
//		From actor.PortID
//	}
//	actor.Bind[Ping]("ping")
//
// makes Ping{3, self} what a Perl program sends by
//
//	snd $port, ping => 3, $self;
//
// The types of fields may be: all basic types, strings, []byte, [time.Time] and
// [time.Duration] (both as seconds, with fractions), slices and maps with
// string keys of these, structs (as lists of their fields), pointers (nil is
// undef), [PortID] and protoactor-go's *PID (both as port IDs), and any. A field
// that is not exported, or has the struct tag `aemp:"-"`, is left out. With
// `aemp:"optional"`, it and the fields behind it may be missing, and are left
// out at the end when they are zero. A slice in the last field with the tag
// `aemp:"rest"` takes all further elements.
//
// Values are converted as [aemp.Message.Scan] does; undef leaves a field zero.
// Further elements are ignored, except that the last one, if it can be a port
// ID, is where answers go; if the last field is a PortID, that is it.
//
// Bind is for the start of a program, usually from an init function or a
// variable's initialization. It panics if T is not a struct or has a field of
// another type, or if T or the tag are bound already. It returns true, for
// convenience.
func Bind[T any](tag string) bool {
	t := reflect.TypeFor[T]()
	plan, err := planOf(t)
	if err != nil {
		panic(fmt.Sprintf("actor: Bind[%s](%q): %v", t, tag, err))
	}
	b := &binding{tag: tag, typ: t, plan: plan,
		value: typeWord(*new(T)), pointer: typeWord((*T)(nil)),
		create: func() (any, unsafe.Pointer) { p := new(T); return p, unsafe.Pointer(p) },
		box:    func(v any) any { value := v.(T); return &value },
	}
	if err := bindings.add(b); err != nil {
		panic(fmt.Sprintf("actor: Bind[%s](%q): %v", t, tag, err))
	}
	return true
}

// On sets the receiver for messages of the bound type T, in the place of a
// former receiver for its tag. Messages of that tag that are not a T, such as
// the lists of [System.Send], are converted; one that cannot be kills the port,
// with a text that names the argument. It panics if T is not bound.
func On[T any](c *Context, h func(c *Context, m T) error) {
	OnError(c, h, nil)
}

// OnError is On for a port that wants to live: if a message cannot be made a T,
// bad is called with the error, which wraps [aemp.ErrValue], and the message as
// it came, without its tag.
func OnError[T any](c *Context, h func(c *Context, m T) error, bad func(c *Context, m Message, err error) error) {
	b := bindingOf((*T)(nil))
	if b == nil {
		panic(fmt.Sprintf("actor: On[%s]: the type is not bound to a tag", reflect.TypeFor[T]()))
	}
	c.setReceiver(receiver{b.tag, typedHandler[T](h), b, bad})
}

// RegisterTyped is [System.Register] for a function that gets its arguments as
// a struct, whose fields are what [Bind] allows; the type need not be bound. If
// the arguments do not fit, the port dies with a text that names the argument.
// It returns an error if T cannot be used so, or one that wraps [ErrNameTaken].
func RegisterTyped[T any](s *System, name string, f func(c *Context, args T) error, opts ...PortOption) error {
	plan, err := planOf(reflect.TypeFor[T]())
	if err != nil {
		return fmt.Errorf("actor: function %q: %w", name, err)
	}
	return s.Register(name, func(c *Context, args Message) error {
		typed := new(T)
		d, err := encoded(args)
		if err == nil {
			err = plan.decode(d, unsafe.Pointer(typed))
		}
		if err != nil {
			return err
		}
		return f(c, *typed)
	}, opts...)
}

// A binding is a struct type with its tag. Within the program, a message of
// that type is a pointer to it.
type binding struct {
	tag     string
	typ     reflect.Type
	value   uintptr // typeWord of a T
	pointer uintptr // of a *T
	plan    *plan
	create  func() (any, unsafe.Pointer) // a new *T, in both forms
	box     func(v any) any              // a *T with the value of a T
}

// bindings are those of the program. Reading them takes no lock.
var bindings bindingTable

type bindingTable struct {
	mu      sync.Mutex
	current atomic.Pointer[boundTypes]
}

type boundTypes struct {
	types map[uintptr]*binding // by the typeWord of T and of *T
	quick [64]*binding         // some of types, by quickSlot
	tags  map[string]*binding
}

func (t *bindingTable) load() *boundTypes {
	if b := t.current.Load(); b != nil {
		return b
	}
	return &noTypes
}

var noTypes boundTypes

func (t *bindingTable) add(b *binding) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.load()
	if other := old.tags[b.tag]; other != nil {
		return fmt.Errorf("the tag is bound to %s", other.typ)
	}
	if other := old.types[b.pointer]; other != nil {
		return fmt.Errorf("the type is bound to %q", other.tag)
	}
	current := &boundTypes{types: maps.Clone(old.types), tags: maps.Clone(old.tags)}
	if current.types == nil {
		current.types, current.tags = make(map[uintptr]*binding), make(map[string]*binding)
	}
	for _, word := range []uintptr{b.value, b.pointer} {
		current.types[word] = b
	}
	for word, b := range current.types {
		current.quick[quickSlot(word)] = b
	}
	current.tags[b.tag] = b
	t.current.Store(current)
	return nil
}

// bindingOf returns the binding of a message of a bound type, or nil.
func bindingOf(m any) *binding {
	switch m.(type) {
	case Message, string, nil:
		return nil
	}
	bound, word := bindings.load(), typeWord(m)
	if b := bound.quick[quickSlot(word)]; b != nil && (b.pointer == word || b.value == word) {
		return b
	}
	return bound.types[word]
}

func quickSlot(word uintptr) uintptr { return (word>>5 ^ word>>11) % 64 }

// typedMessage returns the message as a pointer, and its binding, if it is of a
// bound type; else the binding is nil.
func typedMessage(m any) (any, *binding) {
	b := bindingOf(m)
	if b != nil && typeWord(m) == b.value {
		m = b.box(m)
	}
	return m, b
}

// encode writes the tag and the fields of m, which is a *T, and then the reply
// port, as a packet for the port of that name.
func (b *binding) encode(e aemp.Encoder, dst []byte, port string, m any, reply PortID) ([]byte, error) {
	p := pointerWord(m)
	if p == nil {
		return dst, fmt.Errorf("%w: nil %T", aemp.ErrUnsupportedValue, m)
	}
	var into unsafe.Pointer // the field that takes the reply port
	if reply != "" {
		if into = b.plan.reply(p); into != nil && *(*PortID)(into) != "" {
			into = nil
		}
	}
	count := 2 + b.plan.count(p, into != nil)
	if reply != "" && into == nil {
		count++
	}
	aemp.BeginMessage(e, dst, count, port, b.tag)
	if err := b.plan.encode(e, p, into, reply); err != nil {
		return dst, fmt.Errorf("%s: %w", b.tag, err)
	}
	if reply != "" && into == nil {
		aemp.EncodeString(e, string(reply))
	}
	out, err := e.End()
	if err != nil {
		return dst, err
	}
	return out, nil
}

// decode reads the fields of a new *T, behind the tag, and the port that
// answers go to.
func (b *binding) decode(d aemp.Decoder) (m any, reply PortID, err error) {
	m, p := b.create()
	if err := b.plan.decode(d, p); err != nil {
		return nil, "", fmt.Errorf("%s: %w", b.tag, err)
	}
	var last any
	for d.Kind() != aemp.End {
		last = aemp.DecodeValue(d)
	}
	if last != nil {
		reply = replyPort(Message{last})
	} else if field := b.plan.reply(p); field != nil {
		reply = *(*PortID)(field)
	}
	return m, reply, d.Err()
}

// replyOf returns the port that an answer to m, a *T, goes to, as far as the
// message tells.
func (b *binding) replyOf(m any) PortID {
	if field := b.plan.reply(pointerWord(m)); field != nil {
		return *(*PortID)(field)
	}
	return ""
}

// message makes a list of m, a *T: the same that it is on the wire.
func (b *binding) message(m any) (Message, error) {
	packet, err := b.encode(aemp.CBOR.NewEncoder(), nil, "", m, "")
	if err != nil {
		return nil, err
	}
	d, err := decoder(packet)
	if err != nil {
		return nil, err
	}
	d.Skip() // the port
	return aemp.DecodeMessage(d)
}

// from makes a *T of a list, whose first element is the tag.
func (b *binding) from(m Message) (any, error) {
	d, err := encoded(m[1:])
	if err != nil {
		return nil, err
	}
	typed, _, err := b.decode(d)
	return typed, err
}

// encoded returns a decoder at the first element of a list.
func encoded(m Message) (aemp.Decoder, error) {
	packet, err := aemp.EncodeMessage(aemp.CBOR.NewEncoder(), nil, "", m...)
	if err != nil {
		return nil, err
	}
	d, err := decoder(packet)
	if err != nil {
		return nil, err
	}
	d.Skip() // the port
	return d, nil
}

// decoder returns a decoder at the first value of a packet of our own making.
func decoder(packet []byte) (aemp.Decoder, error) {
	d := aemp.CBOR.NewDecoder(aemp.Limits{MessageSize: max(len(packet), 1), Depth: aemp.DefaultDepth})
	if _, err := d.Scan(packet); err != nil {
		return nil, err
	}
	d.Reset(packet)
	return d, nil
}
