package supervision_test

import (
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	sv "github.com/portmesh/portmesh/supervision"
)

// A world is a system whose supervised children note when they start and end.
type world struct {
	t   *testing.T
	sys *actor.System

	mu     sync.Mutex
	notes  []string
	events []sv.Event
	ports  map[string]actor.PortID // the latest of each child
	fail   map[string]int          // how many starts of each child are to fail

	supervisors []*sv.Supervisor
}

// inBubble runs a test in a bubble of virtual time.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // idle goroutines of the system end
		test(newWorld(t))
		synctest.Wait()
	})
}

func newWorld(t *testing.T) *world {
	return newWorldOn(t, actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))))
}

func newWorldOn(t *testing.T, sys *actor.System) *world {
	w := &world{t: t, sys: sys, ports: make(map[string]actor.PortID), fail: make(map[string]int)}
	w.sys.Actors().EventStream.Subscribe(func(event any) {
		if e, ok := event.(sv.Event); ok {
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		}
	})
	return w
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, what)
}

// take returns what has been noted since the last call, when nothing happens
// any more.
func (w *world) take() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	notes := strings.Join(w.notes, " ")
	w.notes = nil
	return notes
}

func (w *world) want(notes string) {
	w.t.Helper()
	if got := w.take(); got != notes {
		w.t.Errorf("got  %q,\nwant %q", got, notes)
	}
}

func (w *world) port(id string) actor.PortID {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ports[id]
}

// count returns how many events of a kind there were.
func (w *world) count(kind sv.EventKind) (n int) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// child returns the specification of a child that notes "+id" when it starts
// and "-id" when it has ended. It dies at the message "crash", and of the reason
// in "end"; at "block", it is stuck until the channel is closed.
func (w *world) child(id string, change ...func(*sv.Child)) sv.Child {
	c := sv.Child{ID: id, Start: sv.Actor{Props: proto.PropsFromFunc(func(c proto.Context) { w.behave(id, c) })}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func (w *world) behave(id string, c proto.Context) {
	switch m := c.Message().(type) {
	case *proto.Started:
		w.mu.Lock()
		fail := w.fail[id] > 0
		if fail {
			w.fail[id]--
		} else {
			w.ports[id] = actor.PortOf(c.Self())
		}
		w.mu.Unlock()
		if fail {
			w.note("!" + id)
			panic(id + " cannot start")
		}
		w.note("+" + id)
	case *proto.Stopped:
		w.mu.Lock()
		alive := w.ports[id] == actor.PortOf(c.Self())
		w.mu.Unlock()
		if alive {
			w.note("-" + id)
		}
	case actor.Message:
		switch m[0] {
		case "crash":
			panic("crashed")
		case "end":
			w.sys.Kill(actor.PortOf(c.Self()), m[1:]...)
		case "block":
			switch until := m[1].(type) {
			case chan struct{}:
				<-until
			case <-chan time.Time:
				<-until
			}
		}
	}
}

func (w *world) children(ids string) (children []sv.Child) {
	for _, id := range strings.Fields(ids) {
		children = append(children, w.child(id))
	}
	return children
}

func (w *world) start(spec sv.Spec) *sv.Supervisor {
	w.t.Helper()
	s, err := sv.Start(w.t.Context(), w.sys, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	w.supervisors = append(w.supervisors, s)
	return s
}

// startWith starts a supervisor and takes the notes of its start.
func (w *world) startWith(strategy sv.Strategy, ids string, change ...func(*sv.Spec)) *sv.Supervisor {
	w.t.Helper()
	spec := sv.Spec{Strategy: strategy, Children: w.children(ids), Intensity: 100}
	for _, f := range change {
		f(&spec)
	}
	s := w.start(spec)
	w.take()
	return s
}

func (w *world) crash(id string) { w.sys.Send(w.port(id), "crash") }

// end lets a child die of that reason.
func (w *world) end(id string, reason ...any) {
	w.sys.Send(w.port(id), append([]any{"end"}, reason...)...)
}

func (w *world) stop(s *sv.Supervisor) {
	w.t.Helper()
	if err := s.Stop(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}

// states returns the children's IDs and states.
func (w *world) states(s *sv.Supervisor) string {
	w.t.Helper()
	synctest.Wait()
	children, err := s.Children(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var states []string
	for _, c := range children {
		states = append(states, c.ID+":"+c.State.String())
	}
	return strings.Join(states, " ")
}

func (w *world) wantStates(s *sv.Supervisor, want string) {
	w.t.Helper()
	if got := w.states(s); got != want {
		w.t.Errorf("got states %q, want %q", got, want)
	}
}

func (w *world) wantEnded(s *sv.Supervisor, reason ...any) {
	w.t.Helper()
	synctest.Wait()
	select {
	case <-s.Done():
		if got := s.Reason(); len(got) < len(reason) || !reflect.DeepEqual([]any(got[:len(reason)]), reason) {
			w.t.Errorf("ended with %v, want %v", got, reason)
		}
	default:
		w.t.Errorf("the supervisor has not ended")
	}
}

func (w *world) wantAlive(s *sv.Supervisor) {
	w.t.Helper()
	synctest.Wait()
	select {
	case <-s.Done():
		w.t.Errorf("the supervisor has ended: %v", s.Reason())
	default:
	}
}

func transient(c *sv.Child)   { c.Restart = sv.Transient }
func temporary(c *sv.Child)   { c.Restart = sv.Temporary }
func significant(c *sv.Child) { c.Significant = true }

func shutdown(d sv.Shutdown) func(*sv.Child) { return func(c *sv.Child) { c.Shutdown = d } }

func sorted(notes string) string {
	words := strings.Fields(notes)
	slices.Sort(words)
	return strings.Join(words, " ")
}
