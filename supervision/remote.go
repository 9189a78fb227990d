package supervision

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// remoteStartTimeout is how long the start of a Remote may take by default.
const remoteStartTimeout = 30 * time.Second

// Remote is a port on another node, be it Portmesh or AnyEvent::MP, which a
// function makes there that can be spawned by its name.
//
// A Go node should make the function known by [Register]: then the child says
// itself that it is ready, a failed start tells why, and the child ends when
// the node of its supervisor is gone for too long. For a function that was
// registered otherwise, and on a Perl node, the child is ready when the node
// has made the port; what its function does wrong, in Go, is a death like any
// other.
type Remote struct {
	// Node is where the child lives.
	Node actor.NodeID
	// Nodes returns the nodes on one of which the child may live, if Node is
	// empty; see [Members]. It runs in a goroutine of its own, and must return
	// when the context ends. That is taken which has the fewest children of
	// this supervisor, if possible one that is not lost and where no start has
	// failed lately.
	Nodes func(ctx context.Context) ([]actor.NodeID, error)
	// Function is the name of the function.
	Function string
	// Args are its arguments; [Self] among them stands for the supervisor's
	// port. In a [Dynamic] supervisor, those of [Supervisor.StartDynamic]
	// follow.
	Args []any
	// Tree tells that the function makes a supervisor, as one does that was
	// registered by [RegisterTree].
	Tree bool
	// Orphan is how long the child lives on when it has no connection to its
	// supervisor's node, if it was started by a function of [Register]. Zero
	// means half of Child.Lost.Wait, or 15 seconds if that is zero; a negative
	// value means for ever.
	Orphan time.Duration
}

// Self stands for the port of the supervisor among the arguments of a [Remote].
// A Perl function may want to monitor it.
const Self selfPort = "supervisor"

type selfPort string

func (r Remote) supervisor() bool { return r.Tree }

func (r Remote) check(path string) string {
	switch {
	case r.Function == "":
		return at(path, "Remote has no Function")
	case (r.Node == "") == (r.Nodes == nil):
		return at(path, "Remote needs either Node or Nodes")
	case r.Node != "" && r.Node.Validate() != nil:
		return at(path, r.Node.Validate().Error())
	}
	return ""
}

// orphan returns how long an orphan may live.
func (r Remote) orphan(lost Lost) time.Duration {
	switch {
	case r.Orphan != 0:
		return r.Orphan
	case lost.Wait != 0:
		return lost.Wait / 2
	}
	return 15 * time.Second
}

// Members returns a function for Remote.Nodes: the nodes in a family of the
// registry. The keys of the family are ports, as of Registry.Register, or node
// IDs.
func Members(of interface {
	Keys(ctx context.Context, family string) ([]string, error)
}, family string) func(ctx context.Context) ([]actor.NodeID, error) {
	return func(ctx context.Context) ([]actor.NodeID, error) {
		keys, err := of.Keys(ctx, family)
		if err != nil {
			return nil, err
		}
		nodes := make([]actor.NodeID, len(keys))
		for i, key := range keys {
			nodes[i] = actor.PortID(key).Node()
		}
		slices.Sort(nodes)
		return slices.Compact(nodes), nil
	}
}

// remoteState is what an incarnation of a Remote has besides.
type remoteState struct {
	node     actor.NodeID // empty before there is one
	args     actor.Message
	fenced   bool         // it waits until those before it are dead
	endCall  func()       // ends the call that its start waits for
	endWatch func()       // ends the monitor of the port
	reason   actor.Reason // why its node was lost
}

// A start of a Remote goes through these steps, each of which waits for an
// answer without waiting in the port:
//
//	begin   choose a node
//	admit   wait until what is fenced is dead
//	ask     ask whether the node knows the function as a supervised one
//	spawn   spawn and monitor the port; it says ready, or the node answers
//	        behind it

func (r Remote) begin(s *supervisor, inc *incarnation, args actor.Message) {
	inc.remote.args = append(append(actor.Message(nil), r.Args...), args...)
	for i, arg := range inc.remote.args {
		if arg == Self {
			inc.remote.args[i] = s.self
		}
	}
	if r.Node != "" {
		r.placed(s, inc, r.Node)
		return
	}
	var nodes []actor.NodeID
	var err error
	place := s.c.Func(func(*actor.Context) error {
		if inc.child.inc == inc && !inc.dead {
			r.place(s, inc, nodes, err)
		}
		s.advance()
		return nil
	})
	s.goroutine(inc, func(ctx context.Context) {
		if nodes, err = r.nodes(ctx); ctx.Err() == nil {
			place()
		}
	})
}

func (r Remote) nodes(ctx context.Context) (nodes []actor.NodeID, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return r.Nodes(ctx)
}

// place chooses one of the nodes.
func (r Remote) place(s *supervisor, inc *incarnation, nodes []actor.NodeID, err error) {
	if err == nil && len(nodes) == 0 {
		err = errors.New("there is no node for it")
	}
	if err != nil {
		s.fail(inc, actor.Reason{aemp.ReasonDie, err.Error()})
		return
	}
	best := -1
	for i, at := range rand.Perm(len(nodes)) { // chance decides between equals
		if i == 0 || s.nodes.better(nodes[at], nodes[best]) {
			best = at
		}
	}
	r.placed(s, inc, nodes[best])
}

// fail ends an incarnation whose start has failed before there was a port.
func (s *supervisor) fail(inc *incarnation, reason actor.Reason) {
	inc.dead, inc.reason = true, reason
	if !inc.busy {
		s.died(inc, reason)
	}
}

func (r Remote) placed(s *supervisor, inc *incarnation, node actor.NodeID) {
	inc.remote.node = node
	s.nodes.load(node, +1)
	r.admit(s, inc)
}

// admit goes on when there can be no other one of the child any more, as far as
// that is to be known. It is called again when one has turned out to be dead.
func (r Remote) admit(s *supervisor, inc *incarnation) {
	wait, unknown := inc.child.fencedFor(inc.remote.node)
	inc.remote.fenced = wait > 0 || unknown
	switch {
	case wait > 0:
		s.timer(inc, wait, func() { r.admit(s, inc) })
	case unknown:
		s.startTimer(inc)
	default:
		s.startTimer(inc)
		r.ask(s, inc)
	}
}

// ask finds out whether the node knows the supervised form of the function. A
// Perl node of generation 1 does not know the question, and logs that; then the
// answer to the second is the first to come, and it is not asked again.
func (r Remote) ask(s *supervisor, inc *incarnation) {
	node := inc.remote.node.NodePort()
	over := false
	endCan, endTime := func() {}, func() {}
	decide := func(known bool, err error) {
		if over {
			return
		}
		over = true
		endCan()
		endTime()
		inc.remote.endCall = nil
		if err != nil {
			s.fail(inc, reasonOf(err))
			return
		}
		r.spawn(s, inc, known)
	}
	inc.remote.endCall = func() {
		over = true
		endCan()
		endTime()
	}
	if !s.nodes.mute[inc.remote.node] {
		endCan = s.c.Call(node, func(_ *actor.Context, answer actor.Message, err error) error {
			var known string
			if err == nil {
				answer.Scan(&known) // what does not fit is a no
			}
			decide(known == "1", err)
			s.advance()
			return nil
		}, "can", supervised(r.Function))
	}
	endTime = s.c.Call(node, func(_ *actor.Context, _ actor.Message, err error) error {
		if err == nil && !over {
			s.nodes.muted(inc.remote.node)
		}
		decide(false, err)
		s.advance()
		return nil
	}, "time")
}

// reasonOf returns the reason that an error of a call comes from.
func reasonOf(err error) actor.Reason {
	if dead, ok := errors.AsType[*actor.DeathError](err); ok {
		return dead.Reason
	}
	return actor.Reason{aemp.ReasonDie, err.Error()}
}

// spawnRequest is the request by which AEMP nodes make ports for others. It is
// sent as such, and not by [actor.System.Spawn], where the port's name is given.
const spawnRequest = "AnyEvent::MP::_spawn"

func (r Remote) spawn(s *supervisor, inc *incarnation, known bool) {
	function, args := r.Function, inc.remote.args
	if known {
		orphan := r.orphan(inc.child.spec.Lost).Seconds()
		function = supervised(r.Function)
		args = append(actor.Message{s.self, orphan, s.pathOf(inc.child)}, args...)
	}
	node := inc.remote.node
	if name := inc.child.spec.Name; name == "" {
		inc.port = s.sys.Spawn(node, function, args...)
	} else {
		inc.port = node.Port(name)
		if err := s.sys.Send(node.NodePort(), append([]any{spawnRequest, name, function}, args...)...); err != nil {
			s.tell(tagDied, inc, aemp.ReasonDie, err.Error())
			return
		}
	}
	s.nodes.spawned(inc)
	inc.remote.endWatch = s.watch(inc.port, inc)
	if known {
		return // it will tell
	}
	// The answer is behind the death of a port that did not come to be.
	inc.remote.endCall = s.c.Call(node.NodePort(), func(_ *actor.Context, _ actor.Message, err error) error {
		inc.remote.endCall = nil
		if err == nil {
			s.ready(inc)
		} // otherwise the monitor of the port tells
		return nil
	}, "time")
}
