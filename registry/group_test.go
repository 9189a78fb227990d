package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// group follows a family until the test ends.
func group(t *testing.T, r *registry.Registry, family string) *registry.Group {
	t.Helper()
	g, err := r.Group(family)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// newMember makes a port that takes everything.
func newMember(r *registry.Registry) actor.PortID {
	return r.Node().System().Port(func(c *actor.Context) error {
		c.Default(func(*actor.Context, actor.Message) error { return nil })
		return nil
	})
}

func join(t *testing.T, g *registry.Group, port actor.PortID) (leave func()) {
	t.Helper()
	leave, err := g.Join(port)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

func wantMembers(t *testing.T, g *registry.Group, want ...actor.PortID) {
	t.Helper()
	synctest.Wait()
	slices.Sort(want)
	if got := g.Members(); !slices.Equal(got, want) {
		t.Errorf("got members %v, want %v", got, want)
	}
}

func TestGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b, c := m.start("a"), m.start("b", "a"), m.start("c", "a")
		ga, gb, gc := group(t, a, "workers"), group(t, b, "workers"), group(t, c, "workers")
		settle()
		all := func(want ...actor.PortID) {
			t.Helper()
			for _, g := range []*registry.Group{ga, gb, gc} {
				wantMembers(t, g, want...)
			}
		}
		all()
		if port, ok := gc.Next(); ok || port != "" {
			t.Errorf("got %q, %v", port, ok)
		}
		one, two, three := newMember(a), newMember(b), newMember(b)
		join(t, ga, one)
		leave := join(t, gb, two)
		if _, err := b.Register("workers", three, "a value"); err != nil {
			t.Fatal(err)
		}
		all(one, two, three)

		var turns []actor.PortID
		for range 6 {
			port, ok := gc.Next()
			if !ok {
				t.Fatal("there is no next one")
			}
			turns = append(turns, port)
		}
		sorted := slices.Sorted(slices.Values(turns[:3]))
		if !slices.Equal(turns[:3], turns[3:]) || !slices.Equal(sorted, gc.Members()) {
			t.Errorf("got turns %v", turns)
		}
		if port, ok := gc.Random(); !ok || !slices.Contains(sorted, port) {
			t.Errorf("got %q, %v", port, ok)
		}
		for i := range 100 {
			key := fmt.Sprint(i)
			x, ok1 := ga.ForKey(key)
			y, ok2 := gc.ForKey(key)
			if x != y || !ok1 || !ok2 {
				t.Errorf("key %s belongs to %q and to %q", key, x, y)
			}
		}

		leave()
		all(one, three)
		b.Node().System().Kill(three)
		all(one)
		join(t, gb, two)
		all(one, two)
		m.Crash("b") // and all that is of it
		wantMembers(t, ga, one)
		wantMembers(t, gc, one)
	})
}

// Keys that are no ports are no members, but do no harm; nodes are ports.
func TestGroupOfStrangeKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b := m.start("a"), m.start("b", "a")
		g := group(t, b, "nodes")
		for _, key := range []string{"", "#", "a;b#c", "a\nb"} {
			set(t, a, "nodes", key, 1)
		}
		settle()
		wantMembers(t, g)
		set(t, a, "nodes", "a", 1)
		set(t, a, "nodes", "b", 1)
		wantMembers(t, g, "a", "b")
		if _, err := g.Join("a;b#c"); !errors.Is(err, aemp.ErrInvalidID) {
			t.Errorf("got error %v", err)
		}
		if _, err := a.Group("no family"); !errors.Is(err, registry.ErrFamily) {
			t.Errorf("got error %v", err)
		}
	})
}

func TestGroupWait(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b, alone := m.start("a"), m.start("b", "a"), m.start("alone", "nobody")
		g := group(t, b, "workers")
		start, port := time.Now(), newMember(a)
		time.AfterFunc(20*time.Second, func() { a.Register("workers", port, nil) })
		for range 2 {
			ports, err := g.Wait(t.Context())
			if err != nil || !slices.Equal(ports, []actor.PortID{port}) || time.Since(start) != 20*time.Second {
				t.Errorf("after %v got %v, %v", time.Since(start), ports, err)
			}
		}
		for r, want := range map[*registry.Registry]error{b: registry.ErrNoMember, alone: registry.ErrNoMaster} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			ports, err := group(t, r, "idle").Wait(ctx)
			cancel()
			if len(ports) > 0 || !errors.Is(err, want) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, %v", r.Node().ID(), ports, err)
			}
		}
		closing := group(t, b, "idle")
		time.AfterFunc(time.Second, closing.Close)
		if _, err := closing.Wait(t.Context()); !errors.Is(err, remote.ErrClosed) {
			t.Errorf("got error %v", err)
		}
		time.AfterFunc(time.Second, func() { alone.Close() })
		if _, err := group(t, alone, "idle").Wait(t.Context()); !errors.Is(err, remote.ErrClosed) {
			t.Errorf("got error %v", err)
		}
	})
}
