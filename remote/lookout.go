package remote

import (
	"sync"
	"time"
)

// A lookout watches the readers of a node that run ports by themselves, and has
// others read where a port does not come to an end. It is a goroutine that runs as
// long as there are such readers.
type lookout struct {
	node *Node

	mu      sync.Mutex
	readers []*reader // that have run a port lately
	running bool
}

const (
	// lookoutInterval is how often it looks. A link is held up by a port for two
	// intervals at most.
	lookoutInterval = time.Millisecond
	// lookoutPatience is how often it looks at a reader that runs no ports. Where
	// messages are rare, to look costs more than to begin anew.
	lookoutPatience = 2
)

// watch sees to it that a reader, whose turn is odd, is watched. It returns false
// if the node is closed.
func (o *lookout) watch(r *reader) bool {
	if r.watched.Load() {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.watched.Load() {
		return true
	}
	if !o.running && !o.node.spawn(o.run) {
		return false
	}
	o.running = true
	r.watched.Store(true)
	r.idle = 0
	o.readers = append(o.readers, r)
	return true
}

func (o *lookout) run() {
	ticker := time.NewTicker(lookoutInterval)
	defer ticker.Stop()
	closing := o.node.ctx.Done()
	for {
		select {
		case <-ticker.C:
		case <-closing:
			closing = nil
		}
		if !o.look() {
			return
		}
	}
}

// look looks once. It returns false if there is nobody left to be watched.
func (o *lookout) look() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.readers[:0]
	for _, r := range o.readers {
		if r.takeOver() || !r.unwatch() {
			kept = append(kept, r)
		}
	}
	clear(o.readers[len(kept):])
	o.readers = kept
	o.running = len(kept) > 0
	return o.running
}

// unwatch ends the watch, unless the reader runs a port just now.
func (r *reader) unwatch() bool {
	r.watched.Store(false)
	if r.turn.Load()&1 == 0 {
		return true
	}
	r.watched.Store(true)
	return false
}
