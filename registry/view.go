package registry

import (
	"reflect"
	"slices"

	"github.com/portmesh/portmesh/actor"
)

// A view is what a global node holds: the union of the parts of all nodes, in
// which the same key may have several owners. One of the values is seen, and
// when its owner deletes it, another is seen again (section 6 of the protocol).
//
// Some owners are near: ourselves, our slaves. The union of their parts is what
// other global nodes hear of from us. Of the near values of a key, the one that
// was set last is seen. Of those that global nodes have, it is that of the node
// with the greatest ID: so that all global nodes see the same, in whatever order
// they have heard of it.
//
// What a change costs depends on the keys that it names, not on what else there
// is; that an owner goes costs as much as what it owned.
type view struct {
	self     actor.NodeID
	families map[string]map[string]holding
	owners   map[ownerID]*owner
}

// An ownerID says whose part it is: that of a near node, or that of a global node.
// While a node becomes a global one, or comes back as another, there are both.
type ownerID struct {
	node actor.NodeID
	near bool
}

// An owner has set some of the keys.
type owner struct {
	near   bool
	global actor.NodeID                   // the node that tells the other global nodes of it
	keys   map[string]map[string]struct{} // by family
}

// An owned value belongs to one of the owners of a key.
type owned struct {
	owner *owner
	value any
}

// A holding is what is known of a key: the value that is seen, and those of
// others, of which the last would be seen without it.
type holding struct {
	owned
	under []owned
}

// near returns the value that is seen when only near owners count.
func (h holding) near() (value any, ok bool) {
	if h.owner != nil && h.owner.near {
		return h.value, true
	}
	for _, o := range slices.Backward(h.under) {
		if o.owner.near {
			return o.value, true
		}
	}
	return nil, false
}

// A change is what has changed in a family.
type change struct {
	set map[string]any
	del []string
}

func newChange() *change { return &change{set: make(map[string]any)} }

func (c *change) empty() bool { return len(c.set) == 0 && len(c.del) == 0 }

// note adds the difference between two states of a key.
func (c *change) note(key string, old any, was bool, value any, is bool) {
	switch {
	case is && (!was || !equal(old, value)):
		c.set[key] = value
	case was && !is:
		c.del = append(c.del, key)
	}
}

// changes are what has changed for those who look at a view: by family, in the
// whole, and in what the near owners make up. Families without a change may be
// there, with empty ones.
type changes struct{ all, near map[string]*change }

func newChanges() changes {
	return changes{all: make(map[string]*change), near: make(map[string]*change)}
}

func newView(self actor.NodeID) *view {
	return &view{self: self, families: make(map[string]map[string]holding), owners: make(map[ownerID]*owner)}
}

// get returns the value of a key.
func (v *view) get(family, key string) (value any, ok bool) {
	h, ok := v.families[family][key]
	return h.value, ok
}

// content returns what a family holds, as a map of its own.
func (v *view) content(family string) map[string]any {
	content := make(map[string]any, len(v.families[family]))
	for key, h := range v.families[family] {
		content[key] = h.value
	}
	return content
}

// near returns the union of the parts of the near owners, as an element of a
// message.
func (v *view) near() map[string]any {
	parts := make(map[string]any)
	for family, keys := range v.families {
		content := make(map[string]any)
		for key, h := range keys {
			if value, ok := h.near(); ok {
				content[key] = value
			}
		}
		if len(content) > 0 {
			parts[family] = content
		}
	}
	return parts
}

// keys returns the keys of an owner, by family. They must not be changed.
func (v *view) keys(node actor.NodeID, near bool) map[string]map[string]struct{} {
	if o := v.owners[ownerID{node, near}]; o != nil {
		return o.keys
	}
	return nil
}

// update changes the part of an owner.
func (v *view) update(node actor.NodeID, near bool, family string, set map[string]any, del []string) changes {
	c := newChanges()
	v.apply(&c, ownerID{node, near}, family, set, del)
	return c
}

// replace gives an owner another part.
func (v *view) replace(node actor.NodeID, near bool, part database) changes {
	c := newChanges()
	id := ownerID{node, near}
	for family, keys := range v.keys(node, near) {
		var gone []string
		for key := range keys {
			if _, kept := part[family][key]; !kept {
				gone = append(gone, key)
			}
		}
		v.apply(&c, id, family, nil, gone)
	}
	for family, content := range part {
		v.apply(&c, id, family, content, nil)
	}
	return c
}

func (v *view) apply(c *changes, id ownerID, family string, set map[string]any, del []string) {
	o := v.owners[id]
	if o == nil {
		if len(set) == 0 {
			return
		}
		o = &owner{near: id.near, global: id.node, keys: make(map[string]map[string]struct{})}
		if id.near {
			o.global = v.self
		}
		v.owners[id] = o
	}
	all, ours := c.all[family], c.near[family]
	if all == nil {
		all, ours = newChange(), newChange()
		c.all[family], c.near[family] = all, ours
	}
	touch := func(key string, f func(*holding) (kept bool)) {
		h, was := v.families[family][key]
		nearOld, nearWas := h.near()
		old := h.value
		is := f(&h)
		switch {
		case is && v.families[family] == nil:
			v.families[family] = map[string]holding{key: h}
		case is:
			v.families[family][key] = h
		case was:
			forget(v.families, family, key)
		}
		nearNew, nearIs := h.near()
		all.note(key, old, was, h.value, is)
		ours.note(key, nearOld, nearWas, nearNew, nearIs)
	}
	for key, value := range set {
		touch(key, func(h *holding) bool { h.put(owned{o, value}); return true })
		if o.keys[family] == nil {
			o.keys[family] = make(map[string]struct{})
		}
		o.keys[family][key] = struct{}{}
	}
	for _, key := range del {
		if _, has := o.keys[family][key]; has {
			touch(key, func(h *holding) bool { return h.drop(o) })
			forget(o.keys, family, key)
		}
	}
	if len(o.keys) == 0 {
		delete(v.owners, id)
	}
}

// put gives an owner another value, which gets in front of the near ones if the
// owner is near.
func (h *holding) put(o owned) {
	if len(h.under) == 0 && (h.owner == nil || h.owner == o.owner) {
		h.owned = o
		return
	}
	all := append(h.under, h.owned)
	if i := slices.IndexFunc(all, func(other owned) bool { return other.owner == o.owner }); i >= 0 {
		if equal(all[i].value, o.value) {
			return
		}
		all = slices.Delete(all, i, i+1)
	}
	i := len(all)
	for i > 0 && all[i-1].owner.global > o.owner.global {
		i--
	}
	all = slices.Insert(all, i, o)
	last := len(all) - 1
	h.owned, h.under = all[last], all[:last]
}

// drop takes the value of an owner away, and returns whether one is left.
func (h *holding) drop(o *owner) bool {
	if h.owner != o {
		h.under = slices.DeleteFunc(h.under, func(other owned) bool { return other.owner == o })
		return true
	}
	last := len(h.under) - 1
	if last < 0 {
		*h = holding{}
		return false
	}
	h.owned = h.under[last]
	h.under = slices.Delete(h.under, last, last+1)
	return true
}

// forget deletes a key, and its family with the last one.
func forget[V any](families map[string]map[string]V, family, key string) {
	delete(families[family], key)
	if len(families[family]) == 0 {
		delete(families, family)
	}
}

// A database is a set of families, each a map from keys to values: the part of
// one node.
type database map[string]map[string]any

func (d database) set(family, key string, value any) {
	if d[family] == nil {
		d[family] = make(map[string]any)
	}
	d[family][key] = value
}

// dropUnfit is dropUnfit for all families.
func (d database) dropUnfit() (err error) {
	for family, content := range d {
		if unfit := dropUnfit(family, content); unfit != nil {
			err = unfit
		}
	}
	return err
}

// message returns d as an element of a message, not a copy: what is sent is
// encoded at once.
func (d database) message() map[string]any {
	m := make(map[string]any, len(d))
	for family, content := range d {
		m[family] = content
	}
	return m
}

func equal(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return reflect.DeepEqual(a, b)
}
