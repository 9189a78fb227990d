package actor

import (
	linked "container/list"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"
)

// WhenFull says what a full [Mailbox] does with one message more: one of
// [KillPort], [DropNewest] and [DropOldest], or what [WaitFor] returns.
//
// AEMP promises that after a lost message no later one arrives before the
// port's monitors have fired. Of these only KillPort keeps that promise. The
// others are for messages that can do without it, such as readings that the
// next one replaces.
type WhenFull time.Duration // more than zero: how long to wait

const (
	// KillPort ends the port, without regard to the messages that wait. They
	// become dead letters, like all that come later. Its monitors get the
	// reason "mailbox_full".
	KillPort WhenFull = 0
	// DropNewest loses the message that found the mailbox full.
	DropNewest WhenFull = -1
	// DropOldest loses the message that has waited for the longest time.
	DropOldest WhenFull = -2
)

// WaitFor blocks whoever sends until there is room. After that time the
// message is lost. Not to wait at all is [DropNewest].
//
// Messages from another node are sent by the goroutine that reads the
// connection to that node. While it waits, it reads nothing else: what the node
// sends to other ports is late as well, and so are its answers to heartbeats;
// the time should be well below the monitor timeout. In return the node
// itself has to wait, as soon as the buffers between are full.
//
// A handler that sends waits, too. If it waits for itself, or for a port that
// is waiting for it, only time helps.
func WaitFor(d time.Duration) WhenFull {
	if d <= 0 {
		return DropNewest
	}
	return WhenFull(d)
}

// A waiter is a sender that waits for room.
type waiter struct {
	message  any
	admitted chan struct{} // closed by whoever puts the message in, with the lock held
}

// admit makes room for a message. If the message is not to be put in any more,
// it returns false, without the lock.
func (m *mailbox) admit(message any) bool {
	if m.refusing && !controls(message) {
		m.mu.Unlock()
		m.deadLetter(message)
		return false
	}
	// An actor that is not ready yet could not be killed, nor make room.
	full := int(m.posted) >= m.config.Size && m.invoker != nil
	if !full || controls(message) {
		return true
	}
	switch m.config.Full {
	case KillPort:
		m.refusing = true
		m.mu.Unlock()
		m.kill()
		m.deadLetter(message)
	case DropNewest:
		m.mu.Unlock()
		m.deadLetter(message)
	case DropOldest:
		oldest, ok := m.user.dropFirst(controls)
		if ok {
			m.user.push(message)
		} else {
			oldest = message
		}
		m.mu.Unlock()
		m.deadLetter(oldest)
	default:
		m.wait(message)
	}
	return false
}

// kill ends the actor, of which the mailbox knows as little as it can.
func (m *mailbox) kill() {
	c, ok := m.invoker.(proto.Context)
	switch {
	case !ok:
	case m.config.Kill != nil:
		m.config.Kill(c.Self())
	default:
		c.ActorSystem().Root.Stop(c.Self())
	}
}

// wait blocks until the actor has made room, but not for too long. It is
// called with the lock held, and releases it.
func (m *mailbox) wait(message any) {
	if m.waiting == nil {
		m.waiting = linked.New()
	}
	w := &waiter{message, make(chan struct{})}
	place := m.waiting.PushBack(w)
	m.mu.Unlock()

	timer := time.NewTimer(time.Duration(m.config.Full))
	defer timer.Stop()
	select {
	case <-w.admitted:
		return
	case <-timer.C:
	}
	m.mu.Lock()
	select {
	case <-w.admitted:
		m.mu.Unlock()
	default:
		m.waiting.Remove(place)
		m.mu.Unlock()
		m.deadLetter(message)
	}
}

// nextUser takes out a message, with those behind it if there is no bound, and
// lets the next of those who wait put one in. It is called with the lock held.
func (m *mailbox) nextUser() (message any) {
	if m.config.Size == 0 {
		if m.hand = m.user.popChunk(); m.hand != nil {
			m.posted -= int32(m.hand.end - m.hand.start)
			message, m.hand = m.hand.pop()
			return message
		}
	}
	message = m.user.pop()
	m.posted--
	for m.waiting != nil && m.waiting.Len() > 0 && int(m.posted) < m.config.Size {
		w := m.waiting.Remove(m.waiting.Front()).(*waiter)
		m.user.push(w.message)
		m.posted++
		close(w.admitted)
	}
	return message
}

// dropFirst takes out the first message that need not be kept, if there is
// one. The order of the others stays.
func (q *queue) dropFirst(keep func(message any) bool) (dropped any, ok bool) {
	// The messages before it move up by one place each, so that the place that
	// becomes free is the first.
	var previous any
	for c := q.first; c != nil; c = c.next {
		for i := c.start; i < c.end; i++ {
			message := c.messages[i]
			c.messages[i] = previous
			if !keep(message) {
				q.pop()
				return message, true
			}
			previous = message
		}
	}
	q.push(previous)
	q.pop()
	return nil, false
}
