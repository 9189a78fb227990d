package remote_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// Every form of monitor, every way of dying, wherever the port is: a monitor
// fires once, with the right reason, or not at all.

// The places of the ports that die. Who monitors them is at node a.
const local, onGo, perl1, perl2 = "local", "Go", "Perl 1.x", "Perl 2.x"

var places = []string{local, onGo, perl1, perl2}
var nobody = actor.LocalNode.Port("nobody") // does not exist

// senseless tells, by place, why a case makes no sense there.
type senseless map[string]string

var (
	unconnected = senseless{local: "there is no connection to a port of one's own system"}
	elsewhere   = senseless{onGo: "the port is elsewhere", perl1: "the port is elsewhere", perl2: "the port is elsewhere"}
	onlyPanic   = senseless{perl1: "Perl code can only die, as above", perl2: "Perl code can only die, as above"}
	onlyGo      = senseless{perl1: "Perl reads nothing during a receive", perl2: "Perl reads nothing during a receive"}
	onlyPerl    = senseless{local: "there is no telling", onGo: "our nodes tell it once"}
)

// In each case there is a port and a monitor of one form on it.
var matrix = []struct {
	name  string
	not   senseless
	steps []step
}{
	{"normal kill", nil, []step{kill(), fires()}},
	{"kill with a reason", nil, []step{kill("gone", 3, []any{"x"}), fires("gone", 3, []any{"x"})}},
	{"receiver error", nil, []step{send("fail"), fires("die", "told to fail")}},
	{"panic", onlyPanic, []step{send("panic"), fires("die", "lost my head")}},
	{"unhandled message", nil, []step{send("surprise", 1), func(w *world) { w.fires(w.unhandled...) }}},
	{"killed by itself", nil, []step{send("leave"), send("fail"), fires("enough", 1)}},
	{"nonexistent port", nil, []step{stop, func(w *world) { w.watch(w.node.Port("nosuchport")) }, noSuchPort}},
	{"link loss", unconnected, []step{cut, lost, again, silent, kill("really", "dead"), fires("really", "dead")}},
	{"node death", unconnected, []step{die, lost, again, noSuchPort}},
	{"death of the node port", unconnected, []step{stop, func(w *world) { w.watch(w.node.NodePort()) }, silent, cut, lost}},
	{"own node closed, port elsewhere", unconnected, []step{closeOwn, lost}},
	{"own node closed, port here", elsewhere, []step{closeOwn, silent, kill("gone"), fires("gone")}},
	{"double kill", nil, []step{kill("first"), kill("second"), fires("first"), kill("third"), silent}},
	{"kill during a receive", onlyGo, []step{work, kill("gone"), silent, finish(nil), fires("gone")}},
	{"kill during a receive that fails", onlyGo, []step{work, kill("gone"), silent, finish(errText("ill")), fires("die", "ill")}},
	{"double kill during a receive", onlyGo, []step{work, kill("1st"), kill("2nd"), silent, finish(nil), fires("1st")}},
	{"normal kill and another", onlyGo, []step{work, kill(), kill("2nd"), silent, finish(nil), fires()}},
	{"cancel before the death", nil, []step{stop, noMonitors, again, stop, kill("gone"), fires("gone")}},
	{"cancel one of two", nil, []step{again, stop, silent, kill("gone"), fires("gone")}},
	{"cancel after it has fired", nil, []step{kill("gone"), fires("gone"), stop, stop, silent}},
	{"monitor after the death", nil, []step{kill("gone"), fires("gone"), again, noSuchPort}},
	{"death told twice", onlyPerl, []step{send("fail twice"), fires("die", "told to fail")}},
}

// A step is done or seen at node a, which has the monitors.
type step func(w *world)

func kill(reason ...any) step  { return func(w *world) { w.a.sys.Kill(w.port, reason...) } }
func send(msg ...any) step     { return func(w *world) { w.a.sys.Send(w.port, msg...) } }
func fires(reason ...any) step { return func(w *world) { w.t.Helper(); w.fires(reason...) } }
func finish(err error) step    { return func(w *world) { w.result <- err } }
func cut(w *world)             { w.cut() }
func die(w *world)             { w.die() }
func closeOwn(w *world)        { w.closed = true; w.a.Close() }
func work(w *world)            { send("work")(w); next(w.t, w.working) }
func stop(w *world)            { w.all[0].stop() }
func again(w *world)           { w.watch(w.port) }
func silent(w *world)          { w.silent() }
func noMonitors(w *world)      { w.silent(); w.wantMonitors(0) }
func lost(w *world)            { w.fires("transport_error", w.node) }
func noSuchPort(w *world)      { w.fires(aemp.NoSuchPort(w.x.port)...) }

// everywhere runs a test for each form of monitor on a port in each place.
func everywhere(t *testing.T, not senseless, test func(t *testing.T, w *world)) {
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			if reason := not[place]; reason != "" {
				t.Skip("makes no sense: " + reason)
			}
			w := newWorld(t, place)
			for _, f := range forms {
				w.form, w.all = f, nil
				w.renew()
				if !t.Run(f.name, func(t *testing.T) { w.t = t; test(t, w) }) || w.closed {
					w = newWorld(t, place)
				}
			}
		})
	}
}

func TestMonitorMatrix(t *testing.T) {
	for _, test := range matrix {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, test.not, func(t *testing.T, w *world) {
				w.watch(w.port)
				w.settle()
				for _, step := range test.steps {
					step(w)
				}
				noMonitors(w)
			})
		})
	}
}

func TestThousandMonitorsOfOnePort(t *testing.T) {
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			w := newWorld(t, place)
			for i := range 1000 {
				w.form = forms[i%len(forms)]
				w.watch(w.port)
			}
			w.settle()
			w.wantMonitors(1) // a node asks once for all
			kill("gone")(w)
			for _, x := range w.all {
				x.wantFired("gone")
			}
			noMonitors(w)
		})
	}
}

func TestThousandEndedMonitorsLeaveNothing(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world) {
		for range 1000 {
			w.watch(w.port).stop()
		}
		noMonitors(w)
	})
}

// What dies ends its monitors.
func TestDeadWatchersEndTheirMonitors(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world) {
		if !w.form.owned {
			t.Skip("a monitor of the system belongs to no port")
		}
		x := w.watch(w.port)
		w.settle()
		w.wantMonitors(1)
		died := w.a.monitored(x.owner)
		w.a.sys.Kill(x.owner, "owner")
		wantReason(t, next(t, died), "owner")
		w.settle()
		w.wantMonitors(0)
	})
}

// A monitor can be ended while its callback is on the way.
func TestCancelUnderWay(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world) {
		if !strings.HasSuffix(w.form.name, ".Monitor") {
			t.Skip("it calls nothing")
		}
		x, busy := w.watch(w.port), make(chan bool)
		w.a.sys.Monitor(nobody, func(actor.Reason) { <-busy })
		w.a.sys.Send(x.owner, "do", func(*actor.Context) { <-busy })
		w.a.sys.MonitorMessage(w.port, w.here, "died")
		kill("gone")(w)
		wantMessage(t, next(t, w.got), "died", "gone")
		x.stop()
		close(busy)
		w.silent()
	})
}

// A form is a way of monitoring.
type form struct {
	name  string
	owned bool // the monitor ends with its owner
	start func(x *watching, port actor.PortID) (stop func())
}

var forms = []form{
	{"System.Monitor", false, func(x *watching, port actor.PortID) func() { return x.w.a.sys.Monitor(port, x.tell) }},
	{"Context.Monitor", true, func(x *watching, port actor.PortID) func() {
		return x.do(func(c *actor.Context) func() { return c.Monitor(port, x.tell) })
	}},
	{"System.MonitorMessage", false, func(x *watching, port actor.PortID) func() {
		return x.w.a.sys.MonitorMessage(port, x.owner, "died", "why:")
	}},
	{"System.Link", false, func(x *watching, port actor.PortID) func() { return x.w.a.sys.Link(port, x.owner) }},
	{"Context.Link", true, func(x *watching, port actor.PortID) func() {
		return x.do(func(c *actor.Context) func() { return c.Link(port) })
	}},
	{"Watch", true, func(x *watching, port actor.PortID) func() {
		pid, root, done := x.w.a.sys.PID(port), x.w.a.sys.Actors().Root, make(chan bool)
		watcher := root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
			switch m := c.Message().(type) {
			case func(proto.Context):
				m(c)
				done <- true
			case *proto.Terminated:
				x.fired <- m.Why.String()
			}
		}))
		do := func(f func(proto.Context)) { root.Send(watcher, f); next(x.w.t, done) }
		x.owner, x.flush = actor.PortOf(watcher), func() { do(func(proto.Context) {}) }
		do(func(c proto.Context) { c.Watch(pid) })
		return func() { do(func(c proto.Context) { c.Unwatch(pid) }) }
	}},
}

func (x *watching) tell(r actor.Reason) { x.fired <- inWords(r) }

// inWords leaves out the text of a transport error, which is for people.
func inWords(r actor.Reason) string {
	if len(r) == 3 && r.Kind() == aemp.ReasonTransport && r[2] != "" {
		r = r[:2]
	}
	return "died: " + actor.Message(r).String()
}

// A watching is a monitor and what it has done.
type watching struct {
	form
	w     *world
	port  actor.PortID
	owner actor.PortID // a port for the monitor to act upon or to belong to
	stop  func()
	flush func() // waits until all that was caused before has been noticed
	fired chan string
}

func (w *world) watch(port actor.PortID) *watching {
	x := &watching{form: w.form, w: w, port: port, fired: make(chan string, 10)}
	x.flush = func() { x.do(func(*actor.Context) func() { return nil }); next(w.t, w.a.monitored(nobody)) }
	x.owner = w.a.sys.Port(func(c *actor.Context) error {
		c.Receive("do", func(c *actor.Context, m actor.Message) error { m[0].(func(*actor.Context))(c); return nil })
		c.Receive("died", func(_ *actor.Context, m actor.Message) error { x.tell(actor.Reason(m[1:])); return nil })
		return nil
	})
	w.a.sys.Monitor(x.owner, x.tell) // a link kills it
	x.stop = x.start(x, port)
	w.x, w.all = x, append(w.all, x)
	return x
}

// do runs a function in the owner, behind all that it was sent before, unless
// that has killed it, and returns its result.
func (x *watching) do(f func(*actor.Context) func()) (result func()) {
	done := make(chan bool, 2)
	x.w.a.sys.Monitor(x.owner, func(actor.Reason) { done <- true })
	x.w.a.sys.Send(x.owner, "do", func(c *actor.Context) { result = f(c); done <- true })
	next(x.w.t, done)
	return result
}

// terminated is what Watch tells, by the kind of reason; Stopped for all others.
var terminated = map[string]proto.TerminatedReason{
	aemp.ReasonNoSuchPort: proto.TerminatedReason_NotFound,
	aemp.ReasonTransport:  proto.TerminatedReason_AddressTerminated,
}

func (x *watching) wantFired(reason ...any) {
	x.w.t.Helper()
	if strings.HasSuffix(x.name, "Link") && len(reason) == 0 {
		// Nothing comes of it. Another monitor fires behind this one.
		next(x.w.t, x.w.a.monitored(x.port))
		return
	}
	want := inWords(reason)
	if x.name == "Watch" {
		want = terminated[actor.Reason(reason).Kind()].String()
	}
	if got := next(x.w.t, x.fired); got != want {
		x.w.t.Errorf("got %q, want %q", got, want)
	}
}

// fires waits until the last monitor has fired, and sees that none does again.
func (w *world) fires(reason ...any) {
	w.t.Helper()
	w.x.wantFired(reason...)
	w.silent()
}

// silent sees that no monitor fires, by round trips which would come behind it.
func (w *world) silent() {
	w.t.Helper()
	w.settle()
	for i, x := range w.all {
		x.flush()
		if len(x.fired) > 0 {
			w.t.Errorf("got %q from monitor %d, want nothing", next(w.t, x.fired), i)
		}
	}
}

// A world is node a, and a place with a port that can be killed.
type world struct {
	t      *testing.T
	form   form
	m      *mesh
	a      *testNode
	here   actor.PortID // at node a
	got    <-chan actor.Message
	dialed net.Conn  // by node a, last
	closed bool      // node a is
	x      *watching // the last of all
	all    []*watching

	// The place.
	node      actor.NodeID
	port      actor.PortID
	unhandled actor.Reason // that the port gives
	working   chan bool    // the port is busy
	result    chan error   // of its work
	cut, die  func()       // break the connection; end the node
	renew     func()       // makes a port
	revive    func()       // makes the node reachable again
	monitors  func() int   // that node a has there
}

func newWorld(t *testing.T, place string) *world {
	w := &world{t: t, m: newMesh(t), working: make(chan bool), result: make(chan error), revive: func() {}}
	w.a = w.m.start("a", func(c *remote.Config) {
		c.Dial = func(ctx context.Context, address string) (nc net.Conn, err error) {
			w.dialed, err = new(net.Dialer).DialContext(ctx, "tcp", address)
			return w.dialed, err
		}
	})
	w.here, w.got = w.a.collector()
	w.unhandled = actor.Reason{"unhandled_message", "no callback found for message 'surprise'"}
	switch place {
	case local:
		w.node, w.renew = "a", func() { w.port = w.a.sys.Port(w.mortal) }
	case onGo:
		w.startGo()
	default:
		w.startPerl(place)
	}
	w.renew()
	w.settle()
	return w
}

// startGo makes the place a second node like the first.
func (w *world) startGo() {
	b := w.m.start("b")
	w.node, w.renew = "b", func() { w.port = b.sys.Port(w.mortal) }
	w.cut = func() {
		w.dialed.Close()
		w.revive = func() { next(w.t, b.events); next(w.t, b.events) } // up, and down again
	}
	w.die = func() { b.Close(); w.revive = func() { b = w.m.start("b") } }
	w.monitors = func() int { return b.Stats()[0].Monitors }
}

// mortal is the setup of a port that can die in many ways.
func (w *world) mortal(c *actor.Context) error {
	c.Receive("fail", func(*actor.Context, actor.Message) error { return errText("told to fail") })
	c.Receive("panic", func(*actor.Context, actor.Message) error { panic("lost my head") })
	c.Receive("leave", func(c *actor.Context, _ actor.Message) error { c.Kill("enough", 1); return nil })
	c.Receive("work", func(*actor.Context, actor.Message) error { w.working <- true; return <-w.result })
	return nil
}

// settle waits until the place has dealt with all that node a asked for, and
// what it has to say about that has come.
func (w *world) settle() {
	w.t.Helper()
	if w.closed {
		return
	}
	w.revive()
	w.revive = func() {}
	w.a.sys.Send(w.node.NodePort(), "snd", w.here, "settled")
	wantMessage(w.t, next(w.t, w.got), "settled")
}

func (w *world) wantMonitors(want int) {
	w.t.Helper()
	if w.monitors == nil || w.closed {
		return
	}
	if got := w.monitors(); got != want {
		w.t.Errorf("got %d monitors of a at %s, want %d", got, w.node, want)
	}
}

// startPerl makes the place a node that speaks as those of AnyEvent::MP in the
// recordings do, as far as monitors go.
func (w *world) startPerl(place string) {
	w.node, w.port = "perl", "perl#mortal"
	p := &perlNode{w: w, greeting: "aemp;1;perl;hmac_sha3_512;json;mproto=1;gproto=1;provider=AE-2.01", killTag: "kil1"}
	if place == perl1 {
		p.greeting, p.killTag = "aemp;1;perl;hmac_md6_64_256;json;provider=AE-1.30", "kil"
		w.unhandled = actor.Reason{"die", "received message on port without callback"}
	}
	w.renew = func() { p.mu.Lock(); defer p.mu.Unlock(); p.alive = true }
	w.cut = func() { p.conn.Close(); w.revive = func() { p.connect(true) } }
	w.die = func() {
		p.conn.(*net.TCPConn).SetLinger(0) // a reset, as of a process that was killed
		p.conn.Close()
		w.revive = func() { p.connect(false) }
	}
	w.monitors = func() int { p.mu.Lock(); defer p.mu.Unlock(); return p.monitored }
	p.connect(true)
}

// A perlNode is a node with one port, which is on a connection.
type perlNode struct {
	w                 *world
	greeting, killTag string
	conn              net.Conn
	loop              sync.WaitGroup // run
	mu                sync.Mutex
	alive             bool // the port is
	monitored         int  // 1 if node a monitors the port
}

func (p *perlNode) connect(alive bool) {
	p.loop.Wait()
	nc, err := net.Dial("tcp", p.w.a.Addresses()[0])
	if err != nil {
		p.w.m.t.Fatal(err)
	}
	p.w.m.t.Cleanup(func() { nc.Close(); p.loop.Wait() })
	nc.SetDeadline(time.Now().Add(patience))
	p.conn, p.alive, p.monitored = nc, alive, 0
	fmt.Fprintf(nc, "%s\nnonce\ncleartext;%x;json\n", p.greeting, secret)
	p.loop.Go(p.run)
}

// run answers until the connection ends.
func (p *perlNode) run() {
	defer p.conn.Close()
	r := bufio.NewReader(p.conn)
	for range 3 { // the handshake
		r.ReadString('\n')
	}
	for d := json.NewDecoder(r); ; {
		var m []any
		if d.Decode(&m) != nil {
			return
		}
		p.mu.Lock()
		p.receive(m)
		p.mu.Unlock()
	}
}

// receive carries out a request, or a message to the port.
func (p *perlNode) receive(m []any) {
	name := p.w.port.Name()
	switch tag := fmt.Sprint(m[1]); {
	case m[0] == name && tag == "leave":
		p.end("enough", 1)
	case m[0] == name && tag == "fail":
		p.end("die", "told to fail")
	case m[0] == name && tag == "fail twice":
		p.end("die", "told to fail")
		p.say("", "kil0", name, "die", "once more")
	case m[0] == name:
		p.end(p.w.unhandled...)
	case tag == p.killTag && m[2] == name:
		p.end(m[3:]...)
	case tag == "snd":
		p.say(append([]any{p.w.here.Name()}, m[3:]...)...)
	case tag == "mon1" && p.alive && m[2] == name:
		p.monitored = 1
	case tag == "mon1":
		p.say("", "kil0", m[2], "no_such_port", "cannot monitor nonexistent port", fmt.Sprint("perl#", m[2]))
	case tag == "mon0":
		p.monitored = 0
	case tag != "":
		p.w.m.t.Errorf("got %v at the Perl node, want a known request", m)
	}
}

// end is the death of the port.
func (p *perlNode) end(reason ...any) {
	if p.monitored > 0 {
		p.say(append([]any{"", "kil0", p.w.port.Name()}, reason...)...)
	}
	p.alive, p.monitored = false, 0
}

func (p *perlNode) say(m ...any) { json.NewEncoder(p.conn).Encode(m) }
