package interop_test

import (
	"os"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// Perl nodes of the two generations work together through a Go node: they find
// each other by name, spawn, keep the order of messages, and hear of it when the
// other is killed and when it comes back.
func TestInteropBridge(t *testing.T) {
	perl1, perl2 := perltest.Generation(t, 1), perltest.Generation(t, 2)
	bridge := startWith(t, remote.Config{NodeID: "go"}, registry.Config{Bridge: []string{"echoes"}})
	startPerl(t, perl1, "old", bridge.address())
	young := startPerl(t, perl2, "young", bridge.address())
	for _, node := range []actor.NodeID{"old", "young"} {
		if err := bridge.Node().Connect(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	bridge.eval(t, "old", `use AnyEvent::MP::Global; our $guard = grp_reg echoes => "$NODE#echo"; 1`)
	bridge.eval(t, "young", `our $watch = db_mon echoes => sub { our @echoes = sort keys %{ $_[0] } }; 1`)
	register := `our $guard = db_reg echoes => "$NODE#echo"; 1`
	bridge.eval(t, "young", register)
	until := func(node actor.NodeID, code, want string) {
		t.Helper()
		var got string
		eventually(t, want, func() bool {
			got = bridge.eval(t, node, code).String()
			return got == want
		})
	}
	const members = `sort @{ AnyEvent::MP::Global::grp_get ("echoes") }`
	until("old", members, `["old#echo", "young#echo"]`)
	until("young", `our @echoes`, `["old#echo", "young#echo"]`)

	// A thousand messages, one behind the other, and their echoes.
	flood := func(from, to actor.NodeID) {
		t.Helper()
		bridge.eval(t, from, `our $next = 0; my $reply = port { $_[0] eq "n" and $_[1] == $next and $_[2] eq "\x{20ac}" and ++$next };
			snd "`+string(to)+`#echo", n => $_, "\x{20ac}", $reply for 0 .. 999; 1`)
		until(from, `our $next`, `[1000]`)
	}
	flood("old", "young")
	flood("young", "old")

	// Each spawns a port at the other.
	spawn := func(from, to actor.NodeID) {
		t.Helper()
		bridge.eval(t, from, `our ($answer, $died) = ("", ""); our $adder = spawn "`+string(to)+`", "Adder::init", 40;
			mon $adder, sub { $died = "@_" }; snd $adder, add => 2, port { $answer = "@_" }; 1`)
		until(from, `our $answer`, `["sum 42"]`)
		bridge.eval(t, from, `our $adder; kil $adder, "enough"; 1`)
		until(from, `our $died`, `["enough"]`)
	}
	spawn("old", "young")
	spawn("young", "old")

	// One is killed. The other hears of it, and of the one that comes in its place.
	bridge.eval(t, "old", `our $lost = ""; mon "young#echo", sub { $lost = "@_[0,1]" }; 1`)
	young.Signal(os.Kill)
	young.Wait()
	until("old", `our $lost`, `["transport_error young"]`)
	until("old", members, `["old#echo"]`)
	startPerl(t, perl2, "young", bridge.address())
	if err := bridge.Node().Connect(t.Context(), "young"); err != nil {
		t.Fatal(err)
	}
	bridge.eval(t, "young", register)
	until("old", members, `["old#echo", "young#echo"]`)
	flood("old", "young")
}
