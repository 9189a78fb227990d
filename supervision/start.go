package supervision

import (
	"context"
	"errors"
	"fmt"
	"sync"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A Starter says what a child is, and so how it is started: a [Local], an
// [Actor], a [Task], a [Remote] or a [Spec].
type Starter interface {
	// check returns what is wrong with it, or nothing.
	check(path string) string
	// supervisor reports whether the child is one, which stops when it is told
	// to and answers questions.
	supervisor() bool
	// begin starts an incarnation of a child, for which the supervisor will be
	// told ready or died. It does not wait, and runs in the supervisor's port.
	begin(s *supervisor, inc *incarnation, args actor.Message)
}

// ErrIgnore is what the Init of a [Local] returns, wrapped or not, when there is
// nothing to do for the child: it counts as started, but does not run.
var ErrIgnore = errors.New("nothing to do for this child")

// Local is a port on the supervisor's own system.
type Local struct {
	// Init is called in the new port, and sets what it receives. When it
	// returns nil, the child is ready; an error, or a panic, is the reason why
	// it could not be started. Other children wait until it returns.
	Init actor.SpawnFunc
	// Args are the arguments for Init. In a [Dynamic] supervisor, those of
	// [Supervisor.StartDynamic] follow.
	Args []any
	// Options are those of the port, such as an [actor.Mailbox].
	Options []actor.PortOption
}

func (l Local) supervisor() bool { return false }

func (l Local) check(path string) string {
	if l.Init == nil {
		return at(path, "Local has no Init")
	}
	return ""
}

func (l Local) begin(s *supervisor, inc *incarnation, args actor.Message) {
	args = append(append(actor.Message(nil), l.Args...), args...)
	s.port(inc, func(c *actor.Context) error {
		switch err := l.Init(c, args); {
		case errors.Is(err, ErrIgnore):
			s.tell(tagIgnore, inc)
			c.Kill()
			return nil
		case err != nil:
			return err
		}
		s.tell(tagReady, inc)
		return nil
	}, l.Options...)
}

// port makes the local port of an incarnation. Its death is monitored from the
// first moment on, so that the reason is never missed.
func (s *supervisor) port(inc *incarnation, setup func(c *actor.Context) error, opts ...actor.PortOption) {
	watched := func(c *actor.Context) error {
		s.watch(c.Self(), inc)
		return setup(c)
	}
	name := inc.child.spec.Name
	if name == "" {
		inc.port = s.sys.Port(watched, opts...)
		return
	}
	port, err := s.sys.NamedPort(name, watched, opts...)
	if err != nil {
		s.tell(tagDied, inc, aemp.ReasonDie, err.Error())
		port = s.sys.Node().Port("")
	}
	inc.port = port
}

// Actor is a protoactor-go actor on the supervisor's own system. It is ready
// when it has dealt with its Started message. It dies when it panics, whatever
// guardian the props have; for its own children, the props' strategy decides.
type Actor struct {
	Props *proto.Props
}

func (a Actor) supervisor() bool { return false }

func (a Actor) check(path string) string {
	if a.Props == nil {
		return at(path, "Actor has no Props")
	}
	return ""
}

func (a Actor) begin(s *supervisor, inc *incarnation, _ actor.Message) {
	actors := s.sys.Actors()
	id := inc.child.spec.Name
	if id == "" {
		id = actors.ProcessRegistry.NextId()
	}
	inc.guard = guardKey{actors, id}
	guarded.Store(inc.guard, func(reason any) { s.tell(tagFailed, inc, aemp.ReasonDie, fmt.Sprint(reason)) })
	pid, err := actors.Root.SpawnNamed(a.Props.Clone(proto.WithGuardian(letDie)), id)
	if err != nil {
		inc.port = s.sys.Node().Port("")
		s.tell(tagDied, inc, aemp.ReasonDie, fmt.Sprintf("name %q is taken", id))
		return
	}
	inc.port = s.sys.Node().Port(pid.Id)
	s.watch(inc.port, inc)
	// Touched comes back behind Started.
	if s.touched == nil {
		s.touched = make(map[actor.PortID]*incarnation)
	}
	s.touched[inc.port] = inc
	actors.Root.RequestWithCustomSender(pid, &proto.Touch{}, s.sys.PID(s.self))
}

// touch takes the answer of an actor that has started, if m is one.
func (s *supervisor) touch(m any) bool {
	t, ok := m.(*proto.Touched)
	if !ok {
		return false
	}
	port := actor.PortOf(t.Who)
	if inc := s.touched[port]; inc != nil {
		delete(s.touched, port)
		s.ready(inc)
	}
	return true
}

// failed is called when an actor has failed, and is about to die. It may not: one
// that panics again when it is told so is stuck for ever.
func (s *supervisor) failed(inc *incarnation, reason actor.Reason) {
	if inc.child.inc == inc {
		inc.failure = reason
		s.abandonLater(inc)
	}
}

// startReason returns why an incarnation died. A port on another node, and an
// actor, may have been gone before it was monitored; but it has said why.
func (inc *incarnation) startReason(reason actor.Reason) actor.Reason {
	if kind := reason.Kind(); inc.failure != nil && (kind == aemp.ReasonNoSuchPort || kind == aemp.ReasonDie) {
		return inc.failure
	}
	return reason
}

// guarded holds what is to be told of failures of actors.
var guarded sync.Map // guardKey to func(reason any)

type guardKey struct {
	actors *proto.ActorSystem
	id     string
}

// letDie is the guardian of actors: those that fail, die.
var letDie proto.SupervisorStrategy = &guardian{proto.NewOneForOneStrategy(0, 0, func(any) proto.Directive {
	return proto.StopDirective
})}

type guardian struct{ proto.SupervisorStrategy }

func (g *guardian) HandleFailure(actors *proto.ActorSystem, by proto.Supervisor, child *proto.PID, rs *proto.RestartStatistics, reason, message any) {
	if tell, ok := guarded.Load(guardKey{actors, child.Id}); ok {
		tell.(func(any))(reason)
	}
	g.SupervisorStrategy.HandleFailure(actors, by, child, rs, reason, message)
}

// A Task is a function in a goroutine of its own. To stop it, its context is
// canceled; it has ended when it returns. To return nil is a normal end; an
// error, or a panic, is an abnormal one, unless the task was to stop. The
// child's port receives nothing: it stands for the task in monitors.
//
// In a [Dynamic] supervisor, the arguments are those of
// [Supervisor.StartDynamic]; otherwise there are none.
type Task func(ctx context.Context, args actor.Message) error

func (t Task) supervisor() bool { return false }

func (t Task) check(path string) string {
	if t == nil {
		return at(path, "Task is nil")
	}
	return ""
}

func (t Task) begin(s *supervisor, inc *incarnation, args actor.Message) {
	s.port(inc, func(c *actor.Context) error {
		c.Default(func(*actor.Context, actor.Message) error { return nil })
		s.tell(tagReady, inc)
		return nil
	})
	port := inc.port
	if port.IsNodePort() { // there is none
		return
	}
	s.goroutine(inc, func(ctx context.Context) {
		err := t.run(ctx, args)
		switch {
		case ctx.Err() != nil:
			s.sys.Kill(port, reasonShutdown)
		case err != nil:
			s.sys.Kill(port, aemp.ReasonDie, err.Error())
		default:
			s.sys.Kill(port)
		}
	})
}

func (t Task) run(ctx context.Context, args actor.Message) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return t(ctx, args)
}

// goroutine runs a function for an incarnation, which has not ended before the
// function returns.
func (s *supervisor) goroutine(inc *incarnation, fn func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	inc.cancel, inc.busy = cancel, true
	go func() {
		defer cancel()
		fn(ctx)
		s.tell(tagReturned, inc)
	}()
}

func (s Spec) supervisor() bool { return true }

func (s Spec) begin(parent *supervisor, inc *incarnation, _ actor.Message) {
	path := parent.pathOf(inc.child)
	child := newSupervisor(parent.sys, s, path, func() { parent.tell(tagReady, inc) })
	parent.port(inc, child.setup)
}
