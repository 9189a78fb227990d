package registry_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
)

type content = map[string]any

// The nodes a and d are global, where not said otherwise; every node has both as
// its seeds.
func bothGlobals(w *world) {
	w.start("a d b c e f", "a", "d")
	for _, m := range w.members {
		m.set(w.t, "fruit", string(m.id), 1)
		m.watch(w.t, "fruit")
	}
	w.mustSettle()
}

// A mesh in two parts is two meshes; when it is one again, all see all.
func TestMeshPartition(t *testing.T) {
	inWorld(t, func(w *world) {
		bothGlobals(w)
		w.mesh.Partition([]actor.NodeID{"a", "b", "c"}, []actor.NodeID{"d", "e", "f"})
		w.settle()
		w.wantContent("a", "fruit", content{"a": 1, "b": 1, "c": 1})
		w.wantContent("c", "fruit", content{"a": 1, "b": 1, "c": 1})
		w.wantContent("d", "fruit", content{"d": 1, "e": 1, "f": 1})
		w.wantContent("f", "fruit", content{"d": 1, "e": 1, "f": 1})
		w.members["b"].set(t, "fruit", "both", "b's")
		w.members["e"].set(t, "fruit", "both", "e's")
		w.members["b"].set(t, "fruit", "b", 2)
		w.members["f"].delete(t, "fruit", "f")
		synctest.Wait()
		w.mesh.Heal()
		w.mustSettle()
	})
}

// Short partitions go unnoticed.
func TestMeshShortPartition(t *testing.T) {
	inWorld(t, func(w *world) {
		bothGlobals(w)
		for _, m := range w.members {
			m.told("fruit")
		}
		w.mesh.Partition([]actor.NodeID{"a"}, []actor.NodeID{"b", "c", "d"}, []actor.NodeID{"e", "f"})
		w.members["b"].set(t, "fruit", "new", 1)
		time.Sleep(5 * time.Second)
		w.mesh.Heal()
		w.mustSettle()
		for id := range w.members {
			w.wantTold(id, "fruit", "+new")
		}
	})
}

// A node that comes again under the same name has what it sets now, and not what
// it had.
func TestMeshSameName(t *testing.T) {
	for _, id := range []actor.NodeID{"a", "b", "d"} {
		for _, how := range []string{"crash", "stop", "power failure"} {
			t.Run(how+" "+string(id), func(t *testing.T) {
				inWorld(t, func(w *world) {
					bothGlobals(w)
					w.members["c"].told("fruit")
					w.members[id].set(t, "fruit", "old", 1)
					synctest.Wait()
					switch how {
					case "power failure":
						w.mesh.Partition([]actor.NodeID{id}, slices.DeleteFunc([]actor.NodeID{"a", "b", "c", "d", "e", "f"},
							func(other actor.NodeID) bool { return other == id }))
						w.crash(id)
						w.mesh.Heal()
					case "crash":
						w.crash(id)
					case "stop":
						w.stop(id)
					}
					w.start(string(id), "a", "d").set(t, "fruit", "new", 1)
					w.mustSettle()
				})
			})
		}
	}
}

// The same key of two owners, who have different masters: all see the same of
// the two values, and the other when the first is gone.
func TestMeshTwoOwners(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("a d", "a", "d")
		w.start("b", "a")
		w.start("e", "d")
		w.mustSettle()
		w.members["b"].set(t, "fruit", "apple", "b's")
		w.members["e"].set(t, "fruit", "apple", "e's")
		w.mustSettle()
		for _, id := range []actor.NodeID{"a", "b", "d", "e"} {
			w.members[id].watch(t, "fruit")
		}
		w.members["b"].delete(t, "fruit", "apple")
		w.mustSettle()
		w.members["b"].set(t, "fruit", "apple", "b's again")
		w.mustSettle()
		w.crash("e")
		w.mustSettle()
		w.wantContent("d", "fruit", content{"apple": "b's again"})
		// Both sides have the key when they meet.
		w.start("e", "d")
		w.mesh.Partition([]actor.NodeID{"a", "b"}, []actor.NodeID{"d", "e"})
		time.Sleep(time.Minute)
		w.members["e"].set(t, "fruit", "apple", "e's again")
		w.mesh.Heal()
		w.mustSettle()
	})
}

// Globals that are far from each other.
func TestMeshSlowGlobals(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mesh.Delay("a", "d", 4*time.Second)
		w.mesh.Delay("a", "c", 2*time.Second)
		bothGlobals(w)
		for i := range 20 {
			for _, m := range w.members {
				m.set(t, "fruit", string(m.id), i+2)
			}
			time.Sleep(time.Second)
		}
		w.mesh.Cut("a", "d")
		w.members["c"].set(t, "fruit", "late", 1)
		w.mustSettle()
	})
}

// Two globals that know of each other by a third one only find each other again.
func TestMeshGlobalsMeetAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("hub", "hub")
		w.start("a", "a", "hub")
		w.start("d", "d", "hub")
		w.members["a"].set(t, "fruit", "a", 1)
		w.members["d"].watch(t, "fruit")
		w.mustSettle()
		w.mesh.Partition([]actor.NodeID{"a"}, []actor.NodeID{"d"})
		w.settle()
		w.wantContent("d", "fruit", content{})
		w.mesh.Heal()
		w.mustSettle()
		w.mesh.Cut("a", "d")
		w.mustSettle()
	})
}

// Whatever the order in which nodes start, and however far apart.
func TestMeshStartOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		order := []string{"a", "d", "h", "b", "c", "e", "f"}
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		ok := t.Run(strings.Join(order, ""), func(t *testing.T) {
			inWorld(t, func(w *world) {
				for _, id := range order {
					m := w.start(id, "a", "d", "h")
					m.watch(t, "fruit")
					m.set(t, "fruit", id, 1)
					time.Sleep(time.Duration(random.Int64N(int64(5 * time.Second))))
				}
				w.mustSettle()
			})
		})
		if !ok {
			return
		}
	}
}

// A node that is its own seed is global without anybody's help, at once.
func TestMeshOwnSeed(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.start("a", "a")
		synctest.Wait()
		if !m.IsGlobal() {
			t.Error("it is not global")
		}
	})
}
