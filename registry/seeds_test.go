package registry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// One configuration does for all nodes: a name that stands for the addresses of
// the seeds, whichever of them run, and in whatever order they start.
func TestOneNameForAllSeeds(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		config := func(c *remote.Config) {
			c.Seeds = []string{"mesh.example:4040"}
			c.LookupHost = func(context.Context, string) ([]string, error) { return []string{"s1", "s2", "s3"}, nil }
		}
		nodes := make(map[actor.NodeID]*registry.Registry)
		for _, id := range []actor.NodeID{"w1", "s2", "w2", "s1", "s3"} {
			nodes[id] = m.startWith(id, config)
			set(t, nodes[id], "nodes", string(id), nil)
			time.Sleep(10 * time.Second)
		}
		see := func(ids ...string) {
			t.Helper()
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			want := make(map[string]any)
			for _, id := range ids {
				want[id] = nil
			}
			for _, r := range nodes {
				wait(t, r, "nodes", want)
			}
		}
		see("s1", "s2", "s3", "w1", "w2")
		for id, r := range nodes {
			if r.IsGlobal() != (id[0] == 's') {
				t.Errorf("%s: global %v", id, r.IsGlobal())
			}
		}
		for _, id := range []actor.NodeID{"s2", "s1"} { // the last one does for all
			m.Crash(id)
			nodes[id].Close()
			delete(nodes, id)
		}
		see("s3", "w1", "w2")
		nodes["s2"] = m.startWith("s2", config)
		see("s3", "w1", "w2")
		m.Crash("s3")
		nodes["s3"].Close()
		delete(nodes, "s3")
		see("w1", "w2")
	})
}
