package conformance

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is where a program runs.
type world struct {
	near, far *side
}

// A side is a system as a program for protoactor-go knows it.
type side struct {
	*proto.RootContext
	t       *testing.T
	sys     *actor.System
	node    *remote.Node // nil when there is no network
	log     *logBuffer
	letters chan *proto.DeadLetterEvent
}

// everywhere runs a program with both sides on one system, and on two nodes.
func everywhere(t *testing.T, program func(t *testing.T, w world)) {
	t.Helper()
	t.Run("local", func(t *testing.T) { program(t, oneSystem(t)) })
	t.Run("remote", func(t *testing.T) { program(t, twoNodes(t)) })
}

func oneSystem(t *testing.T) world {
	s := newSide(t)
	return world{s, s}
}

// twoNodes starts two nodes which are connected over loopback.
func twoNodes(t *testing.T) world {
	t.Helper()
	far := newSide(t)
	far.start(remote.Config{NodeID: "far", Listen: []string{"127.0.0.1:0"}})
	near := newSide(t)
	near.start(remote.Config{NodeID: "near", Resolve: func(_ context.Context, id actor.NodeID) ([]string, error) {
		if id != "far" {
			return nil, nil
		}
		return far.node.Addresses(), nil
	}})
	if err := near.node.Connect(t.Context(), "far"); err != nil {
		t.Fatal(err)
	}
	return world{near, far}
}

func newSide(t *testing.T) *side {
	s := &side{t: t, log: &logBuffer{}, letters: make(chan *proto.DeadLetterEvent, 1000)}
	s.sys = actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(s.log, nil))))
	s.RootContext = s.sys.Actors().Root
	s.sys.Actors().EventStream.Subscribe(func(event any) {
		if letter, ok := event.(*proto.DeadLetterEvent); ok {
			s.letters <- letter
		}
	})
	return s
}

func (s *side) start(cfg remote.Config) {
	s.t.Helper()
	cfg.Secret = "a secret of tests 0123456789"
	cfg.ConnectInterval = 200 * time.Millisecond
	node, err := remote.Start(s.t.Context(), s.sys, cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.node = node
	s.t.Cleanup(func() { node.Close() })
}

// spawn spawns an actor that is a function, and returns its address.
func (s *side) spawn(receive proto.ReceiveFunc, options ...proto.PropsOption) *proto.PID {
	return address(s.Spawn(proto.PropsFromFunc(receive, options...)))
}

// address returns a PID as one learns it from elsewhere. A PID that was used
// on its own system remembers the process behind it, which would take a
// message past the network.
func address(pid *proto.PID) *proto.PID { return proto.NewPID(pid.Address, pid.Id) }

// recorder spawns an actor that tells of all that it receives.
func (s *side) recorder() (*proto.PID, *diary) {
	d := newDiary(s.t)
	return s.spawn(d.Receive), d
}

// content returns the message without the reply port, which travels as its last
// element when the message comes from another node.
func content(c proto.Context) any {
	m, ok := c.Message().(actor.Message)
	if n := len(m); ok && n > 0 && c.Sender() != nil && m[n-1] == string(actor.PortOf(c.Sender())) {
		return m[:n-1]
	}
	return c.Message()
}

// tag returns the tag of a message, or the empty string for what has none, for
// example the messages of the system.
func tag(c proto.Context) string {
	m, _ := c.Message().(actor.Message)
	tag, _ := m.Tag()
	return tag
}

// A diary holds what happened, in words.
type diary struct {
	t       *testing.T
	entries chan string
}

func newDiary(t *testing.T) *diary { return &diary{t, make(chan string, 1000)} }

func (d *diary) note(format string, args ...any) { d.entries <- fmt.Sprintf(format, args...) }

// Receive makes a diary an actor that notes each message.
func (d *diary) Receive(c proto.Context) { d.note("%s", describe(content(c))) }

// describe puts a message in words.
func describe(m any) string {
	switch m := m.(type) {
	case actor.Message:
		return m.String()
	case *proto.Terminated:
		return fmt.Sprintf("Terminated %s: %s", m.Who.Id, m.Why)
	case error:
		return "error: " + m.Error()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*actor.")
}

// want checks what happens next, and leaves out nothing.
func (d *diary) want(want ...string) {
	d.t.Helper()
	var got []string
	for range want {
		select {
		case entry := <-d.entries:
			got = append(got, entry)
		case <-time.After(patience):
			d.t.Fatalf("got %q and nothing more, want %q", got, want)
		}
	}
	if !slices.Equal(got, want) {
		d.t.Fatalf("got %q, want %q", got, want)
	}
}

// wantAnyOrder is want for what happens at the same time.
func (d *diary) wantAnyOrder(want ...string) {
	d.t.Helper()
	var got []string
	for range want {
		got = append(got, next(d.t, d.entries))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		d.t.Fatalf("got, in any order, %q, want %q", got, want)
	}
}

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// next returns the next value, or fails the test when there is none for long.
func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// wantResult checks what a future is completed with.
func wantResult(t *testing.T, f *proto.Future, want ...any) {
	t.Helper()
	result, err := f.Result()
	if err != nil {
		t.Fatalf("got error %v, want %v", err, actor.Message(want))
	}
	if got, want := describe(result), actor.Message(want).String(); got != want {
		t.Fatalf("got result %s, want %s", got, want)
	}
}

// wantLetter checks the next dead letter on this side.
func (s *side) wantLetter(message any) *proto.DeadLetterEvent {
	s.t.Helper()
	letter := next(s.t, s.letters)
	if got, want := describe(letter.Message), describe(message); got != want {
		s.t.Fatalf("got dead letter %s, want %s", got, want)
	}
	return letter
}

// wantWarning checks that there was a warning with these words.
func (s *side) wantWarning(words string) {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, words) {
			return
		}
	}
	s.t.Errorf("no warning of %q in\n%s", words, s.log)
}

// A logBuffer keeps what was logged.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// msg is a message.
func msg(elements ...any) actor.Message { return elements }
