package supervision

import (
	"math/rand/v2"
	"time"
)

// An intensity counts restarts. "If more than MaxR number of restarts occur in
// the last MaxT seconds, the supervisor terminates all the child processes and
// then itself", as OTP has it.
type intensity struct {
	max    int
	period time.Duration
	times  []time.Time // of the latest restarts, at most max, the oldest first
}

func newIntensity(s *Spec) intensity {
	i := intensity{max: s.Intensity, period: s.Period}
	if i.max == 0 {
		i.max = 1
	}
	i.max = max(i.max, 0)
	if i.period == 0 {
		i.period = 5 * time.Second
	}
	return i
}

// allow counts a restart, and reports whether it is one of those that may be.
func (i *intensity) allow(now time.Time) bool {
	old := 0
	for old < len(i.times) && now.Sub(i.times[old]) > i.period {
		old++
	}
	i.times = i.times[old:]
	if len(i.times) >= i.max {
		return false
	}
	i.times = append(i.times, now)
	return true
}

// A Backoff delays the restarts of a child: the first by Min, each further one
// by twice as much as the one before, up to Max. A child that has lived for
// longer than Reset begins anew. Restarts that are delayed count for
// Spec.Intensity all the same.
type Backoff struct {
	// Min is the first delay. Zero means not to delay at all.
	Min time.Duration
	// Max is the longest delay. Zero means 100 times Min.
	Max time.Duration
	// Jitter is the part of the delay, from 0 to 1, that chance may take away,
	// so that children that died together do not all come back together.
	Jitter float64
	// Reset is how long a child must have lived for the next delay to be Min
	// again. Zero means Max.
	Reset time.Duration
}

func (b Backoff) check() string {
	switch {
	case b.Min < 0 || b.Max < 0 || b.Reset < 0:
		return "Backoff is negative"
	case b.Max != 0 && b.Max < b.Min:
		return "Backoff.Max is less than Min"
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return "Backoff.Jitter is not from 0 to 1"
	}
	return ""
}

func (b Backoff) max() time.Duration {
	if b.Max == 0 {
		return 100 * b.Min
	}
	return b.Max
}

// delay returns the delay before the restart behind that many others.
func (b Backoff) delay(before int) time.Duration {
	d := b.Min
	for ; before > 0 && d < b.max(); before-- {
		d *= 2
	}
	d = min(d, b.max())
	return d - time.Duration(float64(d)*b.Jitter*rand.Float64())
}

// restful reports whether a child that has lived for that long begins anew.
func (b Backoff) restful(lived time.Duration) bool {
	if b.Reset == 0 {
		return lived > b.max()
	}
	return lived > b.Reset
}
