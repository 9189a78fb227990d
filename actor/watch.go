package actor

import (
	"sync"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A watchTable holds what local protoactor-go actors watch on other nodes.
type watchTable struct {
	mu      sync.Mutex
	watches map[watchKey]*watch
}

type watchKey struct{ who, watcher PortID }

type watch struct{ stops []func() }

// watch makes one monitor for each pair, however often it is asked to, since
// protoactor-go promises one Terminated. It ends when the watcher dies.
func (s *System) watch(who, by *proto.PID) {
	key := watchKey{PortOf(who), PortOf(by)}
	w := &watch{}
	s.watches.mu.Lock()
	if s.watches.watches[key] != nil {
		s.watches.mu.Unlock()
		return
	}
	if s.watches.watches == nil {
		s.watches.watches = make(map[watchKey]*watch)
	}
	s.watches.watches[key] = w
	s.watches.mu.Unlock()

	stops := []func(){s.start(key.who, &monitor{action: watchAction{who, by}})}
	if process, ok := s.lookup(by.Id); ok {
		if _, ok := process.(*proto.ActorProcess); ok {
			ended := inlineAction(func(Reason) { s.unwatch(who, by) })
			stops = append(stops, s.startLocal(by.Id, &monitor{action: ended}))
		}
	}

	s.watches.mu.Lock()
	current := s.watches.watches[key] == w
	if current {
		w.stops = stops
	}
	s.watches.mu.Unlock()
	if !current { // it fired or was ended meanwhile
		for _, stop := range stops {
			stop()
		}
	}
}

func (s *System) unwatch(who, by *proto.PID) {
	key := watchKey{PortOf(who), PortOf(by)}
	s.watches.mu.Lock()
	w := s.watches.watches[key]
	delete(s.watches.watches, key)
	var stops []func()
	if w != nil {
		stops = w.stops
	}
	s.watches.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}
