package registry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
)

func familyOf[T any](t *testing.T, r *registry.Registry, name string) registry.Family[T] {
	t.Helper()
	f, err := registry.FamilyOf[T](r, name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// roundTrip sets a value at one node, and returns what another gets.
func roundTrip[T any](t *testing.T, from, to *registry.Registry, name string, value T) (got T) {
	t.Helper()
	undo, err := familyOf[T](t, from, name).Set("key", value)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	content, err := familyOf[T](t, to, name).WaitFor(t.Context())
	if err != nil {
		t.Errorf("%T: %v", value, err)
	}
	return content["key"]
}

func TestTypedValues(t *testing.T) {
	type level uint8
	type record = map[string][]float64
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b := m.start("a"), m.start("b", "a")
		settle()
		if got := roundTrip(t, b, a, "strings", "größe"); got != "größe" {
			t.Errorf("got %q", got)
		}
		if got := roundTrip(t, a, b, "ints", -1<<62); got != -1<<62 {
			t.Errorf("got %v", got)
		}
		if got := roundTrip(t, a, b, "floats", 0.1); got != 0.1 {
			t.Errorf("got %v", got)
		}
		if got := roundTrip(t, a, b, "bools", true); !got {
			t.Errorf("got %v", got)
		}
		if got := roundTrip(t, a, b, "levels", level(7)); got != 7 {
			t.Errorf("got %v", got)
		}
		if got := roundTrip(t, a, b, "ports", actor.PortID("a#b")); got != "a#b" {
			t.Errorf("got %v", got)
		}
		if got := roundTrip(t, a, b, "bytes", []byte{0, 0xff}); string(got) != "\x00\xff" {
			t.Errorf("got %q", got)
		}
		if got := roundTrip(t, a, b, "records", record{"x": {1, 2.5}}); fmt.Sprint(got) != "map[x:[1 2.5]]" {
			t.Errorf("got %v", got)
		}
		n := 5
		if got := roundTrip(t, a, b, "pointers", &n); got == nil || *got != 5 {
			t.Errorf("got %v", got)
		}
		if got := roundTrip[*int](t, a, b, "pointers", nil); got != nil {
			t.Errorf("got %v", got)
		}
		if got := roundTrip[any](t, a, b, "anything", []any{"x", 1}); fmt.Sprint(got) != "[x 1]" {
			t.Errorf("got %v", got)
		}
	})
}

// showOf is a change in a form to compare.
func showOf[T any](c registry.ChangeOf[T]) string {
	return show(registry.Change{Added: c.Added, Changed: c.Changed, Deleted: c.Deleted}) + " " + fmt.Sprint(c.Content, slices.Sorted(maps.Keys(c.Bad)))
}

// What is no T is left out, and told of; nothing else suffers.
func TestTypedFamilyWithStrangeValues(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b := m.start("a"), m.start("b", "a")
		settle()
		f := familyOf[int](t, b, "load")
		looped, called := make(chan string, 100), make(chan string, 100)
		go func() {
			for c, err := range f.Changes(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				looped <- showOf(c)
				if len(c.Content) == 3 {
					return
				}
			}
		}()
		stop, err := f.Monitor(func(c registry.ChangeOf[int]) { called <- showOf(c) })
		if err != nil {
			t.Fatal(err)
		}
		want := func(want string) {
			t.Helper()
			wantShow(t, looped, want)
			wantShow(t, called, want)
		}
		want("map[] +[] *[] -[] map[] []")
		set(t, a, "load", "x", 1)
		want("map[] +[x] *[] -[] map[x:1] []")
		set(t, a, "load", "y", "many")
		want("map[] +[] *[] -[] map[x:1] [y]")
		set(t, a, "load", "x", []any{1})
		want("map[] +[] *[] -[x] map[] [x y]")
		set(t, a, "load", "y", "2") // as Perl may send it
		want("map[] +[y] *[] -[] map[y:2] [x]")

		content, err := f.Content(t.Context())
		if !maps.Equal(content, map[string]int{"y": 2}) || !errors.Is(err, aemp.ErrValue) ||
			!strings.HasPrefix(err.Error(), `registry: family "load", key "x": wrong value: want int`) {
			t.Errorf("got %v, %v", content, err)
		}
		set(t, a, "load", "z", 0.5)
		want("map[] +[] *[] -[] map[y:2] [x z]")
		if _, err := f.WaitFor(t.Context()); !errors.Is(err, aemp.ErrValue) || !strings.Contains(err.Error(), `"x"`) || !strings.Contains(err.Error(), `"z"`) {
			t.Errorf("got error %v", err)
		}
		a.Delete("load", "x")
		want("map[] +[] *[] -[] map[y:2] [z]")
		set(t, a, "load", "z", nil) // undef
		want("map[] +[z] *[] -[] map[y:2 z:0] []")
		set(t, a, "load", "y", 3)
		want("map[] +[] *[y] -[] map[y:3 z:0] []")
		a.Delete("load", "y")
		want("map[] +[] *[] -[y] map[z:0] []")
		stop()
		for key := range 2 {
			set(t, a, "load", fmt.Sprint(key), key)
		}
		synctest.Wait() // the loop has come to its end
	})
}

func TestTypedRegister(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a := m.start("a", "a")
		settle()
		f := familyOf[string](t, a, "workers")
		port := newMember(a)
		if _, err := f.Register(port, "big"); err != nil {
			t.Fatal(err)
		}
		content, err := f.Content(t.Context())
		if err != nil || !maps.Equal(content, map[string]string{string(port): "big"}) {
			t.Errorf("got %v, %v", content, err)
		}
		a.Node().System().Kill(port)
		synctest.Wait()
		if content, err := f.Content(t.Context()); err != nil || len(content) > 0 {
			t.Errorf("got %v, %v", content, err)
		}
	})
}

func TestTypedErrors(t *testing.T) {
	type tree []tree
	type private struct{ N int }
	inBubble(t, func(t *testing.T, m *bubble) {
		r := m.start("alone", "nobody")
		for name, err := range map[string]error{
			"struct":      second(registry.FamilyOf[private](r, "fruit")),
			"within":      second(registry.FamilyOf[map[string][]*private](r, "fruit")),
			"array":       second(registry.FamilyOf[[3]int](r, "fruit")),
			"channel":     second(registry.FamilyOf[chan int](r, "fruit")),
			"integer key": second(registry.FamilyOf[map[int]string](r, "fruit")),
			"interface":   second(registry.FamilyOf[error](r, "fruit")),
		} {
			if !errors.Is(err, aemp.ErrUnsupportedValue) || !strings.HasPrefix(err.Error(), `registry: family "fruit" of `) {
				t.Errorf("%s: got error %v", name, err)
			}
		}
		if err := second(registry.FamilyOf[int](r, "no family")); !errors.Is(err, registry.ErrFamily) {
			t.Errorf("got error %v", err)
		}
		familyOf[tree](t, r, "trees")
		f := familyOf[float64](t, r, "fruit")
		if _, err := f.Set("caf\xe9", 1); !errors.Is(err, registry.ErrKey) {
			t.Errorf("got error %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Content(ctx); !errors.Is(err, registry.ErrNoMaster) {
			t.Errorf("got error %v", err)
		}
		if _, err := f.WaitFor(ctx); !errors.Is(err, registry.ErrNoMaster) {
			t.Errorf("got error %v", err)
		}
		n := 0
		for c, err := range f.Changes(ctx) {
			if n++; !errors.Is(err, registry.ErrNoMaster) || c.Content != nil {
				t.Errorf("got %v, error %v", c, err)
			}
		}
		if n != 1 {
			t.Errorf("got %d changes", n)
		}
	})
}

func second[T any](_ registry.Family[T], err error) error { return err }
