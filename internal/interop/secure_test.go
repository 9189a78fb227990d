package interop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// A node of ours that is secure lets Perl nodes send, monitor and kill, but not
// spawn or call.
func TestInteropSecure(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) {
			n := startWith(t, remote.Config{NodeID: "go", Secure: true}, registry.Config{})
			if err := n.sys.Register("Test::worker", func(*actor.Context, actor.Message) error {
				t.Error("Perl has spawned a port")
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			port, got := n.port(t, "port", "answer")
			startPerl(t, perl, "perl", n.address())
			if err := n.Node().Connect(t.Context(), "perl"); err != nil {
				t.Fatal(err)
			}
			n.eval(t, "perl", `our ($died, $killed) = ("", "");
				my $port = spawn "go", "Test::worker"; mon $port, sub { $died = "@_" };
				mon "`+string(port)+`", sub { $killed = "@_" };
				snd "`+string(port)+`", "hello"; kil "`+string(port)+`", "because"; 1`)
			if m := next(t, got); m != `["hello"]` {
				t.Errorf("got %s", m)
			}
			eventually(t, "Perl's monitors fire", func() bool {
				m := n.eval(t, "perl", "our ($died, $killed); ($died, $killed)").String()
				return strings.HasPrefix(m, `["no_such_port `) && strings.HasSuffix(m, `, "because"]`)
			})
		})
	}
}

// The same the other way round, which only Perl 2.x has.
func TestInteropSecurePerl(t *testing.T) {
	perl := perltest.Generation(t, 2)
	n := start(t, "go")
	startPerlWith(t, perl, `{"secure":1}`, "perl", n.address())
	if err := n.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	died := make(chan actor.Reason, 2)
	n.sys.Monitor(n.sys.Spawn("perl", "Adder::init", 40), func(r actor.Reason) { died <- r })
	if r := reason(t, died); r.Kind() != "no_such_port" {
		t.Errorf("got %v", r)
	}
	if answer, err := n.sys.Call(t.Context(), "perl#echo", "hello"); err != nil || answer.String() != `["hello"]` {
		t.Errorf("got %v, %v", answer, err)
	}
	n.sys.Monitor("perl#echo", func(r actor.Reason) { died <- r })
	n.sys.Kill("perl#echo", "because")
	if r := reason(t, died); r.String() != "because" {
		t.Errorf("got %v", r)
	}
}

func reason(t *testing.T, died <-chan actor.Reason) actor.Reason {
	t.Helper()
	select {
	case r := <-died:
		return r
	case <-time.After(patience):
		t.Fatal("the monitor does not fire")
		return nil
	}
}
