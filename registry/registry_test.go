package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

func TestMain(m *testing.M) { proctest.Main(m, memberProcess) }

const patience = 20 * time.Second

// start starts a node with the given seeds.
func start(t *testing.T, id actor.NodeID, change func(*remote.Config), seeds ...string) *registry.Registry {
	t.Helper()
	cfg := remote.Config{NodeID: id, Secret: "geheim-for-tests-0123456789", Listen: []string{"127.0.0.1:0"}, Seeds: seeds}
	if change != nil {
		change(&cfg)
	}
	return startConfig(t, cfg, registry.Config{})
}

// startWith starts a node with options.
func startWith(t *testing.T, id actor.NodeID, options registry.Config, seeds ...string) *registry.Registry {
	t.Helper()
	return startConfig(t, remote.Config{NodeID: id, Secret: "geheim-for-tests-0123456789", Listen: []string{"127.0.0.1:0"}, Seeds: seeds}, options)
}

func startConfig(t *testing.T, cfg remote.Config, options registry.Config) *registry.Registry {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	r, err := registry.Start(t.Context(), actor.NewSystem(actor.WithLogger(log)), cfg, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func address(r *registry.Registry) string { return r.Node().Addresses()[0] }

// freeAddress returns an address at which nothing listens yet.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// wait waits until a family has that content, as a node sees it.
func wait(t *testing.T, r *registry.Registry, family string, want map[string]any) {
	t.Helper()
	changes := make(chan registry.Change, 100)
	stop, err := r.Monitor(family, func(c registry.Change) { changes <- c })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var last map[string]any
	for {
		select {
		case c := <-changes:
			if last = c.Content; fmt.Sprint(last) == fmt.Sprint(want) {
				return
			}
		case <-time.After(patience):
			t.Fatalf("%s sees %v in %s, want %v", r.Node().ID(), last, family, want)
		}
	}
}

func set(t *testing.T, r *registry.Registry, family, key string, value any) func() {
	t.Helper()
	undo, err := r.Set(family, key, value)
	if err != nil {
		t.Fatal(err)
	}
	return undo
}

func TestSlavesShareADatabase(t *testing.T) {
	a := start(t, "a", nil)
	b, c := start(t, "b", nil, address(a)), start(t, "c", nil, address(a))
	undo := set(t, b, "fruit", "apple", "red")
	set(t, c, "fruit", "pear", map[string]any{"n": 1})
	set(t, a, "fruit", "plum", nil)
	want := map[string]any{"apple": "red", "pear": map[string]any{"n": 1}, "plum": nil}
	for _, r := range []*registry.Registry{a, b, c} {
		wait(t, r, "fruit", want)
		content, err := r.Family(t.Context(), "fruit")
		if err != nil || fmt.Sprint(content) != fmt.Sprint(want) {
			t.Errorf("%s: Family: got %v, %v", r.Node().ID(), content, err)
		}
		keys, err := r.Keys(t.Context(), "fruit")
		slices.Sort(keys)
		if err != nil || !slices.Equal(keys, []string{"apple", "pear", "plum"}) {
			t.Errorf("%s: Keys: got %v, %v", r.Node().ID(), keys, err)
		}
		values, err := r.Values(t.Context(), "fruit")
		if err != nil || len(values) != 3 {
			t.Errorf("%s: Values: got %v, %v", r.Node().ID(), values, err)
		}
		if nothing, err := r.Family(t.Context(), "nosuch"); err != nil || len(nothing) != 0 {
			t.Errorf("%s: unknown family: got %v, %v", r.Node().ID(), nothing, err)
		}
	}
	if !a.IsGlobal() || b.IsGlobal() || c.IsGlobal() {
		t.Errorf("global: %v, %v, %v", a.IsGlobal(), b.IsGlobal(), c.IsGlobal())
	}
	undo()
	undo()
	wait(t, c, "fruit", map[string]any{"pear": map[string]any{"n": 1}, "plum": nil})
	c.Close() // and with it what was its own
	wait(t, b, "fruit", map[string]any{"plum": nil})
}

// The same key of several owners: one value is seen, and when its owner deletes
// it, the other's shows again.
func TestSeveralOwners(t *testing.T) {
	a := start(t, "a", nil)
	b, c := start(t, "b", nil, address(a)), start(t, "c", nil, address(a))
	set(t, b, "fruit", "apple", "red")
	wait(t, a, "fruit", map[string]any{"apple": "red"})
	set(t, c, "fruit", "apple", "blue")
	wait(t, b, "fruit", map[string]any{"apple": "blue"})
	if err := c.Delete("fruit", "apple", "of somebody else"); err != nil {
		t.Error(err)
	}
	wait(t, c, "fruit", map[string]any{"apple": "red"})
	b.Delete("fruit", "apple")
	wait(t, c, "fruit", map[string]any{})
}

// Slaves find each other by name: nobody tells them an address.
func TestNodesFindEachOther(t *testing.T) {
	a := start(t, "a", nil)
	b, c := start(t, "b", nil, address(a)), start(t, "c", nil, address(a))
	got := make(chan actor.Message, 1)
	port := b.Node().System().Port(func(cx *actor.Context) error {
		cx.Default(func(_ *actor.Context, m actor.Message) error { got <- m; return nil })
		return nil
	})
	undo, err := b.Register("ports", port, "mine")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, c, "ports", map[string]any{string(port): "mine"})
	if err := c.Node().System().Send(port, "hello"); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-got:
		if m.String() != `["hello"]` {
			t.Errorf("got %v", m)
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	if nodes := c.Node().Nodes(); !slices.Equal(nodes, []actor.NodeID{"a", "b"}) {
		t.Errorf("nodes of c: %v", nodes)
	}
	b.Node().System().Kill(port)
	wait(t, c, "ports", map[string]any{})
	undo()
	died := make(chan actor.Reason, 1)
	c.Node().System().Monitor("nobody#port", func(r actor.Reason) { died <- r })
	if r := <-died; r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v", r)
	}
}

// Two global nodes, each with a slave.
func TestGlobalsShare(t *testing.T) {
	addressA, addressD := freeAddress(t), freeAddress(t)
	listen := func(address string) func(*remote.Config) {
		return func(c *remote.Config) { c.Listen = []string{address} }
	}
	seeds := []string{addressA, addressD} // each of the two is its own seed
	a := start(t, "a", listen(addressA), seeds...)
	d := start(t, "d", listen(addressD), seeds...)
	b := start(t, "b", nil, addressA)
	e := start(t, "e", nil, addressD)
	set(t, b, "fruit", "apple", "red")
	set(t, e, "fruit", "plum", 1)
	want := map[string]any{"apple": "red", "plum": 1}
	for _, r := range []*registry.Registry{a, b, d, e} {
		wait(t, r, "fruit", want)
	}
	if !a.IsGlobal() || !d.IsGlobal() {
		t.Error("a seed is not global")
	}
}

// The order in which nodes start does not matter, and a mesh heals when its
// global node is started anew.
func TestGlobalNodeComesLate(t *testing.T) {
	seed := freeAddress(t)
	b, c := start(t, "b", nil, seed), start(t, "c", nil, seed)
	set(t, b, "fruit", "apple", "red")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Family(short, "fruit"); !errors.Is(err, registry.ErrNoMaster) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want ErrNoMaster", err)
	}
	listen := func(c *remote.Config) { c.Listen = []string{seed} }
	for range 2 {
		a := start(t, "a", listen)
		wait(t, c, "fruit", map[string]any{"apple": "red"})
		a.Close()
	}
}

func TestBadInput(t *testing.T) {
	a := start(t, "a", nil)
	b := start(t, "b", nil, address(a))
	for _, name := range []string{"", "'l", "1st", "a b", "ä"} {
		if _, err := b.Set(name, "k", 1); !errors.Is(err, registry.ErrFamily) {
			t.Errorf("family %q: got error %v", name, err)
		}
		// The families of the mesh itself can be read.
		stop, err := b.Monitor(name, func(registry.Change) {})
		if name != "'l" && !errors.Is(err, registry.ErrFamily) || name == "'l" && err != nil {
			t.Errorf("family %q: got error %v", name, err)
		}
		if err == nil {
			stop()
		}
	}
	if _, err := b.Set("fruit", "k", make(chan int)); !errors.Is(err, aemp.ErrUnsupportedValue) {
		t.Errorf("got error %v", err)
	}
	set(t, b, "fruit", "apple", "red")
	wait(t, a, "fruit", map[string]any{"apple": "red"})
	// Requests of wrong shape, and from nodes that are not what they claim.
	stranger := start(t, "stranger", func(c *remote.Config) {
		c.Resolve = func(context.Context, actor.NodeID) ([]string, error) { return []string{address(a)}, nil }
	})
	for _, m := range []actor.Message{
		{"g_slave", 7}, {"g_slave", map[string]any{"fruit": "no map"}}, {"g_set", map[string]any{"fruit": map[string]any{"x": 1}}}, {"g_set"},
		{"g_upd", "fruit", map[string]any{"x": 1}}, {"g_upd"}, {"g_upd", "fruit", "x"}, {"g_upd", "fruit", nil, "x"}, {"g_find"}, {"g_find", nil},
		{"g_found", "a"}, {"g_db_family"}, {"g_db_keys", []any{}, "x"}, {"g_mon1"}, {"g_mon0"}, {"g_mon0", "nothing"}, {"g_chg1"}, {"g_chg1", "fruit", 1},
		{"g_chg2", "fruit", map[string]any{"x": 1}, nil}, {"g_reply", "zz", 1}, {"g_reply"},
	} {
		if err := stranger.Node().System().Send("a", m...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stranger.Node().System().Call(t.Context(), "a", "time"); err != nil {
		t.Fatal(err)
	}
	content, err := b.Family(t.Context(), "fruit")
	if err != nil || !maps.Equal(content, map[string]any{"apple": "red"}) {
		t.Errorf("got %v, %v", content, err)
	}
	if strings.Contains(fmt.Sprint(content), "x") {
		t.Error("a stranger changed the database")
	}
}

// A system can join a mesh, leave it, and join again.
func TestJoinAgain(t *testing.T) {
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
	for range 2 {
		r, err := registry.Start(t.Context(), sys, remote.Config{NodeID: "a", Secret: "x", Listen: []string{"127.0.0.1:0"}}, registry.Config{Global: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Set("fruit", "apple", "red"); err != nil {
			t.Error(err)
		}
		if keys, err := r.Keys(t.Context(), "fruit"); err != nil || !slices.Equal(keys, []string{"apple"}) {
			t.Errorf("got %v, %v", keys, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := registry.Start(t.Context(), sys, remote.Config{NodeID: "a#b"}, registry.Config{}); err == nil {
		t.Error("a bad node ID was accepted")
	}
}
