package remote_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// A program is told why a seed cannot be reached, and what a node said of itself
// that can.
func TestSeedFailed(t *testing.T) {
	m := newMesh(t)
	b := m.start("b")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()

	sys := actor.NewSystem()
	failed := make(chan remote.SeedFailed, 100)
	sys.Actors().EventStream.Subscribe(func(e any) {
		if e, ok := e.(remote.SeedFailed); ok {
			failed <- e
		}
	})
	a, err := remote.Start(t.Context(), sys, remote.Config{
		NodeID: "a", Secret: "another", Seeds: []string{nobody, b.Addresses()[0]},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	want := map[string]error{nobody: syscall.ECONNREFUSED, b.Addresses()[0]: aemp.ErrAuth}
	for len(want) > 0 {
		e := next(t, failed)
		// The one who is first to see that the secrets differ closes the
		// connection, and the other can only guess.
		if failure := new(aemp.HandshakeError); !errors.Is(e.Err, want[e.Address]) && !errors.As(e.Err, &failure) {
			t.Errorf("%s: got %v, want %v", e.Address, e.Err, want[e.Address])
		}
		delete(want, e.Address)
	}

	c := m.start("c")
	c.connect(t, b)
	if g := c.Greeting("b"); g == nil || g.Node != "b" || !g.IsPortmesh() {
		t.Errorf("greeting of b: %v", g)
	}
	if g := c.Greeting("d"); g != nil {
		t.Errorf("greeting of d: %v", g)
	}
}
