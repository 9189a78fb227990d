package remote_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/remote"
)

// These tests run nodes in processes of their own.

// peerProcess is a node with the functions below, until its input ends. Its
// argument is the file of its certificate, if it is to have one in the place of
// the secret.
func peerProcess() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	config := remote.Config{NodeID: "peer", Secret: secret, Listen: []string{"127.0.0.1:0"}}
	if len(os.Args) > 1 {
		bundle, err := os.ReadFile(os.Args[1])
		fail(err)
		config.Secret = ""
		config.TLS, err = aemp.NewTLSConfig(bundle)
		fail(err)
	}
	sys := actor.NewSystem()
	sys.Register("Count::init", countInit)
	sys.Register("Flood::init", floodInit)
	node, err := remote.Start(context.Background(), sys, config)
	fail(err)
	fmt.Println(node.Addresses()[0])
	io.Copy(io.Discard, os.Stdin)
	node.Close()
}

// countInit counts messages that are numbered from 0, and answers at the
// number given; out of order is a reason to die.
func countInit(c *actor.Context, args actor.Message) error {
	var reply actor.PortID
	var total, next int
	if err := args.Scan(&reply, &total); err != nil {
		return err
	}
	c.Receive("n", func(c *actor.Context, m actor.Message) error {
		var n int
		if err := m.Scan(&n); err != nil {
			return err
		}
		if n != next {
			return fmt.Errorf("got message %d, want %d", n, next)
		}
		if next++; next == total {
			return c.Send(reply, "all", next)
		}
		return nil
	})
	return nil
}

// floodInit sends numbered messages to a port.
func floodInit(c *actor.Context, args actor.Message) error {
	var to actor.PortID
	var total int
	if err := args.Scan(&to, &total); err != nil {
		return err
	}
	c.Default(func(*actor.Context, actor.Message) error { return nil })
	for i := range total {
		if err := c.Send(to, "n", i); err != nil {
			return err
		}
	}
	return nil
}

// startPeer starts a process and tells the mesh where it is.
func startPeer(t *testing.T, m *mesh, args ...string) *proctest.Process {
	t.Helper()
	p := proctest.Start(t, args...)
	m.addresses["peer"] = []string{p.Line()}
	return p
}

func TestTwoProcessesKeepOrder(t *testing.T) {
	total := 1_000_000
	if testing.Short() {
		total = 50_000
	}
	m := newMesh(t)
	startPeer(t, m)
	a := m.start("a")
	self, got := a.collector()

	there := a.sys.Spawn("peer", "Count::init", self, total)
	died := a.monitored(there)
	go func() {
		for i := range total {
			a.sys.Send(there, "n", i)
		}
	}()
	select {
	case msg := <-got:
		wantMessage(t, msg, "all", total)
	case r := <-died:
		t.Fatalf("the counter died: %v", r)
	}

	here := a.sys.Port(func(c *actor.Context) error { return countInit(c, actor.Message{string(self), int64(total)}) })
	diedHere := a.monitored(here)
	a.sys.Spawn("peer", "Flood::init", here, total)
	select {
	case msg := <-got:
		wantMessage(t, msg, "all", total)
	case r := <-diedHere:
		t.Fatalf("the counter died: %v", r)
	}
}

func TestKilledProcess(t *testing.T) {
	m := newMesh(t)
	peer := startPeer(t, m)
	a := m.start("a")
	self, got := a.collector()
	counter := a.sys.Spawn("peer", "Count::init", self, 1)
	died := a.monitored(counter)
	node := a.monitored("peer")
	a.sys.Send(counter, "n", 0)
	wantMessage(t, next(t, got), "all", 1)
	peer.Signal(os.Kill)
	for _, d := range []<-chan actor.Reason{died, node} {
		if r := next(t, d); r.Kind() != aemp.ReasonTransport || r[1] != "peer" {
			t.Errorf("got reason %v, want a transport_error of peer", r)
		}
	}
	if nodes := a.Nodes(); len(nodes) != 0 {
		t.Errorf("nodes that are up: %v", nodes)
	}
}

// A process that is stopped keeps its connections; what gives it away is that
// it is silent.
func TestFrozenProcess(t *testing.T) {
	m := newMesh(t)
	peer := startPeer(t, m)
	a := m.start("a", func(c *remote.Config) { c.SilenceTimeout = time.Second })
	self, got := a.collector()
	counter := a.sys.Spawn("peer", "Count::init", self, 1)
	died := a.monitored(counter)
	a.sys.Send(counter, "n", 0)
	wantMessage(t, next(t, got), "all", 1)
	// An idle link stays up for as long as its peer beats.
	select {
	case r := <-died:
		t.Fatalf("the link ended: %v", r)
	case <-time.After(1500 * time.Millisecond):
	}
	peer.Signal(syscall.SIGSTOP)
	start := time.Now()
	r := next(t, died)
	peer.Signal(syscall.SIGCONT)
	if r.Kind() != aemp.ReasonTransport || !strings.Contains(fmt.Sprint(r[2]), remote.ErrSilent.Error()) {
		t.Errorf("got reason %v", r)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
