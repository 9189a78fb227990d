package actor

import (
	"hash/maphash"
	"reflect"
	"sync/atomic"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A shortcut leads from the name of an actor to its mailbox, past the process
// registry of protoactor-go, where each look-up costs as much as the rest of a
// sending.
type shortcut struct {
	name    string
	mailbox *mailbox
	dead    *int32 // of the actor's process: not 0 when its name may stand for another
	foreign bool   // its dispatcher is not ours: it may run the actor in the goroutine that sends
}

// A shortcutTable has shortcuts to the actors that were sent to lately. It is
// read and changed by any goroutine, without a lock.
type shortcutTable struct {
	seed  maphash.Seed
	slots [256]shortcutSlot // by the hash of the name
}

// A shortcutSlot has room for two, so that few names are in each other's way.
type shortcutSlot struct {
	shortcuts [2]atomic.Pointer[shortcut]
	missed    atomic.Uint64 // hash of the last name that was looked for in vain
}

// valid tells whether the name still stands for the actor.
func (s *shortcut) valid() bool { return atomic.LoadInt32(s.dead) == 0 }

// find returns the way to the mailbox of an actor, or nil if no short one is known.
func (t *shortcutTable) find(name string) *shortcut {
	slot, _ := t.slot(name)
	for i := range slot.shortcuts {
		if s := slot.shortcuts[i].Load(); s != nil && s.name == name && s.valid() {
			return s
		}
	}
	return nil
}

// add is told of an actor that was looked up. It takes those in that are looked
// up twice in a row, so that who sends to very many pays little for it.
func (t *shortcutTable) add(name string, process *proto.ActorProcess) {
	slot, hash := t.slot(name)
	if slot.missed.Swap(hash) != hash {
		return
	}
	s := newShortcut(name, process)
	if s == nil {
		return
	}
	place := &slot.shortcuts[hash>>63]
	for i := range slot.shortcuts {
		if old := slot.shortcuts[i].Load(); old == nil || old.name == name || !old.valid() {
			place = &slot.shortcuts[i]
			break
		}
	}
	place.Store(s)
	if !s.valid() {
		place.CompareAndSwap(s, nil) // forget may have come before
	}
}

// forget lets go of an actor that has stopped, and of all that it holds.
func (t *shortcutTable) forget(name string) {
	slot, _ := t.slot(name)
	for i := range slot.shortcuts {
		if s := slot.shortcuts[i].Load(); s != nil && s.name == name && !s.valid() {
			slot.shortcuts[i].CompareAndSwap(s, nil)
		}
	}
}

func (t *shortcutTable) slot(name string) (slot *shortcutSlot, hash uint64) {
	hash = maphash.String(t.seed, name)
	return &t.slots[hash%uint64(len(t.slots))], hash
}

// The fields of protoactor-go's process of an actor that shortcuts use. They are
// not exported; without them there are no shortcuts.
var (
	processMailbox, hasMailbox = reflect.TypeFor[proto.ActorProcess]().FieldByName("mailbox")
	processDead, hasDead       = reflect.TypeFor[proto.ActorProcess]().FieldByName("dead")
	canShortcut                = hasMailbox && processMailbox.Type == reflect.TypeFor[proto.Mailbox]() &&
		hasDead && processDead.Type == reflect.TypeFor[int32]()
)

// newShortcut returns nil if the actor's mailbox is not ours, which would not
// tell when the actor stops, or not ready yet.
func newShortcut(name string, process *proto.ActorProcess) *shortcut {
	if !canShortcut {
		return nil
	}
	fields := reflect.ValueOf(process).Elem()
	box := fields.FieldByIndex(processMailbox.Index).Elem()
	if box.Type() != reflect.TypeFor[*mailbox]() {
		return nil
	}
	m := (*mailbox)(box.UnsafePointer())
	if m.config.system == nil {
		return nil
	}
	m.mu.Lock()
	dispatcher := m.dispatcher
	m.mu.Unlock()
	if dispatcher == nil {
		return nil
	}
	_, ours := dispatcher.(*Dispatcher)
	dead := (*int32)(fields.FieldByIndex(processDead.Index).Addr().UnsafePointer())
	return &shortcut{name: name, mailbox: m, dead: dead, foreign: !ours}
}
