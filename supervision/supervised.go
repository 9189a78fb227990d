package supervision

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// supervised returns the name under which the supervised form of a function is
// registered. Its arguments are the supervisor's port, how long the child may
// live as an orphan, in seconds, the child's path, and those of the function.
func supervised(function string) string { return function + "::supervised" }

// tagChildSays is the message of such a child to its supervisor: its port, and
// one of the words below. A reason follows the last.
const (
	tagChildSays = "supervision child"
	saysReady    = "ready"
	saysIgnore   = "ignore"
	saysFailed   = "failed"
)

// Register makes a function known by which children can be started on this
// node, as [actor.System.Register] does, and besides under a name with
// "::supervised" behind it, which the supervisors of other Go nodes use: then
// the child tells when its function has returned, and why it has failed; and it
// ends with its supervisor, or when it has been without a connection to the
// supervisor's node for longer than Remote.Orphan.
//
// A node that limits who may spawn what has to allow both names.
func Register(sys *actor.System, function string, f actor.SpawnFunc, opts ...actor.PortOption) error {
	return register(sys, function, f, func(c *actor.Context, o *orphan, args actor.Message) error {
		err := o.try(func() error { return f(c, args) })
		switch {
		case errors.Is(err, ErrIgnore):
			o.say(saysIgnore)
			c.Kill()
			return nil
		case err != nil:
			return err
		}
		o.end = func() { c.Kill(reasonShutdown, "the supervisor is gone") }
		o.watch()
		o.say(saysReady)
		return nil
	}, opts...)
}

// RegisterTree makes a function known that starts a supervisor on this node. It
// is given the arguments of the spawn request. On another node, the child of a
// supervisor that is started by it is a [Remote] with Tree set: to its parent,
// it is like one that is there.
func RegisterTree(sys *actor.System, function string, f func(args actor.Message) (Spec, error)) error {
	start := func(c *actor.Context, path string, args actor.Message, started func()) (*supervisor, error) {
		spec, err := f(args)
		if err == nil {
			err = spec.Validate()
		}
		if err != nil {
			return nil, err
		}
		return newSupervisor(sys, spec, path, started), nil
	}
	plain := func(c *actor.Context, args actor.Message) error {
		s, err := start(c, "", args, func() {})
		if err != nil {
			return err
		}
		return s.setup(c)
	}
	return register(sys, function, plain, func(c *actor.Context, o *orphan, args actor.Message) error {
		var s *supervisor
		err := o.try(func() (err error) {
			s, err = start(c, o.path, args, func() { o.say(saysReady) })
			return err
		})
		if err != nil {
			return err
		}
		s.aborted = func(reason actor.Reason) { o.say(saysFailed, reason...) }
		o.end = func() { s.terminate(actor.Reason{reasonShutdown, "the supervisor above is gone"}) }
		o.watch()
		return s.setup(c)
	})
}

// register makes both forms of a function known.
func register(sys *actor.System, function string, plain actor.SpawnFunc,
	with func(c *actor.Context, o *orphan, args actor.Message) error, opts ...actor.PortOption,
) error {
	if err := sys.Register(function, plain, opts...); err != nil {
		return fmt.Errorf("supervision: %w", err)
	}
	err := sys.Register(supervised(function), func(c *actor.Context, args actor.Message) error {
		o, err := newOrphan(c, args)
		if err != nil {
			return err
		}
		return with(c, o, args[3:])
	}, opts...)
	if err != nil {
		sys.Unregister(function)
		return fmt.Errorf("supervision: %w", err)
	}
	return nil
}

// An orphan is a child that watches whether it still has a supervisor. It is
// owned by the child's port.
type orphan struct {
	c          *actor.Context // of the port; it stays the same
	supervisor actor.PortID
	limit      time.Duration // negative means none
	path       string
	end        func() // ends the child
	endTimer   func() // ends the timer that runs while there is no connection
}

func newOrphan(c *actor.Context, args actor.Message) (*orphan, error) {
	o := &orphan{c: c}
	var seconds float64
	if err := args.Scan(&o.supervisor, &seconds, &o.path); err != nil {
		return nil, fmt.Errorf("not started by a supervisor: %w", err)
	}
	if err := o.supervisor.Validate(); err != nil {
		return nil, fmt.Errorf("not started by a supervisor: %w", err)
	}
	o.limit = -1
	if seconds >= 0 && seconds < math.MaxInt64/1e9 {
		o.limit = time.Duration(seconds * 1e9)
	}
	return o, nil
}

// say tells the supervisor how the start goes.
func (o *orphan) say(word string, reason ...any) {
	err := o.c.Send(o.supervisor, append([]any{tagChildSays, o.c.Self(), word}, reason...)...)
	if err != nil {
		o.c.System().Logger().Warn("supervisor cannot be told", "port", o.c.Self(), "supervisor", o.supervisor, "err", err)
	}
}

// try calls a function and tells the supervisor why it failed, which a monitor
// may be too late to learn.
func (o *orphan) try(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			o.say(saysFailed, aemp.ReasonDie, fmt.Sprint(cause))
			panic(cause)
		}
	}()
	if err = f(); err != nil && !errors.Is(err, ErrIgnore) {
		o.say(saysFailed, aemp.ReasonDie, err.Error())
	}
	return err
}

// watch waits for the supervisor's end and for the loss of its node.
func (o *orphan) watch() {
	o.c.Monitor(o.supervisor, func(reason actor.Reason) {
		if reason.Kind() != aemp.ReasonTransport {
			o.end()
			return
		}
		if o.endTimer == nil && o.limit >= 0 {
			o.endTimer = o.c.After(o.limit, func(*actor.Context) error {
				o.end()
				return nil
			})
		}
		o.seek()
	})
}

// seek tries to reach the supervisor until it can.
func (o *orphan) seek() {
	o.c.Call(o.supervisor, func(_ *actor.Context, answer actor.Message, err error) error {
		dead, isDead := errors.AsType[*actor.DeathError](err)
		switch {
		case err == nil && len(answer) > 0 && answer[0] == answerError: // we were replaced
			o.end()
		case err == nil:
			if o.endTimer != nil {
				o.endTimer()
				o.endTimer = nil
			}
			o.watch()
		case isDead && dead.Reason.Kind() != aemp.ReasonTransport:
			o.end()
		default:
			pause := 5 * time.Second
			if o.limit >= 0 {
				pause = min(max(o.limit/10, 50*time.Millisecond), pause)
			}
			o.c.After(pause, func(*actor.Context) error {
				o.seek()
				return nil
			})
		}
		return nil
	}, tagPing, o.c.Self())
}

// childSays takes what a child on another node says of its start.
func (s *supervisor) childSays(_ *actor.Context, m actor.Message) error {
	var port actor.PortID
	var word string
	if m.Scan(&port, &word) != nil {
		return nil
	}
	inc := s.nodes.ports[port]
	if inc == nil || inc.child.state != Starting {
		return nil
	}
	switch word {
	case saysReady:
		s.ready(inc)
	case saysIgnore:
		inc.ignored = true
	case saysFailed:
		inc.failure = actor.Reason(m[2:])
	}
	return nil
}
