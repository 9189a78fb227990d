package actor

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/portmesh/portmesh/internal/ascii"
)

// maxTags bounds a tagTable, for programs that make up tags as they go.
const maxTags = 1024

// A tagTable has the tags that the ports of a system receive, in the form in
// which a message holds them. A message that comes from another node then
// takes its tag from here, instead of memory of its own. Only receivers can put
// tags in, and never messages. Reading takes no lock.
type tagTable struct {
	mu      sync.Mutex
	current atomic.Pointer[map[string]any]
}

// get returns the tag as a message holds it, or nil.
func (t *tagTable) get(tag []byte) any {
	if tags := t.current.Load(); tags != nil {
		return (*tags)[string(tag)]
	}
	return nil
}

// add puts a tag in if there is room. Tags that are not ASCII are left out: what
// a message holds of those depends on how they were sent.
func (t *tagTable) add(tag string) {
	if tags := t.current.Load(); tags != nil && (len(*tags) >= maxTags || (*tags)[tag] != nil) || !ascii.Only(tag) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tags := make(map[string]any)
	if old := t.current.Load(); old != nil {
		maps.Copy(tags, *old)
	}
	tags[tag] = tag
	t.current.Store(&tags)
}
