package remotetest_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// Random operations on a mesh whose network is bad, checked against what a
// simple model of the promises allows:
//
//   - What a node sends to a port arrives in order, and nothing arrives behind
//     a hole before the monitor has fired.
//   - A monitor fires once, for a reason that there was; and not while nothing
//     has happened to the port, its node, and the way there.
//   - When all has calmed down, nothing is missing: neither messages whose
//     monitor has not fired, nor the monitors and links of dead ports, nor the
//     effect of kills that nothing got in the way of.
//
// The order in which goroutines run is not part of a seed, so that a failure
// may need several runs to come again:
//
//	go test ./remote/remotetest -run TestModel -model.seed=17 -count=20
//	go test ./remote/remotetest -run TestModel -model.time=5m -timeout 10m
var (
	modelTime = flag.Duration("model.time", 8*time.Second, "how long TestModel goes on")
	modelSeed = flag.Uint64("model.seed", 0, "the only seed that TestModel tries; 0 means random ones")
)

func TestModel(t *testing.T) {
	end := time.Now().Add(*modelTime)
	if testing.Short() {
		end = time.Now().Add(time.Second)
	}
	for seed := rand.Uint64N(1e6); ; seed++ {
		if *modelSeed != 0 {
			seed = *modelSeed
		}
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed).run() })
		})
		if !ok || *modelSeed != 0 || time.Now().After(end) {
			return
		}
	}
}

// How large a run is.
const (
	modelNodes   = 4
	modelRounds  = 5
	modelWorkers = 4
	modelOps     = 300 // by each worker in a round
	modelPorts   = 200 // that are aimed at
	roundTime    = 20 * time.Second
	// settleTime is longer than any timeout: silence is noticed after 40
	// seconds, and 30 seconds later all attempts to connect are over.
	settleTime = 3 * time.Minute
)

// A world is a mesh and what has been done to it.
type world struct {
	t    *testing.T
	mesh *remotetest.Mesh
	rand *rand.Rand // for the goroutine of the test
	over atomic.Bool
	// pending is the high-water mark of all nodes; zero is the usual one, at
	// which nobody here has to wait.
	pending int
	history []string

	mu        sync.Mutex
	members   []*member
	ports     []*modelPort
	born      sync.Map // actor.PortID: *member, where the port came to be
	flows     map[flowKey]*flow
	flowsByID []*flow
	monitors  []*modelMonitor
	links     []*modelLink
	kills     []modelKill              // of this round
	troubled  map[[2]actor.NodeID]bool // ways to which something has happened in this round
	lastID    int
	failures  int
}

// A member is a node from its start to its crash.
type member struct {
	id   actor.NodeID
	node *remotetest.Node

	alive atomic.Bool // set to false before it crashes
}

// A modelPort is a port and all that may be the reason of its death.
type modelPort struct {
	id   actor.PortID
	node actor.NodeID
	// Others may aim at the port only when it has come to be.
	spawner *member

	// Guarded by the lock of the world.
	normal  bool            // it was killed without a reason
	reasons map[string]bool // the reasons of kills, and failures
	sources []*modelPort    // it is linked to these
}

// A flow is what one node sends to one port, numbered anew behind each firing
// of its monitor.
type flow struct {
	w      *world
	number int
	from   *member
	to     *modelPort

	// sending holds a token while a message is being sent, or the monitor
	// fires, so that it is clear which was first. It is a channel because a
	// goroutine that waits for a mutex keeps the time of a bubble from going
	// on, and Send may wait.
	sending chan bool

	mu        sync.Mutex // for the rest
	epoch     int
	sent      int // in this epoch
	monitored bool
	gotEpoch  int
	got       int // in that epoch
	history   []flowEvent
}

type flowKey struct {
	from *member
	to   *modelPort
}

type flowEvent struct {
	at         time.Time
	what       string
	epoch, seq int
}

type modelMonitor struct {
	from    *member
	to      *modelPort
	fired   []actor.Reason
	stopped bool
}

type modelLink struct {
	from         *member
	port, victim *modelPort
}

type modelKill struct {
	from *member
	to   *modelPort
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t:        t,
		mesh:     remotetest.NewMesh(nil),
		rand:     rand.New(rand.NewPCG(seed, seed)),
		flows:    make(map[flowKey]*flow),
		troubled: make(map[[2]actor.NodeID]bool),
	}
}

func (w *world) run() {
	if w.rand.IntN(2) == 0 {
		w.pending = 32 << 10
	}
	defer func() {
		w.over.Store(true) // what the end brings about is nobody's fault
		w.mesh.Close()
	}()
	for i := range modelNodes {
		w.members = append(w.members, w.start(actor.NodeID(fmt.Sprintf("n%d", i))))
	}
	for round := range modelRounds {
		w.history = nil
		w.delays()
		var wg sync.WaitGroup
		for range modelWorkers {
			r := rand.New(rand.NewPCG(w.rand.Uint64(), 0))
			wg.Go(func() { w.work(r) })
		}
		// One round without trouble shows what needs none.
		if round > 0 {
			w.trouble()
		}
		wg.Wait()
		w.calm()
		if w.check(); w.failures > 0 {
			w.t.Logf("that was round %d:\n%s", round, strings.Join(w.history, "\n"))
			return
		}
	}
}

// note remembers what happened to the mesh, to be shown with a failure.
func (w *world) note(format string, args ...any) {
	w.history = append(w.history, time.Now().Format("04:05.000000 ")+fmt.Sprintf(format, args...))
}

func (w *world) violation(format string, args ...any) {
	w.t.Helper()
	if w.over.Load() {
		return
	}
	w.mu.Lock()
	w.failures++
	first := w.failures <= 10
	w.mu.Unlock()
	if first {
		w.t.Errorf(format, args...)
	}
}

// start starts a node, again perhaps.
func (w *world) start(id actor.NodeID) *member {
	m := &member{id: id}
	m.alive.Store(true)
	m.node = w.mesh.Start(id, remotetest.WithConfig(func(c *remote.Config) {
		c.PendingBytes = w.pending
	}), remotetest.WithSetup(func(s *actor.System) {
		s.Register("Model::init", func(c *actor.Context, _ actor.Message) error { return w.setup(c, m) })
		// A process hears of a death in the moment in which the monitor
		// fires, and not when some goroutine comes round to it.
		s.Actors().ProcessRegistry.Add(monitorSink{w}, sinkName)
	}))
	return m
}

// setup is what every port runs.
func (w *world) setup(c *actor.Context, home *member) error {
	self := c.Self()
	if _, again := w.born.LoadOrStore(self, home); again {
		w.t.Errorf("port %s has come again", self)
	}
	c.Receive("n", func(_ *actor.Context, m actor.Message) error {
		var number, epoch, seq int
		var failure, filling string
		if err := m.Scan(&number, &epoch, &seq, &failure, &filling); err != nil {
			return err
		}
		w.mu.Lock()
		f := w.flowsByID[number]
		w.mu.Unlock()
		if f.to.id != self {
			w.violation("%s got a message for %s", self, f.to.id)
		}
		f.received(epoch, seq)
		if failure != "" {
			return errors.New(failure)
		}
		return nil
	})
	return nil
}

// Sending.

func (w *world) flow(from *member, to *modelPort) *flow {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := flowKey{from, to}
	f := w.flows[key]
	if f == nil {
		f = &flow{w: w, number: len(w.flowsByID), from: from, to: to, sending: make(chan bool, 1)}
		w.flows[key] = f
		w.flowsByID = append(w.flowsByID, f)
	}
	return f
}

func (f *flow) note(what string, epoch, seq int) {
	f.history = append(f.history, flowEvent{time.Now(), what, epoch, seq})
}

func (f *flow) violation(what string) {
	f.w.t.Helper()
	var b strings.Builder
	for _, e := range f.history[max(0, len(f.history)-40):] {
		fmt.Fprintf(&b, "\n  %s %s epoch %d seq %d", e.at.Format("04:05.000000"), e.what, e.epoch, e.seq)
	}
	f.w.violation("%s -> %s: %s%s", f.from.id, f.to.id, what, b.String())
}

// send monitors the port, if nothing does, and sends the next message.
func (f *flow) send(s *actor.System, size int, failure string) {
	f.sending <- true
	defer func() { <-f.sending }()
	f.mu.Lock()
	start := !f.monitored
	if start {
		f.monitored = true
		f.sent = 0
		f.epoch++
		f.note("monitor", f.epoch, 0)
	}
	f.sent++
	f.note("send", f.epoch, f.sent)
	epoch, seq := f.epoch, f.sent
	f.mu.Unlock()
	switch {
	case !start:
	case f.from.id == f.to.node:
		// Here nothing gets lost, and the callback may come late.
		s.Monitor(f.to.id, func(r actor.Reason) { f.fired(epoch, r) })
	default:
		s.MonitorMessage(f.to.id, s.Node().Port(sinkName), f.number, epoch)
	}
	err := s.Send(f.to.id, "n", f.number, epoch, seq, failure, strings.Repeat("x", size))
	if err == nil || !f.from.alive.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent-- // it was not accepted
	f.note(err.Error(), epoch, seq)
	if !errors.Is(err, remote.ErrSlowPeer) {
		f.violation(err.Error())
	}
}

func (f *flow) fired(epoch int, reason actor.Reason) {
	if !f.from.alive.Load() {
		return
	}
	f.w.judge(f.from, f.to, reason)
	f.sending <- true
	defer func() { <-f.sending }()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("fired "+reason.String(), epoch, 0)
	if !f.monitored || epoch != f.epoch {
		f.violation("a monitor fired twice")
	}
	f.monitored = false
}

func (f *flow) received(epoch, seq int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("got", epoch, seq)
	want := f.got + 1
	if epoch != f.gotEpoch {
		want = 1
	}
	// What was sent behind a lost message, but before its sender could know,
	// may arrive when the monitor has fired.
	known := epoch < f.epoch || !f.monitored
	if epoch < f.gotEpoch || seq < want || seq > want && !known {
		f.violation(fmt.Sprintf("epoch %d: got message %d, want %d", epoch, seq, want))
	}
	f.gotEpoch, f.got = epoch, seq
}

// A monitorSink is the process that monitor messages of flows go to.
type monitorSink struct{ w *world }

const sinkName = "model-sink"

func (s monitorSink) SendUserMessage(_ *proto.PID, message any) {
	m := message.(actor.Message)
	s.w.mu.Lock()
	f := s.w.flowsByID[m[0].(int)]
	s.w.mu.Unlock()
	if !s.w.over.Load() && rand.IntN(10) == 0 {
		time.Sleep(200 * time.Millisecond) // whatever does not wait for us shows
	}
	f.fired(m[1].(int), actor.Reason(m[2:]))
}

func (monitorSink) SendSystemMessage(*proto.PID, any) {}
func (monitorSink) Stop(*proto.PID)                   {}

// What workers do.

func (w *world) work(r *rand.Rand) {
	for range modelOps {
		w.mu.Lock()
		from := w.members[r.IntN(len(w.members))]
		w.mu.Unlock()
		w.operate(r, from, from.node.System())
		if r.IntN(4) == 0 {
			pause(r, 8*roundTime/modelOps)
		}
	}
}

// pause sleeps for up to that long. In a bubble, only what happens at the same
// moment happens at once; so all wake up at one of few moments.
func pause(r *rand.Rand, most time.Duration) {
	const tick = 100 * time.Millisecond
	time.Sleep(tick * time.Duration(1+r.Int64N(int64(most/tick))))
}

func (w *world) operate(r *rand.Rand, from *member, s *actor.System) {
	port := w.pick(r, from)
	if port == nil || r.IntN(20) == 0 {
		port = w.spawn(r, from, s)
		// What follows reaches the port, although it may not be there yet.
	}
	for range 1 + r.IntN(3) {
		size := 0
		if r.IntN(20) == 0 {
			size = r.IntN(20 << 10)
		}
		switch n := r.IntN(100); {
		case n < 70:
			w.flow(from, port).send(s, size, "")
		case n < 72:
			w.flow(from, port).send(s, size, w.cause(port, aemp.ReasonDie, w.text("failure")))
		case n < 75:
			w.kill(from, port, s, r.IntN(4) == 0)
		case n < 93:
			w.monitor(r, from, port, s)
		case n < 95:
			if victim := w.pick(r, from); victim != nil && victim != port {
				w.link(from, port, victim, s)
			}
		}
	}
}

// pick returns a port, mostly one of the newer ones; or nil when there are few.
func (w *world) pick(r *rand.Rand, from *member) *modelPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ports) < modelPorts/4 {
		return nil
	}
	among := modelPorts
	if r.IntN(2) == 0 {
		among = modelPorts / 20 // these are sent to more often than connections break
	}
	newest := w.ports[max(0, len(w.ports)-among):]
	port := newest[r.IntN(len(newest))]
	if _, born := w.born.Load(port.id); !born && port.spawner != from {
		return nil
	}
	return port
}

func (w *world) spawn(r *rand.Rand, from *member, s *actor.System) *modelPort {
	w.mu.Lock()
	home := w.members[r.IntN(len(w.members))]
	w.mu.Unlock()
	p := &modelPort{node: home.id, spawner: from, reasons: make(map[string]bool)}
	if home == from && r.IntN(2) == 0 {
		p.id = s.Port(func(c *actor.Context) error { return w.setup(c, from) })
	} else {
		p.id = s.Spawn(home.id, "Model::init")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports = append(w.ports, p)
	return p
}

// text returns a word that is used only once.
func (w *world) text(word string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastID++
	return fmt.Sprint(word, w.lastID)
}

// cause notes a reason for which a port may die, and returns its last element.
func (w *world) cause(port *modelPort, reason ...any) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	port.reasons[actor.Reason(reason).String()] = true
	return reason[len(reason)-1].(string)
}

func (w *world) kill(from *member, port *modelPort, s *actor.System, normal bool) {
	w.mu.Lock()
	w.kills = append(w.kills, modelKill{from, port})
	port.normal = port.normal || normal
	w.mu.Unlock()
	if normal {
		s.Kill(port.id)
		return
	}
	s.Kill(port.id, w.cause(port, w.text("kill")))
}

func (w *world) monitor(r *rand.Rand, from *member, port *modelPort, s *actor.System) {
	m := &modelMonitor{from: from, to: port}
	w.mu.Lock()
	w.monitors = append(w.monitors, m)
	w.mu.Unlock()
	stop := s.Monitor(port.id, func(reason actor.Reason) {
		w.judge(from, port, reason)
		w.mu.Lock()
		m.fired = append(m.fired, reason)
		w.mu.Unlock()
	})
	if r.IntN(3) == 0 {
		w.mu.Lock()
		m.stopped = true
		w.mu.Unlock()
		stop()
	}
}

func (w *world) link(from *member, port, victim *modelPort, s *actor.System) {
	w.mu.Lock()
	w.links = append(w.links, &modelLink{from, port, victim})
	victim.sources = append(victim.sources, port)
	w.mu.Unlock()
	s.Link(port.id, victim.id)
}

// judge looks whether a monitor had a reason to fire.
func (w *world) judge(from *member, port *modelPort, reason actor.Reason) {
	w.mu.Lock()
	ok := w.possible(from.id, port, reason, make(map[*modelPort]bool))
	w.mu.Unlock()
	if !ok {
		w.violation("%s: monitor on %s fired with %q, for which there was no reason", from.id, port.id, reason)
	}
}

// possible tells whether a node may hear of that death of a port. Links pass
// reasons on; then the node is empty, because any may have heard of it first.
// The caller holds the lock of the world.
func (w *world) possible(from actor.NodeID, port *modelPort, reason actor.Reason, seen map[*modelPort]bool) bool {
	switch reason.Kind() {
	case "":
		return port.normal
	case aemp.ReasonTransport:
		if fmt.Sprint(reason[1]) == string(port.node) && (from == "" || w.isTroubled(from, port.node)) {
			return true
		}
	case aemp.ReasonNoSuchPort:
		if from != "" {
			return !w.exists(port)
		}
	}
	if seen[port] {
		return false
	}
	seen[port] = true
	if port.reasons[reason.String()] {
		return true
	}
	for _, source := range port.sources {
		if reason.Kind() == aemp.ReasonNoSuchPort && !w.exists(source) || w.possible("", source, reason, seen) {
			return true
		}
	}
	return false
}

// exists looks for a port itself.
func (w *world) exists(port *modelPort) bool {
	m, born := w.born.Load(port.id)
	if !born || !m.(*member).alive.Load() {
		return false
	}
	_, ok := m.(*member).node.System().Actors().ProcessRegistry.GetLocal(port.id.Name())
	return ok
}

// Trouble.

func wayBetween(a, b actor.NodeID) [2]actor.NodeID {
	return [2]actor.NodeID{min(a, b), max(a, b)}
}

func (w *world) isTroubled(a, b actor.NodeID) bool { return w.troubled[wayBetween(a, b)] }

// mark notes which ways something is about to happen to.
func (w *world) mark(groups ...group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, g := range groups {
		for _, other := range groups[i+1:] {
			for _, a := range g {
				for _, b := range other {
					w.troubled[wayBetween(a, b)] = true
				}
			}
		}
	}
}

// delays gives some ways a delay.
func (w *world) delays() {
	for i, a := range w.members {
		for _, b := range w.members[i+1:] {
			d := time.Duration(0)
			if w.rand.IntN(2) == 0 {
				d = time.Duration(w.rand.Int64N(int64(30 * time.Millisecond)))
			}
			w.mesh.Delay(a.id, b.id, d)
		}
	}
}

// trouble goes on for a round.
func (w *world) trouble() {
	for end := time.Now().Add(roundTime); time.Now().Before(end); {
		pause(w.rand, roundTime/10)
		for range w.rand.IntN(200) {
			runtime.Gosched() // so that the others are in the middle of something
		}
		ids := make(group, len(w.members))
		for i, m := range w.members {
			ids[i] = m.id
		}
		w.rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		switch w.rand.IntN(10) {
		case 0, 1:
			n := 1 + w.rand.IntN(len(ids)-1)
			w.note("part %v from %v", ids[:n], ids[n:])
			w.mark(ids[:n], ids[n:])
			w.mesh.Partition(ids[:n], ids[n:])
		case 2, 3:
			w.note("heal")
			w.mesh.Heal()
		case 4:
			w.crash(w.rand.IntN(len(w.members)))
		default:
			w.note("cut %s from %s", ids[0], ids[1])
			w.mark(ids[:1], ids[1:2])
			w.mesh.Cut(ids[0], ids[1])
		}
	}
}

func (w *world) crash(i int) {
	old := w.members[i]
	var others group
	for _, m := range w.members {
		if m != old {
			others = append(others, m.id)
		}
	}
	w.note("crash %s", old.id)
	w.mark(group{old.id}, others)
	old.alive.Store(false)
	if w.rand.IntN(3) == 0 {
		w.mesh.Stop(old.id)
	} else {
		w.mesh.Crash(old.id)
	}
	if w.rand.IntN(2) == 0 {
		pause(w.rand, roundTime/5)
	}
	w.note("start %s", old.id)
	started := w.start(old.id)
	w.mu.Lock()
	w.members[i] = started
	w.mu.Unlock()
}

// calm ends all trouble and waits until nothing happens any more.
func (w *world) calm() {
	if w.rand.IntN(2) == 0 {
		time.Sleep(time.Minute) // silence is noticed, and attempts to connect fail
	}
	w.mesh.Heal()
	time.Sleep(settleTime)
	synctest.Wait()
}

// check looks at everything when all is calm.
func (w *world) check() {
	w.mu.Lock()
	flows, monitors, links, kills := w.flowsByID, w.monitors, w.links, w.kills
	troubled := w.troubled
	w.kills, w.troubled = nil, make(map[[2]actor.NodeID]bool)
	w.mu.Unlock()
	for _, f := range flows {
		f.check()
	}
	for _, m := range monitors {
		switch n := len(m.fired); {
		case n > 1:
			w.violation("%s: monitor on %s fired %d times: %v", m.from.id, m.to.id, n, m.fired)
		case n == 0 && !m.stopped && m.from.alive.Load() && !w.exists(m.to):
			w.violation("%s: monitor on dead port %s has not fired", m.from.id, m.to.id)
		case n == 1 && w.exists(m.to) && m.fired[0].Kind() != aemp.ReasonTransport:
			w.violation("%s: monitor on living port %s fired with %v", m.from.id, m.to.id, m.fired[0])
		}
	}
	for _, l := range links {
		if l.from.alive.Load() && l.from.id == l.victim.node && !w.exists(l.port) && !l.port.mayEndNormally() && w.exists(l.victim) {
			w.violation("%s: port %s lives, although %s is dead", l.from.id, l.victim.id, l.port.id)
		}
	}
	for _, k := range kills {
		if !troubled[wayBetween(k.from.id, k.to.node)] && w.exists(k.to) {
			w.violation("%s was killed by %s and lives", k.to.id, k.from.id)
		}
	}
}

// mayEndNormally tells whether links of the port may have kept still.
func (p *modelPort) mayEndNormally() bool { return p.normal }

func (f *flow) check() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.monitored || !f.from.alive.Load() {
		return
	}
	if !f.w.exists(f.to) {
		f.violation("the port is dead, and the monitor has not fired")
		return
	}
	if f.sent > 0 && (f.gotEpoch != f.epoch || f.got != f.sent) {
		f.violation(fmt.Sprintf("%d of %d messages of epoch %d have arrived", f.got, f.sent, f.gotEpoch))
	}
}
