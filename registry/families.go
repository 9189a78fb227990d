package registry

import (
	"maps"
	"slices"
)

// questionFamilies is how a global node of generation 2 is asked for the names of
// all families: as Perl code, for which there is no request. Nodes of ours know it
// by its wording.
const questionFamilies = "keys %AnyEvent::MP::Kernel::GLOBAL_DB"

// Families returns the names of the families that this node knows to have keys,
// in order: all of the mesh if it is a global node, or else those that it has set
// keys of itself or monitors. The families that the mesh keeps for itself are not
// among them.
func (r *Registry) Families() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := make(map[string]bool)
	for name, content := range r.local {
		known[name] = len(content) > 0
	}
	for name, f := range r.copies {
		known[name] = known[name] || len(f.content) > 0
	}
	if r.global != nil {
		for name, content := range r.global.view.families {
			known[name] = known[name] || len(content) > 0
		}
	}
	maps.DeleteFunc(known, func(name string, has bool) bool { return !has || checkFamily(name) != nil })
	return slices.Sorted(maps.Keys(known))
}
