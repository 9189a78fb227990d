package remote

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A reader delivers what comes over a link, in order.
//
// When little has come, its goroutine runs the ports by itself that the messages
// are for, before it reads on, and then writes what they have sent over the link:
// to have others do that would take more time than all else. A port may take its
// time, though, or wait for what is still to be read. Then the lookout of the node
// sees to it that another goroutine reads in the place of the one that is held up,
// and the reader has others run the ports for a while.
type reader struct {
	link     *link
	ended    chan<- error // gets why reading has ended, once
	delivery *actor.Delivery
	rest     time.Time // until then others run the ports
	brought  int       // bytes, by the last read
	trickle  trickle

	// turn is odd while the goroutine that reads runs a port, and changes each
	// time. Whoever makes it even by a swap is the one that reads on. All other
	// fields are for that goroutine.
	turn    atomic.Uint64
	watched atomic.Bool // the lookout knows the reader
	seen    uint64      // turn, as the lookout saw it last
	idle    int         // how often the lookout saw no change
}

const (
	// inlineBytes is how much may have come for the reader to run ports.
	inlineBytes = 4 << 10
	// inlineTime is how long that may take. If it takes longer, others run the
	// ports for restFactor times as long.
	inlineTime = 250 * time.Microsecond
	restFactor = 20
)

func newReader(l *link, ended chan<- error) *reader {
	return &reader{link: l, ended: ended, delivery: l.peer.node.gateway.NewDelivery()}
}

// loop reads until the link ends, or another goroutine reads.
func (r *reader) loop() {
	delivering := false
	defer func() {
		// Code of the user has ended this goroutine, such as a subscriber of dead
		// letters. If a port does that, the turn of the reader is taken.
		if delivering {
			go r.loop()
		}
	}()
	for {
		delivering = true
		err := r.deliver()
		delivering = false
		if err == nil && r.delivery.Held() > 0 && !r.runHeld() {
			return
		}
		if err == nil {
			if !r.delivery.Hold {
				runtime.Gosched() // whoever always finds more to read would never give way
			}
			if s := r.link.socket; s != nil && r.trickle.read(r.brought, time.Now, r.link.lastWrite) {
				s.gather(tricklePause, largeRead)
			}
			err = r.link.conn.Fill()
		}
		if err != nil {
			r.delivery.Flush()
			if errors.Is(err, io.EOF) {
				err = errPeerClosed
			}
			r.ended <- err
			return
		}
	}
}

// deliver delivers what has been read.
func (r *reader) deliver() error {
	l := r.link
	r.brought = l.conn.BufferedBytes()
	r.delivery.Hold = r.brought <= inlineBytes && r.rested()
	for {
		d, err := l.conn.Buffered()
		if err != nil {
			return err
		}
		if d == nil {
			r.delivery.Post()
			return nil
		}
		l.received.Add(1)
		if err := r.receive(d); err != nil {
			_, receiving := l.conn.Framings()
			return &aemp.PacketError{Framing: receiving.Name(), Err: err}
		}
	}
}

func (r *reader) rested() bool {
	if !r.rest.IsZero() && time.Until(r.rest) > 0 {
		return false
	}
	r.rest = time.Time{}
	return true
}

// receive delivers one packet. Nothing in it can bring the node down.
func (r *reader) receive(d aemp.Decoder) error {
	l := r.link
	defer func() {
		if cause := recover(); cause != nil {
			l.peer.node.log.Error("delivery panicked", "peer", l.peer.id, "err", cause)
		}
	}()
	if r.delivery.Repeat(d, l.conn.Packet()) {
		return nil
	}
	name, ok, err := aemp.DecodePort(d)
	if err != nil || !ok {
		return err
	}
	if len(name) > 0 {
		return r.delivery.Deliver(name, d, l.conn.Packet())
	}
	m, err := aemp.DecodeMessage(d)
	if err != nil {
		return err
	}
	r.delivery.Flush()
	l.request(m)
	return nil
}

// runHeld runs the ports that were held. It returns false if another goroutine has
// taken over meanwhile.
func (r *reader) runHeld() bool {
	lookout := &r.link.peer.node.lookout
	r.link.cork()
	start := time.Now()
	for r.delivery.Held() > 0 {
		run := r.delivery.Next()
		turn := r.turn.Add(1)
		if !lookout.watch(r) {
			r.turn.Add(1)
			go run()
			continue
		}
		run()
		if !r.turn.CompareAndSwap(turn, turn+1) {
			return false
		}
		if took := time.Since(start); took > inlineTime {
			r.rest = start.Add(took + restFactor*took)
			r.delivery.Flush()
		}
	}
	r.link.uncork()
	return true
}

// takeOver reads on in a new goroutine if the one that reads has been running a
// port since the last call. It returns false if nothing has happened for long.
func (r *reader) takeOver() bool {
	turn := r.turn.Load()
	if turn != r.seen {
		r.seen, r.idle = turn, 0
		return true
	}
	r.idle++
	if turn&1 == 1 && r.turn.CompareAndSwap(turn, turn+1) {
		r.rest = time.Now().Add(100 * lookoutInterval)
		r.delivery.Flush()
		r.link.uncork()
		go r.loop()
	}
	return r.idle < lookoutPatience && r.link.peer.node.ctx.Err() == nil
}
