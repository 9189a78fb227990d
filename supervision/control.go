package supervision

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// The messages that a supervisor answers, so that it can be controlled from
// anywhere in the mesh. An answer is "ok" and results, or "error" with a code
// and a text, or what else belongs to the code.
const (
	tagStop      = "stop"          // end, in order; there is no answer but the death
	tagPing      = "ping"          // -> ok; from a child with its port: not_found if it is none any more
	tagStart     = "start_child"   // a *Child, from within the program -> ok, ID, port
	tagDynamic   = "start_dynamic" // arguments -> ok, ID, port
	tagTerminate = "terminate"     // ID -> ok
	tagRestart   = "restart"       // ID -> ok, ID, port
	tagDelete    = "delete"        // ID -> ok
	tagChild     = "child"         // ID -> ok, status
	tagChildren  = "children"      // -> ok, statuses
	tagCount     = "count"         // -> ok, specs, active, supervisors, workers
	tagTree      = "tree"          // seconds to wait for those below -> ok, tree

	answerOK    = "ok"
	answerError = "error"
)

// Codes of errors.
const (
	codeNotFound = "not_found"
	codeRunning  = "running"
	codeExists   = "already_present"
	codeStrategy = "wrong_strategy"
	codeSpec     = "bad_spec"
	codeEnding   = "stopping"
	codeStopped  = "stopped"
	codeStart    = "start" // the child's ID and the reason follow
)

// maxTree is how many children of a supervisor are part of a tree.
const maxTree = 1000

// control sets the receivers for these messages.
func (s *supervisor) control(c *actor.Context) {
	c.Receive(tagStop, func(*actor.Context, actor.Message) error {
		s.terminate(actor.Reason{reasonShutdown})
		return nil
	})
	c.Receive(tagPing, s.ping)
	c.Receive(tagStart, s.startChild)
	c.Receive(tagDynamic, s.startDynamic)
	s.onChild(tagTerminate, s.terminateChild)
	s.onChild(tagRestart, s.restartChild)
	s.onChild(tagDelete, s.deleteChild)
	s.onChild(tagChild, func(ch *child, reply actor.PortID) { s.respond(reply, answerOK, s.status(ch).encode()) })
	c.Receive(tagChildren, func(c *actor.Context, _ actor.Message) error {
		answer := []any{answerOK}
		for _, ch := range s.all() {
			answer = append(answer, s.status(ch).encode())
		}
		s.respond(c.Reply(), answer...)
		return nil
	})
	c.Receive(tagCount, func(c *actor.Context, _ actor.Message) error {
		supervisors := 0
		for _, ch := range s.byID {
			if ch.spec.Start.supervisor() {
				supervisors++
			}
		}
		s.respond(c.Reply(), answerOK, len(s.byID), s.alive, supervisors, len(s.byID)-supervisors)
		return nil
	})
	c.Receive(tagTree, s.tree)
}

// ping answers that the supervisor is there. A child that asks after it had lost
// us is told whether it is still wanted.
func (s *supervisor) ping(c *actor.Context, m actor.Message) error {
	var port actor.PortID
	if len(m) > 1 && m.Scan(&port) == nil {
		inc := s.nodes.ports[port]
		if inc == nil {
			s.respond(c.Reply(), answerError, codeNotFound, "")
			return nil
		}
		if inc.child.state == Unreachable && inc.endTimer != nil {
			s.allow(inc)
		}
	}
	s.respond(c.Reply(), answerOK)
	return nil
}

// onChild sets the receiver for a message that names a child.
func (s *supervisor) onChild(tag string, f func(ch *child, reply actor.PortID)) {
	s.c.Receive(tag, func(c *actor.Context, m actor.Message) error {
		var id string
		err := m.Scan(&id)
		if ch := s.byID[id]; err == nil && ch != nil {
			f(ch, c.Reply())
		} else {
			s.respond(c.Reply(), answerError, codeNotFound, id)
		}
		return nil
	})
}

// respond sends an answer, if anybody waits for it.
func (s *supervisor) respond(to actor.PortID, msg ...any) {
	if to == "" {
		return
	}
	if err := s.sys.Send(to, msg...); err != nil {
		s.sys.Logger().Warn("supervisor cannot answer", "port", s.self, "to", to, "err", err)
	}
}

// answer sends it to all who wait.
func (s *supervisor) answer(waiting *[]actor.PortID, msg ...any) {
	for _, to := range *waiting {
		s.respond(to, msg...)
	}
	*waiting = nil
}

// all returns all children, in their order or in that of their IDs.
func (s *supervisor) all() []*child {
	if s.spec.Strategy != Dynamic {
		return s.children
	}
	return slices.SortedFunc(maps.Values(s.byID), func(a, b *child) int {
		if n := len(a.id) - len(b.id); n != 0 { // they are numbers
			return n
		}
		if a.id < b.id {
			return -1
		}
		return 1
	})
}

func (s *supervisor) startChild(c *actor.Context, m actor.Message) error {
	var spec *Child
	if len(m) > 0 {
		spec, _ = m[0].(*Child)
	}
	switch {
	case spec == nil:
		s.respond(c.Reply(), answerError, codeSpec, "a child can be specified from within its supervisor's program only")
	case s.phase == stopping:
		s.respond(c.Reply(), answerError, codeEnding, "")
	case s.spec.Strategy == Dynamic:
		s.respond(c.Reply(), answerError, codeStrategy, "a dynamic supervisor has one kind of children")
	case s.byID[spec.ID] != nil:
		s.respond(c.Reply(), answerError, codeExists, spec.ID)
	default:
		if text := spec.check(s.path, *s.spec); text != "" {
			s.respond(c.Reply(), answerError, codeSpec, text)
			return nil
		}
		s.start(&child{spec: spec, id: spec.ID, fresh: true}, c.Reply())
	}
	return nil
}

func (s *supervisor) startDynamic(c *actor.Context, m actor.Message) error {
	switch {
	case s.phase == stopping:
		s.respond(c.Reply(), answerError, codeEnding, "")
	case s.spec.Strategy != Dynamic:
		s.respond(c.Reply(), answerError, codeStrategy, "not a dynamic supervisor")
	default:
		if c.Reply() != "" {
			m = m[:len(m)-1]
		}
		s.sequence++
		ch := &child{spec: &s.spec.Children[0], id: strconv.Itoa(s.sequence), fresh: true}
		ch.args = slices.Clone(m)
		s.start(ch, c.Reply())
	}
	return nil
}

// start adds a new child and starts it.
func (s *supervisor) start(ch *child, reply actor.PortID) {
	s.add(ch)
	ch.starters = []actor.PortID{reply} // even if nobody waits: a failure is no restart
	ch.want = true
	s.kick(ch)
}

func (s *supervisor) terminateChild(ch *child, reply actor.PortID) {
	ch.want, ch.mustStop = false, false
	if ch.state == Stopped {
		s.respond(reply, answerOK)
		s.ended(ch)
		s.advance()
		return
	}
	ch.enders = append(ch.enders, reply)
	s.stop(ch)
	s.advance()
}

func (s *supervisor) restartChild(ch *child, reply actor.PortID) {
	switch {
	case s.phase == stopping:
		s.respond(reply, answerError, codeEnding, "")
	case s.spec.Strategy == Dynamic:
		s.respond(reply, answerError, codeStrategy, "children of a dynamic supervisor are not kept")
	case ch.state != Stopped || ch.want:
		s.respond(reply, answerError, codeRunning, ch.state.String())
	default:
		ch.starters = []actor.PortID{reply}
		ch.want = true
		s.kick(ch)
	}
}

func (s *supervisor) deleteChild(ch *child, reply actor.PortID) {
	switch {
	case s.spec.Strategy == Dynamic:
		s.respond(reply, answerError, codeStrategy, "children of a dynamic supervisor are not kept")
	case ch.state != Stopped || ch.want:
		s.respond(reply, answerError, codeRunning, ch.state.String())
	default:
		s.forget(ch)
		s.respond(reply, answerOK)
	}
}

// tree answers with all that is below, for which it asks the supervisors there.
func (s *supervisor) tree(c *actor.Context, m actor.Message) error {
	reply := c.Reply()
	seconds := 1.0
	if m.Scan(&seconds) != nil || !(seconds > 0 && seconds <= 60) {
		seconds = 1
	}
	patience := time.Duration(seconds * float64(time.Second))
	t := Tree{
		Status:   Status{Port: s.self, State: [...]State{Starting, Running, Stopping}[s.phase], Supervisor: true},
		Strategy: s.spec.Strategy,
	}
	all := s.all()
	if len(all) > maxTree {
		t.More, all = len(all)-maxTree, all[:maxTree]
	}
	t.Children = make([]Tree, len(all))
	open := 1 // answers that are missing, and this function's own
	answered := func() {
		if open--; open == 0 {
			s.respond(reply, answerOK, t.encode())
		}
	}
	for i, ch := range all {
		t.Children[i].Status = s.status(ch)
		below := &t.Children[i]
		if !below.Supervisor || below.Port == "" {
			continue
		}
		if ch.state == Unreachable {
			below.Missing = "its node is lost"
			continue
		}
		open++
		s.askTree(below, patience, answered)
	}
	answered()
	return nil
}

// askTree asks a supervisor for what is below it, and calls done in any case.
func (s *supervisor) askTree(t *Tree, patience time.Duration, done func()) {
	over := false
	finish := func(missing string) {
		if !over {
			over = true
			t.Missing = missing
			done()
		}
	}
	var endTimer func()
	endCall := s.c.Call(t.Port, func(_ *actor.Context, answer actor.Message, err error) error {
		if over {
			return nil
		}
		endTimer()
		if err == nil {
			answer, err = result(answer, err)
		}
		var below Tree
		if err == nil {
			below, err = treeOf(answer)
		}
		if err != nil {
			finish(err.Error())
			return nil
		}
		t.Strategy, t.Children, t.More = below.Strategy, below.Children, below.More
		finish(below.Missing)
		return nil
	}, tagTree, 0.8*patience.Seconds()) // so that those below give up before we do
	endTimer = s.c.After(patience, func(*actor.Context) error {
		endCall()
		finish("it does not answer")
		return nil
	})
}
