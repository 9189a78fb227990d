package registry_test

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// addressIn returns the first address in what was heard.
func addressIn(t *testing.T, line string) string {
	t.Helper()
	i := strings.Index(line, `["127.`)
	if i < 0 {
		t.Fatalf("there is no address in %s", line)
	}
	address, _, _ := strings.Cut(line[i+2:], `"`)
	return address
}

// A node of generation 1 and one of generation 2 through a bridge, packet by
// packet. Both connect to the bridge; then each connects to where the bridge
// stands in for the other.
func TestBridge(t *testing.T) {
	r := startWith(t, "go", registry.Config{Bridge: []string{"workers"}})
	oldListener, newListener := listen(t), listen(t)

	young := dialPeer(t, newConfig("young"), address(r))
	young.send("", "g_slave", map[string]any{
		"'l":      map[string]any{"young": []string{newListener.Addr().String()}},
		"workers": map[string]any{"young#1": "a value", "no port": nil},
	})
	young.send("", "g_mon1", "workers")
	young.hear(` ["g_chg1", "workers", {"no port": null, "young#1": "a value"}]`)
	old := dialOld(t, "old", address(r))
	old.tell("addr", []string{oldListener.Addr().String()})
	old.tell("set", map[string][]string{"workers": {"old#1"}, "others": {"old#2"}})
	young.hear(` ["g_chg2", "workers", {"old#1": null}, []]`)
	nodes := old.hearPrefix(`GLOBAL ["nodes", {"young": ["127.`)

	// The old one connects to the stand-in, and the bridge to the young one under
	// its name. What it says to its global port there is not for the young one.
	atOld := dialOld(t, "old", addressIn(t, nodes))
	atYoung := acceptPeer(t, newConfig("young"), newListener)
	if got := atYoung.conn.Remote(); got.Node != "old" || got.Generation() != 2 {
		t.Errorf("the young one sees %v", got)
	}
	if got := atOld.conn.Remote(); got.Node != "young" || got.Generation() != 1 {
		t.Errorf("the old one sees %v", got)
	}
	atOld.hear(` ["AnyEvent::MP::_spawn", "PORT", "AnyEvent::MP::Global::connect", 0, "young"]`)
	atOld.hear(`GLOBAL ["addr", ["` + addressIn(t, nodes) + `"]]`)
	atOld.hear(`GLOBAL ["set", {"workers": ["young#1"]}]`)
	atOld.hear(`GLOBAL ["setup"]`)
	atOld.tell("seedme1")
	atOld.tell("find", "young")
	atOld.send("1", "hello", "old#7")
	atOld.send("", "kil", "1", "because", 1)
	atOld.send("", "mon1", "1")
	atYoung.hearAll(`1 ["hello", "old#7"]`, ` ["kil1", "1", "because", 1]`, ` ["mon1", "1"]`)
	atYoung.send("", "g_global")
	atYoung.send("7", "welcome", []byte{0xff})
	atYoung.send("", "kil1", "7")
	atOld.hear(`7 ["welcome", "ÿ"]`)
	atOld.hear(` ["kil", "7"]`)

	// Changes of the family are changes of the group, and the reverse.
	young.send("", "g_upd", "workers", map[string]any{"young#2": nil}, []string{"young#1"})
	atOld.hear(`GLOBAL ["reg0", "workers", "young#1"]`)
	atOld.hear(`GLOBAL ["reg1", "workers", "young#2"]`)
	old.tell("reg1", "workers", "old#3")
	old.tell("reg0", "workers", "old#1")
	young.hear(` ["g_chg2", "workers", {"old#3": null}, []]`)
	young.hear(` ["g_chg2", "workers", {}, ["old#1"]]`)

	// A link ends as one.
	atYoung.close()
	<-atOld.ended

	// The other way round: the young one looks for the old one. Nodes of ours are
	// to take the second address.
	young.send("", "g_find", "old")
	found := young.hearPrefix(` ["g_found", "old", ["127.`)
	if !strings.Contains(found, oldListener.Addr().String()) {
		t.Errorf("the real address is missing: %s", found)
	}
	for { // the one before may not have ended altogether
		conn, err := aemp.Dial(t.Context(), addressIn(t, found), newConfig("young"))
		if err == nil {
			newPeer(t, "young", conn)
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	back := acceptPeer(t, oldConfig("old"), oldListener)
	back.hear(`GLOBAL ["set", {"workers": ["young#2"]}]`)

	// Not everybody is let in.
	for name, cfg := range map[string]aemp.Config{
		"another of generation 1": oldConfig("x"),
		"a second connection":     newConfig("young"),
		"a node of ours":          {NodeID: "ours", Secret: "geheim-for-tests-0123456789"},
		"a wrong secret":          {NodeID: "y", Secret: "wrong", Extra: map[string]string{"provider": "AE-2.01"}},
	} {
		if conn, err := aemp.Dial(t.Context(), addressIn(t, found), cfg); err == nil {
			conn.Close()
			t.Errorf("%s is let in", name)
		}
	}

	// What was theirs goes with them.
	old.close()
	young.hear(` ["g_chg2", "workers", {}, ["old#3"]]`)
	young.send("", "g_find", "old")
	young.hear(` ["g_found", "old", null]`)
}

// A bridge without any node of generation 2 works.
func TestBridgeAlone(t *testing.T) {
	r := startWith(t, "go", registry.Config{Bridge: []string{"workers"}})
	port := newPort(t, r)
	undo, err := r.Register("workers", port, nil)
	if err != nil {
		t.Fatal(err)
	}
	watchGroup(t, r, "workers")(port)
	old := dialOld(t, "old", address(r))
	old.hearPrefix(`GLOBAL ["set", {"workers": ["go#`)
	undo()
	old.hearPrefix(`GLOBAL ["reg0", "workers", "go#`)
	old.tell("set", map[string][]string{"workers": {"old#1"}})
	wait(t, r, "workers", map[string]any{"old#1": nil})
}

// Two bridges make no loop: what is gone at its origin is gone everywhere.
func TestTwoBridges(t *testing.T) {
	options := registry.Config{Bridge: []string{"workers"}}
	a := startWith(t, "a", options)
	b := startWith(t, "b", options, address(a))
	c := start(t, "c", nil, address(a))
	wait(t, c, "nothing", nil)
	wait(t, b, "nothing", nil)
	oldA, oldB := dialOld(t, "old", address(a)), dialOld(t, "old", address(b))
	for _, p := range []*peer{oldA, oldB} {
		p.tell("addr", []string{"127.0.0.1:9"})
	}
	undo := set(t, c, "workers", "c#1", nil)
	mine := newPort(t, b)
	leave, err := b.PortGroups().Join("workers", mine)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		port := fmt.Sprintf("old#%d", i)
		for _, p := range []*peer{oldA, oldB} {
			p.tell("reg1", "workers", port)
		}
		for _, r := range []*registry.Registry{a, b, c} {
			wait(t, r, "workers", map[string]any{"c#1": nil, port: nil, string(mine): nil})
		}
		for _, p := range []*peer{oldA, oldB} {
			p.tell("reg0", "workers", port)
		}
		for _, r := range []*registry.Registry{a, b, c} {
			wait(t, r, "workers", map[string]any{"c#1": nil, string(mine): nil})
		}
	}
	for _, p := range []*peer{oldA, oldB} {
		p.wait("the address of c", func(line string) bool { return strings.Contains(line, `"c": ["127.`) })
	}
	undo()
	leave()
	oldB.hear(`GLOBAL ["reg0", "workers", "` + string(mine) + `"]`)
	for _, r := range []*registry.Registry{a, b, c} {
		wait(t, r, "workers", nil)
	}
}

func TestBridgeBadInput(t *testing.T) {
	for name, test := range map[string]struct {
		cfg   remote.Config
		names []string
		want  string
	}{
		"a name that is no family": {remote.Config{Listen: []string{"127.0.0.1:0"}}, []string{"no family"}, `family "no family"`},
		"no listener":              {remote.Config{}, []string{"workers"}, "Config.Bridge needs an address"},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.NodeID, test.cfg.Secret = "go", "secret"
			r, err := registry.Start(t.Context(), actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler))), test.cfg, registry.Config{Bridge: test.names})
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
