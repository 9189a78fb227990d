package registry

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

// A modelView does what a view promises, slowly: a list of all that was set, the
// last first to be seen, with those of each global node together, in the order of
// their IDs.
type modelView []modelEntry

type modelEntry struct {
	owner       actor.NodeID
	family, key string
	value       any
}

func (m modelView) seen(counts func(actor.NodeID) bool) map[string]any {
	union := make(map[string]any)
	for _, e := range m {
		if counts(e.owner) {
			union[e.family+"."+e.key] = e.value
		}
	}
	return union
}

func (m *modelView) set(e modelEntry) {
	same := func(o modelEntry) bool { return o.owner == e.owner && o.family == e.family && o.key == e.key }
	if i := slices.IndexFunc(*m, same); i >= 0 && (*m)[i].value == e.value {
		return
	}
	*m = append(slices.DeleteFunc(*m, same), e)
	slices.SortStableFunc(*m, func(a, b modelEntry) int { return cmp.Compare(globalOf(a.owner), globalOf(b.owner)) })
}

// In the test, the view is that of "m", whose slaves have small letters before it.
func isNear(n actor.NodeID) bool { return n >= "a" && n < "m" }

func globalOf(n actor.NodeID) actor.NodeID {
	if isNear(n) {
		return "m"
	}
	return n
}

func (m *modelView) del(match func(modelEntry) bool) { *m = slices.DeleteFunc(*m, match) }

// apply makes the changes to a copy that somebody keeps by what he is told.
func applyTo(keeper map[string]any, changes map[string]*change) error {
	for family, c := range changes {
		for key, value := range c.set {
			if old, ok := keeper[family+"."+key]; ok && old == value {
				return fmt.Errorf("%s.%s was %v before", family, key, value)
			}
			keeper[family+"."+key] = value
		}
		for _, key := range c.del {
			if _, ok := keeper[family+"."+key]; !ok {
				return fmt.Errorf("%s.%s was not there", family, key)
			}
			delete(keeper, family+"."+key)
		}
	}
	return nil
}

// Whatever the owners do, those who only hear of changes have what there is, in
// the whole and in the near part, and hear of nothing that is no change.
func TestViewModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	one := func(list ...string) string { return list[random.IntN(len(list))] }
	near := isNear
	all := func(actor.NodeID) bool { return true }

	v := newView("m")
	var model modelView
	wholeKeeper, nearKeeper := make(map[string]any), make(map[string]any)
	for step := range 20000 {
		owner := actor.NodeID(one("a", "b", "c", "A", "x", "y"))
		var c changes
		var what string
		if random.IntN(10) > 0 {
			family, set, del := one("f", "g"), make(map[string]any), []string(nil)
			for range random.IntN(3) {
				set[one("1", "2", "3")] = random.IntN(2)
			}
			if key := one("1", "2", "3", ""); key != "" && set[key] == nil {
				del = append(del, key)
			}
			what = fmt.Sprintf("%s updates %s: %v %v", owner, family, set, del)
			c = v.update(owner, near(owner), family, set, del)
			for key, value := range set {
				model.set(modelEntry{owner, family, key, value})
			}
			model.del(func(e modelEntry) bool {
				return e.owner == owner && e.family == family && slices.Contains(del, e.key)
			})
		} else {
			part := make(database)
			for range random.IntN(3) {
				part.set(one("f", "g"), one("1", "2", "3"), random.IntN(2))
			}
			what = fmt.Sprintf("%s becomes %v", owner, part)
			c = v.replace(owner, near(owner), part)
			model.del(func(e modelEntry) bool {
				_, kept := part[e.family][e.key]
				return e.owner == owner && !kept
			})
			for family, content := range part {
				for key, value := range content {
					model.set(modelEntry{owner, family, key, value})
				}
			}
		}
		if err := applyTo(wholeKeeper, c.all); err != nil {
			t.Fatalf("step %d, %s: whole: %v", step, what, err)
		}
		if err := applyTo(nearKeeper, c.near); err != nil {
			t.Fatalf("step %d, %s: near: %v", step, what, err)
		}
		whole, ours := make(map[string]any), make(map[string]any)
		for _, family := range []string{"f", "g"} {
			for key, value := range v.content(family) {
				whole[family+"."+key] = value
			}
			content, _ := v.near()[family].(map[string]any)
			for key, value := range content {
				ours[family+"."+key] = value
			}
		}
		for _, check := range []struct {
			name      string
			got, want map[string]any
		}{
			{"the view", whole, model.seen(all)}, {"its near part", ours, model.seen(near)},
			{"who hears of the view", wholeKeeper, whole}, {"who hears of its near part", nearKeeper, ours},
		} {
			if !maps.Equal(check.got, check.want) {
				t.Fatalf("step %d, %s: %s: got %v, want %v", step, what, check.name, check.got, check.want)
			}
		}
	}
	for _, owner := range []actor.NodeID{"a", "b", "c", "A", "x", "y"} {
		v.replace(owner, near(owner), nil)
	}
	if len(v.families) != 0 || len(v.owners) != 0 {
		t.Errorf("something is left: %v, %v", v.families, v.owners)
	}
}
