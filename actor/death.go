package actor

import (
	"fmt"
	"strings"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
)

// How a local port's death becomes known: one process, the watcher, watches
// every actor that has monitors, so that it works for any protoactor-go actor.
// Why it died is noted in the monitor table before it dies, by Kill or when
// its supervisor decides to stop it.

// watcherName is the name under which the watcher is registered. It is no
// port.
const watcherName = "portmesh$watcher"

// A watcher is the process that hears of the deaths of local actors.
type watcher struct {
	s   *System
	pid *proto.PID
}

// startWatcher registers the watcher, and listens for the causes of deaths.
func (s *System) startWatcher() {
	w := &watcher{s: s}
	w.pid, _ = s.actors.ProcessRegistry.Add(w, watcherName)
	s.watcher = w
	s.actors.EventStream.Subscribe(func(event any) {
		e, ok := event.(*proto.SupervisorEvent)
		if !ok || e.Directive != proto.StopDirective {
			return
		}
		// The supervisor tells before it stops the actor.
		if process, ok := s.lookup(e.Child.Id); ok {
			s.expectDeath(process, e.Child.Id, deathReason(e.Reason), true)
		}
	})
}

// SendSystemMessage hears of the death of a watched actor, in its goroutine.
func (w *watcher) SendSystemMessage(_ *proto.PID, message any) {
	t, ok := message.(*proto.Terminated)
	if !ok {
		return
	}
	var reason Reason
	port := w.s.Node().Port(t.Who.Id)
	if t.Why == proto.TerminatedReason_NotFound {
		reason = aemp.NoSuchPort(port)
	}
	w.s.fire(&w.s.local, port, reason)
}

// SendUserMessage is not called: the watcher is no port.
func (w *watcher) SendUserMessage(*proto.PID, any) {}

// Stop does nothing: the watcher lives as long as the system.
func (w *watcher) Stop(*proto.PID) {}

// watchLocal has the watcher watch a local port that got its first monitor.
// The monitor is in the table already, so that no death can slip through
// between the two.
func (s *System) watchLocal(name string) {
	if process, ok := s.lookup(name); ok {
		if watchable(process, name) {
			process.SendSystemMessage(s.actors.NewLocalPID(name), &proto.Watch{Watcher: s.watcher.pid})
			return
		}
	}
	port := s.Node().Port(name)
	s.fire(&s.local, port, aemp.NoSuchPort(port))
}

// watchable reports whether a process answers a Watch with a Terminated when it
// ends: actors do, and routers and other processes that stand for actors. A
// future would take the Watch for its result.
func watchable(process proto.Process, name string) bool {
	switch process.(type) {
	case *proto.ActorProcess:
		return true
	case *reply:
		return false
	}
	return !strings.HasPrefix(name, "future$")
}

// expectDeath notes why a local port is about to die. The first cause counts,
// but a failure overrides a kill that has not happened yet.
func (s *System) expectDeath(process proto.Process, name string, reason Reason, override bool) {
	s.local.mu.Lock()
	w, created := s.local.entry(LocalNode, name)
	if !w.decided || override {
		w.decided, w.reason = true, reason
	}
	s.local.mu.Unlock()
	if created {
		process.SendSystemMessage(s.actors.NewLocalPID(name), &proto.Watch{Watcher: s.watcher.pid})
	}
}

// expectNormalDeath notes that a local port is about to end normally, if
// anybody will hear of it, so that a kill behind it changes nothing.
func (s *System) expectNormalDeath(name string, override bool) {
	s.local.mu.Lock()
	defer s.local.mu.Unlock()
	if w := s.local.nodes[LocalNode][name]; w != nil && (!w.decided || override) {
		w.decided, w.reason = true, nil
	}
}

// deathReason makes a reason of what a receiver panicked with.
func deathReason(cause any) Reason {
	switch cause := cause.(type) {
	case *fatal:
		return cause.reason
	case error:
		return Reason{aemp.ReasonDie, cause.Error()}
	}
	return Reason{aemp.ReasonDie, fmt.Sprint(cause)}
}

// fatal is what a port panics with to die with a certain reason, unless its
// supervisor decides otherwise.
type fatal struct{ reason Reason }

func (f *fatal) Error() string { return f.reason.String() }
