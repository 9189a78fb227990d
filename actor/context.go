package actor

import (
	"time"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A Context is a port as its own code sees it. It is for the goroutine that
// runs the port's setup or handler, and for as long as that takes.
type Context struct {
	sys   *System
	setup func(c *Context) error
	proto proto.Context
	self  PortID
	reply PortID

	tags     receivers
	latest   int // of tags, that got a message
	fallback Handler
	monitors *[]heldMonitor // nil until there is one; most ports have none
}

// System returns the system that the port is on.
func (c *Context) System() *System { return c.sys }

// Self returns the port's ID. (AEMP: $SELF.)
func (c *Context) Self() PortID { return c.self }

// Node returns the node ID of the port's system. (AEMP: $NODE.)
func (c *Context) Node() NodeID { return c.sys.Node() }

// Proto returns the protoactor-go context of the port.
func (c *Context) Proto() proto.Context { return c.proto }

// Receive sets the receiver for messages with that tag, in the place of a
// former one; nil removes it. (AEMP: rcv $SELF, tag => sub.)
func (c *Context) Receive(tag string, h Handler) {
	if h == nil {
		c.tags.remove(tag)
		return
	}
	c.setReceiver(receiver{tag: tag, handler: h})
}

func (c *Context) setReceiver(r receiver) {
	c.tags.set(r)
	c.sys.tags.add(r.tag)
}

// Default sets the receiver for messages that no receiver for a tag wants, in
// the place of a former one; nil removes it. (AEMP: rcv $SELF, sub.) A message
// that nobody wants kills the port with the reason "unhandled_message".
func (c *Context) Default(h Handler) { c.fallback = h }

// Reply returns the port that an answer to the current message should go to:
// its last element, if that is a port ID; otherwise the empty ID.
func (c *Context) Reply() PortID { return c.reply }

// Respond sends an answer to [Context.Reply]. Without one it does nothing.
func (c *Context) Respond(msg ...any) error {
	if c.reply == "" {
		return nil
	}
	return c.sys.Send(c.reply, msg...)
}

// Send sends a message to a port; see [System.Send].
func (c *Context) Send(to PortID, msg ...any) error { return c.sys.Send(to, msg...) }

// Spawn makes a port on a node by calling a function there; see
// [System.Spawn].
func (c *Context) Spawn(node NodeID, function string, args ...any) PortID {
	return c.sys.Spawn(node, function, args...)
}

// Kill ends the port when the handler returns: no further message is dealt
// with. Its monitors get the reason. (AEMP: kil $SELF.)
func (c *Context) Kill(reason ...any) {
	s, name := c.sys, c.proto.Self().Id
	if process, ok := s.lookup(name); ok && len(reason) > 0 {
		s.expectDeath(process, name, append(Reason(nil), reason...), true)
	} else {
		s.expectNormalDeath(name, true)
	}
	c.proto.Stop(c.proto.Self())
}

// Monitor calls fn in this port, in turn with its messages, when the other
// port dies: once, with the reason. It behaves like [System.Monitor] otherwise,
// and ends with this port. If fn panics, this port dies.
func (c *Context) Monitor(port PortID, fn func(Reason)) (stop func()) {
	m := &monitor{}
	m.action = portAction{m, c.proto.Self(), fn}
	return c.startMonitor(port, m)
}

// Link kills this port when the other dies, with the same reason; a normal end
// does not spread. (AEMP: mon $port.) The returned function ends the link.
func (c *Context) Link(port PortID) (stop func()) {
	return c.startMonitor(port, &monitor{action: linkAction(c.self)})
}

func (c *Context) startMonitor(port PortID, m *monitor) (stop func()) {
	stop = c.sys.start(port, m)
	c.hold(m, stop)
	return stop
}

// Func returns a function that may be called by any goroutine at any time, and
// makes fn run in this port, in turn with its messages. (AEMP: psub; to call it
// at once is peval.) If fn fails or panics, the port dies, as with a handler.
// When the port has died, it does nothing.
func (c *Context) Func(fn func(c *Context) error) func() {
	run := c.inTurn()
	return func() { run(fn) }
}

// After makes fn run in this port after that time, unless the returned function
// is called or the port dies before. (AEMP: after.) It is like [Context.Func]
// otherwise.
func (c *Context) After(d time.Duration, fn func(c *Context) error) (stop func()) {
	run := c.inTurn()
	m := &monitor{}
	timer := time.AfterFunc(d, func() {
		run(func(c *Context) error {
			if m.ended.Swap(true) {
				return nil
			}
			return fn(c)
		})
	})
	stop = func() {
		m.ended.Store(true)
		timer.Stop()
	}
	c.hold(m, stop)
	return stop
}

// inTurn returns a function that makes others run in this port.
func (c *Context) inTurn() func(fn func(c *Context) error) {
	pid, sys := c.proto.Self(), c.sys
	return func(fn func(c *Context) error) {
		sys.actors.Root.Send(pid, inPort(func() {
			c.reply = ""
			c.check(fn(c))
		}))
	}
}

// A portAction calls a function in a port.
type portAction struct {
	m    *monitor
	port *proto.PID
	fn   func(Reason)
}

func (a portAction) fire(s *System, _ PortID, reason Reason) {
	s.actors.Root.Send(a.port, inPort(func() {
		if !a.m.ended.Swap(true) {
			a.fn(reason)
		}
	}))
}
