package supervision

import (
	"fmt"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A State is what a child is doing.
type State int

// The states of a child.
const (
	// Stopped: it does not run, and nobody wants it to.
	Stopped State = iota
	// Starting: it is not ready yet.
	Starting
	// Running: it has said that it is ready.
	Running
	// Waiting: it waits for its Backoff before it is restarted.
	Waiting
	// Stopping: it is to end, and has not yet.
	Stopping
	// Unreachable: the connection to its node is lost; it may be alive.
	Unreachable
)

// String returns the state in lower case.
func (s State) String() string {
	return name(int(s), "stopped", "starting", "running", "waiting", "stopping", "unreachable")
}

// A Status tells of one child.
type Status struct {
	ID string
	// Port is empty if there is none.
	Port actor.PortID
	// State is what the child is doing.
	State State
	// Restart is the child's restart type.
	Restart Restart
	// Supervisor tells that the child is one.
	Supervisor bool
	// Restarts is how often the child has been restarted.
	Restarts int
	// Since is when it was ready, and zero if it is not running.
	Since time.Time
	// Last is the reason of its last end, and nil if there was none.
	Last actor.Reason
}

// Counts tells how many children a supervisor has.
type Counts struct {
	Specs       int // all, running or not
	Active      int // those that have a port
	Supervisors int // of all, those that are supervisors
	Workers     int // of all, those that are not
}

// A Tree is a supervisor or one of its children, and all below it, at one
// moment for each supervisor.
type Tree struct {
	// Status is that of the supervisor or child. That of the root has an
	// empty ID.
	Status
	// Strategy is that of a supervisor.
	Strategy Strategy
	// Children are those of a supervisor, in their order.
	Children []Tree
	// More is how many children of a [Dynamic] supervisor are left out, because
	// there are too many.
	More int
	// Missing says why nothing is known of the children of a supervisor; it is
	// empty otherwise.
	Missing string
}

// String returns the tree as text, a line for each child.
func (t Tree) String() string {
	var b strings.Builder
	t.print(&b, "", "")
	return b.String()
}

func (t Tree) print(b *strings.Builder, first, rest string) {
	id := t.ID
	if id == "" {
		id = "(root)"
	}
	fmt.Fprintf(b, "%s%s  %s", first, id, t.State)
	if t.Supervisor {
		fmt.Fprintf(b, "  %s", t.Strategy)
	}
	if t.Port != "" {
		fmt.Fprintf(b, "  %s", t.Port)
	}
	if t.Restarts > 0 {
		fmt.Fprintf(b, "  restarts: %d", t.Restarts)
	}
	if t.Last != nil {
		fmt.Fprintf(b, "  last: %s", t.Last)
	}
	if t.Missing != "" {
		fmt.Fprintf(b, "  (%s)", t.Missing)
	}
	b.WriteByte('\n')
	for i, below := range t.Children {
		if i == len(t.Children)-1 && t.More == 0 {
			below.print(b, rest+"└─ ", rest+"   ")
		} else {
			below.print(b, rest+"├─ ", rest+"│  ")
		}
	}
	if t.More > 0 {
		fmt.Fprintf(b, "%s└─ and %d more\n", rest, t.More)
	}
}

// status returns that of a child.
func (s *supervisor) status(ch *child) Status {
	st := Status{
		ID: ch.id, State: ch.state, Restart: ch.spec.Restart, Supervisor: ch.spec.Start.supervisor(),
		Restarts: ch.restarts, Last: ch.last,
	}
	if ch.inc != nil {
		st.Port, st.Since = ch.inc.port, ch.inc.since
	}
	return st
}

// The forms in which these travel: lists, so that anything in the mesh can read
// them.

func (st Status) encode() []any {
	since := 0.0
	if !st.Since.IsZero() {
		since = float64(st.Since.UnixMicro()) / 1e6
	}
	var last any // a nil reason is none, an empty one a normal end
	if st.Last != nil {
		last = []any(st.Last)
	}
	return []any{st.ID, string(st.Port), int(st.State), int(st.Restart), st.Supervisor, st.Restarts, since, last}
}

func decodeStatus(m aemp.Message) (st Status, err error) {
	var state, restart int
	var since float64
	var last any
	if err := m.Scan(&st.ID, &st.Port, &state, &restart, &st.Supervisor, &st.Restarts, &since, &last); err != nil {
		return st, fmt.Errorf("supervision: status: %w", err)
	}
	st.State, st.Restart = State(state), Restart(restart)
	if since != 0 {
		st.Since = time.UnixMicro(int64(since * 1e6))
	}
	if list, ok := last.([]any); ok {
		st.Last = actor.Reason(list)
	}
	return st, nil
}

func (t Tree) encode() []any {
	below := make([]any, len(t.Children))
	for i, c := range t.Children {
		below[i] = c.encode()
	}
	return []any{t.Status.encode(), int(t.Strategy), below, t.More, t.Missing}
}

func decodeTree(m aemp.Message) (t Tree, err error) {
	var status, below []any
	var strategy int
	if err := m.Scan(&status, &strategy, &below, &t.More, &t.Missing); err != nil {
		return t, fmt.Errorf("supervision: tree: %w", err)
	}
	t.Strategy = Strategy(strategy)
	if t.Status, err = decodeStatus(status); err != nil {
		return t, err
	}
	for _, c := range below {
		list, ok := c.([]any)
		if !ok {
			return t, fmt.Errorf("supervision: tree: child is a %T, not a list", c)
		}
		child, err := decodeTree(list)
		if err != nil {
			return t, err
		}
		t.Children = append(t.Children, child)
	}
	return t, nil
}
