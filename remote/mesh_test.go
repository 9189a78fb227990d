package remote_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

const secret = "geheim-for-tests-0123456789"

// A mesh is a set of nodes in this process, connected over loopback, which know
// each other's addresses.
type mesh struct {
	t         testing.TB
	mu        sync.Mutex
	addresses map[actor.NodeID][]string
}

func newMesh(t testing.TB) *mesh {
	return &mesh{t: t, addresses: make(map[actor.NodeID][]string)}
}

func (m *mesh) resolve(_ context.Context, node actor.NodeID) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addresses[node], nil
}

// A testNode is a node with what tests want of it.
type testNode struct {
	*remote.Node
	sys    *actor.System
	log    *logBuffer
	events chan any // NodeUp and NodeDown
}

// start starts a node that listens, unless the configuration says otherwise.
func (m *mesh) start(id actor.NodeID, change ...func(*remote.Config)) *testNode {
	m.t.Helper()
	log := &logBuffer{t: m.t, prefix: string(id)}
	n := &testNode{log: log, events: make(chan any, 1000)}
	n.sys = actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	n.sys.Actors().EventStream.Subscribe(func(e any) {
		switch e.(type) {
		case remote.NodeUp, remote.NodeDown:
			n.events <- e
		}
	})
	cfg := remote.Config{
		NodeID: id, Secret: secret, Listen: []string{"127.0.0.1:0"}, Resolve: m.resolve,
		ConnectInterval: 500 * time.Millisecond, MonitorTimeout: 10 * time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	node, err := remote.Start(m.t.Context(), n.sys, cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	n.Node = node
	m.mu.Lock()
	m.addresses[id] = node.Addresses()
	m.mu.Unlock()
	m.t.Cleanup(func() { node.Close() })
	return n
}

func (n *testNode) connect(t testing.TB, to *testNode) {
	t.Helper()
	if err := n.Connect(t.Context(), to.ID()); err != nil {
		t.Fatal(err)
	}
}

// A logBuffer keeps what was logged, and shows it with the test.
type logBuffer struct {
	t      testing.TB
	prefix string
	mu     sync.Mutex
	text   bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns all that was logged.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// warnings returns the lines of at least that level.
func (b *logBuffer) warnings() (lines []string) {
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			lines = append(lines, line)
		}
	}
	return lines
}

// collector makes a port that passes on whatever it receives.
func (n *testNode) collector() (actor.PortID, <-chan actor.Message) {
	got := make(chan actor.Message, 10000)
	return n.sys.Port(collect(got)), got
}

func collect(got chan<- actor.Message) func(*actor.Context) error {
	return func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			got <- m
			return nil
		})
		return nil
	}
}

func (n *testNode) monitored(port actor.PortID) <-chan actor.Reason {
	died := make(chan actor.Reason, 10)
	n.sys.Monitor(port, func(r actor.Reason) { died <- r })
	return died
}

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

func timeout() <-chan time.Time { return time.After(patience) }

// next returns the next value, or fails the test when there is none for long.
func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-timeout():
		t.Fatal("nothing came")
		panic("not reached")
	}
}

func wantMessage(t *testing.T, got actor.Message, want ...any) {
	t.Helper()
	if g, w := got.String(), actor.Message(want).String(); g != w {
		t.Errorf("got message %s, want %s", g, w)
	}
}

func wantReason(t *testing.T, got actor.Reason, want ...any) {
	t.Helper()
	wantMessage(t, actor.Message(got), want...)
}

// registerPeer registers the functions that the recorded Perl nodes had.
func (n *testNode) registerPeer() {
	n.sys.Register("Peer::echo", func(c *actor.Context, args actor.Message) error {
		var to actor.PortID
		if err := args.Scan(&to); err != nil {
			return err
		}
		c.Receive("die", func(*actor.Context, actor.Message) error { return errText("told to die") })
		c.Default(func(c *actor.Context, m actor.Message) error {
			answer := append(append(actor.Message{}, args[1:]...), "echo")
			return c.Send(to, append(answer, m...)...)
		})
		return nil
	})
	n.sys.Register("Peer::linked", func(c *actor.Context, args actor.Message) error {
		var owner actor.PortID
		if err := args.Scan(&owner); err != nil {
			return err
		}
		c.Link(owner)
		c.Receive("ping", func(c *actor.Context, _ actor.Message) error { return c.Respond("pong") })
		c.Default(func(*actor.Context, actor.Message) error { return nil })
		return nil
	})
	n.sys.Register("Peer::broken", func(*actor.Context, actor.Message) error { return errText("broken") })
	n.sys.RegisterCall("Peer::hello", func(_ actor.NodeID, args actor.Message) error {
		var to actor.PortID
		var tag string
		if err := args.Scan(&to, &tag); err != nil {
			return err
		}
		return n.sys.Send(to, tag, "hello", n.ID())
	})
}

type errText string

func (e errText) Error() string { return string(e) }
