package remote

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A link is a connection that is in use. It ends once, with a cause, and then
// tells the peer.
type link struct {
	// Immutable.
	peer *peer
	conn *aemp.Conn

	// Guarded by the lock of the peer.
	enc      aemp.Encoder
	pending  []byte     // packets that writeLoop has not taken
	wake     *sync.Cond // there is something for writeLoop to do
	cause    error      // why the link ends, when it does
	draining bool       // the link ends when all is written
	bulk     int        // bytes of pending that large messages take
	writing  bool       // writeLoop is at it
	wrote    time.Time  // when something was written last
	heard    int64      // messages received until then
	socket   *socket    // for writes that do not wait; nil if there are none
	beats    heartbeat
	sent     int64 // messages accepted
	written  int64 // bytes handed to the connection

	corked bool // the reader will write what is pending

	received atomic.Int64 // messages delivered

	monitors remoteMonitors
}

func newLink(p *peer, conn *aemp.Conn) *link {
	return &link{peer: p, conn: conn, enc: conn.NewEncoder(), wake: sync.NewCond(&p.mu)}
}

// run carries the link until it ends, by whatever cause.
func (l *link) run() {
	p, n := l.peer, l.peer.node
	remote := l.conn.Remote()
	sending, receiving := l.conn.Framings()
	n.log.Info("node is up", "peer", p.id, "provider", remote.Extra["provider"],
		"sending", sending.Name(), "receiving", receiving.Name(), "tls", l.conn.TLS())
	n.totals.up()
	n.publish(NodeUp{p.id, remote})

	p.mu.Lock()
	l.socket = newSocket(l.conn.NetConn()) // nothing is written before NodeUp
	l.beats.start(l)
	p.mu.Unlock()
	read := make(chan error, 1)
	var loops errgroup.Group
	loops.Go(func() error { return l.endFor(l.writeLoop()) })
	loops.Go(func() error { return l.endFor(<-read) })
	go newReader(l, read).loop() // not to be waited for: a port may hold it up
	loops.Wait()
	l.conn.Close()
	p.mu.Lock()
	l.beats.stop()
	cause := l.cause
	n.totals.down(l.stats())
	p.mu.Unlock()

	if bad := (*aemp.PacketError)(nil); errors.As(cause, &bad) || errors.Is(cause, ErrSlowPeer) || errors.Is(cause, ErrSilent) {
		n.log.Warn("link failed", "peer", p.id, "err", cause)
	} else {
		n.log.Info("node is down", "peer", p.id, "cause", cause)
	}
	l.monitors.stop()
	p.detach(l, cause)
}

var errPeerClosed = errors.New("the peer closed the connection")

// end makes the link end, for the first cause that is given. The caller holds
// the lock of the peer.
func (l *link) end(cause error) {
	if l.cause == nil {
		l.cause = cause
	} else if !l.draining {
		return
	}
	l.draining = false
	// This frees both loops, wherever they are, and does not block.
	l.conn.NetConn().SetDeadline(time.Unix(1, 0))
	l.wake.Signal()
}

// endFor makes the link end if there is a cause, and returns it.
func (l *link) endFor(cause error) error {
	if cause != nil {
		l.peer.mu.Lock()
		defer l.peer.mu.Unlock()
		l.end(cause)
	}
	return cause
}

// shutdown makes the link end when all is written, or after the close timeout.
// The caller holds the lock of the peer.
func (l *link) shutdown() {
	if l.cause == nil {
		l.cause = ErrClosed
		l.draining = true
		l.conn.NetConn().SetDeadline(time.Now().Add(l.peer.node.cfg.CloseTimeout))
		l.wake.Signal()
	}
}

// append accepts a message. On a link that is ending it is lost, which the
// monitors are about to tell. The caller holds the lock of the peer.
func (l *link) append(m *actor.Outgoing) error {
	pending, err := l.translate(m).Encode(l.enc, l.pending)
	if err != nil {
		return err
	}
	first := len(l.pending) == 0 // writeLoop knows of the others
	if size := len(pending) - len(l.pending); size >= bulkSize {
		l.bulk += size
	}
	l.pending = pending
	l.beats.sent = true
	l.sent++
	switch {
	case l.corked && len(pending) <= directBytes:
	case l.corked || first:
		l.corked = false
		l.flush()
	}
	return nil
}

const (
	// quietTime is how long nothing was written on a link that is idle. It is
	// long against the time between two messages of a sender that has many.
	quietTime = 100 * time.Microsecond
	// directBytes is how much is written at once on such a link; more would
	// keep others from the lock for too long.
	directBytes = 16 << 10
)

// flush sees to it that what is pending gets written: right here if nothing
// more is to be expected, which saves waking writeLoop, else by writeLoop, which
// gathers what follows. The caller holds the lock of the peer.
func (l *link) flush() {
	if l.isCalm() {
		l.writeNow()
	} else {
		l.wake.Signal()
	}
}

// writeNow writes what is pending as far as there is room for it, and leaves the
// rest to writeLoop. The caller holds the lock of the peer.
func (l *link) writeNow() {
	if l.socket == nil || l.writing || l.cause != nil || len(l.pending) > directBytes {
		l.wake.Signal()
		return
	}
	if n := l.socket.write(l.pending); n > 0 {
		l.pending = l.pending[:copy(l.pending, l.pending[n:])]
		l.wroteBytes(n)
	}
	if len(l.pending) > 0 {
		l.wake.Signal()
	}
}

// cork has what is sent wait until uncork, as long as it is little.
func (l *link) cork() {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	l.corked = true
}

// uncork writes what was sent meanwhile.
func (l *link) uncork() {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	if l.corked && len(l.pending) > 0 {
		l.writeNow()
	}
	l.corked = false
}

// isCalm tells whether few messages are on their way: one has come since we
// wrote last, so that this may be the answer to it, or none for a while.
func (l *link) isCalm() bool {
	switch l.received.Load() - l.heard {
	case 0:
		return time.Since(l.wrote) >= quietTime
	case 1:
		return true
	}
	return false
}

// lastWrite returns when something was written last.
func (l *link) lastWrite() time.Time {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	return l.wrote
}

// wroteBytes notes that something was written, or is about to be: whoever waits
// for room has its turn. The caller holds the lock of the peer.
func (l *link) wroteBytes(n int) {
	l.written += int64(n)
	l.wrote, l.heard = time.Now(), l.received.Load()
	l.peer.batches++
	l.peer.notify()
}

// translate puts requests in the words of the peer's generation.
func (l *link) translate(m *actor.Outgoing) *actor.Outgoing {
	if m.Port != "" || l.conn.Remote().Generation() != 1 {
		return m
	}
	msg, ok := m.Message.(actor.Message)
	if tag, _ := msg.Tag(); !ok || tag != requestKill2 {
		return m
	}
	old := *m
	old.Message = append(actor.Message{requestKill1}, msg[1:]...)
	return &old
}

// send accepts a message that is for this link only.
func (l *link) send(m actor.Message) {
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l {
		return
	}
	if len(l.pending) >= p.node.cfg.mostPending() {
		l.end(fmt.Errorf("%w: %d bytes are pending", ErrSlowPeer, len(l.pending)))
		return
	}
	if err := l.append(&actor.Outgoing{Message: m}); err != nil {
		p.node.log.Error("message cannot be sent", "peer", p.id, "message", m.String(), "err", err)
	}
}

// A message of that many bytes does not count for mostPending: that is to see
// that messages pile up, and not that one is large.
const bulkSize = 1 << 20

const (
	// spareKept is the largest buffer that a link keeps which does not need it.
	spareKept = 64 << 10
	// spareUses is for how many writes in a row a larger one was not needed then.
	spareUses = 16
)

// writeLoop writes what has gathered while it wrote, in one call, so that
// batches grow with the load.
func (l *link) writeLoop() error {
	p := l.peer
	var batch []byte
	small := 0
	for {
		p.mu.Lock()
		l.writing = false
		for len(l.pending) == 0 && l.cause == nil {
			l.wake.Wait()
		}
		if len(l.pending) == 0 || l.cause != nil && !l.draining {
			draining := l.draining
			p.mu.Unlock()
			if draining {
				return l.conn.CloseWrite()
			}
			return nil
		}
		batch = l.take(batch[:0])
		p.mu.Unlock()

		if _, err := l.conn.Write(batch); err != nil {
			return err
		}
		if cap(batch) > spareKept && len(batch) < cap(batch)/4 {
			if small++; small == spareUses {
				batch = nil
			}
		} else {
			small = 0
		}
	}
}

// take takes off what is pending, to be written, and puts an empty buffer in its
// place. The caller holds the lock of the peer.
func (l *link) take(empty []byte) (batch []byte) {
	batch, l.pending, l.bulk = l.pending, empty, 0
	l.writing = true
	l.wroteBytes(len(batch))
	return batch
}
