package remote

import (
	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A backlog holds messages for a peer that is not connected, encoded, so that
// their memory is known and the sender may forget them. Which framing the peer
// will want is not known yet: they are kept in one that can say everything.
type backlog struct {
	enc     aemp.Encoder
	packets []byte
}

// A lost message is one that cannot be said in the framing of the peer.
type lost struct {
	port string
	err  error
}

func (b *backlog) size() int { return len(b.packets) }

func (b *backlog) append(m *actor.Outgoing) error {
	if b.enc == nil {
		b.enc = aemp.CBOR.NewEncoder()
	}
	packets, err := m.Encode(b.enc, b.packets)
	if err != nil {
		return err
	}
	b.packets = packets
	return nil
}

// drop forgets all messages. It returns them, for those who have to be told.
func (b *backlog) drop() []actor.Outgoing {
	var dropped []actor.Outgoing
	b.each(func(m *actor.Outgoing) { dropped = append(dropped, *m) })
	*b = backlog{}
	return dropped
}

// moveTo hands all messages to a link, in order. The caller holds the lock of
// the peer.
func (b *backlog) moveTo(l *link) (failed []lost) {
	b.each(func(m *actor.Outgoing) {
		if err := l.append(m); err != nil {
			failed = append(failed, lost{m.Port, err})
		}
	})
	*b = backlog{}
	return failed
}

// each calls f with each message, in order.
func (b *backlog) each(f func(m *actor.Outgoing)) {
	d := aemp.CBOR.NewDecoder(aemp.Limits{MessageSize: max(len(b.packets), 1), Depth: aemp.DefaultDepth})
	for rest := b.packets; len(rest) > 0; {
		n, err := d.Scan(rest)
		if err != nil || n == 0 {
			panic("remote: backlog is corrupt") // it is of our own making
		}
		d.Reset(rest[:n])
		rest = rest[n:]
		name, _, _ := aemp.DecodePort(d)
		m := actor.Outgoing{Port: string(name)}
		msg, err := aemp.DecodeMessage(d)
		if err != nil {
			panic("remote: backlog is corrupt")
		}
		m.Message = msg
		f(&m)
	}
}
