package actor

import (
	"sync"

	"github.com/portmesh/portmesh/internal/box"
)

// shortList is for how many elements a list has room in the memory that its head
// is in. It is enough for most messages.
const shortList = 4

// newList returns an empty message with room for that many elements.
func newList(room int) *Message {
	if room > shortList {
		m := make(Message, 0, room)
		return &m
	}
	short := new(struct {
		head  Message
		elems [shortList]any
	})
	short.head = short.elems[:0]
	return &short.head
}

// asValue returns a message as mailboxes hold it. It must not be changed any more.
func asValue(m *Message) any { return box.In(m) }

// outgoing has lists for messages that are encoded when they are sent.
var outgoing = sync.Pool{New: func() any { return newList(shortList) }}

// free takes a list back, without its elements.
func free(list *Message) {
	clear(*list)
	if cap(*list) <= shortList {
		*list = (*list)[:0]
		outgoing.Put(list)
	}
}
