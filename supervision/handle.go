package supervision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// Errors of this package, besides [ErrSpec] and [ErrIgnore]. What a method
// returns may wrap them.
var (
	// ErrNotFound: the supervisor has no such child.
	ErrNotFound = errors.New("no such child")
	// ErrRunning: the child is not stopped.
	ErrRunning = errors.New("the child is not stopped")
	// ErrExists: there is already a child of that ID.
	ErrExists = errors.New("there is such a child already")
	// ErrStrategy: this cannot be done with a supervisor of that strategy.
	ErrStrategy = errors.New("wrong strategy")
	// ErrStopping: the supervisor is about to end.
	ErrStopping = errors.New("the supervisor is stopping")
	// ErrChildStopped: the child was stopped before it was ready.
	ErrChildStopped = errors.New("the child was stopped")
)

var codes = map[string]error{
	codeNotFound: ErrNotFound, codeRunning: ErrRunning, codeExists: ErrExists, codeStrategy: ErrStrategy,
	codeSpec: ErrSpec, codeEnding: ErrStopping, codeStopped: ErrChildStopped,
}

// A StartError tells that a child could not be started.
type StartError struct {
	// Path names the child, behind those that are above it.
	Path string
	// Reason is the child's own.
	Reason actor.Reason
}

func (e *StartError) Error() string {
	return fmt.Sprintf("supervision: child %q did not start: %s", e.Path, e.Reason)
}

// An EndError tells that a supervisor has ended otherwise than because it was
// stopped, or its significant children had ended.
type EndError struct {
	Port   actor.PortID
	Reason actor.Reason
}

func (e *EndError) Error() string {
	return fmt.Sprintf("supervision: supervisor %s ended: %s", e.Port, e.Reason)
}

// A Supervisor is a running supervisor, on this node or another one. Its
// methods may be called by any goroutine at any time; handlers of ports must not
// call those that wait. A method that waits returns an error that wraps that of ctx when the
// time is up, and an [actor.DeathError] when the supervisor has ended.
type Supervisor struct {
	sys  *actor.System
	port actor.PortID

	ended  chan struct{} // closed when it has ended
	once   sync.Once
	reason actor.Reason // why; set before ended is closed
}

// Start starts a supervisor and its children, and theirs, one after another. It
// returns when all of them are ready. When one cannot be started, those that
// have been are stopped again, and the error is a [StartError]. It wraps
// [ErrSpec] when the Spec is not valid.
//
// The context bounds the start only. If it ends before, the supervisor is told
// to stop, and Start does not wait for that.
func Start(ctx context.Context, sys *actor.System, spec Spec) (*Supervisor, error) {
	h, ready, err := launch(sys, spec)
	if err != nil {
		return nil, err
	}
	select {
	case <-ready:
		return h, nil
	case <-h.ended:
		return nil, h.Err()
	case <-ctx.Done():
		h.sys.Send(h.port, tagStop)
		return nil, fmt.Errorf("supervision: start: %w", context.Cause(ctx))
	}
}

// launch begins to start a supervisor. The channel is closed when all children
// are ready.
func launch(sys *actor.System, spec Spec) (*Supervisor, <-chan struct{}, error) {
	if err := spec.Validate(); err != nil {
		return nil, nil, err
	}
	ready := make(chan struct{})
	s := newSupervisor(sys, spec, "", func() { close(ready) })
	h := &Supervisor{sys: sys, ended: make(chan struct{})}
	h.port = sys.Port(func(c *actor.Context) error {
		sys.Monitor(c.Self(), h.end)
		return s.setup(c)
	})
	return h, ready, nil
}

// Of returns the supervisor whose port that is, on whatever node.
func Of(sys *actor.System, port actor.PortID) *Supervisor {
	h := &Supervisor{sys: sys, port: port, ended: make(chan struct{})}
	sys.Monitor(port, h.end)
	return h
}

func (h *Supervisor) end(reason actor.Reason) {
	h.once.Do(func() {
		h.reason = reason
		close(h.ended)
	})
}

// Port returns the supervisor's port ID.
func (h *Supervisor) Port() actor.PortID { return h.port }

// Done returns a channel that is closed when the supervisor has ended, and all
// its children with it. For a supervisor of another node it is closed as well
// when that node is lost.
func (h *Supervisor) Done() <-chan struct{} { return h.ended }

// Reason returns why the supervisor has ended; it is empty before Done.
func (h *Supervisor) Reason() actor.Reason {
	select {
	case <-h.ended:
		return h.reason
	default:
		return nil
	}
}

// Err returns nil before Done, and if the supervisor ended because it was
// stopped or its significant children had ended. Otherwise the error is a
// [StartError] or an [EndError].
func (h *Supervisor) Err() error {
	reason := h.Reason()
	if path, r, ok := startFailure(reason); ok {
		return &StartError{path, r}
	}
	if reason.Normal() || reason.Kind() == reasonShutdown && len(reason) == 1 {
		return nil
	}
	return &EndError{h.port, reason}
}

// Context returns a context that ends with the supervisor, and with parent. Its
// cause is then Err, if that is not nil.
func (h *Supervisor) Context(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	h.sys.Monitor(h.port, func(reason actor.Reason) {
		h.end(reason)
		cancel(h.Err())
	})
	return ctx
}

// Stop stops the supervisor: its children end in the reverse order of their
// start, each in the time of its Shutdown. It waits until all have ended, or
// ctx has; then they go on stopping.
func (h *Supervisor) Stop(ctx context.Context) error {
	if err := h.sys.Send(h.port, tagStop); err != nil {
		return fmt.Errorf("supervision: stop: %w", err)
	}
	select {
	case <-h.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("supervision: stop: %w", context.Cause(ctx))
	}
}

// Kill ends the supervisor at once. Its children are killed, in no order;
// nobody waits for them.
func (h *Supervisor) Kill() error { return h.sys.Kill(h.port, reasonKilled) }

// StartChild adds a child behind the others and starts it. It waits until the
// child is ready, and returns its port. If it cannot be started, it is
// forgotten, and the error is a [StartError]. The supervisor must be on this
// system, and not be a [Dynamic] one.
func (h *Supervisor) StartChild(ctx context.Context, spec Child) (actor.PortID, error) {
	if !h.sys.IsLocal(h.port) {
		return "", fmt.Errorf("supervision: start child %q: %w: the supervisor is on another node", spec.ID, ErrSpec)
	}
	return h.started(h.call(ctx, tagStart, &spec))
}

// StartDynamic starts a child of a [Dynamic] supervisor, with further
// arguments. It waits until the child is ready, and returns its status. An
// error is as with StartChild.
func (h *Supervisor) StartDynamic(ctx context.Context, args ...any) (id string, port actor.PortID, err error) {
	m, err := h.call(ctx, append([]any{tagDynamic}, args...)...)
	if err == nil {
		err = m.Scan(&id, &port)
	}
	return id, port, err
}

// TerminateChild stops a child, in the time of its Shutdown, and waits for its
// end. It stays known and can be started by RestartChild, unless it is temporary
// or that of a [Dynamic] supervisor. To stop one that does not run is no error.
func (h *Supervisor) TerminateChild(ctx context.Context, id string) error {
	_, err := h.call(ctx, tagTerminate, id)
	return err
}

// RestartChild starts a child that is stopped, waits until it is ready, and
// returns its port. The error may be a [StartError] or wrap [ErrRunning].
func (h *Supervisor) RestartChild(ctx context.Context, id string) (actor.PortID, error) {
	return h.started(h.call(ctx, tagRestart, id))
}

// DeleteChild makes the supervisor forget a child that is stopped.
func (h *Supervisor) DeleteChild(ctx context.Context, id string) error {
	_, err := h.call(ctx, tagDelete, id)
	return err
}

// Child returns the status of a child. If that is a supervisor itself, [Of]
// makes one of its port.
func (h *Supervisor) Child(ctx context.Context, id string) (Status, error) {
	m, err := h.call(ctx, tagChild, id)
	if err != nil {
		return Status{}, err
	}
	return statusOf(m, 0)
}

// Children returns the statuses of all children, in their order.
func (h *Supervisor) Children(ctx context.Context) ([]Status, error) {
	m, err := h.call(ctx, tagChildren)
	if err != nil {
		return nil, err
	}
	all := make([]Status, len(m))
	for i := range m {
		if all[i], err = statusOf(m, i); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Count returns how many children there are.
func (h *Supervisor) Count(ctx context.Context) (c Counts, err error) {
	m, err := h.call(ctx, tagCount)
	if err == nil {
		err = m.Scan(&c.Specs, &c.Active, &c.Supervisors, &c.Workers)
	}
	return c, err
}

// Tree returns all that is below the supervisor, on whatever nodes. What does
// not answer within a few seconds is marked as missing. Of a supervisor with
// more than 1,000 children, that many are part of it.
func (h *Supervisor) Tree(ctx context.Context) (Tree, error) {
	m, err := h.call(ctx, tagTree, 5)
	if err != nil {
		return Tree{}, err
	}
	return treeOf(m)
}

// call asks the supervisor and returns the result.
func (h *Supervisor) call(ctx context.Context, msg ...any) (actor.Message, error) {
	answer, err := result(h.sys.Call(ctx, h.port, msg...))
	if err != nil {
		tag, _ := actor.Message(msg).Tag()
		if _, ok := errors.AsType[*StartError](err); !ok {
			err = fmt.Errorf("supervision: %s: %w", strings.ReplaceAll(tag, "_", " "), err)
		}
	}
	return answer, err
}

// started returns the port from the answer about a start.
func (h *Supervisor) started(m actor.Message, err error) (port actor.PortID, _ error) {
	var id string
	if err == nil {
		err = m.Scan(&id, &port)
	}
	return port, err
}

// result takes an answer apart.
func result(m actor.Message, err error) (actor.Message, error) {
	if err != nil {
		return nil, err
	}
	tag, _ := m.Tag()
	if tag == answerOK {
		return m[1:], nil
	}
	var code, text string
	if tag != answerError || m[1:].Scan(&code) != nil {
		return nil, fmt.Errorf("not the answer of a supervisor: %s", m)
	}
	if len(m) > 2 {
		m[2:].Scan(&text)
	}
	if code == codeStart && len(m) > 2 {
		path, reason := text, actor.Reason(m[3:])
		if below, r, ok := startFailure(reason); ok {
			path, reason = join(path, below), r
		}
		return nil, &StartError{path, reason}
	}
	sentinel := codes[code]
	if sentinel == nil {
		sentinel = errors.New(code)
	}
	if text == "" {
		return nil, sentinel
	}
	return nil, fmt.Errorf("%w: %s", sentinel, text)
}

func statusOf(m actor.Message, i int) (Status, error) {
	var list []any
	if i < len(m) {
		list, _ = m[i].([]any)
	}
	return decodeStatus(aemp.Message(list))
}

func treeOf(m actor.Message) (Tree, error) {
	var list []any
	if len(m) > 0 {
		list, _ = m[0].([]any)
	}
	return decodeTree(aemp.Message(list))
}
