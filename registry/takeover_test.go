package registry_test

import (
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// When a master is killed, its slaves find another, and nobody is told anything
// but what has gone with it.
func TestMeshKilledMaster(t *testing.T) {
	inWorld(t, func(w *world) {
		bothGlobals(w)
		for _, m := range w.members {
			m.told("fruit")
		}
		w.crash("a")
		w.mustSettle()
		for id := range w.members {
			w.wantTold(id, "fruit", "-a")
		}
	})
}

// So it is when the only global node is killed, and a second seed is started
// afterwards.
func TestMeshSecondSeed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("a", "a", "d")
		w.start("b c e f", "a", "d")
		for _, m := range w.members {
			m.set(t, "fruit", string(m.id), 1)
			m.watch(t, "fruit")
		}
		w.mustSettle()
		for _, m := range w.members {
			m.told("fruit")
		}
		w.crash("a")
		time.Sleep(time.Second)
		w.start("d", "a", "d").watch(t, "fruit")
		w.mustSettle()
		for _, id := range []actor.NodeID{"b", "c", "e", "f"} {
			w.wantTold(id, "fruit", "-a")
		}
		w.start("a", "a", "d") // which comes again
		w.mustSettle()
	})
}

// Ports of the killed master are gone at once, for its slaves as for others:
// nobody should send to them any more.
func TestMeshKilledMasterPorts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("a d b c e f", "a", "d")
		w.mustSettle()
		ports := make(map[actor.NodeID]actor.PortID)
		for id, m := range w.members {
			ports[id] = newPort(t, m.Registry)
			if _, err := m.Register("servers", ports[id], nil); err != nil {
				t.Fatal(err)
			}
			m.watch(t, "servers")
		}
		time.Sleep(time.Second)
		for _, m := range w.members {
			m.told("servers")
		}
		w.crash("a")
		time.Sleep(time.Second)
		for id := range w.members {
			w.wantTold(id, "servers", "-"+string(ports["a"]))
		}
	})
}

// A slave becomes a global node at run time, and nobody is told of a change.
func TestMeshUpgrade(t *testing.T) {
	inWorld(t, func(w *world) {
		bothGlobals(w)
		for _, m := range w.members {
			m.told("fruit")
		}
		w.start("g", "b") // has b as its only seed
		w.members["g"].set(t, "fruit", "g", 1)
		w.mustSettle()
		if !w.members["b"].IsGlobal() || w.members["g"].IsGlobal() {
			t.Error("b is not global, or g is")
		}
		for _, id := range []actor.NodeID{"a", "b", "c", "d", "e", "f"} {
			w.wantTold(id, "fruit", "+g")
		}
	})
}
