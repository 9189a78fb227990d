package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// show is a change in a form to compare.
func show(c registry.Change) string {
	slices.Sort(c.Added)
	slices.Sort(c.Changed)
	slices.Sort(c.Deleted)
	return fmt.Sprint(c.Content, " +", c.Added, " *", c.Changed, " -", c.Deleted)
}

func wantShow(t *testing.T, got <-chan string, want string) {
	t.Helper()
	synctest.Wait()
	select {
	case g := <-got:
		if g != want {
			t.Errorf("got %s, want %s", g, want)
		}
	default:
		if want != "" {
			t.Errorf("got nothing, want %s", want)
		}
	}
}

func TestChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b := m.start("a"), m.start("b", "a")
		settle()
		got, turn := make(chan string), make(chan bool)
		go func() {
			defer close(got)
			for c, err := range b.Changes(t.Context(), "fruit") {
				if err != nil {
					t.Error(err)
				}
				got <- show(c)
				if !<-turn {
					return
				}
			}
		}()
		wantShow(t, got, "map[] +[] *[] -[]") // the first one, even if there is nothing
		turn <- true
		undo := set(t, a, "fruit", "apple", 1)
		wantShow(t, got, "map[apple:1] +[apple] *[] -[]")
		turn <- true
		set(t, a, "fruit", "apple", 2)
		set(t, a, "other", "apple", 2)
		wantShow(t, got, "map[apple:2] +[] *[apple] -[]")

		// While the loop is busy, everything becomes one change. What was undone
		// does not show.
		for i := range 100 {
			set(t, a, "fruit", "pear", i)
			set(t, a, "fruit", "kiwi", i)()
			synctest.Wait()
		}
		set(t, a, "fruit", "apple", 3)
		set(t, a, "fruit", "apple", 2)
		synctest.Wait()
		turn <- true
		wantShow(t, got, "map[apple:2 pear:99] +[pear] *[] -[]")
		set(t, a, "fruit", "pear", 100)
		synctest.Wait()
		set(t, a, "fruit", "pear", 99)
		synctest.Wait()
		turn <- true
		wantShow(t, got, "") // as if nothing had happened

		undo() // it was set anew: nothing to undo
		a.Delete("fruit", "apple", "pear")
		wantShow(t, got, "map[] +[] *[] -[apple pear]")
		turn <- false
		if _, more := <-got; more {
			t.Error("the loop goes on behind its end")
		}
	})
}

// A loop gets as one change what has happened while there was no connection to
// the mesh, and nothing if that is nothing. What is missing then is told of a
// while later, since it may only not have come back yet.
func TestChangesAcrossAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a := m.start("a")
		b, c := m.start("b", "a"), m.start("c", "a")
		set(t, a, "fruit", "apple", 1)
		set(t, c, "fruit", "plum", 1)
		settle()
		got := make(chan string, 100)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for c, err := range b.Changes(ctx, "fruit") {
				if err == nil {
					got <- show(c)
				}
			}
		}()
		wantShow(t, got, "map[apple:1 plum:1] +[apple plum] *[] -[]")
		m.Cut("a", "b")
		settle()
		wantShow(t, got, "")
		m.Cut("a", "b")
		synctest.Wait()
		set(t, a, "fruit", "apple", 2)
		set(t, a, "fruit", "kiwi", 2)
		c.Close()
		settle()
		wantShow(t, got, "map[apple:2 kiwi:2 plum:1] +[kiwi] *[apple] -[]")
		settle()
		wantShow(t, got, "map[apple:2 kiwi:2] +[] *[] -[plum]")
		cancel()
		synctest.Wait()
	})
}

func TestChangesEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, alone := m.start("a"), m.start("alone", "nobody")
		m.start("b", "a")
		settle()
		end := func(r *registry.Registry, ctx context.Context, family string) (n int, err error) {
			for _, err = range r.Changes(ctx, family) {
				n++
			}
			return n, err
		}
		short := func() context.Context {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too late"))
			t.Cleanup(cancel)
			return ctx
		}
		if n, err := end(a, short(), "fruit"); n != 2 || errors.Is(err, registry.ErrNoMaster) || err.Error() != `registry: family "fruit": too late` {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := end(alone, short(), "fruit"); n != 1 || !errors.Is(err, registry.ErrNoMaster) || !strings.HasSuffix(err.Error(), "too late") {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := end(a, t.Context(), "no family"); n != 1 || !errors.Is(err, registry.ErrFamily) {
			t.Errorf("got %d, %v", n, err)
		}
		time.AfterFunc(time.Second, func() { a.Close() })
		if n, err := end(a, t.Context(), "fruit"); n != 2 || !errors.Is(err, remote.ErrClosed) {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

func TestWaitFor(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b, alone := m.start("a"), m.start("b", "a"), m.start("alone", "nobody")
		settle()
		start := time.Now()
		time.AfterFunc(10*time.Second, func() { set(t, a, "fruit", "apple", "red") })
		for _, r := range []*registry.Registry{b, a, b} {
			members, err := r.WaitFor(t.Context(), "fruit")
			if err != nil || fmt.Sprint(members) != "map[apple:red]" {
				t.Errorf("%s: got %v, %v", r.Node().ID(), members, err)
			}
			if passed := time.Since(start); passed != 10*time.Second {
				t.Errorf("%s: it took %v", r.Node().ID(), passed)
			}
		}
		for r, want := range map[*registry.Registry]error{a: registry.ErrNoMember, b: registry.ErrNoMember, alone: registry.ErrNoMaster} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			members, err := r.WaitFor(ctx, "vegetables")
			cancel()
			if len(members) > 0 || !errors.Is(err, want) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, registry.ErrNoMember) != (want == registry.ErrNoMember) {
				t.Errorf("%s: got %v, %v, want %v", r.Node().ID(), members, err, want)
			}
		}
		if _, err := a.WaitFor(t.Context(), ""); !errors.Is(err, registry.ErrFamily) || errors.Is(err, registry.ErrNoMember) {
			t.Errorf("got %v", err)
		}
		b.Close()
		if _, err := b.WaitFor(t.Context(), "fruit"); !errors.Is(err, remote.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// Who asks in vain is told that there is no global node.
func TestNoMaster(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		alone := m.start("alone", "nobody")
		set(t, alone, "fruit", "apple", "red")
		for name, ask := range map[string]func(ctx context.Context) error{
			"Family":  func(ctx context.Context) error { _, err := alone.Family(ctx, "fruit"); return err },
			"Keys":    func(ctx context.Context) error { _, err := alone.Keys(ctx, "fruit"); return err },
			"Values":  func(ctx context.Context) error { _, err := alone.Values(ctx, "fruit"); return err },
			"WaitFor": func(ctx context.Context) error { _, err := alone.WaitFor(ctx, "fruit"); return err },
		} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := ask(ctx)
			cancel()
			if !errors.Is(err, registry.ErrNoMaster) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got error %v", name, err)
			}
			if passed := time.Since(start); passed != time.Minute {
				t.Errorf("%s: it took %v", name, passed)
			}
		}
	})
}

// What some node could not be told of is refused where it is set.
func TestBadEntries(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a := m.start("a", "a")
		settle()
		deep := any("bottom")
		for range 510 {
			deep = []any{deep}
		}
		for name, bad := range map[string]struct {
			family, key string
			value       any
			want        error
		}{
			"family":      {"no family", "k", 1, registry.ErrFamily},
			"key":         {"fruit", "caf\xe9", 1, registry.ErrKey},
			"infinity":    {"fruit", "k", math.Inf(1), aemp.ErrUnsupportedValue},
			"nested":      {"fruit", "k", map[string]any{"x": []float64{math.NaN()}}, aemp.ErrUnsupportedValue},
			"depth":       {"fruit", "k", deep, aemp.ErrUnsupportedValue},
			"struct":      {"fruit", "k", struct{ N int }{1}, aemp.ErrUnsupportedValue},
			"own address": {"'l", "a", "nowhere:1", registry.ErrFamily},
		} {
			_, err := a.Set(bad.family, bad.key, bad.value)
			if !errors.Is(err, bad.want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("registry: family %q", bad.family)) {
				t.Errorf("%s: got error %v", name, err)
			}
			if bad.want != registry.ErrFamily && !strings.Contains(err.Error(), fmt.Sprintf("key %q", bad.key)) {
				t.Errorf("%s: got error %v", name, err)
			}
		}
		for name, value := range map[string]any{"": "empty", "größe": 0.5, "nested": map[string]any{"x": []any{1, nil}}} {
			set(t, a, "fruit", name, value)
		}
		for _, name := range []string{"", "'x", "no family"} {
			_, err1 := a.Family(t.Context(), name)
			_, err2 := a.Keys(t.Context(), name)
			_, err3 := a.Values(t.Context(), name)
			for _, err := range []error{err1, err2, err3} {
				if !errors.Is(err, registry.ErrFamily) {
					t.Errorf("%q: got error %v", name, err)
				}
			}
		}
		if keys, err := a.Keys(t.Context(), "'g"); err != nil || !slices.Equal(keys, []string{"a"}) {
			t.Errorf("global nodes: got %v, %v", keys, err)
		}
	})
}
