package remote

import (
	"testing"
	"time"
)

// A stream is what a reader sees of a peer, in a time of its own.
type stream struct {
	trickle
	now, wrote time.Time
}

func newStream() *stream {
	start := time.Unix(1e9, 0)
	return &stream{now: start, wrote: start.Add(-time.Hour)}
}

// read reads that many times, after each interval that many bytes. It returns how
// often the reader waits.
func (s *stream) read(times int, interval time.Duration, bytes int) (waits int) {
	for range times {
		s.now = s.now.Add(interval)
		if s.trickle.read(bytes, func() time.Time { return s.now }, func() time.Time { return s.wrote }) {
			waits++
		}
	}
	return waits
}

func TestTrickle(t *testing.T) {
	const fast, slow = 6 * time.Microsecond, 50 * time.Microsecond
	for _, test := range []struct {
		name     string
		interval time.Duration
		bytes    int
		wrote    time.Duration // before the start
		waits    bool
	}{
		{"small and fast", fast, 40, time.Hour, true},
		{"small and slow", slow, 40, time.Hour, false},
		{"large", fast, 2000, time.Hour, false},
		{"answered", fast, 40, time.Millisecond, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStream()
			s.wrote = s.now.Add(-test.wrote)
			if s.read(trickleReads-1, test.interval, test.bytes) > 0 {
				t.Error("the reader waits before it can know")
			}
			if waits := s.read(2*trickleReads, test.interval, test.bytes) > 0; waits != test.waits {
				t.Errorf("waits: %v, want %v", waits, test.waits)
			}
		})
	}
}

// Single large reads, as when the reader was held up, do not hide a trickle.
func TestTrickleWithGaps(t *testing.T) {
	s := newStream()
	waits := 0
	for range 20 {
		waits += s.read(1, 20*time.Microsecond, 1000)
		waits += s.read(7, 6*time.Microsecond, 40)
	}
	if waits == 0 {
		t.Error("the reader does not wait")
	}
}

// The reader waits as long as there is much, and not for longer.
func TestTrickleEnds(t *testing.T) {
	begun := func(t *testing.T) *stream {
		s := newStream()
		s.read(trickleReads, 6*time.Microsecond, 40)
		if n := s.read(1000, tricklePause, 5000); n != 1000 {
			t.Fatalf("the reader waits %d times of 1000", n)
		}
		return s
	}
	t.Run("dry", func(t *testing.T) {
		s := begun(t)
		if n := s.read(2*dryReads, tricklePause, 40); n >= 2*dryReads {
			t.Errorf("the reader waits %d times for little", n)
		}
		if s.read(trickleReads/2, tricklePause, 40) > 0 {
			t.Error("the reader goes on waiting")
		}
	})
	t.Run("answered", func(t *testing.T) {
		s := begun(t)
		s.wrote = s.now
		if s.read(1, tricklePause, 5000) > 0 {
			t.Error("the reader waits, but the peer was sent an answer")
		}
	})
	t.Run("much", func(t *testing.T) {
		s := begun(t)
		if n := s.read(1000, time.Microsecond, 30000); n > 0 {
			t.Errorf("the reader waits %d times between large reads", n)
		}
		if s.read(1, time.Microsecond, 5000) != 1 {
			t.Error("the reader does not wait after large reads")
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		s := begun(t)
		for range 10 {
			if s.read(1, tricklePause, 40) != 1 || s.read(dryReads, tricklePause, 5000) != dryReads {
				t.Fatal("the reader does not wait after one small read")
			}
		}
	})
}

// A peer that cannot go on while the reader waits, since what it waits for comes by way
// of other nodes, is held up for a small part of the time only.
func TestTrickleOfTokens(t *testing.T) {
	for _, tokens := range []int{1, 8} {
		s := newStream()
		start := s.now
		var waited time.Duration
		for s.now.Sub(start) < 10*time.Second {
			interval, bytes := 6*time.Microsecond, 40
			if s.runs {
				interval, bytes = tricklePause, tokens*40
			}
			waited += time.Duration(s.read(1, interval, bytes)) * tricklePause
		}
		if waited > 200*time.Millisecond {
			t.Errorf("%d tokens are held up for %v of 10 s", tokens, waited)
		}
	}
}
