// Package serial runs callbacks of the user one after another, away from the
// goroutines that have work to do.
package serial

import "sync"

// A Queue runs functions in the order in which they come, in a goroutine that
// lives as long as there are any. The zero value is ready. Its methods may be
// called by any goroutine.
type Queue struct {
	// Panicked is called with what a function panicked with. It is set before
	// the first Run.
	Panicked func(cause any)

	mu      sync.Mutex
	waiting []func()
	running bool
}

// Run has f called, behind all others. It does not wait.
func (q *Queue) Run(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
	if !q.running {
		q.running = true
		go q.loop()
	}
}

func (q *Queue) loop() {
	for {
		q.mu.Lock()
		batch := q.waiting
		q.waiting = nil
		if len(batch) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for _, f := range batch {
			q.call(f)
		}
	}
}

func (q *Queue) call(f func()) {
	defer func() {
		if cause := recover(); cause != nil {
			q.Panicked(cause)
		}
	}()
	f()
}
