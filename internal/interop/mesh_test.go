package interop_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret   = "geheim-for-tests-0123456789"
	patience = 20 * time.Second
)

// A goNode is a node of ours.
type goNode struct {
	*registry.Registry
	sys *actor.System
}

// start starts a node of ours with the given seeds.
func start(t *testing.T, id actor.NodeID, seeds ...string) goNode {
	t.Helper()
	return startWith(t, remote.Config{NodeID: id, Seeds: seeds}, registry.Config{})
}

func startWith(t *testing.T, config remote.Config, options registry.Config) goNode {
	t.Helper()
	config.Secret, config.Listen = secret, []string{"127.0.0.1:0"}
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
	r, err := registry.Start(t.Context(), sys, config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return goNode{r, sys}
}

func (n goNode) address() string { return n.Node().Addresses()[0] }

// port makes a port of that name which passes on what it gets, and answers.
func (n goNode) port(t *testing.T, name string, answer ...any) (actor.PortID, <-chan actor.Message) {
	t.Helper()
	got := make(chan actor.Message, 100)
	port, err := n.sys.NamedPort(name, func(c *actor.Context) error {
		c.Default(func(c *actor.Context, m actor.Message) error {
			got <- m
			return c.Respond(answer...)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return port, got
}

// A perlNode is a node of AnyEvent::MP that runs testdata/node.pl.
type perlNode struct {
	*proctest.Process
	address string
}

func startPerl(t *testing.T, perl perltest.Perl, id string, seeds ...string) perlNode {
	t.Helper()
	return startPerlWith(t, perl, "{}", id, seeds...)
}

func startPerlWith(t *testing.T, perl perltest.Perl, config, id string, seeds ...string) perlNode {
	t.Helper()
	cmd := perl.CommandWith(t, config, append([]string{"testdata/node.pl", id, secret}, seeds...)...)
	cmd.Stderr = t.Output()
	p := proctest.StartCommand(t, cmd)
	return perlNode{p, p.Line()}
}

// eval has a Perl node run code, and returns the results.
func (n goNode) eval(t *testing.T, node actor.NodeID, code string) actor.Message {
	t.Helper()
	answer, err := n.sys.Call(t.Context(), node.NodePort(), "eval", "use AnyEvent::MP; no warnings; "+code)
	if err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	if problem, _ := answer.Tag(); problem != "" {
		t.Fatalf("%s: %s", code, problem)
	}
	return answer[1:]
}

// next returns the next message, as text.
func next(t *testing.T, got <-chan actor.Message) string {
	t.Helper()
	select {
	case m := <-got:
		return m.String()
	case <-time.After(patience):
		t.Fatal("there is no message")
		return ""
	}
}

// eventually waits for something that takes a while to be told.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// perlConfig returns a configuration in the form of Perl's file.
func perlConfig(seeds ...string) string {
	text, err := json.Marshal(map[string]any{
		"version": 1, "secret": secret, "seeds": seeds, "binds": []string{"127.0.0.1:0"},
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
