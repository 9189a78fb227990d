package logcatcher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/registry/logcatcher"
	"github.com/portmesh/portmesh/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is where a handler writes to, without the time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) handler(level slog.Level) slog.Handler {
	return slog.NewTextHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}})
}

func (l *lines) wait(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !strings.Contains(l.String(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q did not come; got\n%s", want, l)
		}
	}
}

// A node logs through a handler that others may collect from.
type node struct {
	*registry.Registry
	sys     *actor.System
	handler *logcatcher.Handler
	log     *slog.Logger
	local   *lines
}

func start(t *testing.T, id actor.NodeID, seeds ...string) *node {
	t.Helper()
	n := &node{local: &lines{}}
	n.handler = logcatcher.NewHandler(n.local.handler(slog.LevelWarn))
	n.log = slog.New(n.handler)
	n.sys = actor.NewSystem(actor.WithLogger(n.log))
	err := n.handler.Serve(n.sys)
	if err != nil {
		t.Fatal(err)
	}
	n.Registry, err = registry.Start(t.Context(), n.sys, remote.Config{
		NodeID: id, Secret: "geheim", Listen: []string{"127.0.0.1:0"}, Seeds: seeds,
	}, registry.Config{Global: len(seeds) == 0})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func (n *node) address() string { return n.Node().Addresses()[0] }

// collecting waits until the records of a node arrive.
func collecting(t *testing.T, got *lines, from *node) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !strings.Contains(got.String(), "hello from "+string(from.Node().ID())); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is collected from %s", from.Node().ID())
		}
		from.log.Info("hello from " + string(from.Node().ID()))
	}
}

type secretive struct{}

func (secretive) LogValue() slog.Value { return slog.StringValue("hidden") }

func TestCollect(t *testing.T) {
	a := start(t, "a")
	b := start(t, "b", a.address())
	got := &lines{}
	stop, err := logcatcher.Collect(a.Registry, slog.LevelInfo, got.handler(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	// One that comes later is asked, too, and so is one that is not connected
	// with us, but with another global node.
	c := start(t, "c", b.address())
	collecting(t, got, b)
	collecting(t, got, c)

	b.log.With("k", 1).WithGroup("g").With("x", "y z").Warn("beware", slog.Group("in", "n", 2.5), "err", errors.New("broken"), "none", nil, "secret", secretive{})
	got.wait(t, `level=WARN msg=beware k=1 g.x="y z" g.in.n=2.5 g.err=broken g.none=<nil> g.secret=hidden node=b`+"\n")
	b.local.wait(t, `level=WARN msg=beware k=1 g.x="y z" g.in.n=2.5 g.err=broken g.none=<nil> g.secret=hidden`+"\n")
	b.log.Debug("not wanted")
	b.log.Error("wanted")
	got.wait(t, "level=ERROR msg=wanted node=b\n")
	if strings.Contains(got.String(), "not wanted") || strings.Contains(b.local.String(), "hello") {
		t.Errorf("levels are not kept: %s; local: %s", got, b.local)
	}

	stop()
	for deadline := time.Now().Add(15 * time.Second); b.log.Enabled(t.Context(), slog.LevelInfo); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("records are still sent")
		}
	}
}

// Two nodes that collect from each other do not send records round and round.
func TestCollectEachOther(t *testing.T) {
	a := start(t, "a")
	b := start(t, "b", a.address())
	for _, n := range []*node{a, b} {
		stop, err := logcatcher.Collect(n.Registry, slog.LevelDebug, n.handler)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	for _, ends := range [][2]*node{{a, b}, {b, a}} {
		from, to := ends[0], ends[1]
		for deadline := time.Now().Add(15 * time.Second); !strings.Contains(to.local.String(), "hello"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing came")
			}
			from.log.Warn("hello")
		}
		once, twice := "once-"+string(from.Node().ID()), "twice-"+string(from.Node().ID())
		from.log.Warn(once)
		to.local.wait(t, "level=WARN msg="+once+" node="+string(from.Node().ID())+"\n")
		from.log.Warn(twice)
		to.local.wait(t, "level=WARN msg="+twice+" node="+string(from.Node().ID())+"\n")
		if n, m := strings.Count(from.local.String(), once), strings.Count(to.local.String(), once); n != 1 || m != 1 {
			t.Errorf("%d and %d times: %s", n, m, from.local)
		}
	}
}

// The forms that Perl nodes of both generations use, as they come and as they go.
func TestForms(t *testing.T) {
	a := start(t, "a")
	got := &lines{}
	var port actor.PortID
	// c plays a Perl node that was asked: it learns the port.
	asked := make(chan actor.PortID, 1)
	c := start(t, "c", a.address())
	c.sys.Unregister("AnyEvent::MP::LogCatcher::connect")
	c.sys.RegisterCall("AnyEvent::MP::LogCatcher::connect", func(_ actor.NodeID, args actor.Message) error {
		var version, level int
		var port actor.PortID
		if err := args.Scan(&version, &port, &level); err != nil || version != 0 || level != 8 {
			t.Errorf("got %v, %v", args, err)
		}
		asked <- port
		return nil
	})
	stop, err := logcatcher.Collect(a.Registry, slog.LevelDebug, got.handler(slog.LevelDebug-4))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	select {
	case port = <-asked:
	case <-time.After(15 * time.Second):
		t.Fatal("c was not asked")
	}
	for _, test := range []struct {
		record actor.Message
		want   string
	}{
		{actor.Message{1, "it failed\n"}, `level=ERROR msg="it failed" node=c`},
		{actor.Message{"0", "always"}, `level=ERROR msg=always node=c`},
		{actor.Message{4, "four"}, `level=WARN msg=four node=c`},
		{actor.Message{7, "x is up"}, `level=INFO msg="x is up" node=c`},
		{actor.Message{9, "trace"}, `level=DEBUG-4 msg=trace node=c`},
		{actor.Message{1.7e9, "My::Module", 1, "fatal"}, `level=ERROR+12 msg=fatal context=My::Module node=c`},
		{actor.Message{"1.7e9", "My::Module", "4", "an error"}, `level=ERROR msg="an error" context=My::Module node=c`},
		{actor.Message{1.7e9, "M", 6, "note"}, `level=INFO+2 msg=note context=M node=c`},
		{actor.Message{1.7e9, "M", 99, "far"}, `level=DEBUG-4 msg=far context=M node=c`},
		{actor.Message{1.7e9, "Portmesh", 5, "odd", []any{"k", 1, []any{}, 2, "alone"}}, `level=WARN msg=odd k=1 node=c`},
		{actor.Message{1e300, "M", 5, "x"}, `level=WARN msg="log record is not understood: [1e+300, \"M\", 5, \"x\"]" node=c`},
		{actor.Message{}, `level=WARN msg="log record is not understood: []" node=c`},
	} {
		c.sys.Send(port, test.record...)
		got.wait(t, test.want+"\n")
	}

	// What a Perl node gets.
	for generation, forms := range map[int]map[slog.Level]string{
		2: {slog.LevelError: "4", slog.LevelError + 8: "2", slog.LevelInfo + 2: "6", slog.LevelDebug - 4: "9", slog.LevelWarn + 1: "5", slog.LevelDebug - 10: "9"},
		1: {slog.LevelError: "1", slog.LevelWarn: "2", slog.LevelInfo: "7", slog.LevelDebug: "8"},
	} {
		for level, want := range forms {
			if got := logcatcher.Number(generation, level); fmt.Sprint(got) != want {
				t.Errorf("generation %d, %v: got %d, want %s", generation, level, got, want)
			}
		}
	}
}

// Whoever logs faster than can be sent loses records, and hears of it.
func TestLost(t *testing.T) {
	h := logcatcher.NewHandler(nil)
	if h.Enabled(t.Context(), slog.LevelError+100) {
		t.Error("nobody wants anything")
	}
	a := start(t, "a")
	block, entered := make(chan bool), make(chan bool, 1)
	counted := make(chan int, 10000)
	port := a.sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			text := m[3].(string)
			var n int
			switch fmt.Sscanf(text, "log records were lost count=%d", &n); {
			case n > 0:
				counted <- n
			case text == "last":
				counted <- -1
			}
			select {
			case entered <- true:
				<-block
			default:
			}
			return nil
		})
		return nil
	}, actor.Mailbox{Size: 1, Full: actor.WaitFor(time.Minute)})
	a.sys.Send(a.sys.Node().NodePort(), "AnyEvent::MP::LogCatcher::connect", 0, port, 9)
	for deadline := time.Now().Add(15 * time.Second); !a.log.Enabled(context.Background(), slog.LevelDebug-4); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not connected")
		}
	}
	a.log.Info("first")
	<-entered
	for range 5000 {
		a.log.Info("more")
	}
	close(block)
	lost := <-counted
	for {
		a.log.Info("last")
		n := <-counted
		if n < 0 {
			break
		}
		lost += n
	}
	if lost < 1000 || lost >= 5000 {
		t.Errorf("%d records were lost", lost)
	}
}
