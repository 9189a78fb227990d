package remote

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// ErrSilent: a peer that promised to send something now and then was silent
// for longer.
var ErrSilent = errors.New("peer is silent")

// beatsPerTimeout is how often something is sent within the timeout after which
// silence counts as death. What comes just behind a beat counts for the next,
// so that one beat less has to be missed.
const (
	beatsPerTimeout = 4
	beatsMissed     = beatsPerTimeout - 1
)

// A heartbeat sends an empty message when nothing else was sent for a while,
// and ends the link when nothing came for too long: only if both sides have
// promised to send (see [aemp.KeyTimeout]). It is a timer and no goroutine. All
// of it is guarded by the lock of the peer.
type heartbeat struct {
	interval time.Duration // zero: no heartbeat
	timer    *time.Timer
	sent     bool  // something was sent since the last beat
	received int64 // bytes that had come at the last beat
	missed   int   // beats in which nothing came
}

// silenceTimeout returns the smaller of two timeouts as they stand in
// greetings, and zero when one of the two promises nothing.
func silenceTimeout(local, remote *aemp.Greeting) time.Duration {
	var smaller time.Duration
	for _, g := range []*aemp.Greeting{local, remote} {
		seconds, err := strconv.Atoi(g.Extra[aemp.KeyTimeout])
		if err != nil || seconds <= 0 || seconds > 1e6 {
			return 0
		}
		if d := time.Duration(seconds) * time.Second; smaller == 0 || d < smaller {
			smaller = d
		}
	}
	return smaller
}

// start begins to beat. The caller holds the lock of the peer.
func (h *heartbeat) start(l *link) {
	timeout := silenceTimeout(l.conn.Local(), l.conn.Remote())
	if timeout > 0 {
		h.interval = timeout / beatsPerTimeout
		h.timer = time.AfterFunc(h.interval, func() { h.beat(l) })
	}
}

// stop ends it. The caller holds the lock of the peer.
func (h *heartbeat) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

func (h *heartbeat) beat(l *link) {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	if l.cause != nil {
		return
	}
	if !h.sent && len(l.pending) == 0 {
		l.enc.Begin(l.pending, 0)
		l.pending, _ = l.enc.End()
		l.wake.Signal()
	}
	h.sent = false
	if received := l.conn.Received(); received != h.received {
		h.received, h.missed = received, 0
	} else if h.missed++; h.missed >= beatsMissed {
		l.end(fmt.Errorf("%w for %v", ErrSilent, beatsMissed*h.interval))
		return
	}
	h.timer.Reset(h.interval)
}
