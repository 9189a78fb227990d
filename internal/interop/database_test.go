package interop_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// The global node of a mesh of Perl nodes and ours is killed. Another one takes
// its place, Perl or ours, and nothing is lost.
func TestInteropMasterLost(t *testing.T) {
	perl := perltest.Generation(t, 2)
	t.Run("Perl after Perl", func(t *testing.T) {
		first := startPerl(t, perl, "first")
		second := startPerl(t, perl, "second", first.address)
		masterLost(t, perl, first, second.address) // which takes keys for gone until their owners have found it
	})
	t.Run("ours after Perl", func(t *testing.T) {
		first := startPerl(t, perl, "first")
		second := startWith(t, remote.Config{NodeID: "second", Seeds: []string{first.address}}, registry.Config{Global: true})
		phantoms := masterLost(t, perl, first, second.address())
		select {
		case c := <-phantoms:
			t.Errorf("keys went that did not: %v", c)
		default:
		}
	})
}

// masterLost returns the changes by which our node has seen keys go.
func masterLost(t *testing.T, perl perltest.Perl, first perlNode, second string) (phantoms chan registry.Change) {
	n := start(t, "go", first.address, second)
	startPerl(t, perl, "perl", first.address, second)
	for _, node := range []actor.NodeID{"first", "second", "perl"} {
		if err := n.Node().Connect(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	phantoms = make(chan registry.Change, 100)
	stop, err := n.Monitor("fruit", func(c registry.Change) {
		if len(c.Deleted) > 0 {
			phantoms <- c
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	n.eval(t, "perl", `our $watch = db_mon fruit => sub { our $fruit = join ",", map "$_=$_[0]{$_}", sort keys %{ $_[0] } }; 1`)
	both := func(want string) {
		t.Helper()
		var ours, theirs string
		eventually(t, want, func() bool {
			content, err := n.Family(t.Context(), "fruit")
			if err != nil {
				t.Fatal(err)
			}
			ours = ""
			for _, key := range sortedKeys(content) {
				ours += fmt.Sprintf(",%s=%v", key, content[key])
			}
			theirs = n.eval(t, "perl", `our $fruit`).String()
			return ours == ","+want && theirs == `["`+want+`"]`
		})
	}
	if _, err := n.Set("fruit", "apple", "red"); err != nil {
		t.Fatal(err)
	}
	n.eval(t, "perl", `db_set fruit => pear => "green"; 1`)
	both("apple=red,pear=green")

	first.Signal(os.Kill)
	first.Wait()
	both("apple=red,pear=green")
	if _, err := n.Set("fruit", "apple", "yellow"); err != nil {
		t.Fatal(err)
	}
	n.eval(t, "perl", `db_set fruit => plum => "blue"; 1`)
	both("apple=yellow,pear=green,plum=blue")
	return phantoms
}
