package registry

import (
	"reflect"
	"slices"

	"github.com/portmesh/portmesh/actor"
)

// A database is a set of families, each a map from keys to values.
type database map[string]map[string]any

func (d database) set(family, key string, value any) {
	if d[family] == nil {
		d[family] = make(map[string]any)
	}
	d[family][key] = value
}

func (d database) delete(family, key string) {
	delete(d[family], key)
	if len(d[family]) == 0 {
		delete(d, family)
	}
}

// message returns d as an element of a message.
func (d database) message() map[string]any {
	m := make(map[string]any, len(d))
	for family, content := range d {
		m[family] = copyOf(content)
	}
	return m
}

func copyOf(content map[string]any) map[string]any {
	m := make(map[string]any, len(content))
	for k, v := range content {
		m[k] = v
	}
	return m
}

// A view is the union of the parts of several owners. The same key may have
// several owners; the value that was set last is the one that is seen, and when
// its owner deletes it, the one before is seen again (section 6 of the
// protocol). Its methods return what has changed for those who look at it.
type view struct {
	seen   database
	owners map[string]map[string][]owned
}

// An owned value belongs to one of the owners of a key.
type owned struct {
	owner actor.NodeID
	value any
}

func newView() *view {
	return &view{seen: make(database), owners: make(map[string]map[string][]owned)}
}

// A change is what has changed in a family.
type change struct {
	set map[string]any
	del []string
}

func (c change) empty() bool { return len(c.set) == 0 && len(c.del) == 0 }

// update changes the part of an owner.
func (v *view) update(owner actor.NodeID, family string, set map[string]any, del []string) change {
	c := change{set: make(map[string]any)}
	for key, value := range set {
		v.put(family, key, owned{owner, value})
		v.look(family, key, &c)
	}
	for _, key := range del {
		v.drop(family, key, owner)
		v.look(family, key, &c)
	}
	return c
}

// replace gives an owner another part, and returns the changes by family.
func (v *view) replace(owner actor.NodeID, part database) map[string]change {
	changes := make(map[string]change)
	for family, keys := range v.owners {
		var gone []string
		for key, values := range keys {
			if _, kept := part[family][key]; !kept && slices.ContainsFunc(values, func(o owned) bool { return o.owner == owner }) {
				gone = append(gone, key)
			}
		}
		if len(gone) > 0 {
			changes[family] = v.update(owner, family, nil, gone)
		}
	}
	for family, content := range part {
		c := v.update(owner, family, content, nil)
		c.del = append(c.del, changes[family].del...)
		for key, value := range changes[family].set {
			if _, set := c.set[key]; !set {
				c.set[key] = value
			}
		}
		changes[family] = c
	}
	for family, c := range changes {
		if c.empty() {
			delete(changes, family)
		}
	}
	return changes
}

// put makes a value the one that is seen, unless its owner has just that one
// already.
func (v *view) put(family, key string, o owned) {
	if v.owners[family] == nil {
		v.owners[family] = make(map[string][]owned)
	}
	values := v.owners[family][key]
	for _, other := range values {
		if other.owner == o.owner && equal(other.value, o.value) {
			return
		}
	}
	values = slices.DeleteFunc(values, func(other owned) bool { return other.owner == o.owner })
	v.owners[family][key] = append(values, o)
}

func (v *view) drop(family, key string, owner actor.NodeID) {
	values := slices.DeleteFunc(v.owners[family][key], func(o owned) bool { return o.owner == owner })
	if len(values) > 0 {
		v.owners[family][key] = values
		return
	}
	delete(v.owners[family], key)
	if len(v.owners[family]) == 0 {
		delete(v.owners, family)
	}
}

// look brings what is seen of a key up to date, and notes the difference.
func (v *view) look(family, key string, c *change) {
	old, was := v.seen[family][key]
	values := v.owners[family][key]
	if len(values) == 0 {
		if was {
			v.seen.delete(family, key)
			c.del = append(c.del, key)
		}
		return
	}
	value := values[len(values)-1].value
	if !was || !equal(old, value) {
		v.seen.set(family, key, value)
		c.set[key] = value
	}
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }
