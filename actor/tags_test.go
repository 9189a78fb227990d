package actor

import (
	"fmt"
	"testing"
)

// The table has what ports receive and no more than it has room for.
func TestTagTable(t *testing.T) {
	var tags tagTable
	if v := tags.get([]byte("a")); v != nil {
		t.Errorf("an empty table has %v", v)
	}
	for i := range 2 * maxTags {
		tags.add(fmt.Sprint("tag", i))
		tags.add(fmt.Sprint("tag", i))
	}
	tags.add("last")
	for tag, want := range map[string]any{"tag0": "tag0", fmt.Sprint("tag", maxTags-1): fmt.Sprint("tag", maxTags-1), fmt.Sprint("tag", maxTags): nil, "last": nil} {
		if got := tags.get([]byte(tag)); got != want {
			t.Errorf("%s: got %v, want %v", tag, got, want)
		}
	}
	var other tagTable
	other.add("ä") // comes as text or as octets, which are not the same in a message
	if v := other.get([]byte("ä")); v != nil {
		t.Errorf("got %v for a tag that is not ASCII", v)
	}
}
