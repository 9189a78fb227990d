package remotetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// A Mesh is a set of nodes in this process and the network between them. Its
// methods may be called by any goroutine at any time.
type Mesh struct {
	t   testing.TB // nil outside of tests
	net *network

	mu      sync.Mutex
	nodes   map[actor.NodeID]*Node // those that run
	starts  map[actor.NodeID]int   // how often each ID was started
	closed  bool
	logging atomic.Bool
}

// NewMesh returns a mesh without nodes, which is closed when the test ends,
// behind whatever the test registers for cleaning up after NewMesh. Warnings
// and errors that nodes log are shown with the test. In a bubble of
// [synctest.Test], pass the bubble's t.
//
// Where there is no test, as in an example, t is nil: then Close must be
// called, and whatever would fail a test panics.
//
// [synctest.Test]: https://pkg.go.dev/testing/synctest#Test
func NewMesh(t testing.TB) *Mesh {
	m := &Mesh{
		t:      t,
		net:    &network{listeners: make(map[actor.NodeID]*listener), paths: make(map[pair]*path)},
		nodes:  make(map[actor.NodeID]*Node),
		starts: make(map[actor.NodeID]int),
	}
	if t != nil {
		m.logging.Store(true)
		t.Cleanup(m.Close)
	}
	return m
}

// A Node is a node of a [Mesh], from Start to Crash or Stop.
type Node struct {
	sys  *actor.System
	node *remote.Node
}

// ID returns the node's ID.
func (n *Node) ID() actor.NodeID { return n.node.ID() }

// System returns the actor system of the node.
func (n *Node) System() *actor.System { return n.sys }

// Remote returns what makes the system a node, with which one can wait for a
// connection, for example.
func (n *Node) Remote() *remote.Node { return n.node }

// An Option changes how [Mesh.Start] starts a node.
type Option func(*options)

type options struct {
	config []func(*remote.Config)
	system []actor.Option
	setup  []func(*actor.System)
	start  func(context.Context, *actor.System, remote.Config) (*remote.Node, error)
}

// WithConfig changes the node's configuration: timeouts, limits, or seeds
// (whose addresses [Address] tells).
func WithConfig(change func(*remote.Config)) Option {
	return func(o *options) { o.config = append(o.config, change) }
}

// WithSystem passes options to the actor system, a logger for example.
func WithSystem(opts ...actor.Option) Option {
	return func(o *options) { o.system = append(o.system, opts...) }
}

// WithSetup calls a function with the actor system before the node can be
// reached: the place to register what others spawn.
func WithSetup(setup func(*actor.System)) Option {
	return func(o *options) { o.setup = append(o.setup, setup) }
}

// WithStart starts the node by another function than [remote.Start]: one that
// builds on it, such as registry.Start, and hands over the configuration that
// it gets. [Mesh.Crash] and [Mesh.Stop] close the [remote.Node]; whatever the
// function has started beside it is for the test to close.
func WithStart(start func(context.Context, *actor.System, remote.Config) (*remote.Node, error)) Option {
	return func(o *options) { o.start = start }
}

// Address returns the address at which the node of that ID listens, whether it
// has been started or not.
func Address(node actor.NodeID) string { return addr{node, port}.String() }

// Start starts a node under an ID that no running node has. All nodes know
// where it is, and connect to it when they have something to send.
func (m *Mesh) Start(id actor.NodeID, opts ...Option) *Node {
	if m.t != nil {
		m.t.Helper()
	}
	n, err := m.start(id, opts)
	if err != nil {
		m.fatal(fmt.Sprintf("remotetest: start node %q: %v", id, err))
	}
	return n
}

func (m *Mesh) start(id actor.NodeID, opts []Option) (*Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, remote.ErrClosed
	}
	if m.nodes[id] != nil {
		return nil, errors.New("it is running")
	}
	o := options{start: remote.Start}
	for _, opt := range opts {
		opt(&o)
	}
	n := &Node{sys: actor.NewSystem(append([]actor.Option{
		actor.WithLogger(slog.New(slog.NewTextHandler(logWriter{m, id}, &slog.HandlerOptions{Level: slog.LevelWarn}))),
		// Otherwise a goroutine stays behind a dead letter for a while, which
		// a bubble would have to wait for.
		actor.WithProtoOptions(proto.WithDeadLetterThrottleInterval(time.Nanosecond)),
	}, o.system...)...)}
	// Names of ports come from the time. In a bubble it may stand still while
	// a node is crashed and started again.
	atomic.AddUint64(&n.sys.Actors().ProcessRegistry.SequenceID, uint64(m.starts[id])<<32)
	m.starts[id]++
	for _, setup := range o.setup {
		setup(n.sys)
	}
	listener := m.net.listen(id)
	config := remote.Config{
		NodeID:    id,
		Secret:    "remotetest",
		Listeners: []net.Listener{listener},
		Resolve:   m.resolve,
		Dial:      func(ctx context.Context, address string) (net.Conn, error) { return m.dial(ctx, id, address) },
	}
	for _, change := range o.config {
		change(&config)
	}
	var err error
	if n.node, err = o.start(context.Background(), n.sys, config); err != nil {
		listener.Close()
		return nil, err
	}
	m.nodes[id] = n
	return n, nil
}

// resolve knows every node that was ever started, and that it may come again.
func (m *Mesh) resolve(_ context.Context, node actor.NodeID) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.starts[node] == 0 {
		return nil, nil
	}
	return []string{Address(node)}, nil
}

func (m *Mesh) dial(ctx context.Context, from actor.NodeID, address string) (net.Conn, error) {
	to, err := parseAddr(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: addr{}.Network(), Err: err}
	}
	return m.net.dial(ctx, from, to)
}

// Partition parts groups of nodes from each other: until Heal, connections
// between nodes of different groups carry nothing, in silence, and new ones
// cannot be made. Within a group, and for nodes of no group, nothing changes.
// Partitions add up.
//
// What is written meanwhile is not lost: it arrives after Heal, unless the
// nodes have given up the connection by then.
func (m *Mesh) Partition(groups ...[]actor.NodeID) {
	m.net.between(groups, func(p *path) { p.change(func() { p.parted = true }) })
}

// Heal ends all partitions.
func (m *Mesh) Heal() { m.net.heal() }

// Cut breaks the connections between two nodes at once. Both get an error, and
// what was on its way is lost. New connections can be made.
func (m *Mesh) Cut(a, b actor.NodeID) {
	m.net.between([][]actor.NodeID{{a}, {b}}, (*path).breakAll)
}

// Delay sets how long everything takes from one of two nodes to the other, in
// both directions. What is on its way already takes as long as it takes; the
// order stays.
func (m *Mesh) Delay(a, b actor.NodeID, d time.Duration) {
	m.net.between([][]actor.NodeID{{a}, {b}}, func(p *path) { p.change(func() { p.delay = d }) })
}

// Crash ends a node as the end of its process does: it says nothing to
// anybody, and what was on its way to or from it is lost. The others find
// their connections broken, those that are parted from it not before Heal: to
// let a whole machine vanish, call Partition first. The ID can be started
// again.
//
// The actor system that the node had goes on without a network, since nothing
// can stop what runs in this process; its monitors on other nodes fire.
func (m *Mesh) Crash(id actor.NodeID) {
	m.end(id, func(n *Node) {
		m.net.unplug(id)
		n.node.Close()
	})
}

// Stop ends a node in order: it sends what it has accepted for sending, and
// the others hear that it goes. The ID can be started again.
func (m *Mesh) Stop(id actor.NodeID) {
	m.end(id, func(n *Node) { n.node.Close() })
}

func (m *Mesh) end(id actor.NodeID, how func(*Node)) {
	if m.t != nil {
		m.t.Helper()
	}
	m.mu.Lock()
	n := m.nodes[id]
	m.mu.Unlock()
	if n == nil {
		m.fatal(fmt.Sprintf("remotetest: end node %q: it is not running", id))
		return
	}
	how(n)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nodes[id] == n {
		delete(m.nodes, id)
	}
}

// restTime is how long it takes until systems whose ports have nothing to do
// have no goroutine any more: package actor keeps those of actors for two tenths
// of a second. In a bubble, all goroutines must have ended with the test.
const restTime = 300 * time.Millisecond

// Close ends the mesh with all its nodes; when it returns, none of their
// goroutines is left.
func (m *Mesh) Close() {
	m.mu.Lock()
	nodes := m.nodes
	m.nodes, m.closed = nil, true
	m.mu.Unlock()
	for id := range nodes {
		m.net.unplug(id)
	}
	for _, n := range nodes {
		n.node.Close()
	}
	time.Sleep(restTime)
	m.logging.Store(false)
}

func (m *Mesh) fatal(text string) {
	if m.t == nil {
		panic(text)
	}
	m.t.Helper()
	m.t.Fatal(text)
}

// A logWriter shows what a node logs with the test, as long as that runs.
type logWriter struct {
	m  *Mesh
	id actor.NodeID
}

// Write implements io.Writer.
func (w logWriter) Write(line []byte) (int, error) {
	if w.m.logging.Load() {
		w.m.t.Output().Write(slices.Concat([]byte(w.id), []byte(": "), bytes.TrimSpace(line), []byte("\n")))
	}
	return len(line), nil
}
