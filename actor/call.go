package actor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A DeathError tells that a port died before it answered.
type DeathError struct {
	Port   PortID
	Reason Reason
}

func (e *DeathError) Error() string {
	return fmt.Sprintf("actor: %s died before it answered: %s", e.Port, e.Reason)
}

// Call sends a message to a port and waits for the answer. (AEMP: cal.) The
// port to answer to is added as the last element, where [Context.Reply] finds
// it; the first message that comes to it is the answer. An answer of a bound
// type is returned as its list.
//
// The error is a [DeathError] when the port dies first, that of ctx when its
// time is up, or that of Send. Handlers must not wait for answers: they use
// [Context.Call].
func (s *System) Call(ctx context.Context, to PortID, msg ...any) (Message, error) {
	done := make(chan result, 1)
	cancel := s.call(to, msg, func(r result) { done <- r })
	select {
	case r := <-done:
		return r.answer, r.err
	case <-ctx.Done():
		cancel()
		return nil, fmt.Errorf("actor: call %s: %w", to, context.Cause(ctx))
	}
}

// Call sends a message to a port and calls fn in this port with the answer, in
// turn with other messages. It is like [System.Call] otherwise. The returned
// function gives the call up; so does the end of this port.
func (c *Context) Call(to PortID, fn func(c *Context, answer Message, err error) error, msg ...any) (stop func()) {
	run, m := c.inTurn(), &monitor{}
	cancel := c.sys.call(to, msg, func(r result) {
		m.ended.Store(true)
		run(func(c *Context) error { return fn(c, r.answer, r.err) })
	})
	stop = func() {
		m.ended.Store(true)
		cancel()
	}
	c.hold(m, stop)
	return stop
}

type result struct {
	answer Message
	err    error
}

// call makes a reply port for one message and calls done once, unless it is
// canceled before. done must not wait.
func (s *System) call(to PortID, msg Message, done func(result)) (cancel func()) {
	r := &reply{s: s, done: done}
	r.pid, _ = s.actors.ProcessRegistry.Add(r, s.actors.ProcessRegistry.NextId())
	port := s.Node().Port(r.pid.Id)

	// The monitor's request leaves first, so that the death of the port after
	// the call is noticed, but none of an answer that was sent before.
	dead := inlineAction(func(reason Reason) { r.finish(result{err: &DeathError{to, reason}}) })
	r.watch(s.start(to, &monitor{action: dead}))

	if err := s.send(to, msg, port, false); err != nil {
		r.finish(result{err: err})
	}
	return func() { r.finish(result{err: context.Canceled}) }
}

// A reply is a port that lives for one message.
type reply struct {
	s    *System
	pid  *proto.PID
	mu   sync.Mutex
	done func(result) // nil when it has been called
	stop func()       // ends the monitor
}

// watch remembers how to end the monitor.
func (r *reply) watch(stop func()) {
	r.mu.Lock()
	over := r.done == nil
	r.stop = stop
	r.mu.Unlock()
	if over {
		stop()
	}
}

func (r *reply) finish(res result) {
	r.mu.Lock()
	done, stop := r.done, r.stop
	r.done = nil
	r.mu.Unlock()
	if done == nil {
		return
	}
	r.s.actors.ProcessRegistry.Remove(r.pid)
	if stop != nil {
		stop()
	}
	if !errors.Is(res.err, context.Canceled) {
		done(res)
	}
}

// SendUserMessage takes the answer.
func (r *reply) SendUserMessage(_ *proto.PID, message any) {
	_, m, _ := proto.UnwrapEnvelope(message)
	switch m := m.(type) {
	case Message:
		r.finish(result{answer: m})
	case *proto.DeadLetterResponse:
		// The monitor tells more.
	default:
		if typed, b := typedMessage(m); b != nil {
			list, err := b.message(typed)
			r.finish(result{list, err})
			return
		}
		r.finish(result{answer: Message{m}})
	}
}

// SendSystemMessage does nothing: a reply port is no actor.
func (r *reply) SendSystemMessage(*proto.PID, any) {}

// Stop gives the call up, because somebody has killed the port.
func (r *reply) Stop(*proto.PID) {
	r.finish(result{err: &DeathError{Port: PortOf(r.pid)}})
}
