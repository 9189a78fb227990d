package remote_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

func TestSendBeforeConnect(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	port, got := b.collector()
	for i := range 100 {
		if err := a.sys.Send(port, "n", i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		wantMessage(t, next(t, got), "n", i)
	}
	if nodes := a.Nodes(); !slices.Equal(nodes, []actor.NodeID{"b"}) {
		t.Errorf("nodes of a: %v", nodes)
	}
	if up, ok := next(t, b.events).(remote.NodeUp); !ok || up.Node != "a" {
		t.Errorf("b was told %+v", up)
	}
	if w := append(a.log.warnings(), b.log.warnings()...); len(w) > 0 {
		t.Errorf("logged %q", w)
	}
}

// Spawn, send and monitor in one go: the order on the connection makes it work.
func TestSpawnSendMonitorWithoutWaiting(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	b.registerPeer()
	self, got := a.collector()
	for i := range 50 {
		port := a.sys.Spawn("b", "Peer::echo", self, "via", i)
		died := a.monitored(port)
		a.sys.Send(port, "hello", 42)
		a.sys.Kill(port, "because", 3, []any{"x"})
		wantMessage(t, next(t, got), "via", i, "echo", "hello", 42)
		wantReason(t, next(t, died), "because", 3, []any{"x"})
	}
}

func TestRemoteDeathReasons(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	b.registerPeer()
	self, got := a.collector()
	spawn := func(function string) actor.PortID { return a.sys.Spawn("b", function, self) }
	// settle waits until b has dealt with all that a asked for.
	settle := func() {
		a.sys.Send("b", "snd", self, "settled")
		wantMessage(t, next(t, got), "settled")
	}
	tests := []struct {
		name string
		port actor.PortID
		kill func(actor.PortID)
		want func(actor.PortID) actor.Reason
	}{
		{"normal", spawn("Peer::echo"), func(p actor.PortID) { a.sys.Kill(p) }, func(actor.PortID) actor.Reason { return nil }},
		{"reason", spawn("Peer::echo"), func(p actor.PortID) { b.sys.Kill(p, "gone", "away") }, func(actor.PortID) actor.Reason { return actor.Reason{"gone", "away"} }},
		{"error", spawn("Peer::echo"), func(p actor.PortID) { a.sys.Send(p, "die") }, func(actor.PortID) actor.Reason { return actor.Reason{"die", "told to die"} }},
		{"unhandled", b.sys.Port(func(*actor.Context) error { return nil }), func(p actor.PortID) { a.sys.Send(p, "surprise", 1) },
			func(actor.PortID) actor.Reason {
				return actor.Reason{"unhandled_message", "no callback found for message 'surprise'"}
			}},
		{"nonexistent", "b#nosuchport", func(actor.PortID) {}, aemp.NoSuchPort},
		{"no such function", spawn("Peer::nosuchfunc"), func(actor.PortID) {}, aemp.NoSuchPort},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			died := a.monitored(test.port)
			again := a.monitored(test.port)
			settle()
			test.kill(test.port)
			wantReason(t, next(t, died), test.want(test.port)...)
			wantReason(t, next(t, again), test.want(test.port)...)
			if len(died)+len(again) > 0 {
				t.Error("a monitor fired twice")
			}
		})
	}
	t.Run("failing function", func(t *testing.T) {
		r := next(t, a.monitored(spawn("Peer::broken")))
		if r.Kind() != aemp.ReasonDie && r.Kind() != aemp.ReasonNoSuchPort {
			t.Errorf("got reason %v", r)
		}
	})
	t.Run("linked", func(t *testing.T) {
		owner, _ := a.collector()
		linked := a.sys.Spawn("b", "Peer::linked", owner)
		died := a.monitored(linked)
		a.sys.Send(linked, "ping", self) // the setup comes before it
		wantMessage(t, next(t, got), "pong")
		settle()
		a.sys.Kill(owner, "gone", "away")
		wantReason(t, next(t, died), "gone", "away")
	})
}

func TestEndedMonitor(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	port, _ := b.collector()
	one := a.sys.Monitor(port, func(actor.Reason) { t.Error("ended monitor fired") })
	two := a.sys.Monitor(port, func(actor.Reason) { t.Error("ended monitor fired") })
	one()
	two()
	died := a.monitored(port)
	a.sys.Kill(port)
	wantReason(t, next(t, died))
}

func TestLinkDeathFiresMonitors(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	port, _ := b.collector()
	a.connect(t, b)
	var died []<-chan actor.Reason
	for _, p := range []actor.PortID{port, "b#x", "b", "b#"} {
		if p != "b#x" { // which does not exist
			died = append(died, a.monitored(p))
		}
	}
	onB := b.monitored(a.ID().NodePort())
	a.sys.Send(port, "x") // so that the monitors are known to be there
	b.Close()
	for _, d := range died {
		if r := next(t, d); r.Kind() != aemp.ReasonTransport || r[1] != "b" {
			t.Errorf("got reason %v, want a transport_error of b", r)
		}
		if len(d) > 0 {
			t.Error("a monitor fired twice")
		}
	}
	if r := next(t, onB); r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v, want transport_error", r)
	}
	next(t, a.events)
	if down, ok := next(t, a.events).(remote.NodeDown); !ok || down.Node != "b" || down.Reason.Kind() != aemp.ReasonTransport {
		t.Errorf("a was told %+v", down)
	}
}

func TestUnreachableNode(t *testing.T) {
	m := newMesh(t)
	a := m.start("a", func(c *remote.Config) {
		c.MonitorTimeout = 300 * time.Millisecond
		c.ConnectInterval = 100 * time.Millisecond
	})
	m.addresses["refuses"] = []string{"127.0.0.1:1"}
	letters := make(chan *proto.DeadLetterEvent, 10)
	a.sys.Actors().EventStream.Subscribe(func(e any) {
		if e, ok := e.(*proto.DeadLetterEvent); ok {
			letters <- e
		}
	})
	for _, node := range []actor.NodeID{"unknown", "refuses"} {
		died := a.monitored(node.Port("p"))
		a.sys.Send(node.Port("p"), "lost")
		if e := next(t, letters); actor.PortOf(e.PID) != node.Port("p") || e.Message.(actor.Message).String() != `["lost"]` {
			t.Errorf("got dead letter %v", e)
		}
		if r := next(t, died); r.Kind() != aemp.ReasonTransport || r[1] != string(node) {
			t.Errorf("got reason %v, want a transport_error of %s", r, node)
		}
		if err := a.Connect(deadline(t, 50*time.Millisecond), node); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connect: got error %v", err)
		}
	}
	if err := a.sys.Send("bad;node#p", "x"); !errors.Is(err, aemp.ErrInvalidID) {
		t.Errorf("got error %v, want ErrInvalidID", err)
	}
	if r := next(t, a.monitored("bad;node#p")); r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v", r)
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Programs may send before their system is a node, and while it becomes one.
func TestStartWhileOthersSend(t *testing.T) {
	b := newMesh(t).start("b")
	port := b.sys.Port(func(c *actor.Context) error {
		c.Receive("hello", func(*actor.Context, actor.Message) error { return nil })
		return nil
	})
	resolve := func(context.Context, actor.NodeID) ([]string, error) { return b.Addresses(), nil }
	sys := actor.NewSystem()
	var ended atomic.Bool
	var sending sync.WaitGroup
	defer sending.Wait()
	defer ended.Store(true)
	sending.Go(func() {
		for !ended.Load() {
			sys.Send(port, "hello")
		}
	})
	for range 5 {
		a, err := remote.Start(t.Context(), sys, remote.Config{NodeID: "a", Secret: secret, Resolve: resolve})
		if err != nil {
			t.Fatal(err)
		}
		next(t, b.events) // up
		a.Close()
		next(t, b.events) // down
	}
}

// A system keeps nothing of the nodes that it has been.
func TestClosedNodeIsNotKept(t *testing.T) {
	m := newMesh(t)
	b := m.start("b")
	port, got := b.collector()
	sys := actor.NewSystem()
	be := func() weak.Pointer[remote.Node] {
		a, err := remote.Start(t.Context(), sys, remote.Config{NodeID: "a", Secret: secret, Resolve: m.resolve})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			sys.Send(port, i)
			wantMessage(t, next(t, got), i)
			sys.Actors().Root.Send(sys.PID(port), actor.Message{i})
			wantMessage(t, next(t, got), i)
		}
		a.Close()
		return weak.Make(a)
	}
	for range 2 {
		kept := be()
		for end := time.Now().Add(patience); kept.Value() != nil; runtime.GC() {
			if time.Now().After(end) {
				t.Fatal("the node is still there")
			}
		}
	}
	runtime.KeepAlive(sys)
}

func TestReconnect(t *testing.T) {
	m := newMesh(t)
	a := m.start("a")
	for range 3 {
		b := m.start("b")
		port, got := b.collector()
		died := a.monitored(port)
		a.sys.Send(port, "hello")
		wantMessage(t, next(t, got), "hello")
		b.Close()
		next(t, died)
	}
}

func TestSeeds(t *testing.T) {
	m := newMesh(t)
	a := m.start("a")
	b := m.start("b", func(c *remote.Config) { c.Seeds = a.Addresses(); c.Resolve = nil; c.Listen = nil })
	if up, ok := next(t, a.events).(remote.NodeUp); !ok || up.Node != "b" {
		t.Fatalf("a was told %+v", up)
	}
	port, got := b.collector()
	a.sys.Send(port, "to a node that does not listen")
	next(t, got)
}

// A seed may be the node itself.
func TestSeedIsSelf(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	a := newMesh(t).start("a", func(c *remote.Config) { c.Listen = []string{address}; c.Seeds = []string{address} })
	for !strings.Contains(a.log.String(), "seed is this node") {
		if t.Context().Err() != nil {
			t.Fatal("it was not recognised")
		}
		time.Sleep(time.Millisecond)
	}
	if nodes := a.Nodes(); len(nodes) != 0 || len(a.log.warnings()) != 0 {
		t.Errorf("nodes %v, logged %q", nodes, a.log.warnings())
	}
}

func TestUnencodableMessage(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	port, got := b.collector()
	for range 2 { // before and after there is a connection
		if err := a.sys.Send(port, "x", make(chan int)); !errors.Is(err, aemp.ErrUnsupportedValue) {
			t.Errorf("got error %v, want ErrUnsupportedValue", err)
		}
		cyclic := []any{nil}
		cyclic[0] = cyclic
		if err := a.sys.Send(port, cyclic); !errors.Is(err, aemp.ErrUnsupportedValue) {
			t.Errorf("got error %v, want ErrUnsupportedValue", err)
		}
		a.sys.Send(port, "fine")
		wantMessage(t, next(t, got), "fine")
	}
}

func TestSecure(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b", func(c *remote.Config) { c.Secure = true })
	b.registerPeer()
	self, got := a.collector()
	port := a.sys.Spawn("b", "Peer::echo", self)
	wantReason(t, next(t, a.monitored(port)), aemp.NoSuchPort(port)...)
	a.sys.Send("b", "Peer::hello", self, "hi")
	a.sys.Send("b", "snd", self, "still here")
	wantMessage(t, next(t, got), "still here")
}

// What is wrong with a configuration is said at the start, and nothing is left.
func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*remote.Config){
		"NodeID":              func(c *remote.Config) { c.NodeID = "a#b" },
		"Secret":              func(c *remote.Config) { c.Secret = "" },
		"Seeds":               func(c *remote.Config) { c.Seeds = []string{"no port"} },
		"Listen":              func(c *remote.Config) { c.Listen = []string{"127.0.0.1:0", "256.0.0.1:1"} },
		"PendingBytes":        func(c *remote.Config) { c.PendingBytes = -1 },
		"Limits":              func(c *remote.Config) { c.Limits.MessageSize = -1 },
		"verifies no":         func(c *remote.Config) { c.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert} },
		"MaxHandshakes is":    func(c *remote.Config) { c.MaxHandshakes = -1 },
		"already a node":      func(c *remote.Config) {},
		"MonitorTimeout is n": func(c *remote.Config) { c.MonitorTimeout = -1 },
	} {
		sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
		if want == "already a node" {
			node, err := remote.Start(t.Context(), sys, remote.Config{NodeID: "first", Secret: secret})
			if err != nil {
				t.Fatal(err)
			}
			defer node.Close()
		}
		cfg := remote.Config{NodeID: "a", Secret: secret, Listen: []string{"127.0.0.1:0"}}
		change(&cfg)
		if node, err := remote.Start(t.Context(), sys, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, %v; want an error with %q", node, err, want)
		}
	}
}

// A node can choose who may spawn what.
func TestAllow(t *testing.T) {
	m := newMesh(t)
	a, c := m.start("a"), m.start("c")
	b := m.start("b", func(cfg *remote.Config) {
		cfg.Allow = func(node actor.NodeID, function string) bool { return node == "a" && function == "Peer::echo" }
	})
	b.registerPeer()
	for _, test := range []struct {
		from     *testNode
		function string
		allowed  bool
	}{{a, "Peer::echo", true}, {a, "Peer::linked", false}, {c, "Peer::echo", false}} {
		self, got := test.from.collector()
		port := test.from.sys.Spawn("b", test.function, self)
		died := test.from.monitored(port)
		test.from.sys.Send(port, "hello")
		if test.allowed {
			wantMessage(t, next(t, got), "echo", "hello")
		} else {
			wantReason(t, next(t, died), aemp.NoSuchPort(port)...)
		}
	}
}

// protoactor-go's own operations cross nodes by the PID.
func TestProtoactorAcrossNodes(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	served := make(chan any, 10)
	pid := b.sys.Actors().Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		switch msg := c.Message().(type) {
		case actor.Message:
			if tag, _ := msg.Tag(); tag == "add" {
				var x, y int
				if err := msg[1:].Scan(&x, &y); err != nil {
					panic(err)
				}
				c.Respond(actor.Message{"sum", x + y})
				return
			}
			served <- msg
		}
	}))
	far := proto.NewPID("b", pid.Id)
	root := a.sys.Actors().Root

	root.Send(far, actor.Message{"hello", 1})
	wantMessage(t, next(t, served).(actor.Message), "hello", 1)
	root.Send(far, "just a string")
	wantMessage(t, next(t, served).(actor.Message), "just a string")

	answer, err := root.RequestFuture(far, actor.Message{"add", 20, 22}, 10*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, answer.(actor.Message), "sum", 42)

	// An actor that asks by Request gets the answer as a message.
	terminated := make(chan *proto.Terminated, 10)
	answers := make(chan actor.Message, 10)
	asker := root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		switch msg := c.Message().(type) {
		case *proto.Started:
			c.Watch(far)
			c.Watch(far)
			c.Watch(proto.NewPID("b", "nosuch"))
			c.Request(far, actor.Message{"add", 1, 2})
		case *proto.Terminated:
			terminated <- msg
		case actor.Message:
			answers <- msg
		}
	}))
	wantMessage(t, next(t, answers), "sum", 3)
	if got := next(t, terminated); got.Who.Id != "nosuch" || got.Why != proto.TerminatedReason_NotFound {
		t.Errorf("got %v", got)
	}
	if err := root.StopFuture(far).Wait(); err != nil {
		t.Fatal(err)
	}
	if got := next(t, terminated); !got.Who.Equal(far) || got.Why != proto.TerminatedReason_Stopped {
		t.Errorf("got %v", got)
	}
	if len(terminated) > 0 {
		t.Error("Terminated came twice")
	}
	other := b.sys.Actors().Root.Spawn(proto.PropsFromFunc(func(proto.Context) {}))
	watcher := root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		switch msg := c.Message().(type) {
		case *proto.Started:
			c.Watch(proto.NewPID("b", other.Id))
			c.Send(asker, "ready")
		case *proto.Terminated:
			terminated <- msg
		}
	}))
	a.sys.Send("b", "snd", actor.PortOf(asker), "ready") // behind the monitor's request
	next(t, answers)
	b.Close()
	if got := next(t, terminated); got.Why != proto.TerminatedReason_AddressTerminated {
		t.Errorf("got %v", got)
	}
	root.Stop(watcher)
}

// What the system sends before Close arrives.
func TestCloseSendsWhatIsPending(t *testing.T) {
	m := newMesh(t)
	b := m.start("b")
	port, got := b.collector()
	a := m.start("a")
	a.connect(t, b)
	const n = 1000
	for i := range n {
		a.sys.Send(port, "n", i, make([]byte, 1000))
	}
	a.Close()
	for i := range n {
		if msg := next(t, got); msg[1] != int64(i) {
			t.Fatalf("got message %v, want %d", msg[1], i)
		}
	}
	if err := a.sys.Send(port, "x"); err == nil {
		t.Error("a closed node accepts messages")
	}
	a.Close()
}

// Two nodes that dial each other at once settle on one connection.
func TestCrossingDials(t *testing.T) {
	for i := range 200 {
		m := newMesh(t)
		a, b := m.start("a"), m.start("b")
		portA, gotA := a.collector()
		portB, gotB := b.collector()
		start := make(chan bool)
		for _, s := range []struct {
			from *testNode
			to   actor.PortID
		}{{a, portB}, {b, portA}} {
			go func() {
				<-start
				for j := range 10 {
					s.from.sys.Send(s.to, "n", j)
				}
			}()
		}
		close(start)
		for j := range 10 {
			wantMessage(t, next(t, gotA), "n", j)
			wantMessage(t, next(t, gotB), "n", j)
		}
		for _, n := range []*testNode{a, b} {
			if _, ok := next(t, n.events).(remote.NodeUp); !ok || len(n.events) > 0 {
				t.Errorf("round %d: %s saw more than one connection", i, n.ID())
			}
		}
		a.Close()
		b.Close()
	}
}

// A receiver that reads slowly stops its senders, who then hold no more than the
// high-water mark; nothing is lost.
func TestSlowReader(t *testing.T) {
	const mark, size, total = 64 << 10, 10000, 2000
	m := newMesh(t)
	a := m.start("a", func(c *remote.Config) { c.PendingBytes = mark })
	slow := rawPeer(t, a, "slow")
	payload := strings.Repeat("x", size)
	var sent atomic.Int64
	done := make(chan error, 1)
	go func() {
		for i := range total {
			if err := a.sys.Send("slow#port", i, payload); err != nil {
				done <- err
				return
			}
			sent.Add(1)
		}
		done <- nil
	}()
	// The sockets' buffers take some, then the mark does; then it stands still.
	var before int64
	for still := 0; still < 20; {
		time.Sleep(10 * time.Millisecond)
		if now := sent.Load(); now == before && now > 0 {
			still++
		} else {
			before, still = now, 0
		}
	}
	if before == total {
		t.Errorf("%d messages were accepted though nobody reads", before)
	}
	for i := range total {
		slow.hear(t, fmt.Sprintf(`["port",%d,"%s"]`, i, payload))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A port that cannot keep up, and has a bounded mailbox for which senders wait,
// slows its senders down across nodes; nothing is lost.
func TestSlowPortSlowsItsSenders(t *testing.T) {
	const total, size = 400, 20000
	m := newMesh(t)
	a := m.start("a", func(c *remote.Config) { c.PendingBytes = 64 << 10 })
	b := m.start("b")
	gate, got := make(chan bool), make(chan int64, total)
	port := b.sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			<-gate
			got <- m[0].(int64)
			return nil
		})
		return nil
	}, actor.Mailbox{Size: 4, Full: actor.WaitFor(patience)})
	var sent atomic.Int64
	payload := strings.Repeat("x", size)
	go func() {
		for i := range total {
			a.sys.Send(port, i, payload)
			sent.Add(1)
		}
	}()
	var before int64
	for still := 0; still < 20; {
		time.Sleep(10 * time.Millisecond)
		if now := sent.Load(); now == before && now > 0 {
			still++
		} else {
			before, still = now, 0
		}
	}
	if before == total {
		t.Error("the sender was not slowed down")
	}
	close(gate)
	for i := range int64(total) {
		if g := next(t, got); g != i {
			t.Fatalf("got message %d, want %d", g, i)
		}
	}
}

// A receiver that does not read at all loses the connection in the end.
func TestSlowPeer(t *testing.T) {
	m := newMesh(t)
	a := m.start("a", func(c *remote.Config) {
		c.PendingBytes = 64 << 10
		c.MonitorTimeout = time.Second
	})
	slow := rawPeer(t, a, "slow")
	died := a.monitored("slow")
	payload := make([]byte, 10000)
	for i := 0; ; i++ {
		if err := a.sys.Send("slow#port", i, payload); err != nil {
			if !errors.Is(err, remote.ErrSlowPeer) {
				t.Errorf("got error %v, want ErrSlowPeer", err)
			}
			break
		}
		if i > 100000 {
			t.Fatal("the sender is never stopped")
		}
	}
	if r := next(t, died); r.Kind() != aemp.ReasonTransport {
		t.Errorf("got reason %v", r)
	}
	slow.Close()
}
