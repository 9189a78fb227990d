package registry_test

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// A logBook keeps the warnings and errors of a node.
type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBook) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(line))
	return len(line), nil
}

// take returns the lines since the last call.
func (b *logBook) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

// startLogged starts a node whose log is kept.
func startLogged(t *testing.T, id actor.NodeID, seeds ...string) (*registry.Registry, *logBook) {
	t.Helper()
	book := &logBook{}
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	r, err := registry.Start(t.Context(), sys, remote.Config{
		NodeID: id, Secret: "geheim-for-tests-0123456789", Listen: []string{"127.0.0.1:0"}, Seeds: seeds,
		CloseTimeout: 100 * time.Millisecond,
	}, registry.Config{Global: len(seeds) == 0})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, book
}

// A talker is a peer that says what a test wants it to say.
type talker struct {
	t    *testing.T
	id   actor.NodeID
	conn *aemp.Conn
}

func talkTo(t *testing.T, r *registry.Registry, id actor.NodeID) *talker {
	t.Helper()
	conn, err := aemp.Dial(t.Context(), address(r), aemp.Config{
		NodeID: id, Secret: "geheim-for-tests-0123456789", Framings: []aemp.Framing{aemp.CBOR},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.NetConn().SetDeadline(time.Now().Add(patience))
	return &talker{t, id, conn}
}

// say sends requests, waits until the node has dealt with them, and returns what
// it has said meanwhile.
func (p *talker) say(requests ...actor.Message) (heard []actor.Message) {
	p.t.Helper()
	for _, m := range append(requests, actor.Message{"snd", string(p.id.Port("fence"))}) {
		if err := p.conn.Send("", m...); err != nil {
			p.t.Fatalf("%v: %v", m, err)
		}
	}
	for {
		port, m, err := p.conn.Receive()
		if err != nil {
			p.t.Fatalf("behind %v: %v", requests, err)
		}
		if port == "fence" {
			return heard
		}
		heard = append(heard, m)
	}
}

type db = map[string]any

// Requests of wrong shapes, and from peers that are not what they would have to
// be, change nothing and cost a line of the log each.
func TestHostileToGlobal(t *testing.T) {
	a, book := startLogged(t, "a")
	b := start(t, "b", nil, address(a))
	set(t, b, "fruit", "apple", "red")
	wait(t, a, "fruit", db{"apple": "red"})

	stranger, slave, global := talkTo(t, a, "stranger"), talkTo(t, a, "slave"), talkTo(t, a, "global")
	slave.say(actor.Message{"g_slave", db{"fruit": db{"pear": 1}}})
	global.say(actor.Message{"g_global"}, actor.Message{"g_set", db{"fruit": db{"plum": 1}}})
	asker := talkTo(t, a, "asker")
	everything := func() map[string]map[string]any {
		content := make(map[string]map[string]any)
		for _, family := range []string{"'l", "'g", "fruit", "nuts", ""} {
			m := asker.say(actor.Message{"g_db_family", family, "1"})
			i := slices.IndexFunc(m, func(m actor.Message) bool { return m[0] == "g_reply" })
			if i < 0 {
				t.Fatalf("no answer, but %v", m)
			}
			content[family] = m[i][2].(map[string]any)
		}
		return content
	}
	before := everything()
	if got := before["fruit"]; !maps.Equal(got, db{"apple": "red", "pear": int64(1), "plum": int64(1)}) {
		t.Fatalf("got %v", got)
	}
	if lines := book.take(); len(lines) > 0 {
		t.Fatalf("logged %q", lines)
	}

	wrongShapes := []actor.Message{
		{"g_slave", 7}, {"g_slave", []any{}}, {"g_slave", "x"}, {"g_slave", db{"fruit": "no map"}}, {"g_slave", db{"fruit": db{"x": 1}, "nuts": nil}},
		{"g_upd"}, {"g_upd", db{}}, {"g_upd", "fruit", "x"}, {"g_upd", "fruit", []any{"x"}}, {"g_upd", "fruit", nil, "apple"},
		{"g_upd", "fruit", db{"x": 1}, db{"apple": 1}}, {"g_upd", "fruit", db{"x": 1}, []any{[]any{}}}, {"g_upd", []any{"fruit"}, db{"x": 1}},
		{"g_set"}, {"g_set", nil}, {"g_set", []any{}}, {"g_set", db{"fruit": 7}}, {"g_set", "fruit", db{"x": 1}},
		{"g_find"}, {"g_find", db{}}, {"g_db_family"}, {"g_db_family", "fruit"}, {"g_db_keys", []any{}, "x"}, {"g_db_values", "fruit", db{}},
		{"g_mon1"}, {"g_mon1", []any{"fruit"}}, {"g_mon0"}, {"g_mon0", db{}},
	}
	// Global nodes have no master.
	notOurs := []actor.Message{
		{"g_chg1", "fruit", db{"x": 1}}, {"g_chg1"}, {"g_chg1", "fruit", 1}, {"g_chg2", "fruit", db{"x": 1}, nil}, {"g_chg2", "fruit", nil, []any{"apple"}},
		{"g_reply", "1", db{"x": 1}}, {"g_reply"}, {"g_found", "b", []any{"127.0.0.1:1"}}, {"g_found"},
	}
	for _, test := range []struct {
		who      *talker
		requests []actor.Message
	}{
		{stranger, wrongShapes},
		{slave, wrongShapes},
		{global, wrongShapes},
		{stranger, notOurs},
		{slave, notOurs},
		{global, notOurs},
		{stranger, []actor.Message{{"g_set", db{"fruit": db{"x": 1}}}, {"g_upd", "fruit", db{"x": 1}}, {"g_upd", "fruit", nil, []any{"apple"}}}},
		{slave, []actor.Message{{"g_set", db{"fruit": db{"x": 1}}}}},
		{global, []actor.Message{{"g_slave", db{"fruit": db{"x": 1}}}}},
	} {
		for _, m := range test.requests {
			test.who.say(m)
			if lines := book.take(); len(lines) != 1 || !strings.Contains(lines[0], "peer="+string(test.who.id)) {
				t.Errorf("%s sends %v: logged %q, want one line", test.who.id, m, lines)
			}
		}
		if now := everything(); !reflect.DeepEqual(now, before) {
			t.Fatalf("%s has changed the database from\n     %v\nto %v", test.who.id, before, now)
		}
	}
	// What is allowed, and means nothing.
	for _, m := range []actor.Message{
		{"g_upd", "fruit"}, {"g_upd", "fruit", nil, nil}, {"g_upd", "fruit", db{}, []any{"nosuch"}}, {"g_mon0", "never"}, {"g_find", "nobody"},
		{"g_upd", "fruit", nil, []any{"apple"}}, // somebody else's
		{"g_slave"}, {"g_slave", nil}, {"g_upd", 12},
	} {
		slave.say(m)
	}
	if now := everything(); !reflect.DeepEqual(now, before) {
		t.Errorf("the database has changed from\n     %v\nto %v", before, now)
	}
	if lines := book.take(); len(lines) > 0 {
		t.Errorf("logged %q", lines)
	}
}

// Names and values that are strange are passed on; those that not every framing
// can say are left out, alone, and with a line of the log.
func TestStrangeEntries(t *testing.T) {
	a, book := startLogged(t, "a")
	b := start(t, "b", func(c *remote.Config) { c.Framings = []aemp.Framing{aemp.JSON} }, address(a))
	watcher := talkTo(t, a, "watcher")
	slave, global := talkTo(t, a, "slave"), talkTo(t, a, "global")
	const name = "\x00 ä # ; %\n\u2028"
	huge := make(db)
	for i := range 20000 {
		huge[fmt.Sprintf("key %d %s", i, strings.Repeat("x", i%100))] = i
	}
	slave.say(actor.Message{"g_slave", db{
		name: db{name: name, "": []any{}}, "": db{"": nil}, "huge": huge,
		"fruit": db{"good": 1, "infinite": math.Inf(1), "deep": []any{math.NaN()}, "\xff": 1},
	}})
	if lines := book.take(); len(lines) != 1 || !strings.Contains(lines[0], "peer=slave") {
		t.Errorf("logged %q, want one line", lines)
	}
	global.say(actor.Message{"g_global"}, actor.Message{"g_set", db{"fruit": db{"far": 1, "never": math.Inf(-1)}}},
		actor.Message{"g_upd", "fruit", db{"farther": 1, "nan": math.NaN()}, nil})
	if lines := book.take(); len(lines) != 2 {
		t.Errorf("logged %q, want two lines", lines)
	}
	want := db{"ÿ": int64(1), "good": int64(1), "far": int64(1), "farther": int64(1)}
	wait(t, b, "fruit", want)
	content, err := b.Family(t.Context(), "huge")
	if err != nil || len(content) != len(huge) {
		t.Errorf("%d keys, %v; want %d", len(content), err, len(huge))
	}
	heard := watcher.say(actor.Message{"g_mon1", name}, actor.Message{"g_db_family", "", "1"}, actor.Message{"g_db_keys", "nosuch", "2"})
	for _, want := range []actor.Message{
		{"g_chg1", name, db{name: name, "": []any{}}}, {"g_reply", "1", db{"": nil}}, {"g_reply", "2", []any{}},
	} {
		if !slices.ContainsFunc(heard, func(m actor.Message) bool { return m.String() == want.String() }) {
			t.Errorf("heard %v, want %v", heard, want)
		}
	}
}

// Many nodes that are said to be global, and are not, do not cost a connection
// or a goroutine each.
func TestManyGlobalsAreSaid(t *testing.T) {
	a, _ := startLogged(t, "a")
	global := talkTo(t, a, "global")
	said := make(db)
	for i := range 50000 {
		said[fmt.Sprintf("g%d", i)] = nil
	}
	said[""], said["a#b"] = nil, nil
	global.say(actor.Message{"g_global"}, actor.Message{"g_set", db{"'g": said, "'l": db{"g1": 7, "g2": []any{db{}}, "g3": []any{"nonsense"}}}})
	set(t, a, "fruit", "apple", "red")
	wait(t, a, "fruit", db{"apple": "red"})
}

// Nor do those that are told of in generation 1.
func TestManyNodesAreTold(t *testing.T) {
	a, book := startLogged(t, "a")
	perl := dialOld(t, "perl", address(a))
	told := make(map[string][]string)
	for i := range 20000 {
		told[fmt.Sprintf("n%d", i)] = []string{"127.0.0.1:1"}
	}
	perl.hear(`GLOBAL ["setup"]`)
	perl.tell("nodes", told)
	perl.tell("nodes", map[string]int{"x": 1})
	perl.tell("nodes")
	perl.tell("set", map[string][]string{"workers": {"other#a", "perl#a"}, "": {"perl#b"}})
	perl.tell("set", []string{"workers"})
	perl.tell("reg1", "workers", "a#mine")
	perl.tell("reg1", "workers")
	perl.tell("addr", "nowhere")
	perl.tell("find")
	perl.tell("reg1", "workers", "perl#z")
	watchGroup(t, a, "workers")("perl#a", "perl#z")
	lines := book.take()
	lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, "gossip ignored") })
	if len(lines) != 9 || !strings.Contains(lines[0], "19000 are left out") {
		t.Errorf("logged %d lines: %.2000q", len(lines), lines)
	}
	if n := runtime.NumGoroutine(); n > 10000 {
		t.Errorf("%d goroutines", n)
	}
}

// A slave listens to its master alone.
func TestHostileToSlave(t *testing.T) {
	a := start(t, "a", nil)
	b, book := startLogged(t, "b", address(a))
	set(t, a, "fruit", "apple", "red")
	changes := make(chan registry.Change, 100)
	if _, err := b.Monitor("fruit", func(c registry.Change) { changes <- c }); err != nil {
		t.Fatal(err)
	}
	wait(t, b, "fruit", db{"apple": "red"})
	<-changes
	stranger := talkTo(t, b, "stranger")
	for _, m := range []actor.Message{
		{"g_chg1", "fruit", db{"x": 1}}, {"g_chg1", "fruit", nil}, {"g_chg2", "fruit", db{"x": 1}, []any{}}, {"g_chg2", "fruit", nil, []any{"apple"}},
		{"g_reply", "1", db{}}, {"g_found", "a", []any{"127.0.0.1:1"}}, {"g_db_family", "fruit", "1"}, {"g_upd", "fruit", db{"x": 1}}, {"g_set", db{}},
		{"g_chg1"}, {"g_chg1", "fruit", 7}, {"g_chg2"}, {"g_chg2", "fruit", 7}, {"g_chg2", "fruit", nil, "apple"}, {"g_reply"}, {"g_found"}, {"g_upd"}, {"g_set"},
	} {
		stranger.say(m)
		if lines := book.take(); len(lines) != 1 || !strings.Contains(lines[0], "peer=stranger") {
			t.Errorf("%v: logged %q, want one line", m, lines)
		}
	}
	if heard := stranger.say(actor.Message{"g_find", "a"}, actor.Message{"g_mon0", "fruit"}); len(heard) != 1 || heard[0].String() != `["g_found", "a", null]` {
		t.Errorf("heard %v", heard)
	}
	if b.IsGlobal() {
		t.Error("it has become global")
	}
	select {
	case c := <-changes:
		t.Errorf("the monitor was told of %+v", c)
	default:
	}
	wait(t, b, "fruit", db{"apple": "red"})
}
