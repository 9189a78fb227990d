package command

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

const testSecret = "geheim-for-tests-0123456789"

// A testNode is a node that the tool talks to.
type testNode struct {
	*registry.Registry
	sys     *actor.System
	address string
}

func startNode(t *testing.T, id actor.NodeID, seeds ...string) *testNode {
	t.Helper()
	n := &testNode{sys: actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))}
	var err error
	n.Registry, err = registry.Start(t.Context(), n.sys, remote.Config{
		NodeID: id, Secret: testSecret, Listen: []string{"127.0.0.1:0"}, Seeds: seeds,
	}, registry.Config{Global: len(seeds) == 0})
	if err != nil {
		t.Fatal(err)
	}
	n.address = n.Node().Addresses()[0]
	t.Cleanup(func() { n.Close() })
	return n
}

// echo makes a port that answers everything with itself, but dies of "die".
func (n *testNode) echo() actor.PortID {
	return n.sys.Port(func(c *actor.Context) error {
		c.Receive("die", func(c *actor.Context, m actor.Message) error {
			c.Kill(m[0], 7)
			return nil
		})
		c.Default(func(c *actor.Context, m actor.Message) error {
			return c.Respond(m[:len(m)-1]...)
		})
		return nil
	})
}

// toolFor is the tool on a machine whose configuration knows the nodes as seeds.
func toolFor(t *testing.T, seeds ...*testNode) *Tool {
	var addresses []string
	for _, n := range seeds {
		addresses = append(addresses, n.address)
	}
	return toolWith(t, map[string]string{"PORTMESH_SECRET": testSecret, "PORTMESH_SEEDS": strings.Join(addresses, ",")})
}

// toolWith is the tool with these environment variables, and no file.
func toolWith(t *testing.T, env map[string]string) *Tool {
	tool := New()
	rc := filepath.Join(t.TempDir(), "rc")
	tool.Getenv = func(name string) string {
		if name == "PERL_ANYEVENT_MP_RC" && env[name] == "" {
			return rc
		}
		return env[name]
	}
	return tool
}

// eventually waits for a condition that other nodes bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen: " + what)
		}
	}
}
