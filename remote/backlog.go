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
	count   int
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
	b.count++
	return nil
}

// drop forgets all messages and returns how many there were.
func (b *backlog) drop() int {
	n := b.count
	*b = backlog{}
	return n
}

// moveTo hands all messages to a link, in order. The caller holds the lock of
// the peer.
func (b *backlog) moveTo(l *link) (failed []lost) {
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
		m.Message = msg
		if err == nil {
			err = l.append(&m)
		}
		if err != nil {
			failed = append(failed, lost{m.Port, err})
		}
	}
	b.drop()
	return failed
}
