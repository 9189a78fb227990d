package supervision

import (
	"fmt"
	"slices"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// The reasons that supervisors use.
const (
	// reasonShutdown is the kind of the reason with which children are told to
	// end, and with which a supervisor ends. It is no abnormal one.
	reasonShutdown = "shutdown"
	// reasonKilled is that of children that had to be killed.
	reasonKilled = "killed"
	// failedToStart is the second element of the reason of a supervisor one of
	// whose children did not start; the path of that child and its reason
	// follow.
	failedToStart = "failed to start"
)

// killGrace is how long a child that was killed may take to end. One that
// takes longer is stuck in its own code: nothing can stop it.
const killGrace = 5 * time.Second

// A phase of a supervisor's life.
type phase int

const (
	starting phase = iota // the children of the Spec are started for the first time
	running
	stopping
)

// A supervisor is the port that supervises. All of it but the first group is
// owned by the goroutine that runs the port.
type supervisor struct {
	// Immutable.
	sys     *actor.System
	self    actor.PortID
	spec    *Spec
	path    string
	started func()             // called once, when all children have been started
	aborted func(actor.Reason) // called when it ends before that; may be nil

	c         *actor.Context // of the port; it stays the same
	phase     phase
	children  []*child // in the order of the Spec; empty for a Dynamic
	byID      map[string]*child
	alive     int // how many incarnations there are
	intensity intensity
	reason    actor.Reason // why it is stopping
	sequence  int          // of the IDs of dynamic children
	touched   map[actor.PortID]*incarnation
	nodes     nodes
}

// A child is one that is in the supervisor's list, whether it runs or not.
type child struct {
	spec     *Child // that of all children, in a Dynamic
	id       string
	args     actor.Message // behind those of the Starter, in a Dynamic
	state    State
	inc      *incarnation // nil when Stopped or Waiting
	former   actor.PortID // of the one before
	want     bool         // it is to be started as soon as its turn comes
	mustStop bool         // it is to be stopped because of a sibling
	fresh    bool         // it is forgotten if its first start fails
	restarts int
	failures int                        // that count for the Backoff
	last     actor.Reason               // of its last end
	endWait  func()                     // ends the timer, when Waiting
	fenced   map[actor.PortID]time.Time // its former ports that may be alive; see fence
	starters []actor.PortID
	enders   []actor.PortID // those who wait to be told, of its start and its end
}

// An incarnation is one life of a child, from the attempt to start it to its
// end.
type incarnation struct {
	child    *child
	port     actor.PortID // empty before there is one
	since    time.Time    // it runs
	endTimer func()       // ends the timer that runs: of the start, the stop, or the kill
	undo     func()       // what Announce returned
	cancel   func()       // ends the context of its goroutine
	busy     bool         // its goroutine has not returned
	dead     bool         // its port has died
	reason   actor.Reason // why, if it is dead
	cause    actor.Reason // why the supervisor stopped it, if that is a failure of its start
	ignored  bool         // it has said ErrIgnore
	failure  actor.Reason // what it has said of its failure, before it died
	guard    guardKey     // of an Actor
	remote   remoteState
}

// Messages that a supervisor gets about its children from within its own
// program, with the incarnation behind them. Nobody else can make one of these.
const (
	tagReady    = "supervision ready"
	tagIgnore   = "supervision ignore"
	tagDied     = "supervision died"     // the reason follows
	tagFailed   = "supervision failed"   // the reason follows; it is about to die
	tagReturned = "supervision returned" // its goroutine
)

func newSupervisor(sys *actor.System, spec Spec, path string, started func()) *supervisor {
	return &supervisor{
		sys: sys, spec: &spec, path: path, started: started,
		byID: make(map[string]*child), intensity: newIntensity(&spec),
	}
}

// setup makes a port the supervisor's.
func (s *supervisor) setup(c *actor.Context) error {
	s.c, s.self = c, c.Self()
	s.receive(tagReady, func(inc *incarnation, _ actor.Reason) { s.ready(inc) })
	s.receive(tagIgnore, func(inc *incarnation, _ actor.Reason) { inc.ignored = true })
	s.receive(tagDied, s.portDied)
	s.receive(tagFailed, s.failed)
	s.receive(tagReturned, func(inc *incarnation, _ actor.Reason) {
		if inc.busy = false; inc.dead {
			s.died(inc, inc.reason)
		}
	})
	c.Receive(tagChildSays, s.childSays)
	s.control(c)
	// What nobody knows kills a port, but not this one.
	c.Default(s.unknown)
	// A supervisor that is killed has no time for its children.
	s.sys.Monitor(s.self, func(actor.Reason) { s.killOrphans() })

	if s.spec.Strategy != Dynamic {
		for i := range s.spec.Children {
			s.add(&child{spec: &s.spec.Children[i], id: s.spec.Children[i].ID, want: true})
		}
	}
	s.advance()
	return nil
}

func (s *supervisor) receive(tag string, f func(inc *incarnation, reason actor.Reason)) {
	s.c.Receive(tag, func(_ *actor.Context, m actor.Message) error {
		if len(m) > 0 {
			if inc, ok := m[0].(*incarnation); ok {
				f(inc, actor.Reason(m[1:]))
			}
		}
		return nil
	})
}

// tell sends one of those messages. Any goroutine may do so.
func (s *supervisor) tell(tag string, inc *incarnation, reason ...any) {
	s.sys.Send(s.self, append([]any{tag, inc}, reason...)...) // it is local
}

// watch has the supervisor told when the port of an incarnation dies. Any
// goroutine may call it.
func (s *supervisor) watch(port actor.PortID, inc *incarnation) (stop func()) {
	return s.sys.MonitorMessage(port, s.self, tagDied, inc)
}

func (s *supervisor) add(ch *child) {
	s.byID[ch.id] = ch
	if s.spec.Strategy != Dynamic {
		s.children = append(s.children, ch)
	}
}

func (s *supervisor) forget(ch *child) {
	delete(s.byID, ch.id)
	if i := slices.Index(s.children, ch); i >= 0 {
		s.children = slices.Delete(s.children, i, i+1)
	}
}

// grouped reports whether the children are stopped and started one after
// another, in their order.
func (s *supervisor) grouped() bool {
	return s.phase == starting || s.spec.Strategy == OneForAll || s.spec.Strategy == RestForOne
}

// advance does what can be done now. It is called whenever something has
// happened that others may wait for.
func (s *supervisor) advance() {
	for s.step() {
	}
}

// step takes one step, and reports whether to go on at once.
func (s *supervisor) step() bool {
	switch {
	case s.c == nil: // it has ended
		return false
	case s.phase == stopping:
		return s.stopStep()
	case s.grouped():
		return s.groupStep()
	}
	return false
}

// stopStep stops the children from right to left, each when the one to the
// right of it has ended.
func (s *supervisor) stopStep() bool {
	for _, ch := range slices.Backward(s.children) {
		switch ch.state {
		case Stopped:
		case Stopping:
			return false
		default:
			s.stop(ch)
			return true
		}
	}
	if s.alive > 0 { // a Dynamic's, which stop at once
		return false
	}
	if s.aborted != nil {
		s.aborted(s.reason)
	}
	s.c.Kill(s.reason...)
	s.c = nil
	return false
}

// groupStep stops what must be, from right to left, and then starts what must
// be, from left to right.
func (s *supervisor) groupStep() bool {
	var last *child
	for _, ch := range s.children {
		if ch.state == Stopping {
			return false
		}
		if ch.mustStop {
			last = ch
		}
	}
	if last != nil {
		s.stop(last)
		return true
	}
	var first *child
	for _, ch := range s.children {
		if ch.state == Starting || ch.state == Waiting {
			return false
		}
		if first == nil && ch.want && ch.state == Stopped {
			first = ch
		}
	}
	if first != nil {
		s.begin(first)
		return true
	}
	if s.phase == starting {
		s.phase = running
		s.aborted = nil
		s.emit(nil, Up, nil)
		s.started()
	}
	return false
}

// kick starts a child when its turn comes, which may be at once.
func (s *supervisor) kick(ch *child) {
	if s.phase == running && !s.grouped() && ch.want && ch.state == Stopped {
		s.begin(ch)
	}
	s.advance()
}

// begin makes a new incarnation.
func (s *supervisor) begin(ch *child) {
	inc := &incarnation{child: ch}
	ch.want, ch.mustStop = false, false
	ch.state, ch.inc = Starting, inc
	s.alive++
	s.startTimer(inc)
	ch.spec.Start.begin(s, inc, ch.args)
}

// startTimer bounds the start of an incarnation, from now on.
func (s *supervisor) startTimer(inc *incarnation) {
	ch := inc.child
	timeout := ch.spec.StartTimeout
	if _, ok := ch.spec.Start.(Remote); ok && timeout == 0 {
		timeout = remoteStartTimeout
	}
	if timeout > 0 {
		s.timer(inc, timeout, func() {
			inc.cause = actor.Reason{aemp.ReasonDie, fmt.Sprintf("did not start within %v", timeout)}
			s.stop(ch)
		})
	}
}

// timer sets the timer of an incarnation, in the place of a former one.
func (s *supervisor) timer(inc *incarnation, d time.Duration, fn func()) {
	inc.stopTimer()
	inc.endTimer = s.c.After(d, func(*actor.Context) error {
		if inc.child.inc == inc {
			fn()
			s.advance()
		}
		return nil
	})
}

func (inc *incarnation) stopTimer() {
	if inc.endTimer != nil {
		inc.endTimer()
		inc.endTimer = nil
	}
}

// ready is called when an incarnation has said that it is.
func (s *supervisor) ready(inc *incarnation) {
	ch := inc.child
	if ch.inc != inc || ch.state != Starting {
		return
	}
	if err := s.announce(inc); err != nil {
		inc.cause = actor.Reason{aemp.ReasonDie, err.Error()}
		s.stop(ch)
		s.advance()
		return
	}
	inc.stopTimer()
	inc.since = time.Now()
	delete(s.nodes.bad, inc.remote.node)
	ch.state, ch.fresh = Running, false
	s.emit(ch, Started, nil)
	s.answer(&ch.starters, answerOK, ch.id, inc.port)
	s.advance()
}

func (s *supervisor) announce(inc *incarnation) (err error) {
	f := inc.child.spec.Announce
	if f == nil {
		return nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("announce: %v", cause)
		}
	}()
	inc.undo, err = f(inc.port)
	return err
}

func (inc *incarnation) unannounce() {
	if inc.undo != nil {
		inc.undo()
		inc.undo = nil
	}
}

// stop makes a child end. One that has to be waited for is Stopping behind it.
func (s *supervisor) stop(ch *child) {
	ch.mustStop = false
	inc := ch.inc
	switch ch.state {
	case Stopped, Stopping:
		return
	case Waiting:
		ch.endWait()
		ch.state = Stopped
		s.ended(ch)
		return
	case Unreachable:
		// Nobody can tell when it ends.
		s.fence(inc, ch.spec.Lost.Wait)
		ch.state = Stopping
		s.died(inc, actor.Reason{aemp.ReasonTransport, string(inc.port.Node()), "stopped while its node was lost"})
		return
	}
	ch.state = Stopping
	inc.stopTimer()
	how := ch.spec.shutdown()
	switch {
	case inc.port == "": // a Remote that has not got so far
		if inc.cancel != nil {
			inc.cancel()
		}
		if inc.dead, inc.reason = true, (actor.Reason{reasonShutdown}); inc.busy {
			s.abandonLater(inc)
		} else {
			s.died(inc, inc.reason)
		}
		return
	case how == Brutal:
		s.kill(inc)
		return
	}
	s.ask(inc)
	if how != Infinity {
		s.timer(inc, time.Duration(how), func() { s.kill(inc) })
	}
}

// ask asks a child to end.
func (s *supervisor) ask(inc *incarnation) {
	spec := inc.child.spec
	var err error
	switch {
	case spec.Start.supervisor():
		err = s.sys.Send(inc.port, tagStop)
	case inc.busy:
		inc.cancel()
	case spec.StopMessage != nil:
		err = s.sys.Send(inc.port, spec.StopMessage...)
	default:
		err = s.sys.Kill(inc.port, reasonShutdown)
	}
	if err != nil {
		s.sys.Logger().Warn("child cannot be asked to stop", "child", s.pathOf(inc.child), "port", inc.port, "err", err)
	}
}

// kill ends a child without asking.
func (s *supervisor) kill(inc *incarnation) {
	s.end(inc, reasonKilled)
	s.abandonLater(inc)
}

// abandonLater takes an incarnation for dead that has to end and does not.
func (s *supervisor) abandonLater(inc *incarnation) {
	s.timer(inc, killGrace, func() {
		s.emit(inc.child, Abandoned, inc.failure)
		if inc.remote.node != "" {
			s.fence(inc, inc.child.spec.Lost.Wait)
		}
		s.died(inc, inc.startReason(actor.Reason{aemp.ReasonDie, "killed, and does not end"}))
	})
}

// end ends an incarnation as fast as may be.
func (s *supervisor) end(inc *incarnation, reason string) {
	if inc.cancel != nil {
		inc.cancel()
	}
	if inc.port == "" {
		return
	}
	s.sys.Kill(inc.port, reason) // without a network there is nothing to be done
	if s.sys.IsLocal(inc.port) {
		// The kill is behind all messages that wait, but has noted the reason.
		s.sys.Actors().Root.Stop(s.sys.PID(inc.port))
	}
}

// portDied is called when the monitor of an incarnation's port has fired.
func (s *supervisor) portDied(inc *incarnation, reason actor.Reason) {
	ch := inc.child
	switch {
	case ch.inc != inc: // it was abandoned, or replaced
	case inc.remote.node != "" && reason.Kind() == aemp.ReasonTransport:
		s.disconnected(inc, reason)
	case inc.busy:
		// The port is gone, but the goroutine is what counts.
		inc.dead, inc.reason = true, reason
		inc.cancel()
		if ch.state != Stopping {
			s.abandonLater(inc)
		}
	default:
		s.died(inc, inc.startReason(reason))
	}
	s.advance()
}

// died is called when an incarnation has ended.
func (s *supervisor) died(inc *incarnation, reason actor.Reason) {
	ch := inc.child
	if ch.inc != inc {
		return
	}
	inc.stopTimer()
	inc.unannounce()
	counted := s.counted(inc)
	s.left(inc)
	guarded.Delete(inc.guard)
	delete(s.touched, inc.port)
	state := ch.state
	ch.inc, ch.former, ch.state = nil, inc.port, Stopped
	s.alive--
	ch.last = reason
	if inc.cause != nil {
		ch.last = inc.cause
	}
	switch {
	case state == Starting && inc.ignored:
		s.answer(&ch.starters, answerOK, ch.id, actor.PortID(""))
		s.ended(ch)
	case state == Starting, inc.cause != nil:
		if inc.remote.node != "" {
			s.nodes.failed(inc.remote.node)
		}
		s.startFailed(ch)
	case state == Stopping, ch.mustStop: // it may have been faster
		ch.mustStop = false
		s.emit(ch, Ended, ch.last)
		s.ended(ch)
	default:
		s.emit(ch, Died, ch.last)
		s.exited(ch, inc, counted)
	}
	s.advance()
}

// ended is called when a child has ended that is not to be restarted.
func (s *supervisor) ended(ch *child) {
	s.answer(&ch.starters, answerError, codeStopped, "the child was stopped")
	s.answer(&ch.enders, answerOK)
	if (ch.spec.Restart == Temporary || ch.fresh || s.spec.Strategy == Dynamic) && s.phase != stopping {
		s.forget(ch)
	}
}

// startFailed is called when an incarnation has ended before it was ready.
func (s *supervisor) startFailed(ch *child) {
	s.emit(ch, StartFailed, ch.last)
	asked := len(ch.starters) > 0
	s.answer(&ch.starters, append([]any{answerError, codeStart, ch.id}, ch.last...)...)
	switch {
	case s.phase == stopping, asked, len(ch.enders) > 0:
		s.ended(ch)
	case s.phase == starting && ch.restarts == 0:
		path, reason := ch.id, ch.last
		if below, r, ok := startFailure(reason); ok { // of a supervisor
			path, reason = join(path, below), r
		}
		s.terminate(append(actor.Reason{reasonShutdown, failedToStart, path}, reason...))
	default:
		s.restart(ch, false)
	}
}

// startFailure takes apart the reason of a supervisor one of whose children
// did not start.
func startFailure(r actor.Reason) (path string, reason actor.Reason, ok bool) {
	if len(r) < 3 || r[0] != reasonShutdown || r[1] != failedToStart {
		return "", nil, false
	}
	path, ok = r[2].(string)
	return path, r[3:], ok
}

// exited is called when a child has died by itself, of a cause that may have
// been counted already.
func (s *supervisor) exited(ch *child, inc *incarnation, counted bool) {
	if s.phase == stopping {
		s.ended(ch)
		return
	}
	if ch.spec.Backoff.restful(time.Since(inc.since)) {
		ch.failures = 0
	}
	if ch.spec.Restart == Permanent || ch.spec.Restart == Transient && abnormal(ch.last) {
		s.restart(ch, counted)
		return
	}
	s.ended(ch)
	if ch.spec.Significant && s.autoShutdown() {
		s.terminate(actor.Reason{reasonShutdown})
	}
}

// autoShutdown reports whether the supervisor ends, now that a significant child
// has.
func (s *supervisor) autoShutdown() bool {
	if s.spec.AutoShutdown == AllSignificant {
		for _, ch := range s.byID {
			if ch.spec.Significant && (ch.inc != nil || ch.state == Waiting || ch.want) {
				return false
			}
		}
	}
	return s.spec.AutoShutdown != Never
}

// restart restarts a child, and those that the strategy has restarted with it.
func (s *supervisor) restart(ch *child, counted bool) {
	if !counted && !s.intensity.allow(time.Now()) {
		s.giveUp(fmt.Sprintf("child %q died again, after %d restarts within %v:", ch.id, s.intensity.max, s.intensity.period), ch.last)
		return
	}
	ch.restarts++
	for _, other := range s.affected(ch) {
		switch {
		case other.spec.Restart == Temporary:
			other.mustStop = other.inc != nil
		case other.state != Waiting:
			other.mustStop, other.want = other.inc != nil, true
		}
	}
	ch.want = true
	delay := ch.spec.Backoff.delay(ch.failures)
	ch.failures++
	s.emit(ch, Restarting, ch.last)
	if delay == 0 {
		s.kick(ch)
		return
	}
	ch.state = Waiting
	ch.endWait = s.c.After(delay, func(*actor.Context) error {
		if ch.state == Waiting {
			ch.state = Stopped
			s.kick(ch)
		}
		return nil
	})
	s.advance()
}

// affected returns the other children that are restarted with one.
func (s *supervisor) affected(ch *child) []*child {
	switch s.spec.Strategy {
	case OneForAll:
		others := slices.Clone(s.children)
		return slices.DeleteFunc(others, func(other *child) bool { return other == ch })
	case RestForOne:
		return s.children[slices.Index(s.children, ch)+1:]
	}
	return nil
}

// giveUp ends the supervisor because it cannot do what it is for.
func (s *supervisor) giveUp(why string, last actor.Reason) {
	if s.phase == stopping {
		return
	}
	s.emit(nil, GaveUp, append(actor.Reason{reasonShutdown, why}, last...))
	s.terminate(append(actor.Reason{reasonShutdown, why}, last...))
}

// terminate ends the supervisor, once it has stopped its children.
func (s *supervisor) terminate(reason actor.Reason) {
	if s.phase == stopping {
		return
	}
	s.phase, s.reason = stopping, reason
	if s.spec.Strategy == Dynamic {
		for _, ch := range s.byID {
			s.stop(ch)
		}
	}
	s.advance()
}

// killOrphans kills what a supervisor has left behind that was killed itself.
// It is called when the port is dead, so that nobody else uses its state.
func (s *supervisor) killOrphans() {
	for _, ch := range s.byID {
		if inc := ch.inc; inc != nil {
			inc.unannounce()
			guarded.Delete(inc.guard)
			if ch.spec.Start.supervisor() && inc.port != "" {
				s.sys.Send(inc.port, tagStop) // in order
				continue
			}
			s.end(inc, reasonShutdown)
		}
	}
}

// pathOf returns the names of the children from the root to one; nil stands for
// the supervisor.
func (s *supervisor) pathOf(ch *child) string {
	if ch == nil {
		return s.path
	}
	return join(s.path, ch.id)
}

// unknown takes what nobody has a receiver for.
func (s *supervisor) unknown(_ *actor.Context, m actor.Message) error {
	if len(m) == 1 && s.touch(m[0]) {
		return nil
	}
	s.sys.Logger().Debug("supervisor got an unknown message", "port", s.self, "message", m.String())
	return nil
}
