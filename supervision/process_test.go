package supervision_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/remote"
	sv "github.com/portmesh/portmesh/supervision"
)

// These tests supervise children in other processes, which are this test
// program again, and do to them what happens to processes.

const (
	secret   = "supervision test"
	patience = 20 * time.Second
)

// program is what this test program is when a test starts it again.
func program() {
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "run":
		runProgram(args[0])
	case "context":
		contextProgram()
	case "node":
		err = nodeProgram(actor.NodeID(args[0]))
	case "boss":
		err = bossProgram(args[0], args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beater is a child that sends its port to a witness again and again.
func beater(c *actor.Context, args actor.Message) error {
	var witness actor.PortID
	if err := args.Scan(&witness); err != nil {
		return err
	}
	c.Default(func(*actor.Context, actor.Message) error { return nil })
	var beat func(c *actor.Context) error
	beat = func(c *actor.Context) error {
		c.After(20*time.Millisecond, beat)
		return c.Send(witness, "beat", c.Self())
	}
	return beat(c)
}

func startNode(id actor.NodeID, resolve func(context.Context, actor.NodeID) ([]string, error)) (*actor.System, *remote.Node, error) {
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err := sv.Register(sys, "Beat::init", beater); err != nil {
		return nil, nil, err
	}
	node, err := remote.Start(context.Background(), sys, remote.Config{
		NodeID: id, Secret: secret, Listen: []string{"127.0.0.1:0"}, Resolve: resolve,
		SilenceTimeout: 2 * time.Second, MonitorTimeout: 4 * time.Second, ConnectInterval: 500 * time.Millisecond,
	})
	return sys, node, err
}

// nodeProgram is a node on which children can be started, until its input ends.
func nodeProgram(id actor.NodeID) error {
	_, node, err := startNode(id, nil)
	if err != nil {
		return err
	}
	fmt.Println(node.Addresses()[0])
	io.Copy(io.Discard, os.Stdin)
	return node.Close()
}

// bossProgram has a supervisor whose child is on the node that started it.
func bossProgram(address, witness string) error {
	sys, _, err := startNode("boss", func(context.Context, actor.NodeID) ([]string, error) {
		return []string{address}, nil
	})
	if err != nil {
		return err
	}
	_, err = sv.Start(context.Background(), sys, sv.Spec{Children: []sv.Child{{ID: "w", Start: sv.Remote{
		Node: "a", Function: "Beat::init", Args: []any{witness}, Orphan: 500 * time.Millisecond,
	}}}})
	if err == nil {
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
	}
	return err
}

// A realm is this process as a node, and the processes that it has started.
type realm struct {
	t         *testing.T
	sys       *actor.System
	node      *remote.Node
	witness   actor.PortID
	beats     chan actor.PortID
	events    chan sv.Event
	addresses sync.Map // actor.NodeID to string
}

func newRealm(t *testing.T) *realm {
	t.Parallel() // these tests wait more than they work
	r := &realm{t: t, beats: make(chan actor.PortID), events: make(chan sv.Event, 1000)}
	var err error
	r.sys, r.node, err = startNode("a", func(_ context.Context, node actor.NodeID) ([]string, error) {
		if address, ok := r.addresses.Load(node); ok {
			return []string{address.(string)}, nil
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.node.Close() })
	r.sys.Actors().EventStream.Subscribe(func(event any) {
		if e, ok := event.(sv.Event); ok {
			r.events <- e
		}
	})
	r.witness = r.sys.Port(func(c *actor.Context) error {
		c.Receive("beat", func(_ *actor.Context, m actor.Message) error {
			var port actor.PortID
			if err := m.Scan(&port); err != nil {
				return err
			}
			select {
			case r.beats <- port:
			default: // nobody looks
			}
			return nil
		})
		return nil
	})
	return r
}

// nodes starts processes that are nodes.
func (r *realm) nodes(ids ...actor.NodeID) map[actor.NodeID]*proctest.Process {
	r.t.Helper()
	processes := make(map[actor.NodeID]*proctest.Process)
	for _, id := range ids {
		p := proctest.Start(r.t, "node", string(id))
		r.addresses.Store(id, p.Line())
		processes[id] = p
	}
	return processes
}

func (r *realm) start(wait time.Duration, nodes ...actor.NodeID) *sv.Supervisor {
	r.t.Helper()
	s, err := sv.Start(r.t.Context(), r.sys, sv.Spec{Intensity: 5, Children: []sv.Child{{
		ID: "w", Lost: sv.Lost{Wait: wait},
		Start: sv.Remote{
			Nodes:    func(context.Context) ([]actor.NodeID, error) { return nodes, nil },
			Function: "Beat::init", Args: []any{r.witness},
		},
	}}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			r.t.Error(err)
		}
	})
	return s
}

// want waits for an event of the child.
func (r *realm) want(kind sv.EventKind) sv.Event {
	r.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case e := <-r.events:
			if e.Kind == kind && e.Path == "w" {
				return e
			}
		case <-timeout:
			r.t.Fatalf("no event %q came", kind)
		}
	}
}

// wantBeats waits until only one port has been heard of for a while.
func (r *realm) wantBeats(port actor.PortID) {
	r.t.Helper()
	for n, timeout := 0, time.After(patience); n < 10; {
		select {
		case beat := <-r.beats:
			if n++; beat != port {
				n = 0
			}
		case <-timeout:
			r.t.Fatalf("%s is not, or not alone, alive", port)
		}
	}
}

func TestKilledProcess(t *testing.T) {
	r := newRealm(t)
	processes := r.nodes("b", "c")
	r.start(500*time.Millisecond, "b", "c")
	old := r.want(sv.Started).Port
	r.wantBeats(old)
	processes[old.Node()].Signal(os.Kill)
	r.want(sv.NodeLost)
	now := r.want(sv.Started).Port
	if now.Node() == old.Node() {
		t.Errorf("it is started again on %s, which is dead", now.Node())
	}
	r.wantBeats(now)
}

// A process that is killed and comes back at once need not be waited for.
func TestRestartedProcess(t *testing.T) {
	r := newRealm(t)
	processes := r.nodes("b")
	r.start(time.Hour, "b")
	old := r.want(sv.Started).Port
	processes["b"].Signal(os.Kill)
	r.want(sv.NodeLost)
	r.nodes("b")
	now := r.want(sv.Started).Port
	if now == old {
		t.Error("the port's name has come back")
	}
	r.wantBeats(now)
}

func TestStoppedProcess(t *testing.T) {
	t.Run("shorter than the limit", func(t *testing.T) {
		r := newRealm(t)
		processes := r.nodes("b", "c")
		r.start(time.Minute, "b", "c")
		port := r.want(sv.Started).Port
		processes[port.Node()].Signal(syscall.SIGSTOP)
		r.want(sv.NodeLost)
		processes[port.Node()].Signal(syscall.SIGCONT)
		if e := r.want(sv.NodeFound); e.Port != port {
			t.Errorf("found %s, want %s", e.Port, port)
		}
		r.wantBeats(port)
	})
	t.Run("longer than the limit", func(t *testing.T) {
		r := newRealm(t)
		processes := r.nodes("b", "c")
		r.start(300*time.Millisecond, "b", "c")
		old := r.want(sv.Started).Port
		processes[old.Node()].Signal(syscall.SIGSTOP)
		r.want(sv.NodeLost)
		now := r.want(sv.Started).Port
		if now.Node() == old.Node() {
			t.Errorf("it is started again on %s, which is frozen", now.Node())
		}
		r.wantBeats(now)
		processes[old.Node()].Signal(syscall.SIGCONT)
		if e := r.want(sv.Fenced); e.Port != old {
			t.Errorf("%s is dead, want %s", e.Port, old)
		}
		r.wantBeats(now)
	})
}

// A wire is what lies between this process and another: it can be cut.
type wire struct {
	to       string
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	conns    []net.Conn
	copies   sync.WaitGroup
}

// cable puts a wire before a node.
func (r *realm) cable(node actor.NodeID) *wire {
	r.t.Helper()
	to, _ := r.addresses.Load(node)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	w := &wire{to: to.(string), listener: l}
	r.addresses.Store(node, l.Addr().String())
	w.copies.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			w.connect(in)
		}
	})
	r.t.Cleanup(func() {
		l.Close()
		w.set(true)
		w.copies.Wait()
	})
	return w
}

func (w *wire) connect(in net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		in.Close()
		return
	}
	out, err := net.Dial("tcp", w.to)
	if err != nil {
		in.Close()
		return
	}
	w.conns = append(w.conns, in, out)
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		w.copies.Go(func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
		})
	}
}

// set breaks all connections; and lets no new ones through, if cut is true.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, conn := range w.conns {
		conn.Close()
	}
	w.conns = nil
}

func TestCutLink(t *testing.T) {
	t.Run("for a moment", func(t *testing.T) {
		r := newRealm(t)
		r.nodes("b", "c")
		b, c := r.cable("b"), r.cable("c")
		r.start(time.Minute, "b", "c")
		port := r.want(sv.Started).Port
		for range 3 {
			b.set(false)
			c.set(false)
			if e := r.want(sv.NodeFound); e.Port != port {
				t.Errorf("found %s, want %s", e.Port, port)
			}
		}
		r.wantBeats(port)
	})
	t.Run("for long", func(t *testing.T) {
		r := newRealm(t)
		r.nodes("b", "c")
		wires := map[actor.NodeID]*wire{"b": r.cable("b"), "c": r.cable("c")}
		r.start(600*time.Millisecond, "b", "c")
		old := r.want(sv.Started).Port
		wires[old.Node()].set(true)
		now := r.want(sv.Started).Port
		if now.Node() == old.Node() {
			t.Errorf("it is started again on %s, which cannot be reached", now.Node())
		}
		r.wantBeats(now)
		wires[old.Node()].set(false)
		if e := r.want(sv.Fenced); e.Port != old {
			t.Errorf("%s is dead, want %s", e.Port, old)
		}
		r.wantBeats(now)
	})
}

// When the process of a supervisor is killed, its children elsewhere end.
func TestKilledBoss(t *testing.T) {
	r := newRealm(t)
	boss := proctest.Start(t, "boss", r.node.Addresses()[0], string(r.witness))
	boss.Expect("ready")
	worker := <-r.beats
	died := make(chan actor.Reason, 1)
	r.sys.Monitor(worker, func(reason actor.Reason) { died <- reason })
	r.wantBeats(worker)
	boss.Signal(os.Kill)
	select {
	case reason := <-died:
		if reason.Kind() != "shutdown" {
			t.Errorf("it died of %v", reason)
		}
	case <-time.After(patience):
		t.Error("it lives on")
	}
}
