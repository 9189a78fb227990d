package remote

import "time"

// A trickle is what comes from a peer that writes each message by itself, as Perl's
// nodes do unless told otherwise, and has many. Each of them wakes the goroutine that
// reads, which takes more time than all else, at both ends. So the reader waits a
// moment before each read, and has what comes meanwhile together.
//
// It does not if we have sent something to the peer lately, which might be waiting for
// an answer. Nor does it where to wait gathers nothing: behind a read that has brought
// a lot, since the next one brings no more than the buffer has room for, and with TLS,
// of which each read brings one record.
type trickle struct {
	runs  bool          // the reader waits before each read
	worth int           // how much each read has to bring then
	rest  time.Time     // until then it does not
	pause time.Duration // how long that is

	// Of the last reads, since that was decided.
	reads int
	bytes int
	since time.Time
}

const (
	// A trickle begins when trickleReads in less than trickleTime have brought no more
	// than smallRead each.
	trickleReads = 64
	trickleTime  = trickleReads * 25 * time.Microsecond
	smallRead    = 256 // bytes
	// It ends when dryReads have brought no more than that, or than half of what came
	// before in the same time: then the peer waits for something that the reader holds
	// up, such as a token that goes round among nodes. The reader leaves it alone for a
	// while then, which doubles until waiting was worth it.
	dryReads  = 4
	shortRest = 10 * time.Millisecond
	longRest  = time.Second
	// largeRead is how much a read has to bring for the next one to follow at once.
	largeRead = 16 << 10
	// tricklePause is how long the reader waits.
	tricklePause = time.Millisecond
	// trickleQuiet is how long nothing has been sent to the peer then.
	trickleQuiet = 10 * time.Millisecond
)

// read is told how much a read has brought, and returns whether to wait before the
// next one. The function lastWrite tells when something was sent last.
func (t *trickle) read(bytes int, now, lastWrite func() time.Time) bool {
	quiet := func() bool { return now().Sub(lastWrite()) >= trickleQuiet }
	if t.reads == 0 {
		t.since = now()
	}
	t.reads++
	t.bytes += bytes
	switch {
	case t.runs && !quiet():
		t.decide(false)
	case t.runs && t.reads == dryReads:
		isWorth := t.bytes > dryReads*t.worth
		if isWorth {
			t.pause = 0
		} else {
			t.pause = min(max(2*t.pause, shortRest), longRest)
			t.rest = now().Add(t.pause)
		}
		t.decide(isWorth)
	case !t.runs && t.reads == trickleReads:
		took := now().Sub(t.since)
		runs := t.bytes <= trickleReads*smallRead && took < trickleTime && now().After(t.rest) && quiet()
		if runs {
			half := int64(t.bytes) * int64(tricklePause) / int64(max(took, 1)) / 2
			t.worth = int(min(max(half, smallRead), largeRead/2))
		}
		t.decide(runs)
	}
	return t.runs && bytes < largeRead
}

func (t *trickle) decide(runs bool) { t.runs, t.reads, t.bytes = runs, 0, 0 }
