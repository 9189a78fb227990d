package actor

import (
	"slices"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
)

// A Delivery hands what comes over one connection to the ports, in order. To be
// fast it gathers consecutive messages for one port, until another port has its
// turn or Post is called. It is for one goroutine at a time.
type Delivery struct {
	// Hold keeps the ports asleep that the messages wake, until Next or Flush. Those
	// that have a dispatcher of their own are for that to run.
	Hold bool

	s        *System
	box      *mailbox // that the gathered messages are for; nil if there are none
	gathered []any
	woken    []*mailbox // that are to be run, in the order in which they woke

	// Most messages begin like the one before.
	head  aemp.Head
	port  *shortcut
	bound *boundTypes
	tag   *binding // nil for lists
	text  any      // the tag, as lists have it
}

// mostGathered is how many messages are gathered at most.
const mostGathered = 256

// NewDelivery returns a Delivery for one connection.
func (g *Gateway) NewDelivery() *Delivery { return &Delivery{s: g.s} }

// Repeat delivers a packet that begins like the one before: with the same port and
// tag. Else it returns false, and Deliver has to do it. The packet is what the
// decoder is in, of which nothing was read.
func (v *Delivery) Repeat(d aemp.Decoder, packet []byte) bool {
	if v.port == nil || v.bound != bindings.load() {
		return false
	}
	box := v.port.open()
	if box == nil || !v.head.Skip(d, packet) {
		return false
	}
	var m any
	var reply PortID
	var err error
	if v.tag != nil {
		m, reply, err = v.tag.decode(d)
	} else {
		m, reply, err = decodeList(d, v.text)
	}
	if err != nil {
		d.Reset(packet)
		return false
	}
	v.gather(box, v.s.envelope(m, reply))
	return true
}

// Deliver reads what is left of a packet, for the local port of that name. The
// packet is what the decoder is in. An error is that of the decoder.
//
// It may run code of the user in the goroutine of the caller: what hears of dead
// letters, and actors whose dispatchers do so. Should that end the goroutine, another
// one can go on with the next packet: nothing else is in hand then.
func (v *Delivery) Deliver(port []byte, d aemp.Decoder, packet []byte) error {
	s := v.s
	v.head.Clear()
	var box *mailbox
	if v.port != nil && v.port.name == string(port) {
		box = v.port.open()
	}
	if box == nil {
		v.port, box = s.shortcuts.find(string(port))
	}
	var name string
	if box == nil {
		name = string(port) // before the decoder goes on
	}
	m, reply, err := v.decode(d, packet)
	switch _, isBatch := m.(proto.MessageBatch); {
	case err != nil:
		return err
	case box == nil:
		v.Flush() // what is found under the name, or hears of dead letters, may wait
		s.deliver(name, m, reply)
	case isBatch || box.config.Size > 0 || v.port.foreign:
		v.head.Clear()
		v.Flush() // there may be no room, or the actor may run right here
		box.PostUserMessage(s.envelope(m, reply))
	default:
		v.gather(box, s.envelope(m, reply))
	}
	return nil
}

// decode reads a message behind the name of its port: of a bound type if
// its tag is bound and the elements fit, else a list. What does not fit is for
// the port to judge.
func (v *Delivery) decode(d aemp.Decoder, packet []byte) (m any, reply PortID, err error) {
	if kind := d.Kind(); kind != aemp.Text && kind != aemp.Octets {
		return decodeList(d, nil)
	}
	tag := d.Bytes()
	v.head.Set(d, packet, 2)
	if bound := bindings.load(); v.bound != bound || v.tag == nil || v.tag.tag != string(tag) {
		v.bound, v.tag = bound, bound.tags[string(tag)]
	}
	if v.tag != nil {
		if m, reply, err = v.tag.decode(d); err == nil {
			return m, reply, nil
		}
		if err := d.Err(); err != nil {
			return nil, "", err
		}
		v.head.Clear()
		d.Reset(packet)
		d.Skip() // the port
		tag = d.Bytes()
	}
	v.text = v.s.tags.get(tag)
	if v.text == nil {
		v.head.Clear()
		d.Reset(packet)
		d.Skip()
	}
	return decodeList(d, v.text)
}

// decodeList reads a message that is a list, but for its tag if that is known.
func decodeList(d aemp.Decoder, tag any) (m any, reply PortID, err error) {
	list := newList(max(d.Len(), 0) + 1)
	if tag != nil {
		*list = append(*list, tag)
	}
	err = aemp.DecodeRest(d, (*[]any)(list))
	return asValue(list), replyPort(*list), err
}

func (v *Delivery) gather(box *mailbox, m any) {
	if box != v.box || len(v.gathered) == mostGathered {
		v.Post()
		v.box = box
	}
	v.gathered = append(v.gathered, m)
}

// Post puts what was gathered into the mailbox of its port.
func (v *Delivery) Post() {
	if v.box == nil {
		return
	}
	if v.box.post(v.gathered) {
		v.woken = append(v.woken, v.box)
		if !v.Hold {
			v.wake()
		}
	}
	clear(v.gathered)
	v.box, v.gathered = nil, v.gathered[:0]
}

// Flush posts, and has all ports run that are held, each in a goroutine of its own:
// before anything that may wait, perhaps for one of them.
func (v *Delivery) Flush() {
	v.Post()
	v.wake()
}

// wake has all ports run that have woken, in other goroutines.
func (v *Delivery) wake() {
	for _, box := range v.woken {
		box.wake()
	}
	clear(v.woken)
	v.woken = v.woken[:0]
}

// Held returns how many ports are held.
func (v *Delivery) Held() int { return len(v.woken) }

// Next takes out the port that was held for the longest time. The caller must call
// the returned function, which runs the port in the goroutine of the caller, until
// it has nothing more to do; that may take any time.
func (v *Delivery) Next() (run func()) {
	box := v.woken[0]
	v.woken = slices.Delete(v.woken, 0, 1)
	return box.processOnce
}
