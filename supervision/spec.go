package supervision

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// A Spec says what a supervisor supervises, and how. It is a [Starter] too: a
// supervisor can be the child of another.
type Spec struct {
	// Strategy says which children are restarted when one dies.
	Strategy Strategy
	// Children are started in this order and stopped in the reverse one. A
	// [Dynamic] supervisor has exactly one, of whose kind all its children
	// are; none is started at first.
	Children []Child

	// Intensity is how many restarts there may be within Period. One more, and
	// the supervisor gives up: it stops all children and dies with the reason
	// "shutdown", so that its own supervisor decides. Zero means 1; a negative
	// value means that there may be none.
	Intensity int
	// Period is the time in which restarts are counted. Zero means 5 seconds.
	Period time.Duration
	// AutoShutdown says whether the supervisor ends by itself when significant
	// children have ended.
	AutoShutdown AutoShutdown
}

// A Strategy says which children are restarted when one dies and is to be
// restarted.
type Strategy int

// The strategies.
const (
	// OneForOne restarts the child that died.
	OneForOne Strategy = iota
	// OneForAll stops all other children, and then starts all.
	OneForAll
	// RestForOne stops the children behind the one that died, in the order of
	// the Spec, and then starts it and them.
	RestForOne
	// Dynamic restarts the child that died. All children are of one kind and
	// are started by [Supervisor.StartDynamic]; there may be very many. They
	// have no order: they are stopped all at once. (OTP: simple_one_for_one.)
	Dynamic
)

// String returns the name that OTP gives to the strategy, or "dynamic".
func (s Strategy) String() string {
	return name(int(s), "one_for_one", "one_for_all", "rest_for_one", "dynamic")
}

// AutoShutdown says when a supervisor ends by itself. It does so only when
// children end by themselves; those that the supervisor has stopped, for
// whatever cause, do not count.
type AutoShutdown int

// When a supervisor ends by itself.
const (
	// Never: no child may be significant.
	Never AutoShutdown = iota
	// AnySignificant: when one significant child has ended.
	AnySignificant
	// AllSignificant: when the last significant child has ended.
	AllSignificant
)

// String returns the name that OTP gives to it.
func (a AutoShutdown) String() string {
	return name(int(a), "never", "any_significant", "all_significant")
}

// A Child says how one child of a supervisor is started, restarted and
// stopped.
type Child struct {
	// ID names the child among those of its supervisor. It must not be empty
	// or contain a '/'.
	ID string
	// Start says what the child is: a [Local] function, an [Actor], a [Task],
	// something [Remote], or the [Spec] of another supervisor.
	Start Starter
	// Restart says after which ends the child is restarted.
	Restart Restart
	// Significant makes the child count for Spec.AutoShutdown. A significant
	// child must be transient or temporary.
	Significant bool

	// Shutdown is how long the child has time to end when it is to stop, after
	// which it is killed. Zero means 5 seconds, and [Infinity] for supervisors.
	Shutdown Shutdown
	// StopMessage asks the child to stop. Nil means that it is killed with the
	// reason "shutdown", which takes effect behind the messages that it has
	// got before. Supervisors and tasks are always asked in their own way.
	StopMessage actor.Message

	// Name gives the child's port a well-known name on its node, which it
	// keeps over restarts. Empty means a new name for each.
	Name string
	// Announce is called with the child's port whenever it has been started,
	// before the next child is, and the function that it returns, unless it is
	// nil, when the port is gone. It makes the child known under a name that
	// others look up, in the registry for instance. An error counts as a failed
	// start. It runs in the supervisor's port and must not wait.
	Announce func(port actor.PortID) (undo func(), err error)

	// StartTimeout is how long a start may take. Zero means 30 seconds for a
	// Remote, and for ever for all others.
	StartTimeout time.Duration
	// Backoff delays restarts. The zero value does not.
	Backoff Backoff
	// Lost says what happens when the node of a Remote child is lost.
	Lost Lost
}

// A Restart says after which ends a child is restarted.
type Restart int

// The restart types.
const (
	// Permanent children are always restarted.
	Permanent Restart = iota
	// Transient children are restarted after an abnormal end: for a reason
	// that is neither empty nor "shutdown" at its start.
	Transient
	// Temporary children are never restarted, not even when a strategy
	// restarts their siblings. When they have ended, the supervisor forgets
	// them.
	Temporary
)

// String returns the name that OTP gives to the restart type.
func (r Restart) String() string { return name(int(r), "permanent", "transient", "temporary") }

// Shutdown is the time that a child has to end: a duration above zero, or one
// of the constants.
type Shutdown time.Duration

// Shutdowns that are no durations.
const (
	// Brutal kills the child at once, without regard to messages that wait.
	Brutal Shutdown = -1
	// Infinity waits for as long as it takes.
	Infinity Shutdown = -2
)

// Lost says what happens to a child when the connection to its node is lost.
// That is no crash: the child may be alive.
type Lost struct {
	// Wait is how long the supervisor waits for the node. If the child is found
	// alive within that time, nothing has happened to it. Zero means not to
	// wait.
	Wait time.Duration
	// Then says what happens when the time is up.
	Then Verdict
}

// A Verdict says what happens to a child that stays lost.
type Verdict int

// The verdicts.
const (
	// Replace takes the child for dead, of an abnormal cause. A child that is
	// to be restarted is so on another node, if it has a choice of nodes. The
	// lost one is killed when its node is back, and no new one is started on
	// that node before.
	Replace Verdict = iota
	// GiveUp ends the supervisor, so that its own supervisor decides.
	GiveUp
)

// String returns the name of the verdict.
func (v Verdict) String() string { return name(int(v), "replace", "give up") }

// ErrSpec: a [Spec] or a [Child] is not valid; the text names what is wrong
// and where.
var ErrSpec = errors.New("invalid specification")

// Validate reports what is wrong with the Spec or one below, or nil. The error
// wraps [ErrSpec].
func (s Spec) Validate() error {
	if text := s.check(""); text != "" {
		return fmt.Errorf("supervision: %w: %s", ErrSpec, text)
	}
	return nil
}

func (s Spec) check(path string) string {
	switch {
	case s.Strategy < OneForOne || s.Strategy > Dynamic:
		return at(path, "unknown strategy")
	case s.AutoShutdown < Never || s.AutoShutdown > AllSignificant:
		return at(path, "unknown AutoShutdown")
	case s.Period < 0:
		return at(path, "Period is negative")
	case s.Strategy == Dynamic && len(s.Children) != 1:
		return at(path, fmt.Sprintf("a dynamic supervisor has one kind of children, not %d", len(s.Children)))
	case s.Strategy == Dynamic && s.Children[0].Name != "":
		return at(path, "the children of a dynamic supervisor cannot share a Name")
	}
	seen := make(map[string]bool, len(s.Children))
	for _, c := range s.Children {
		if text := c.check(path, s); text != "" {
			return text
		}
		if seen[c.ID] {
			return at(path, fmt.Sprintf("there are two children %q", c.ID))
		}
		seen[c.ID] = true
	}
	return ""
}

func (c Child) check(path string, in Spec) string {
	if c.ID == "" || strings.Contains(c.ID, "/") {
		return at(path, fmt.Sprintf("bad child ID %q", c.ID))
	}
	path = join(path, c.ID)
	switch {
	case c.Start == nil:
		return at(path, "there is no Start")
	case c.Restart < Permanent || c.Restart > Temporary:
		return at(path, "unknown restart type")
	case c.Significant && c.Restart == Permanent:
		return at(path, "a permanent child cannot be significant")
	case c.Significant && in.AutoShutdown == Never:
		return at(path, "significant, but its supervisor never ends by itself")
	case c.Shutdown < Infinity:
		return at(path, "Shutdown is negative")
	case c.StartTimeout < 0:
		return at(path, "StartTimeout is negative")
	case c.Lost.Wait < 0 || c.Lost.Then < Replace || c.Lost.Then > GiveUp:
		return at(path, "bad Lost")
	}
	if text := c.Backoff.check(); text != "" {
		return at(path, text)
	}
	return c.Start.check(path)
}

// shutdown returns the Shutdown with the defaults in.
func (c *Child) shutdown() Shutdown {
	switch {
	case c.Shutdown != 0:
		return c.Shutdown
	case c.Start.supervisor():
		return Infinity
	}
	return Shutdown(5 * time.Second)
}

// join returns the path of a child.
func join(path, id string) string {
	if path == "" {
		return id
	}
	return path + "/" + id
}

func at(path, text string) string {
	if path == "" {
		return text
	}
	return fmt.Sprintf("child %q: %s", path, text)
}

func name(i int, names ...string) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}

// abnormal reports whether a transient child is restarted after that reason.
func abnormal(r actor.Reason) bool { return !r.Normal() && r.Kind() != reasonShutdown }
