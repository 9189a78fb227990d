package registry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// inBubble runs a test with a mesh in memory, in time that is for the test to
// make. Its nodes know nothing but their seeds.
func inBubble(t *testing.T, test func(t *testing.T, m *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, &bubble{t, remotetest.NewMesh(t)}) })
}

type bubble struct {
	t *testing.T
	*remotetest.Mesh
}

// start starts a node with the given nodes as its seeds.
func (m *bubble) start(id actor.NodeID, seeds ...actor.NodeID) *registry.Registry {
	m.t.Helper()
	return m.startWith(id, func(c *remote.Config) {
		for _, seed := range seeds {
			c.Seeds = append(c.Seeds, remotetest.Address(seed))
		}
	})
}

func (m *bubble) startWith(id actor.NodeID, change func(*remote.Config)) *registry.Registry {
	m.t.Helper()
	var r *registry.Registry
	m.Start(id, remotetest.WithStart(func(ctx context.Context, sys *actor.System, c remote.Config) (*remote.Node, error) {
		c.Resolve = nil
		change(&c)
		var err error
		if r, err = registry.Start(ctx, sys, c, registry.Config{}); err != nil {
			return nil, err
		}
		return r.Node(), nil
	}))
	m.t.Cleanup(func() { r.Close() })
	return r
}

// settle lets the nodes find each other.
func settle() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}
