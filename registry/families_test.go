package registry_test

import (
	"slices"
	"testing"
)

func TestFamilies(t *testing.T) {
	a := start(t, "a", nil)
	b := start(t, "b", nil, address(a))
	undo, err := b.Set("fruit", "apple", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Set("color", "red", 1); err != nil {
		t.Fatal(err)
	}
	wait(t, a, "fruit", map[string]any{"apple": int64(1)})
	if got := a.Families(); !slices.Equal(got, []string{"color", "fruit"}) {
		t.Errorf("global node: got %q", got)
	}
	if got := b.Families(); !slices.Equal(got, []string{"fruit"}) {
		t.Errorf("slave: got %q", got)
	}
	// Others ask in the words of Perl's tools.
	answer, err := b.Node().System().Call(t.Context(), "a", "eval", "keys %AnyEvent::MP::Kernel::GLOBAL_DB")
	if err != nil || answer.String() != `["", "color", "fruit"]` {
		t.Errorf("got %v, %v", answer, err)
	}
	undo()
	wait(t, a, "fruit", map[string]any{})
	if got := a.Families(); !slices.Equal(got, []string{"color"}) {
		t.Errorf("global node: got %q", got)
	}
}
