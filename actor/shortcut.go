package actor

import (
	"hash/maphash"
	"reflect"
	"sync/atomic"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A shortcut leads from the name of an actor to its mailbox, past the process
// registry of protoactor-go, where each look-up costs as much as the rest of a
// sending. The mailbox knows it, and closes it when the actor has stopped, so that
// it keeps nothing then, wherever it is remembered.
type shortcut struct {
	name    string
	mailbox atomic.Pointer[mailbox]
	dead    atomic.Pointer[int32] // of the actor's process: not 0 when its name may stand for another
	foreign bool                  // its dispatcher is not ours: it may run the actor in the goroutine that sends
}

// open returns the mailbox, or nil if the name may stand for another actor.
func (s *shortcut) open() *mailbox {
	m := s.mailbox.Load()
	if m == nil || atomic.LoadInt32(s.dead.Load()) != 0 {
		return nil
	}
	return m
}

func (s *shortcut) close() {
	s.dead.Store(&dead)
	s.mailbox.Store(nil)
}

// dead is that of all shortcuts that are closed.
var dead int32 = 1

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

// find returns the way to an actor and its mailbox, or nil if no short one is known.
func (t *shortcutTable) find(name string) (*shortcut, *mailbox) {
	slot, _ := t.slot(name)
	for i := range slot.shortcuts {
		if s := slot.shortcuts[i].Load(); s != nil && s.name == name {
			if m := s.open(); m != nil {
				return s, m
			}
		}
	}
	return nil, nil
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
		if old := slot.shortcuts[i].Load(); old == nil || old.name == name || old.open() == nil {
			place = &slot.shortcuts[i]
			break
		}
	}
	place.Store(s)
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

// newShortcut returns the shortcut to an actor, or nil if it has stopped or is not
// ready yet, or if its mailbox is not ours, which would not tell when it stops.
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
	s := &shortcut{name: name, foreign: !ours}
	s.dead.Store((*int32)(fields.FieldByIndex(processDead.Index).Addr().UnsafePointer()))
	s.mailbox.Store(m)
	if !m.shortcut.CompareAndSwap(nil, s) {
		s = m.shortcut.Load()
	}
	if s.open() == nil {
		s.close() // the mailbox may have looked for it before
		return nil
	}
	return s
}
