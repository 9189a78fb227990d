package actor

import (
	"fmt"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
)

// A Handler receives messages for a port, one at a time. A receiver for a tag
// gets the message without it, so that the elements are the arguments; the
// default receiver gets the whole message. The context is valid until the
// handler returns.
//
// When a handler returns an error or panics, the port dies with the reason
// "die" and the error's text, unless its supervisor decides otherwise.
type Handler func(c *Context, m Message) error

// Port makes a port. (AEMP: port, rcv.) Its setup runs in the port, before any
// message, and says with [Context.Receive] what the port receives; if it fails
// the port dies. The ID is valid at once.
//
// Without an option, the port keeps any number of messages that it has not got
// to; see [Mailbox].
func (s *System) Port(setup func(c *Context) error, opts ...PortOption) PortID {
	id := s.Node().Port(s.actors.ProcessRegistry.NextId())
	if err := s.makePort(id, setup, opts); err != nil {
		panic(err) // names that were made up are not taken
	}
	return id
}

// NamedPort makes a port with a well-known name, for those who cannot learn it
// otherwise. The error wraps [ErrNameTaken].
//
// AEMP promises that the name of a port that died does not come back. Whoever
// gives the same name again takes over what was sent to the former port.
func (s *System) NamedPort(name string, setup func(c *Context) error, opts ...PortOption) (PortID, error) {
	id := s.Node().Port(name)
	if err := s.makePort(id, setup, opts); err != nil {
		return "", fmt.Errorf("actor: port %q: %w", name, ErrNameTaken)
	}
	return id, nil
}

// A PortOption changes how a port is made. A [Mailbox] is one.
type PortOption interface {
	applyTo(s *System, o *portOptions)
}

type portOptions struct {
	mailbox *Mailbox
}

func (m Mailbox) applyTo(s *System, o *portOptions) { o.mailbox = s.mailboxFor(m) }

// A port is the actor behind a port that this package made. All of it is owned
// by the goroutine that runs the actor.
type port struct{ Context }

// A receiver takes the messages of one tag: as lists, or as values of a bound
// type.
type receiver struct {
	tag     string
	handler handler
	binding *binding                                     // nil: as lists
	bad     func(c *Context, m Message, err error) error // may be nil
}

// A handler takes a list, with its tag, or a pointer to a value of a bound type.
// It is a function that needs no memory to be one.
type handler interface {
	handle(c *Context, m any) error
}

func (h Handler) handle(c *Context, m any) error { return h(c, m.(Message)[1:]) }

type typedHandler[T any] func(c *Context, m T) error

func (h typedHandler[T]) handle(c *Context, m any) error { return h(c, *m.(*T)) }

// A heldMonitor is one that ends with the port that made it.
type heldMonitor struct {
	m    *monitor
	stop func()
}

// An inPort is a function to be run in a port, in turn with its messages.
type inPort func()

// Receive implements protoactor-go's Actor.
func (p *port) Receive(pc proto.Context) {
	switch m := pc.Message().(type) {
	case Message:
		p.receive(pc, m)
	case inPort:
		m()
	case *proto.Started:
		p.started(pc)
	case *proto.Restarting:
		p.endMonitors()
		p.sys.restarting.Store(pc.Self(), p)
	case *proto.Stopped:
		p.endMonitors()
		p.sys.restarting.Delete(pc.Self())
	case proto.SystemMessage, proto.AutoReceiveMessage, *proto.ReceiveTimeout, *proto.DeadLetterResponse:
	default:
		if p.latest < len(p.tags) {
			// Most messages are of the type of the one before.
			if r := &p.tags[p.latest]; r.binding != nil && r.binding.pointer == typeWord(m) {
				p.call(pc, r.binding, r.handler, m)
				return
			}
		}
		if typed, b := typedMessage(m); b != nil {
			p.receiveTyped(pc, typed, b)
		} else {
			p.receive(pc, Message{m})
		}
	}
}

func (p *port) started(pc proto.Context) {
	p.proto = pc
	if p.self == "" {
		p.restarted()
	}
	p.check(p.setup(&p.Context))
}

func (p *port) receive(pc proto.Context, m Message) {
	c := &p.Context
	c.reply = ""
	if sender := pc.Sender(); sender != nil {
		// Whoever asks through protoactor-go names the reply port apart; here
		// it is the last element, as in AEMP.
		c.reply = PortOf(sender)
		if replyPort(m) != c.reply {
			m = append(m[:len(m):len(m)], string(c.reply))
		}
	} else {
		c.reply = replyPort(m)
	}
	if tag, ok := m.Tag(); ok {
		if r := p.receiver(tag); r != nil {
			p.check(r.receive(c, m))
			return
		}
	}
	if p.fallback == nil {
		panic(&fatal{unhandled(m)})
	}
	p.check(p.fallback(c, m))
}

// receiveTyped deals with a message of a bound type, which is a pointer to it.
func (p *port) receiveTyped(pc proto.Context, m any, b *binding) {
	if i, ok := p.tags.find(b.tag); ok && p.tags[i].binding == b {
		p.latest = i
		p.call(pc, b, p.tags[i].handler, m)
		return
	}
	list, err := b.message(m)
	p.check(err)
	p.receive(pc, list)
}

// call has a typed receiver take a message.
func (p *port) call(pc proto.Context, b *binding, h handler, m any) {
	c := &p.Context
	c.reply = b.replyOf(m)
	if sender := pc.Sender(); sender != nil {
		c.reply = PortOf(sender)
	}
	p.check(h.handle(c, m))
}

// receiver returns the receiver for a tag, or nil.
func (p *port) receiver(tag string) *receiver {
	if p.latest < len(p.tags) && p.tags[p.latest].tag == tag {
		return &p.tags[p.latest]
	}
	i, found := p.tags.find(tag)
	if !found {
		return nil
	}
	p.latest = i
	return &p.tags[i]
}

// receive hands a list to the receiver of its tag. It works on a copy, since a
// receiver that is called may change the others.
func (r receiver) receive(c *Context, m Message) error {
	if list, ok := r.handler.(Handler); ok {
		return list(c, m[1:])
	}
	typed, err := r.binding.from(m)
	switch {
	case err == nil:
		return r.handler.handle(c, typed)
	case r.bad != nil:
		return r.bad(c, m[1:], err)
	}
	return err
}

func unhandled(m Message) Reason {
	what := "an empty message"
	if len(m) > 0 {
		what = fmt.Sprintf("message '%v'", m[0])
	}
	return Reason{aemp.ReasonUnhandled, "no callback found for " + what}
}

// check lets the port fail, in the way that protoactor-go knows.
func (c *Context) check(err error) {
	if err != nil {
		panic(err)
	}
}

// hold remembers a monitor until it fires or the port ends.
func (c *Context) hold(m *monitor, stop func()) {
	if c.monitors == nil {
		c.monitors = new([]heldMonitor)
	}
	held := *c.monitors
	if len(held) == cap(held) {
		kept := held[:0]
		for _, h := range held {
			if !h.m.ended.Load() {
				kept = append(kept, h)
			}
		}
		clear(held[len(kept):])
		held = kept
	}
	*c.monitors = append(held, heldMonitor{m, stop})
}

func (c *Context) endMonitors() {
	if c.monitors == nil {
		return
	}
	for _, h := range *c.monitors {
		h.stop()
	}
	c.monitors = nil
}
