package registry

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// fuzzed returns a registry without a network, for the handlers of requests: it
// has a part of its own, and starts nothing that goes on behind their backs.
func fuzzed(tb testing.TB) *Registry {
	tb.Helper()
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
	r, err := Start(tb.Context(), sys, remote.Config{NodeID: "self", Secret: "x", ConnectInterval: time.Millisecond}, Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	r.cancel()
	if _, err := r.Monitor("fruit", func(Change) {}); err != nil {
		tb.Fatal(err)
	}
	for _, key := range []string{"apple", "pear"} {
		if _, err := r.Set("fruit", key, "ours"); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

// reset makes it the slave of the node "m" again.
func (r *Registry) reset() {
	forget(r.local, familyGlobals, "self")
	r.global, r.master = nil, "m"
	clear(r.globals)
	clear(r.queries)
	r.queries["1"] = &query{requestKeys, "fruit", make(chan any, 1)}
	r.queries["2"] = &query{requestFind, "x", make(chan any, 1)}
	f := r.copies["fruit"]
	f.content, f.known = nil, false
}

// FuzzRequests sends requests of any content, from several nodes, to the handlers:
// packets of JSON whose port is the name of the node. When all these nodes are
// gone, there is what we have set ourselves, as it was.
func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		`["m","g_chg1","fruit",{"a":1}]["m","g_chg2","fruit",{"b":{}},["a"]]["m","g_reply","1",["k"]]["m","g_found","x",["x:1"]]`,
		`["x","g_slave",{"fruit":{"apple":1,"plum":2},"'l":{"x":["x:1"]}}]["x","g_upd","fruit",{"apple":2},["plum"]]["x","g_upd","fruit",null,["apple"]]`,
		`["x","g_slave",{"fruit":{"apple":1}}]["x","g_global"]["x","g_set",{"fruit":{"apple":1},"'g":{"x":null,"self":null},"'l":{"x":["x:1"]}}]`,
		`["x","g_slave"]["y","g_global"]["y","g_set",{"fruit":{"apple":7}}]["y","down"]["y","g_slave",{"fruit":{"pear":8}}]["y","down"]`,
		`["x","g_mon1","fruit"]["x","g_db_family","fruit","a"]["x","g_db_keys","fruit","b"]["x","g_db_values","'l","c"]["x","g_find","self"]["x","g_mon0","fruit"]`,
		`["x","g_slave",{"fruit":{"apple":1}}]["y","g_slave",{"fruit":{"apple":2}}]["x","g_upd","fruit",{"apple":3},["apple"]]["x","down"]`,
	} {
		f.Add([]byte(s))
	}
	r := fuzzed(f)
	handlers := r.handlers()
	handlers["down"] = func(from actor.NodeID, _ actor.Message) error { r.down(from); return nil }
	f.Fuzz(func(t *testing.T, data []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reset()
		nodes := handleAll(data, func(from actor.NodeID, tag string, args actor.Message) bool {
			h := handlers[tag]
			if h != nil {
				h(from, args)
			}
			return h != nil
		})
		nodes["m"] = true
		for node := range nodes {
			r.down(node)
		}
		if got := fmt.Sprint(r.local["fruit"]); got != "map[apple:ours pear:ours]" {
			t.Fatalf("our own part is %v", got)
		}
		if r.global == nil {
			return
		}
		for _, node := range slices.Collect(maps.Keys(r.global.orphans)) {
			r.spread(r.global.view.replace(node, false, nil))
		}
		// promoted waits for the time to be up as well.
		for id := range maps.Clone(r.global.view.owners) {
			if id.near && id.node != "self" {
				t.Errorf("%v is still there", id)
			}
		}
		if got, want := fmt.Sprint(r.global.view.near()), "map['g:map[self:<nil>] fruit:map[apple:ours pear:ours]]"; got != want {
			t.Errorf("there is %s, want %s", got, want)
		}
		if len(r.global.view.owners) != 1 || len(r.global.watched) != 0 || len(r.global.slaves) != 0 || len(r.globals) != 0 || len(r.global.keeping) != 0 {
			t.Errorf("something is left: %v, %+v", r.globals, r.global)
		}
	})
}

// gossipHandlers are those of the messages to global ports.
func (r *Registry) gossipHandlers() map[string]func(actor.NodeID, actor.Message) error {
	return map[string]func(actor.NodeID, actor.Message) error{
		tagAddr: r.onAddr, tagNodes: r.onNodes, tagFind: r.onGossipFind, tagSeedMe: r.onSeedMe, tagUnseedMe: r.onUnseedMe,
		tagSet: r.onGroups, tagRegister: r.onRegister, tagUnregister: r.onUnregister,
	}
}

// FuzzGossip sends messages of any content to the global ports of several nodes of
// generation 1, likewise.
func FuzzGossip(f *testing.F) {
	for _, s := range []string{
		`["x","addr",["x:1"]]["x","nodes",{"y":["y:1"],"self":["a"]}]["x","set",{"workers":["x#a","y#a"]}]["x","setup"]["x","seedme1"]`,
		`["x","reg1","workers","x#a"]["y","reg1","workers","x#a"]["x","reg0","workers","x#a"]["y","find","x"]["x","seedme0"]["x","reg1","","x#"]`,
	} {
		f.Add([]byte(s))
	}
	r := fuzzed(f)
	handlers := r.gossipHandlers()
	f.Fuzz(func(t *testing.T, data []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		clear(r.gossip.addresses)
		nodes := handleAll(data, func(from actor.NodeID, tag string, args actor.Message) bool {
			h := handlers[tag]
			if h == nil {
				return false
			}
			r.up[from] = &aemp.Greeting{Node: from}
			r.gossip.ports[from] = from.Port("global")
			h(from, args)
			return true
		})
		if len(r.gossip.trying) > addressesKept || len(r.gossip.addresses) > 2*addressesKept+len(nodes) {
			t.Errorf("%d nodes are tried, %d known", len(r.gossip.trying), len(r.gossip.addresses))
		}
		for group, ports := range r.gossip.groups.view.families {
			for port := range ports {
				if node := actor.PortID(port).Node(); !nodes[node] {
					t.Errorf("group %q has %q", group, port)
				}
			}
		}
		for node := range nodes {
			r.down(node)
		}
		if g := &r.gossip; len(g.groups.view.families) != 0 || len(g.ports) != 0 || len(g.seeding) != 0 || g.master != "" {
			t.Errorf("something is left: %+v", g)
		}
	})
}

// handleAll hands packets of JSON, whose ports are the nodes that they come from,
// to a handler, and returns the nodes from which one was handled.
func handleAll(data []byte, handle func(from actor.NodeID, tag string, args actor.Message) bool) map[actor.NodeID]bool {
	packets := aemp.JSON.NewDecoder(aemp.Limits{})
	nodes := make(map[actor.NodeID]bool)
	for len(data) > 0 {
		n, err := packets.Scan(data)
		if n == 0 || err != nil {
			break
		}
		packets.Reset(data[:n])
		data = data[n:]
		name, _, err := aemp.DecodePort(packets)
		from := actor.NodeID(name)
		if err != nil || len(nodes) > 3 && !nodes[from] || from == "self" || from.Validate() != nil {
			continue
		}
		m, err := aemp.DecodeMessage(packets)
		if err != nil {
			continue
		}
		if tag, ok := m.Tag(); ok && handle(from, tag, m[1:]) {
			nodes[from] = true
		}
	}
	return nodes
}
