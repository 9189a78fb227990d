package remote

import (
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// A sender that waits at the high-water mark has its turn when a batch is taken
// off, even if others have filled up the next one meanwhile.
func TestWaiterHasItsTurn(t *testing.T) {
	l, _ := newTestLink(t)
	p := l.peer
	p.node.cfg = Config{PendingBytes: 1000, MonitorTimeout: time.Minute}
	p.node.ctx = t.Context()
	full := make([]byte, 2000)

	p.mu.Lock()
	l.pending, l.writing = full, true
	p.mu.Unlock()
	sent := make(chan error)
	go func() { sent <- p.send(&actor.Outgoing{Port: "p", Message: actor.Message{"waits"}}) }()
	for waiting := false; !waiting; {
		p.mu.Lock()
		waiting = p.changed != nil
		p.mu.Unlock()
		time.Sleep(time.Millisecond)
	}

	p.mu.Lock()
	p.notify() // of something else
	p.mu.Unlock()
	select {
	case err := <-sent:
		t.Fatalf("accepted beyond the mark: %v", err)
	case <-time.After(10 * time.Millisecond):
	}

	p.mu.Lock()
	l.take(nil)
	l.pending = append(l.pending, full...)
	p.mu.Unlock()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if len(l.pending) <= len(full) {
		t.Error("the message was not appended")
	}
}
