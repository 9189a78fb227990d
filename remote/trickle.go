package remote

import (
	"net"
	"syscall"
	"time"
)

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
	runs bool // the reader waits before each read

	// Of the last reads, since that was decided.
	reads int
	bytes int
	since time.Time
}

const (
	// A trickle begins when trickleReads in less than trickleTime have brought no more
	// than smallRead each. Who sends so fast does not wait for answers one by one.
	trickleReads = 64
	trickleTime  = trickleReads * 25 * time.Microsecond
	smallRead    = 256 // bytes
	// It ends when dryReads have brought no more than that.
	dryReads = 4
	// largeRead is how much a read has to bring for the next one to follow at once.
	largeRead = 16 << 10
	// tricklePause is how long the reader waits.
	tricklePause = time.Millisecond
	// trickleQuiet is how long nothing has been sent to the peer then.
	trickleQuiet = 10 * time.Millisecond
)

// gathers tells whether a read brings what has come meanwhile: whether nc is a socket,
// and not more.
func gathers(nc net.Conn) bool {
	_, isSocket := nc.(syscall.Conn)
	return isSocket
}

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
		t.decide(t.bytes > dryReads*smallRead)
	case !t.runs && t.reads == trickleReads:
		t.decide(t.bytes <= trickleReads*smallRead && now().Sub(t.since) < trickleTime && quiet())
	}
	return t.runs && bytes < largeRead
}

func (t *trickle) decide(runs bool) { *t = trickle{runs: runs} }
