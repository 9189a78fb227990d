package interop_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// A Perl node and ours have each other as seeds, so that both dial. They settle on
// one connection, and what is sent meanwhile arrives, in order.
func TestInteropCrossing(t *testing.T) {
	for _, perl := range perltest.All(t) {
		for round := range 5 {
			t.Run(fmt.Sprintf("%s/%d", perl.Name(), round), func(t *testing.T) { crossing(t, perl) })
		}
	}
}

func crossing(t *testing.T, perl perltest.Perl) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Perl's dial waits in the listener until we dial as well.
	node := startPerl(t, perl, "perl", listener.Addr().String())
	n := startWith(t, remote.Config{NodeID: "go", Seeds: []string{node.address}, Listeners: []net.Listener{listener}}, registry.Config{})

	const count = 500
	got := make(chan actor.Message, count)
	self := n.sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error { got <- m; return nil })
		return nil
	})
	lost := make(chan actor.Reason, 1)
	n.sys.Monitor("perl#echo", func(r actor.Reason) { lost <- r })
	for i := range count {
		if err := n.sys.Send("perl#echo", "n", i, self); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		if m := next(t, got); m != fmt.Sprintf(`["n", %d]`, i) {
			t.Fatalf("got %s as number %d", m, i)
		}
	}
	select {
	case r := <-lost:
		t.Errorf("the monitor fired: %v", r)
	default:
	}
	if links := n.Node().Stats(); len(links) != 1 {
		t.Errorf("there are %d links", len(links))
	}
}
