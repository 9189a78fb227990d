package registry_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// The replay tests have recorded conversations of Perl nodes once more, with a
// node of ours in the place of one of them. What the others said to it is said
// again, packet for packet, over connections with handshakes of their own; what
// it must say is what the Perl node said. What a Perl program did of its own
// accord is seen in what its node sent, and our program does the same.
// internal/wiretest/testdata/COVERAGE.md tells what is compared.

// TestReplay2 replays what belongs to the mesh of generation 2, with a node of
// ours in each of the roles.
func TestReplay2(t *testing.T) {
	for _, test := range []struct {
		topic, framing string
		sent           string // instead of the framing that was recorded
		roles          string
	}{
		{"two-nodes", "json", "", "alpha beta"},
		{"two-nodes", "cbor", "", "alpha beta"},
		{"two-nodes", "storable", "", "alpha beta"},
		{"database", "json", "", "alpha beta gamma"},
		{"database", "cbor", "", "alpha beta gamma"},
		{"globals", "json", "", "alpha beta delta epsilon"},
		{"globals", "json", "cbor", "alpha beta delta epsilon"},
	} {
		for role := range strings.FieldsSeq(test.roles) {
			name := "2.01-" + test.topic + "-" + test.framing
			t.Run(strings.TrimSuffix(name+"-sent-as-"+test.sent, "-sent-as-")+"/"+role, func(t *testing.T) {
				t.Parallel() // if nothing comes, all wait for it at the same time
				p := newPlayer(t, loadRecording(t, name), role, test.sent)
				p.play()
			})
		}
	}
}

// A player plays all nodes of a recording but one, which is ours.
type player struct {
	t    *testing.T
	rec  *recording
	us   string
	sent string // the framing, if it is not the recorded one

	reg       *registry.Registry
	sys       *actor.System
	listeners map[string]net.Listener // by node, of those that we dial
	addresses *strings.Replacer       // recorded ones by those of this replay
	conns     map[int]*playedConn
	compared  int
	last      *playedConn // on which our node was told something

	ids     map[string]string // of queries: the recorded ones by ours
	answers map[string]chan any
	stops   map[string]func() // of monitors, by family
	seen    chan registry.Change
	content map[string]any // of the family that is monitored
	inbox   chan actor.Message

	groups *groupReplay // in generation 1
	closed bool         // our node has gone
}

// A playedConn is the other side of a connection with our node.
type playedConn struct {
	*aemp.Conn
	peer   string
	asked  map[bool]bool // that the peer be global, in the recording, and by us
	finds  map[string]bool
	fences int
	early  []packet // that were read by sync

	// In generation 1.
	global string                     // the name of our node's global port
	told   actor.PortID               // the global port that the peer has made on our node
	nodes  map[bool]map[string]string // of which it was told, in the recording, and by us
}

// next returns the next packet of our node.
func (c *playedConn) next() (port string, m actor.Message, err error) {
	if len(c.early) > 0 {
		p := c.early[0]
		c.early = c.early[1:]
		return p.port, p.message, nil
	}
	return c.Receive()
}

// sync waits until our node has dealt with all that it was told on a connection,
// before it is told something on another one.
func (c *playedConn) sync() error {
	c.fences++
	if err := c.Send("", "snd", c.peer+"#sync", c.fences); err != nil {
		return err
	}
	for {
		port, m, err := c.Receive()
		if err != nil || port == "sync" {
			return err
		}
		c.early = append(c.early, packet{port: port, message: m})
	}
}

func newPlayer(t *testing.T, rec *recording, us, sent string) *player {
	t.Helper()
	p := &player{
		t: t, rec: rec, us: us, sent: sent,
		listeners: make(map[string]net.Listener), conns: make(map[int]*playedConn),
		ids: make(map[string]string), answers: make(map[string]chan any),
		stops: make(map[string]func()), seen: make(chan registry.Change, 100),
	}
	cfg := remote.Config{NodeID: actor.NodeID(us), Secret: wiretest.Secret, Listen: []string{"127.0.0.1:0"}, CloseTimeout: 100 * time.Millisecond}
	addresses := make(map[string]string)
	for conn, node := range rec.dialler {
		peer := rec.peer(conn, node)
		if node != us || p.listeners[peer] != nil {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		p.listeners[peer], addresses[peer] = l, l.Addr().String()
		found := peer != "alpha" // whom all know; in generation 2, others may be seeds as well
		if rec.greetings[us].Generation() == 2 {
			found = rec.has(packet{from: us, port: "", message: actor.Message{"g_find", peer}, step: "find-and-connect"})
		}
		if !found {
			cfg.Seeds = append(cfg.Seeds, addresses[peer])
		}
	}
	p.sys = actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))))
	options := registry.Config{Global: strings.Contains(rec.name, "globals") && (us == "alpha" || us == "delta")}
	var err error
	if p.reg, err = registry.Start(t.Context(), p.sys, cfg, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.reg.Close() })
	addresses[us] = address(p.reg)
	var pairs []string
	for node, recorded := range rec.addresses {
		// Who is not dialled in this replay is nowhere.
		pairs = append(pairs, recorded, cmp.Or(addresses[node], "127.0.0.1:1"))
	}
	p.addresses = strings.NewReplacer(pairs...)
	return p
}

// peer returns the other node of a connection.
func (r *recording) peer(conn int, node string) string {
	for _, p := range r.packets {
		if p.conn == conn && p.from == node {
			return p.to
		} else if p.conn == conn && p.to == node {
			return p.from
		}
	}
	return ""
}

// has reports whether there is a packet of the same sender, step and message.
func (r *recording) has(like packet) bool {
	return slices.ContainsFunc(r.packets, func(p packet) bool {
		return p.from == like.from && p.step == like.step && p.port == like.port && reflect.DeepEqual(p.message, like.message)
	})
}

// concerns reports whether a packet is part of the replay: it is of the mesh,
// or was said between those whom the mesh has brought together.
func (p *player) concerns(what packet) bool {
	if what.from != p.us && what.to != p.us {
		return false
	}
	if p.groups != nil {
		return p.groups.concerns(what)
	}
	return what.eof || what.port == "" && strings.HasPrefix(what.tag(), "g_") || what.step == "find-and-connect"
}

func (p *player) play() {
	step := ""
	for _, next := range p.rec.packets {
		if !p.concerns(next) {
			continue
		}
		if next.step != step {
			p.endStep(step)
			step = next.step
		}
		c := p.conns[next.conn]
		if c == nil && next.eof {
			continue // both have closed it
		}
		if c == nil {
			c = p.open(next)
		}
		switch {
		case next.eof && next.from == p.us:
			p.end(c, next)
		case next.eof:
			if p.groups != nil {
				p.groups.gone(next.from)
			}
			if p.last == c {
				p.last = nil
			}
			if err := c.CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) {
				p.t.Errorf("%v: %v", next, err)
			}
		case next.from == p.us:
			p.act(next)
			p.expect(c, next)
		default:
			p.say(c, next)
		}
	}
	p.endStep(step)
	if p.compared < 3 {
		p.t.Errorf("only %d packets were compared", p.compared)
	}
}

// open makes the connection on which a packet was recorded.
func (p *player) open(first packet) *playedConn {
	p.t.Helper()
	peer := p.rec.peer(first.conn, p.us)
	g := p.rec.greetings[peer]
	cfg := aemp.Config{NodeID: g.Node, Secret: wiretest.Secret, Auths: g.Auths, Extra: make(map[string]string)}
	for _, key := range []string{"mproto", "gproto", "provider"} {
		cfg.Extra[key] = g.Extra[key] // none at all in generation 1
	}
	framings := g.Framings
	if p.sent != "" {
		framings = []string{p.sent}
	}
	for _, name := range framings {
		cfg.Framings = append(cfg.Framings, packets.Framing(p.t, name))
	}
	var conn *aemp.Conn
	var err error
	if p.rec.dialler[first.conn] != p.us {
		conn, err = aemp.Dial(p.t.Context(), address(p.reg), cfg)
	} else {
		if first.from == p.us {
			p.act(first) // since that is what makes it dial
		}
		l := p.listeners[peer]
		l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		var nc net.Conn
		if nc, err = l.Accept(); err == nil {
			conn, err = aemp.Handshake(p.t.Context(), nc, cfg)
		}
		l.Close()
	}
	if err != nil {
		p.t.Fatalf("%v: no connection: %v", first, err)
	}
	p.t.Cleanup(func() { conn.Close() })
	conn.NetConn().SetDeadline(time.Now().Add(patience))
	c := &playedConn{Conn: conn, peer: peer, asked: make(map[bool]bool), finds: make(map[string]bool)}
	c.nodes = map[bool]map[string]string{true: {}, false: {}}
	if p.groups != nil {
		c.told = actor.NodeID(p.us).Port(p.rec.globals(first.conn)[peer])
	}
	p.conns[first.conn] = c
	return c
}

// say sends our node a packet: its recorded bytes, unless there is something in
// it that is different now.
func (p *player) say(c *playedConn, next packet) {
	p.t.Helper()
	if last := p.last; last != nil && last != c {
		if err := last.sync(); err != nil {
			p.t.Fatalf("before %v, to %s: %v", next, last.peer, err)
		}
		p.settle(last)
	}
	p.last = c
	message := p.renamed([]any(next.message)).([]any)
	if next.tag() == "g_reply" {
		message[1] = p.ids[next.text(0)]
	}
	switch {
	case p.groups != nil && next.tag() == "hello":
		p.inbox = make(chan actor.Message, 1)
		p.port(next.port, p.inbox)
	case p.groups == nil && next.tag() == "mon1":
		p.hears(next, message) // first, since then there is such a port
	}
	if p.sent == "" && reflect.DeepEqual(message, []any(next.message)) {
		if _, err := c.NetConn().Write(next.raw); err != nil {
			p.t.Fatalf("%v: %v", next, err)
		}
	} else if err := c.Send(next.port, message...); err != nil {
		p.t.Fatalf("%v: %v", next, err)
	}
	switch {
	case p.groups != nil:
		p.groups.hears(next)
	case next.tag() != "mon1":
		p.hears(next, message)
	}
}

// renamed returns the value with the addresses of this replay.
func (p *player) renamed(v any) any {
	switch v := v.(type) {
	case string:
		return p.addresses.Replace(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = p.renamed(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = p.renamed(v[key])
		}
		return m
	}
	return v
}

// expect compares what our node says next with what the Perl node said.
func (p *player) expect(c *playedConn, want packet) {
	p.t.Helper()
	if p.leftOut(c, want, true) {
		return
	}
	p.compared++
	message := p.renamed([]any(want.message)).([]any)
	for {
		port, got, err := c.next()
		if err != nil {
			p.t.Fatalf("want %v, got %v", want, err)
		}
		if p.leftOut(c, packet{port: port, message: got}, false) {
			continue
		}
		if id := "g_db_"; strings.HasPrefix(want.tag(), id) && len(got) == len(message) {
			p.ids[want.text(1)], _ = got[2].(string)
			message[2] = got[2]
		}
		if list, ok := message[len(message)-1].([]any); ok && want.port == "" {
			// Lists of keys, and of values, come in any order.
			sortList(list)
			if list, ok := got[len(got)-1].([]any); ok {
				sortList(list)
			}
		}
		wantPort := want.port
		if p.groups != nil {
			wantPort = p.groups.translated(c, want, message, got)
		}
		if port != wantPort || !reflect.DeepEqual([]any(got), message) {
			p.t.Fatalf("%s says\n     %q %v\nwant %q %v\nin step %v", p.us, port, got, wantPort, actor.Message(message), want)
		}
		return
	}
}

func sortList(list []any) {
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// leftOut reports whether a packet of our node, or one of the Perl node in its
// place, is not compared one by one.
func (p *player) leftOut(c *playedConn, what packet, recorded bool) bool {
	if what.port != "" {
		if recorded {
			what.message = p.renamed([]any(what.message)).([]any)
		}
		return p.groups != nil && c.nodesTold(p.us, what, recorded)
	}
	switch tag := what.tag(); {
	case tag == "": // a keep-alive
		return true
	case tag == "g_slave" && len(what.message) == 1: // see endStep
		c.asked[recorded] = true
		return true
	case tag == "g_find": // Perl asks its master where the master is; we ask again
		node := what.text(0)
		again := c.finds[node]
		c.finds[node] = again || !recorded
		return node == c.peer || again && !recorded
	}
	return false
}

// endStep waits until our node has dealt with all that it was told, and hears
// that it says nothing more.
func (p *player) endStep(step string) {
	p.t.Helper()
	if p.groups != nil {
		p.groups.endStep(step)
	}
	conns := slices.Sorted(maps.Keys(p.conns))
	for _, i := range conns {
		// Of its own accord: no fence is behind that, since the goroutine that has
		// dialled a seed asks it.
		for c := p.conns[i]; c.asked[true] && !c.asked[false]; {
			if port, got, ok := p.passOver(step, c); !ok {
				p.t.Fatalf("step %s: %s says %q %v to %s, want it to ask that to be global", step, p.us, port, got, c.peer)
			}
		}
	}
	for range 2 { // what comes over one connection has effects on others
		for _, i := range conns {
			p.fence(step, p.conns[i])
			p.settle(p.conns[i])
		}
	}
	for _, c := range p.conns {
		if c.asked[false] && !c.asked[true] {
			p.t.Errorf("step %s: %s asks %s to be global", step, p.us, c.peer)
		}
	}
	select {
	case c := <-p.seen:
		p.t.Errorf("step %s: a monitor is told of %+v, want nothing", step, c)
	default:
	}
}

// passOver reads a packet that need not be compared, or returns one of another
// kind and false.
func (p *player) passOver(step string, c *playedConn) (port string, got actor.Message, ok bool) {
	p.t.Helper()
	port, got, err := c.next()
	if err != nil {
		p.t.Fatalf("step %s: %s does not answer %s: %v", step, p.us, c.peer, err)
	}
	return port, got, p.leftOut(c, packet{port: port, message: got}, false)
}

func (p *player) fence(step string, c *playedConn) {
	p.t.Helper()
	c.fences++
	if err := c.Send("", "snd", c.peer+"#fence", c.fences); err != nil {
		p.t.Fatalf("step %s: %v", step, err)
	}
	for {
		port, got, ok := p.passOver(step, c)
		if ok {
			continue
		}
		if port != "fence" || !reflect.DeepEqual(got, actor.Message{int64(c.fences)}) {
			p.t.Fatalf("step %s: %s says %q %v to %s, want nothing more", step, p.us, port, got, c.peer)
		}
		return
	}
}

// settle waits until the port of our node that takes gossip has dealt with what was
// delivered to it: a fence is behind the delivery alone.
func (p *player) settle(c *playedConn) {
	p.t.Helper()
	if c.told == "" {
		return
	}
	future := p.sys.Actors().Root.RequestFuture(p.sys.PID(c.told), &proto.Touch{}, patience)
	if _, err := future.Result(); err != nil && !errors.Is(err, proto.ErrDeadLetter) { // there may be no such port yet
		p.t.Fatalf("our port %s is not done: %v", c.told, err)
	}
}

// end waits until our node has closed a connection: because the other side has,
// or because it goes itself.
func (p *player) end(c *playedConn, next packet) {
	p.t.Helper()
	if p.rec.leaves(p.us, next) {
		p.closed = true
		if err := p.reg.Close(); err != nil {
			p.t.Error(err)
		}
	}
	for {
		port, got, err := c.next()
		if err == nil && p.leftOut(c, packet{port: port, message: got}, false) {
			continue // news that was on its way
		}
		if !errors.Is(err, io.EOF) {
			p.t.Errorf("%v: got %q %v, %v", next, port, got, err)
		}
		break
	}
	delete(p.conns, next.conn)
	if p.last == c {
		p.last = nil
	}
}

// leaves reports whether a node closes a connection first.
func (r *recording) leaves(node string, eof packet) bool {
	for _, p := range r.packets {
		if p.conn == eof.conn && p.eof {
			return p.from == node
		}
	}
	return false
}

// nextIn returns the next value, or fails the test, naming the packet.
func nextIn[T any](t *testing.T, after packet, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%v: nothing came", after)
	}
	return v
}
