package registry_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
)

// watchGroup returns what the group is to become, step by step.
func watchGroup(t *testing.T, r *registry.Registry, group string) (expect func(want ...actor.PortID)) {
	t.Helper()
	changes := make(chan registry.GroupChange, 100)
	t.Cleanup(r.PortGroups().Monitor(group, func(c registry.GroupChange) { changes <- c }))
	var last []actor.PortID // changes that cancel each other out may not be told at all
	return func(want ...actor.PortID) {
		t.Helper()
		timeout := time.After(patience)
		for fmt.Sprint(last) != fmt.Sprint(want) || fmt.Sprint(r.PortGroups().Ports(group)) != fmt.Sprint(want) {
			select {
			case c := <-changes:
				last = c.Ports
			case <-timeout:
				t.Fatalf("%s sees %v in %s, and was told %v; want %v", r.Node().ID(), r.PortGroups().Ports(group), group, last, want)
			}
		}
	}
}

func newPort(t *testing.T, r *registry.Registry) actor.PortID {
	t.Helper()
	port := r.Node().System().Port(func(c *actor.Context) error {
		c.Default(func(*actor.Context, actor.Message) error { return nil })
		return nil
	})
	return port
}

// What a node of generation 1 is told, and tells, as in the recordings.
func TestPortGroups(t *testing.T) {
	r := start(t, "go", nil)
	mine := newPort(t, r)
	leave, err := r.PortGroups().Join("workers", mine)
	if err != nil {
		t.Fatal(err)
	}
	expect := watchGroup(t, r, "workers")
	expect(mine)

	perl := dialOld(t, "perl", address(r))
	perl.hear(` ["AnyEvent::MP::_spawn", "PORT", "AnyEvent::MP::Global::connect", 0, "go"]`)
	perl.hear(` ["mon1", "GLOBAL"]`)
	perl.hear(`GLOBAL ["addr", ["` + address(r) + `"]]`)
	perl.hear(`GLOBAL ["set", {"workers": ["` + string(mine) + `"]}]`)
	perl.hear(`GLOBAL ["setup"]`)
	perl.hear(`GLOBAL ["seedme1"]`)

	perl.tell("addr", []string{"127.0.0.1:9"})
	perl.tell("set", map[string][]string{"workers": {"perl#a", "other#a"}, "empty": {}})
	perl.tell("setup")
	expect(mine, "perl#a")
	perl.tell("reg1", "workers", "perl#b")
	expect(mine, "perl#a", "perl#b")
	perl.tell("reg0", "workers", "perl#a")
	expect(mine, "perl#b")
	second := newPort(t, r)
	if _, err := r.PortGroups().Join("workers", second); err != nil {
		t.Fatal(err)
	}
	perl.hear(`GLOBAL ["reg1", "workers", "` + string(second) + `"]`)
	expect(mine, second, "perl#b") // or else the two changes may become none
	r.Node().System().Kill(second)
	perl.hear(`GLOBAL ["reg0", "workers", "` + string(second) + `"]`)
	expect(mine, "perl#b")

	// Who knows whom: another node learns of the first, and the first, which
	// has asked for it, of the other.
	perl.tell("seedme1")
	other := dialOld(t, "other", address(r))
	other.hear(`GLOBAL ["nodes", {"perl": ["127.0.0.1:9"]}]`)
	other.hear(`GLOBAL ["setup"]`)
	other.tell("addr", []string{"127.0.0.1:10"})
	perl.hear(`GLOBAL ["nodes", {"other": ["127.0.0.1:10"]}]`)
	perl.tell("seedme0")
	perl.tell("find", "other")
	perl.hear(`GLOBAL ["nodes", {"other": ["127.0.0.1:10"]}]`)

	// A node that goes takes its ports with it, and the other becomes master.
	perl.close()
	expect(mine)
	other.hear(`GLOBAL ["seedme1"]`)
	other.hear(`GLOBAL ["find", "perl"]`)
	leave()
	leave()
	other.hear(`GLOBAL ["reg0", "workers", "` + string(mine) + `"]`)
	expect()
}

// A node that is told of by another is connected with.
func TestGossipConnects(t *testing.T) {
	r := start(t, "go", nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	perl := dialOld(t, "perl", address(r))
	perl.tell("nodes", map[string][]string{"other": {l.Addr().String()}, "go": {"127.0.0.1:9"}, "": {"x"}})
	other := acceptPeer(t, oldConfig("other"), l)
	other.hear(`GLOBAL ["setup"]`)
}

// Two nodes of ours have groups as soon as one of them wants some.
func TestPortGroupsOfOurs(t *testing.T) {
	a := start(t, "a", nil)
	b := start(t, "b", nil, address(a))
	if err := b.Node().Connect(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	port := newPort(t, b)
	if _, err := b.PortGroups().Join("workers", port); err != nil {
		t.Fatal(err)
	}
	expect := watchGroup(t, a, "workers")
	expect(port)
	b.Node().System().Kill(port)
	expect()
}

func TestPortGroupsBadInput(t *testing.T) {
	r := start(t, "go", nil)
	groups := r.PortGroups()
	if _, err := groups.Join("g", "elsewhere#1"); !errors.Is(err, registry.ErrNotLocal) {
		t.Errorf("port of another node: got %v", err)
	}
	if _, err := groups.Join("g", r.Node().ID().NodePort()); !errors.Is(err, registry.ErrNotLocal) {
		t.Errorf("node port: got %v", err)
	}
	if _, err := groups.Join("", newPort(t, r)); !errors.Is(err, registry.ErrFamily) {
		t.Errorf("no group: got %v", err)
	}
	perl := dialOld(t, "perl", address(r))
	for _, m := range [][]any{
		{"set", "x"}, {"set"}, {"set", map[string]any{"g": 1}}, {"reg1"}, {"reg1", "g"}, {"reg1", "g", "go#1"}, {"reg0", "g", "perl#never"},
		{"reg1", []any{}, "perl#1"}, {"addr", 7}, {"nodes", []any{1}}, {"nodes", map[string]any{"x": nil}}, {"find"}, {"find", "nobody"},
		{"seedme0"}, {"what"}, {},
	} {
		perl.tell(m...)
	}
	perl.tell("reg1", "g", "perl#1")
	watchGroup(t, r, "g")("perl#1")
}
