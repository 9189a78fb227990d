package supervision

import (
	"log/slog"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// An Event tells what has happened to a supervisor or one of its children. It
// is published on protoactor-go's event stream of the supervisor's system, by
// the supervisor's goroutine: subscribers must not wait.
//
//	sys.Actors().EventStream.Subscribe(func(event any) {
//		if e, ok := event.(supervision.Event); ok {
//			metrics.Count(e.Kind.String(), e.Path)
//		}
//	})
type Event struct {
	Time       time.Time
	Kind       EventKind
	Supervisor actor.PortID
	// Path names the child, behind all that are above it: "workers/7". For
	// Up and GaveUp it is that of the supervisor, and empty for the root.
	Path string
	// Port is the child's, the latest that it had, or the supervisor's. It is
	// empty if there was none.
	Port actor.PortID
	// Restarts is how often the child has been restarted.
	Restarts int
	// Reason is why, where there is a why.
	Reason actor.Reason
}

// An EventKind says what has happened.
type EventKind int

// What can happen.
const (
	// Up: the supervisor has started all its children.
	Up EventKind = iota
	// GaveUp: the supervisor cannot keep its children running, and ends.
	GaveUp
	// Started: the child is ready.
	Started
	// StartFailed: the child could not be started.
	StartFailed
	// Died: the child has ended by itself.
	Died
	// Ended: the child has ended because its supervisor has stopped it.
	Ended
	// Restarting: the child is going to be restarted, after its Backoff.
	Restarting
	// NodeLost: the connection to the child's node is lost.
	NodeLost
	// NodeFound: the child has been found alive.
	NodeFound
	// Fenced: a port of the child that had been lost, and replaced, is dead
	// now for certain.
	Fenced
	// Abandoned: the child was killed, but does not end. Its supervisor takes
	// it for dead and goes on. Its code may still be running.
	Abandoned
)

// String returns the kind's name.
func (k EventKind) String() string {
	return name(int(k), "up", "gave up", "started", "start failed", "died", "ended", "restarting",
		"node lost", "node found", "fenced", "abandoned")
}

// emit tells of a child, or of the supervisor itself if that is nil.
func (s *supervisor) emit(ch *child, kind EventKind, reason actor.Reason) {
	e := Event{
		Time: time.Now(), Kind: kind, Supervisor: s.self, Path: s.pathOf(ch), Port: s.self, Reason: reason,
	}
	if ch != nil {
		e.Port, e.Restarts = ch.former, ch.restarts
		if ch.inc != nil {
			e.Port = ch.inc.port
		}
	}
	s.publish(e)
}

func (s *supervisor) publish(e Event) {
	log := s.sys.Logger()
	attrs := []any{slog.String("path", e.Path), slog.String("port", string(e.Port))}
	if e.Reason != nil {
		attrs = append(attrs, slog.String("reason", e.Reason.String()))
	}
	switch e.Kind {
	case GaveUp:
		log.Error("supervisor gives up", attrs...)
	case Abandoned:
		log.Error("supervised child does not end", attrs...)
	case StartFailed:
		log.Warn("supervised child did not start", attrs...)
	case Died:
		if abnormal(e.Reason) {
			log.Warn("supervised child died", attrs...)
		}
	case NodeLost:
		log.Warn("node of a supervised child is lost", attrs...)
	}
	s.sys.Actors().EventStream.Publish(e)
}
