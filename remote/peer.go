package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// errGone tells that a peer was idle and is no longer in use; the caller asks
// the node for its successor.
var errGone = errors.New("peer is gone")

// A peer is another node as we know it, with or without a connection.
//
//	          send, Connect                 handshake done
//	idle ────────────────────▶ connecting ─────────────────▶ up
//	 ▲  ▲                          │                          │
//	 │  └────── gave up ───────────┘                          │ link ends
//	 │                                                        ▼
//	 └──────────── monitors fired ───────────────────────  falling
//
// In every state but up, what is sent waits in the backlog. While the peer
// falls no new link comes up, so that nothing overtakes the monitors.
type peer struct {
	// Immutable.
	node *Node
	id   actor.NodeID
	slot chan struct{} // holds a token while a handshake may complete

	mu         sync.Mutex
	link       *link    // nil unless up
	backlog    backlog  // waits for a link
	connecting bool     // connectLoop runs
	falling    bool     // monitors are being fired
	handshakes int      // that know this peer and have not ended
	gone       bool     // not to be used any more
	changed    chan any // made by changes, closed by notify
	batches    int      // taken off to be written
}

func newPeer(n *Node, id actor.NodeID) *peer {
	return &peer{node: n, id: id, slot: make(chan struct{}, 1)}
}

// changes returns a channel that is closed when the state changes, or when
// there is room for more. The caller holds mu.
func (p *peer) changes() <-chan any {
	if p.changed == nil {
		p.changed = make(chan any)
	}
	return p.changed
}

// notify wakes all who wait for a change. The caller holds mu.
func (p *peer) notify() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

func (p *peer) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}

// send accepts a message for the peer. It waits at the high-water mark, unless
// the message says otherwise.
func (p *peer) send(m *actor.Outgoing) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending() >= p.node.cfg.PendingBytes {
		if err := p.waitForRoom(m.NoWait); err != nil {
			return err
		}
	}
	switch {
	case p.gone:
		return errGone
	case p.link != nil:
		return p.link.append(m)
	}
	if err := p.backlog.append(m); err != nil {
		return err
	}
	p.startConnecting()
	return nil
}

// pending is the number of bytes that wait to be sent.
func (p *peer) pending() int {
	if p.link != nil {
		return len(p.link.pending)
	}
	return p.backlog.size()
}

// waitForRoom waits until the peer has caught up. A peer that does not in time
// has failed; so has one for whom requests and answers pile up, which must not
// wait because they come from goroutines that read other links. The lock is
// given up meanwhile.
//
// It has its turn as soon as a batch is taken off, even if others have filled up
// the next one before it came to run: who sends now and then is not kept out by
// those who send all the time.
func (p *peer) waitForRoom(noWait bool) error {
	mark := p.node.cfg.PendingBytes
	if noWait {
		pending := p.pending()
		if p.link != nil {
			pending -= p.link.bulk
		}
		if pending < p.node.cfg.mostPending() {
			return nil
		}
		err := fmt.Errorf("%w: %d bytes are pending", ErrSlowPeer, p.pending())
		p.abort(err)
		return err
	}
	timeout := time.NewTimer(p.node.cfg.MonitorTimeout)
	defer timeout.Stop()
	batches := p.batches
	for p.pending() >= mark && p.batches == batches {
		changed := p.changes()
		p.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-p.node.ctx.Done():
			err = ErrClosed
		case <-timeout.C:
			err = fmt.Errorf("%w: %d bytes have been pending for %v", ErrSlowPeer, mark, p.node.cfg.MonitorTimeout)
		}
		p.mu.Lock()
		if errors.Is(err, ErrSlowPeer) {
			p.abort(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// abort gives up what is pending, with the link if there is one. The caller
// holds mu.
func (p *peer) abort(cause error) {
	if p.link != nil {
		p.link.end(cause)
		return
	}
	if !p.falling {
		p.falling = p.node.spawn(func() { p.fall(cause) })
	}
}

// startConnecting sees to it that a connection is being made. The caller holds
// mu, and there is no link.
func (p *peer) startConnecting() {
	if p.connecting || p.falling {
		return
	}
	p.connecting = p.node.spawn(p.connectLoop)
}

// connect sees to it that a connection is being made, and returns a channel
// that is closed when something changes; or nil when there is a connection.
func (p *peer) connect() (changed <-chan any, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return nil, errGone
	case p.link != nil:
		return nil, nil
	}
	p.startConnecting()
	return p.changes(), nil
}

// firstPause is how long a node waits before it tries for the second time. It is
// short since the address of a node that has just come up may be still on its way.
const firstPause = 10 * time.Millisecond

// connectLoop tries to connect until there is a link, made by whichever side,
// or time is up.
func (p *peer) connectLoop() {
	n := p.node
	start := time.Now()
	pause := firstPause
	var cause error
	for {
		ctx, cancel := context.WithDeadline(n.ctx, start.Add(n.cfg.MonitorTimeout))
		known, err := p.dialAll(ctx)
		// A try that time cut short tells nothing about the node.
		if err != nil && (cause == nil || ctx.Err() == nil) {
			cause = err
		}
		cancel()
		if n.ctx.Err() != nil {
			cause = ErrClosed
		}
		patience := n.cfg.MonitorTimeout
		if !known {
			patience = n.cfg.ConnectInterval
		}
		left := time.Until(start.Add(patience))

		p.mu.Lock()
		if p.link != nil || left <= 0 || n.ctx.Err() != nil {
			p.connecting = false
			// abort may have given the peer up already. Two falls at once would
			// not wait for each other's monitors.
			giveUp := p.link == nil && !p.falling
			p.falling = p.falling || giveUp
			p.mu.Unlock()
			if giveUp {
				p.fall(fmt.Errorf("%w: %w", ErrUnreachable, cause))
			}
			return
		}
		changed := p.changes()
		p.mu.Unlock()

		timer := time.NewTimer(min(pause, left))
		select {
		case <-changed:
		case <-timer.C:
		case <-n.ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, n.cfg.ConnectInterval)
	}
}

// dialAll tries the peer's addresses. It returns whether any is known, and why
// there is no connection.
func (p *peer) dialAll(ctx context.Context) (known bool, err error) {
	if p.connected() {
		return true, nil
	}
	var addresses []string
	if resolve := p.node.cfg.Resolve; resolve != nil {
		if addresses, err = resolve(ctx, p.id); err != nil {
			return false, err
		}
	}
	if len(addresses) == 0 {
		return false, errors.New("no address is known")
	}
	for _, address := range addresses {
		id, dialErr := p.node.dial(ctx, address)
		if dialErr == nil && id != p.id {
			dialErr = fmt.Errorf("%s is %s", address, id)
		}
		if dialErr == nil || p.connected() {
			return true, nil
		}
		err = dialErr
	}
	return true, err
}

// enter begins a handshake with this peer. It is refused when there is a
// connection. When the handshake has ended, leave must be called.
func (p *peer) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return errGone
	case p.link != nil:
		return aemp.ErrConnected
	}
	p.handshakes++
	return nil
}

func (p *peer) leave() {
	p.mu.Lock()
	p.handshakes--
	p.mu.Unlock()
	p.retire()
}

// serializes tells whether it is up to us to complete handshakes with the peer
// one by one.
//
// Two nodes that dial each other at the same moment must settle on one
// connection. If one of them completes only one handshake at a time, all others
// find the peer connected and end, and the other node can never complete two.
// Between nodes of ours that one is the one with the smaller ID. No other
// program does such a thing, so towards these it is always us.
func (p *peer) serializes(greeting *aemp.Greeting) bool {
	return !greeting.IsPortmesh() || p.node.ID() < p.id
}

// takeSlot waits until no other handshake with the peer can complete before
// freeSlot is called. The peer has proved who it is, so that a stranger cannot
// keep the slot from it.
func (p *peer) takeSlot(ctx context.Context) error {
	select {
	case p.slot <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.connected() {
		p.freeSlot()
		return aemp.ErrConnected
	}
	return nil
}

func (p *peer) freeSlot() { <-p.slot }

// attach puts a link into use. One that is up already gives way: since the
// peer has proved who it is on a new one, it has lost the old.
func (p *peer) attach(l *link) error {
	p.mu.Lock()
	for p.link != nil || p.falling {
		if p.link != nil {
			p.link.end(ErrSwitched)
		}
		changed := p.changes()
		p.mu.Unlock()
		<-changed
		p.mu.Lock()
	}
	if !p.node.spawn(l.run) {
		p.mu.Unlock()
		return ErrClosed
	}
	p.link = l
	lost := p.backlog.moveTo(l)
	p.notify()
	p.mu.Unlock()
	for _, loss := range lost {
		p.node.log.Error("message cannot be sent", "peer", p.id, "port", loss.port, "err", loss.err)
		p.node.gateway.PortDied(p.id.Port(loss.port), aemp.TransportError(p.id, loss.err.Error()))
	}
	return nil
}

// detach takes a link out of use, whose end has the given cause.
func (p *peer) detach(l *link, cause error) {
	p.mu.Lock()
	p.link = nil
	p.falling = true
	p.mu.Unlock()
	p.node.publish(NodeDown{p.id, aemp.TransportError(p.id, cause.Error())})
	p.fall(cause)
}

// fall fires the monitors on the node, and then lets life go on. What was in
// the backlog before is lost only when no connection could be made.
func (p *peer) fall(cause error) {
	if errors.Is(cause, ErrUnreachable) || errors.Is(cause, ErrSlowPeer) {
		p.mu.Lock()
		lost := p.backlog.drop()
		p.mu.Unlock()
		if len(lost) > 0 {
			p.node.log.Warn("messages are lost", "peer", p.id, "messages", len(lost), "err", cause)
		}
		for _, m := range lost {
			if m.Port != "" {
				p.node.publish(&proto.DeadLetterEvent{PID: proto.NewPID(string(p.id), m.Port), Message: m.Message})
			}
		}
	}
	p.node.gateway.NodeDown(p.id, aemp.TransportError(p.id, cause.Error()))
	p.mu.Lock()
	p.falling = false
	if p.backlog.size() > 0 {
		p.startConnecting()
	}
	p.notify()
	p.mu.Unlock()
	p.retire()
}

// retire removes the peer from the node when there is nothing to it.
func (p *peer) retire() {
	n := p.node
	n.mu.Lock()
	defer n.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil && !p.connecting && !p.falling && p.handshakes == 0 && p.backlog.size() == 0 && !p.gone {
		p.gone = true
		delete(n.peers, p.id)
		p.notify()
	}
}

// shutdown ends the link in order, with what is pending sent.
func (p *peer) shutdown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != nil {
		p.link.shutdown()
	}
}
