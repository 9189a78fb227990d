package registry_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// A world is a mesh of registries in one process, in a bubble with a time of its
// own, and what must be in its database.
type world struct {
	t       *testing.T
	mesh    *remotetest.Mesh
	members map[actor.NodeID]*member // those that run
}

// A member is a node of a world, from its start to its end.
type member struct {
	*registry.Registry
	id    actor.NodeID
	local map[string]map[string]any // what it has set, by family
	ports map[string]actor.PortID   // that it has registered, by family

	mu       sync.Mutex
	watching map[string]*observer
}

// An observer is what the monitor of a family has been told. Its lock is that of
// the member.
type observer struct {
	stop    func()
	calls   int
	content map[string]any
	changes []string // "+added", "~changed", "-deleted"
	wrong   string   // the first call that does not go with those before it
}

// settleTime is longer than any timeout: silence is noticed after 30 seconds, and
// a minute later all attempts to connect have been made anew.
const settleTime = 3 * time.Minute

// inWorld runs a test in a world.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(&world{t: t, mesh: remotetest.NewMesh(t), members: make(map[actor.NodeID]*member)})
	})
}

// start starts nodes with the given seeds, which are node IDs.
func (w *world) start(ids string, seeds ...actor.NodeID) (last *member) {
	w.t.Helper()
	for id := range strings.FieldsSeq(ids) {
		m := &member{
			id: actor.NodeID(id), local: make(map[string]map[string]any), ports: make(map[string]actor.PortID),
			watching: make(map[string]*observer),
		}
		w.mesh.Start(m.id,
			remotetest.WithStart(func(ctx context.Context, sys *actor.System, c remote.Config) (*remote.Node, error) {
				var err error
				if m.Registry, err = registry.Start(ctx, sys, c, registry.Config{}); err != nil {
					return nil, err
				}
				return m.Node(), nil
			}),
			remotetest.WithConfig(func(c *remote.Config) {
				c.Resolve = nil // the registry must find them
				for _, seed := range seeds {
					c.Seeds = append(c.Seeds, remotetest.Address(seed))
				}
			}),
			remotetest.WithSystem(actor.WithLogger(slog.New(slog.DiscardHandler))))
		w.t.Cleanup(func() { m.Close() })
		w.members[m.id], last = m, m
	}
	return last
}

// crash ends a node as the end of its process does.
func (w *world) crash(id actor.NodeID) {
	m := w.members[id]
	delete(w.members, id)
	w.mesh.Crash(id)
	m.Close() // nothing, but that its goroutines end
}

// stop ends a node in order.
func (w *world) stop(id actor.NodeID) {
	m := w.members[id]
	delete(w.members, id)
	w.mesh.Stop(id)
	m.Close()
}

func (m *member) set(t *testing.T, family, key string, value any) {
	t.Helper()
	if _, err := m.Set(family, key, value); err != nil {
		t.Fatal(err)
	}
	if m.local[family] == nil {
		m.local[family] = make(map[string]any)
	}
	m.local[family][key] = value
}

func (m *member) delete(t *testing.T, family, key string) {
	t.Helper()
	if err := m.Delete(family, key); err != nil {
		t.Fatal(err)
	}
	delete(m.local[family], key)
}

// watch monitors a family.
func (m *member) watch(t *testing.T, family string) *observer {
	t.Helper()
	o := &observer{}
	stop, err := m.Monitor(family, func(c registry.Change) {
		m.mu.Lock()
		defer m.mu.Unlock()
		o.take(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	o.stop = stop
	m.watching[family] = o
	return o
}

func (m *member) unwatch(family string) {
	m.watching[family].stop()
	delete(m.watching, family)
}

// take applies a change to what was told before, and remembers if that does not
// make the content that was told.
func (o *observer) take(c registry.Change) {
	o.calls++
	before := maps.Clone(o.content)
	wrong := o.calls > 1 && len(c.Added)+len(c.Changed)+len(c.Deleted) == 0
	after := maps.Clone(before)
	if after == nil {
		after = make(map[string]any)
	}
	for _, list := range []struct {
		sign string
		keys []string
		was  bool
		is   bool
	}{{"+", c.Added, false, true}, {"~", c.Changed, true, true}, {"-", c.Deleted, true, false}} {
		slices.Sort(list.keys)
		for _, key := range list.keys {
			o.changes = append(o.changes, list.sign+key)
			old, was := before[key]
			value, is := c.Content[key]
			wrong = wrong || was != list.was || is != list.is || was && is && reflect.DeepEqual(old, value)
			if is {
				after[key] = value
			} else {
				delete(after, key)
			}
		}
	}
	if wrong = wrong || !same(after, c.Content); wrong && o.wrong == "" {
		o.wrong = fmt.Sprintf("call %d: %v, then %+v", o.calls, before, c)
	}
	o.content = c.Content
}

// same compares the contents of a family, whatever kinds of numbers are in it.
func same(a, b map[string]any) bool {
	return len(a) == 0 && len(b) == 0 || fmt.Sprint(a) == fmt.Sprint(b)
}

// take returns what a monitor has been told since the last call.
func (m *member) told(family string) []string {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.watching[family]
	changes := o.changes
	o.changes = nil
	return changes
}

// wantTold compares what a monitor has been told since the last time.
func (w *world) wantTold(id actor.NodeID, family string, want ...string) {
	w.t.Helper()
	if got := w.members[id].told(family); !slices.Equal(got, want) {
		w.t.Errorf("%s was told of %v, want %v", id, got, want)
	}
}

// wantContent compares what a node sees.
func (w *world) wantContent(id actor.NodeID, family string, want map[string]any) {
	w.t.Helper()
	synctest.Wait()
	got, err := w.members[id].see(family)
	if err != nil || !same(got, want) {
		w.t.Errorf("%s sees %v (%v) in %s, want %v", id, got, err, family, want)
	}
}

// see asks for a family. It does not wait for longer than the slowest network of
// these tests needs.
func (m *member) see(family string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return m.Family(ctx, family)
}

// settle lets time pass, until all that is going on must have come to its end.
func (w *world) settle() {
	time.Sleep(settleTime)
	synctest.Wait()
}

// check finds what is wrong with a mesh that is whole and has settled: all nodes
// see the same, namely what all have set and nothing else; all monitors have
// been told the same; the mesh knows where everybody is, and who is global.
func (w *world) check() (wrong []string) {
	synctest.Wait()
	failf := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	want := make(map[string]map[string][]any) // by family and key, the values of all owners
	add := func(family, key string, values ...any) {
		if want[family] == nil {
			want[family] = make(map[string][]any)
		}
		want[family][key] = append(want[family][key], values...)
	}
	families := map[string]bool{"'l": true, "'g": true}
	for id, m := range w.members {
		add("'l", string(id), []any{remotetest.Address(id)})
		if m.IsGlobal() {
			add("'g", string(id), nil)
		}
		for family, content := range m.local {
			for key, value := range content {
				add(family, key, value)
			}
		}
		for family, port := range m.ports {
			add(family, string(port), "port")
		}
	}
	for family := range want {
		families[family] = true
	}
	for _, m := range w.members {
		for family := range m.watching {
			families[family] = true
		}
	}
	for family := range families {
		first, firstOf := map[string]any(nil), actor.NodeID("")
		for _, id := range slices.Sorted(maps.Keys(w.members)) {
			m := w.members[id]
			got, err := m.see(family)
			if err != nil {
				failf("%s: %v", id, err)
				continue
			}
			if firstOf == "" {
				first, firstOf = got, id
			} else if !same(got, first) {
				failf("in %s, %s sees %v, and %s sees %v", family, firstOf, first, id, got)
			}
			for key, value := range got {
				if !slices.ContainsFunc(want[family][key], func(v any) bool { return fmt.Sprint(v) == fmt.Sprint(value) }) {
					failf("in %s, %s sees %s: %v, want one of %v", family, id, key, value, want[family][key])
				}
			}
			for key := range want[family] {
				if _, ok := got[key]; !ok {
					failf("in %s, %s does not see %s", family, id, key)
				}
			}
			m.mu.Lock()
			switch o := m.watching[family]; {
			case o == nil:
			case o.calls == 0:
				failf("the monitor of %s at %s has not been called", family, id)
			case !same(o.content, got):
				failf("the monitor of %s at %s was told %v; there is %v", family, id, o.content, got)
			}
			m.mu.Unlock()
		}
	}
	for id, m := range w.members {
		m.mu.Lock()
		for family, o := range m.watching {
			if o.wrong != "" {
				failf("the monitor of %s at %s: %s", family, id, o.wrong)
			}
		}
		m.mu.Unlock()
	}
	return wrong
}

// mustSettle settles, and checks.
func (w *world) mustSettle() {
	w.t.Helper()
	w.settle()
	for _, wrong := range w.check() {
		w.t.Error(wrong)
	}
}
