package actor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"weak"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A pigeon is a provider that counts what is sent to each port.
type pigeon map[PortID]int

func (p pigeon) Send(node NodeID, m Outgoing) error {
	p[node.Port(m.Port)]++
	return nil
}

func (p pigeon) Peer(node NodeID) Peer     { return pigeonTo{p, node} }
func (p pigeon) Kill(PortID, Reason) error { return nil }
func (p pigeon) Monitor(PortID)            {}
func (p pigeon) Unmonitor(PortID)          {}
func (p pigeon) Nodes() []NodeID           { return nil }

func (p pigeon) Process(NodeID) proto.Process { return nil }

type pigeonTo struct {
	pigeon
	node NodeID
}

func (p pigeonTo) Send(m Outgoing) error { return p.pigeon.Send(p.node, m) }

// Without routes all would be as it is, but slower, and no other test would tell.
func TestRouteIsTaken(t *testing.T) {
	sys := NewSystem()
	if _, err := sys.Attach("here", pigeon{}); err != nil {
		t.Fatal(err)
	}
	port, got := collectorNamed(t, sys, "p")
	for i := range 5 {
		sys.Send(port, "n", i)
		<-got
	}
	if r, _ := sys.routes.find(port, sys.net.Load()); r == nil || r.port == nil {
		t.Error("there is no route to a port that was sent to five times")
	}
	away := PortID("away#p")
	for range 2 {
		sys.Send(away, "n")
	}
	if r, _ := sys.routes.find(away, sys.net.Load()); r == nil || r.peer == nil {
		t.Error("there is no route to a port of another node that was sent to twice")
	}
}

// Each message gets to its port, wherever in memory the name of the port is.
func TestRoutesDoNotMix(t *testing.T) {
	sys := NewSystem()
	remote := pigeon{}
	sys.Attach("here", remote)
	const ports, messages = 500, 20_000
	var ids []PortID
	local := make([]int, ports)
	want := make([]int, ports)
	for i := range ports {
		id := PortID(fmt.Sprintf("away%d#p", i))
		if i%2 == 0 {
			id, _ = sys.NamedPort(fmt.Sprint("p", i), func(c *Context) error {
				c.Default(func(*Context, Message) error {
					local[i]++
					return nil
				})
				return nil
			})
		}
		ids = append(ids, id)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range messages {
		i := random.IntN(ports)
		id := ids[i]
		if random.IntN(2) == 0 {
			id = PortID(strings.Clone(string(id)))
		}
		for range 1 + random.IntN(3) {
			want[i]++
			if err := sys.Send(id, "n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, id := range ids {
		got := remote[id]
		if i%2 == 0 {
			die(t, sys, id) // behind all that was sent
			got = local[i]
		}
		if got != want[i] {
			t.Errorf("%s got %d messages, want %d", id, got, want[i])
		}
	}
}

// An asked provider counts how often it is asked for a peer.
type asked struct {
	pigeon
	times *int
}

func (p asked) Peer(node NodeID) Peer {
	*p.times++
	return p.pigeon.Peer(node)
}

// Who sends to each port once, as with answers, does not pay for routes.
func TestNoRouteForOneMessage(t *testing.T) {
	sys := NewSystem()
	p := asked{pigeon{}, new(int)}
	sys.Attach("here", p)
	const ports = 1000
	var ids []PortID
	for i := range ports {
		ids = append(ids, PortID(fmt.Sprint("away#", i)))
		sys.Send(ids[i], "n")
	}
	if len(p.pigeon) != ports || *p.times > 0 {
		t.Errorf("%d ports of %d got a message, and for %d there is a route", len(p.pigeon), ports, *p.times)
	}
}

// What a port ID leads to changes with the network.
func TestRoutesChangeWithNetwork(t *testing.T) {
	sys := NewSystem()
	_, got := collectorNamed(t, sys, "p")
	here, away := PortID("here#p"), PortID("away#p")
	send := func(to PortID, want error) {
		t.Helper()
		for range 5 {
			if err := sys.Send(to, "n"); !errors.Is(err, want) {
				t.Fatalf("send to %s: %v, want %v", to, err, want)
			}
		}
	}
	send(here, ErrNoNetwork)
	send(away, ErrNoNetwork)
	for round := range 3 {
		remote := pigeon{}
		gateway, err := sys.Attach("here", remote)
		if err != nil {
			t.Fatal(err)
		}
		send(here, nil)
		for range 5 {
			<-got
		}
		send(away, nil)
		if remote[away] != 5 || len(remote) != 1 {
			t.Fatalf("round %d: %v were sent, want 5 to %s", round, remote, away)
		}
		gateway.Detach()
		send(away, ErrNoNetwork)
	}
}

// Nor is kept what an actor of protoactor-go held.
func TestRouteKeepsNothing(t *testing.T) {
	sys := NewSystem()
	spawn := func() (PortID, weak.Pointer[[1 << 16]byte]) {
		state := new([1 << 16]byte)
		props := proto.PropsFromFunc(func(proto.Context) { state[0]++ }, sys.WithMailbox(Mailbox{}))
		return PortOf(sys.Actors().Root.Spawn(props)), weak.Make(state)
	}
	port, kept := spawn()
	for range 10 {
		sys.Send(port, "x")
	}
	if r, _ := sys.routes.find(port, sys.net.Load()); r == nil || r.port == nil {
		t.Fatal("there is no route")
	}
	die(t, sys, port)
	waitUntilGone(t, "the state of a dead actor", kept)
	runtime.KeepAlive(sys)
}
