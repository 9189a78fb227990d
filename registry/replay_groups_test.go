package registry_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

// TestReplay1 replays what belongs to the mesh of generation 1, likewise: global
// ports, what they are told of nodes and groups.
func TestReplay1(t *testing.T) {
	for _, test := range []struct{ topic, framing, sent, roles string }{
		{"two-nodes", "json", "", "alpha beta"},
		{"two-nodes", "storable", "", "alpha beta"},
		{"groups", "json", "", "alpha beta gamma"},
		{"groups", "json", "storable", "alpha beta gamma"},
	} {
		for role := range strings.FieldsSeq(test.roles) {
			name := "1.30-" + test.topic + "-" + test.framing
			t.Run(strings.TrimSuffix(name+"-sent-as-"+test.sent, "-sent-as-")+"/"+role, func(t *testing.T) {
				t.Parallel()
				p := newPlayer(t, loadRecording(t, name), role, test.sent)
				g := &groupReplay{player: p, own: make(map[string]func())}
				g.expect = watchGroup(t, p.reg, "workers")
				p.groups = g
				p.play()
			})
		}
	}
}

// A groupReplay is what a player knows of generation 1.
type groupReplay struct {
	*player
	own     map[string]func() // our ports in the group, with what takes them out
	members []string          // all that must be in the group
	expect  func(...actor.PortID)
}

// globals returns the names of the global ports of a connection, by the node that
// has spawned them.
func (r *recording) globals(conn int) map[string]string {
	names := make(map[string]string)
	for _, p := range r.packets {
		if p.conn == conn && p.tag() == "AnyEvent::MP::_spawn" && p.text(1) == "AnyEvent::MP::Global::connect" {
			names[p.from] = p.text(0)
		}
	}
	return names
}

// concerns reports whether a packet belongs to the mesh, or to what it has made
// possible.
func (g *groupReplay) concerns(what packet) bool {
	if what.eof || what.step == "snd-beta-gamma" {
		return true
	}
	for _, name := range g.rec.globals(what.conn) {
		if what.port == name || what.port == "" && what.text(0) == name {
			return true
		}
	}
	return false
}

// act does what makes our node send a packet.
func (g *groupReplay) act(next packet) {
	g.t.Helper()
	switch {
	case next.tag() == "reg1":
		id := next.text(1)
		if g.own[id] != nil {
			return // another node has been told of it already
		}
		g.port(actor.PortID(id).Name(), nil)
		leave, err := g.reg.PortGroups().Join(next.text(0), actor.PortID(id))
		if err != nil {
			g.t.Fatalf("%v: %v", next, err)
		}
		g.own[id] = leave
		g.members = append(g.members, id)
	case next.tag() == "reg0":
		id := next.text(1)
		if !slices.Contains(g.members, id) {
			return
		}
		if strings.HasSuffix(next.step, "port-dies") {
			g.sys.Kill(actor.PortID(id))
		} else {
			g.own[id]()
		}
		g.remove(id)
	case next.step == "snd-beta-gamma":
		if err := g.sys.Send(actor.NodeID(next.to).Port(next.port), next.message...); err != nil {
			g.t.Fatalf("%v: %v", next, err)
		}
	}
}

func (g *groupReplay) remove(id string) {
	g.members = slices.DeleteFunc(g.members, func(member string) bool { return member == id })
}

// hears takes note of what our node is told.
func (g *groupReplay) hears(next packet) {
	g.t.Helper()
	if next.port == "" {
		return
	}
	switch next.tag() {
	case "set":
		for _, ports := range next.message[1].(map[string]any) {
			for _, port := range ports.([]any) {
				g.members = append(g.members, port.(string))
			}
		}
	case "reg1":
		g.members = append(g.members, next.text(1))
	case "reg0":
		g.remove(next.text(1))
	case "hello":
		if got := nextIn(g.t, next, g.inbox); !reflect.DeepEqual(got, next.message) {
			g.t.Errorf("%v: the port got %v", next, got)
		}
	}
}

// gone forgets the ports of a node that leaves.
func (g *groupReplay) gone(node string) {
	g.members = slices.DeleteFunc(g.members, func(id string) bool { return strings.HasPrefix(id, node+"#") })
}

// translated returns what our node must say: the recorded packet with the name
// that it has given to its global port.
func (g *groupReplay) translated(c *playedConn, want packet, message []any, got actor.Message) (port string) {
	recorded := g.rec.globals(want.conn)[g.us]
	if want.tag() == "AnyEvent::MP::_spawn" && len(got) > 1 {
		c.global, _ = got[1].(string)
	}
	if want.port == "" && want.text(0) == recorded {
		message[1] = c.global
	}
	if want.port == recorded {
		return c.global
	}
	return want.port
}

// nodesTold takes note of where nodes are, as the other side is told: Perl tells
// it often, and also of those who know that best, so that only what is known in
// the end is compared.
func (c *playedConn) nodesTold(us string, what packet, recorded bool) bool {
	if what.tag() != "nodes" || what.port == "" {
		return false
	}
	told, ok := what.message[1].(map[string]any)
	if !ok {
		return false
	}
	for node, addresses := range told {
		if node != us && node != c.peer {
			c.nodes[recorded][node] = fmt.Sprint(addresses)
		}
	}
	return true
}

// endStep waits until the other sides have been told of the nodes that they must
// know, and our program of the members of the group.
func (g *groupReplay) endStep(step string) {
	g.t.Helper()
	for _, c := range g.conns {
		for len(c.nodes[false]) < len(c.nodes[true]) {
			port, m, err := c.next()
			if err != nil || !g.leftOut(c, packet{port: port, message: m}, false) {
				g.t.Fatalf("step %s: %s says %q %v (%v) to %s, which must hear of the nodes %v", step, g.us, port, m, err, c.peer, c.nodes[true])
			}
		}
		if !maps.Equal(c.nodes[false], c.nodes[true]) {
			g.t.Errorf("step %s: %s has heard of the nodes %v, want %v", step, c.peer, c.nodes[false], c.nodes[true])
		}
	}
	if g.closed {
		return
	}
	g.expect(portIDs(g.members)...)
}

func portIDs(ids []string) []actor.PortID {
	ports := make([]actor.PortID, len(ids))
	for i, id := range ids {
		ports[i] = actor.PortID(id)
	}
	slices.Sort(ports)
	return ports
}
