package registry_test

import (
	"maps"
	"reflect"
	"slices"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
)

// What the Perl program did, our program does: it is derived from what its node
// sent. And what a program hears is derived from what its node was told.

// act does what makes our node send a packet.
func (p *player) act(next packet) {
	p.t.Helper()
	if p.groups != nil {
		p.groups.act(next)
		return
	}
	family := next.text(0)
	switch next.tag() {
	case "g_upd", "g_chg2":
		p.change(next)
	case "g_mon1":
		stop, err := p.reg.Monitor(family, func(c registry.Change) { p.seen <- c })
		if err != nil {
			p.t.Fatalf("%v: %v", next, err)
		}
		p.stops[family] = stop
	case "g_mon0":
		p.stops[family]()
	case "g_db_family", "g_db_keys", "g_db_values":
		p.ask(next)
	case "g_find":
		if p.conns[next.conn].peer == family {
			return // the node is looked for by Perl alone
		}
		node := actor.NodeID(family)
		found := false
		for _, said := range p.rec.packets {
			if said.from != p.us || said.to != family || said.eof {
				continue
			}
			found = true
			if said.tag() == "mon1" {
				p.sys.Monitor(node.Port(said.text(0)), func(actor.Reason) {})
			} else if err := p.sys.Send(node.Port(said.port), said.message...); err != nil {
				p.t.Fatalf("%v: %v", said, err)
			}
		}
		if !found {
			p.sys.Monitor(node.Port("any"), func(actor.Reason) {})
		}
	}
}

// change changes our node's own part, unless it was somebody else who has
// caused the packet: a global node tells of the changes of its slaves too. Those
// are of other keys in all recordings.
func (p *player) change(next packet) {
	p.t.Helper()
	family := next.text(0)
	set, _ := next.message[2].(map[string]any)
	var del []any
	if len(next.message) > 3 {
		del, _ = next.message[3].([]any)
	}
	slave := !p.reg.IsGlobal()
	for key, value := range set {
		port := actor.PortID(key)
		var err error
		switch {
		case port.Node() == actor.NodeID(p.us) && port.Name() != "":
			p.port(port.Name(), nil)
			_, err = p.reg.Register(family, port, value)
		case slave || key == "plum":
			_, err = p.reg.Set(family, key, value)
		}
		if err != nil {
			p.t.Fatalf("%v: %v", next, err)
		}
	}
	var keys []string
	for _, v := range del {
		key := v.(string)
		port := actor.PortID(key)
		switch {
		case port.Node() == actor.NodeID(p.us) && port.Name() != "":
			p.sys.Kill(port) // which ends its registration
		case slave || key == "plum":
			keys = append(keys, key)
		}
	}
	if err := p.reg.Delete(family, keys...); err != nil && len(keys) > 0 {
		p.t.Fatalf("%v: %v", next, err)
	}
}

// port makes a port of the recorded name.
func (p *player) port(name string, inbox chan<- actor.Message) {
	p.t.Helper()
	if _, err := p.sys.NamedPort(name, func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			if inbox != nil {
				inbox <- m
			}
			return nil
		})
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
}

// ask asks the question that makes our node send a packet, and waits for the
// answer elsewhere.
func (p *player) ask(next packet) {
	family := next.text(0)
	answer := make(chan any, 1)
	p.answers[next.text(1)] = answer
	go func() {
		var v any
		var err error
		switch next.tag() {
		case "g_db_family":
			v, err = p.reg.Family(p.t.Context(), family)
		case "g_db_keys":
			var keys []string
			keys, err = p.reg.Keys(p.t.Context(), family)
			list := make([]any, len(keys))
			for i := range keys {
				list[i] = keys[i]
			}
			v = list
		case "g_db_values":
			v, err = p.reg.Values(p.t.Context(), family)
		}
		if err != nil {
			v = err
		}
		answer <- v
	}()
}

// hears compares what our program hears of a packet that its node was told.
func (p *player) hears(next packet, message []any) {
	p.t.Helper()
	switch next.tag() {
	case "hello":
		if got := nextIn(p.t, next, p.inbox); !reflect.DeepEqual(got, next.message) {
			p.t.Errorf("%v: the port got %v", next, got)
		}
	case "mon1":
		p.inbox = make(chan actor.Message, 1)
		p.port(next.text(0), p.inbox)
	case "g_reply":
		want := message[2]
		if got := nextIn(p.t, next, p.answers[next.text(0)]); !reflect.DeepEqual(got, want) {
			p.t.Errorf("%v: the answer is %#v, want %#v", next, got, want)
		}
	case "g_chg1":
		content, _ := message[2].(map[string]any)
		p.content = maps.Clone(content)
		p.wantChange(next, registry.Change{Content: content, Added: slices.Collect(maps.Keys(content))})
	case "g_chg2":
		want := registry.Change{Content: maps.Clone(p.content)}
		if want.Content == nil {
			want.Content = make(map[string]any)
		}
		for key, value := range message[2].(map[string]any) {
			if _, ok := want.Content[key]; ok {
				want.Changed = append(want.Changed, key)
			} else {
				want.Added = append(want.Added, key)
			}
			want.Content[key] = value
		}
		for _, key := range message[3].([]any) {
			want.Deleted = append(want.Deleted, key.(string))
			delete(want.Content, key.(string))
		}
		p.content = want.Content
		p.wantChange(next, want)
	}
}

func (p *player) wantChange(next packet, want registry.Change) {
	p.t.Helper()
	got := nextIn(p.t, next, p.seen)
	for _, list := range [][]string{got.Added, got.Changed, got.Deleted, want.Added, want.Changed, want.Deleted} {
		slices.Sort(list)
	}
	if len(got.Content) != len(want.Content) || len(want.Content) > 0 && !reflect.DeepEqual(got.Content, want.Content) ||
		!slices.Equal(got.Added, want.Added) || !slices.Equal(got.Changed, want.Changed) || !slices.Equal(got.Deleted, want.Deleted) {
		p.t.Errorf("%v: the monitor is told of\n     %+v\nwant %+v", next, got, want)
	}
}
