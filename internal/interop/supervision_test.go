package interop_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/supervision"
)

// A supervisor of ours keeps a Perl port running, with nothing on the Perl side
// but a function that makes it.
func TestInteropSupervision(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) { supervisePerl(t, perl) })
	}
}

func supervisePerl(t *testing.T, perl perltest.Perl) {
	n := start(t, "go")
	node := startPerl(t, perl, "perl", n.address())
	if err := n.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	spec := func(function string, args ...any) supervision.Spec {
		return supervision.Spec{
			Intensity: 10,
			Children: []supervision.Child{{
				ID:    "child",
				Start: supervision.Remote{Node: "perl", Function: function, Args: args},
				Lost:  supervision.Lost{Wait: 200 * time.Millisecond},
			}},
		}
	}
	sup, err := supervision.Start(t.Context(), n.sys, spec("Adder::init", 40, supervision.Self))
	if err != nil {
		t.Fatal(err)
	}
	// running waits for a child other than the last one, and tries it.
	running := func(last actor.PortID) actor.PortID {
		t.Helper()
		var child supervision.Status
		eventually(t, "a child is running", func() bool {
			var err error
			if child, err = sup.Child(t.Context(), "child"); err != nil {
				t.Fatal(err)
			}
			return child.State == supervision.Running && child.Port != last
		})
		answer, err := n.sys.Call(t.Context(), child.Port, "add", 2)
		if err != nil || answer.String() != `["sum", 42]` {
			t.Errorf("got %v, %v", answer, err)
		}
		return child.Port
	}
	port := running("")

	// It dies in Perl, of a message, and of a kill.
	n.sys.Send(port, "die")
	port = running(port)
	n.eval(t, "perl", `kil "`+string(port)+`", "because"; 1`)
	port = running(port)

	// Its node dies, and another one comes in its place.
	node.Signal(os.Kill)
	node.Wait()
	startPerl(t, perl, "perl", n.address())
	port = running(port)

	// It ends with its supervisor, be that stopped or killed.
	gone := func(port actor.PortID) {
		t.Helper()
		eventually(t, "the port is gone", func() bool {
			died := make(chan actor.Reason, 1)
			stop := n.sys.Monitor(port, func(r actor.Reason) { died <- r })
			defer stop()
			select {
			case <-died:
				return true
			case <-time.After(50 * time.Millisecond):
				return false
			}
		})
	}
	if err := sup.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	gone(port)
	if sup, err = supervision.Start(t.Context(), n.sys, spec("Adder::init", 40, supervision.Self)); err != nil {
		t.Fatal(err)
	}
	port = running("")
	sup.Kill()
	gone(port)

	// What cannot be spawned cannot be started.
	for _, function := range []string{"Adder::broken", "No::such"} {
		_, err := supervision.Start(t.Context(), n.sys, spec(function))
		if err == nil || !strings.Contains(err.Error(), "child") {
			t.Errorf("%s: got %v", function, err)
		}
	}
}
