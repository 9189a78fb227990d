package actor_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

type (
	ping struct {
		N    int
		From actor.PortID
	}
	level string
	point struct{ X, Y int }
	tree  struct {
		Name string
		Kids []tree
	}
	everything struct {
		Bool     bool
		Int      int
		Int8     int8
		Int64    int64
		Uint8    uint8
		Uint64   uint64
		Float32  float32
		Float64  float64
		String   string
		Level    level
		Bytes    []byte
		Time     time.Time
		Duration time.Duration
		Ints     []int
		Points   []point
		Map      map[string]point
		Point    point
		Pointer  *point
		Nil      *point
		Number   *int
		Port     actor.PortID
		PID      *proto.PID
		Any      any
		List     any
		Tree     tree
		hidden   int
		Skipped  chan int `aemp:"-"`
		End      int
	}
	options struct {
		Must string
		May  string  `aemp:"optional"`
		Also []int   `aemp:"optional"`
		Num  float64 `aemp:"optional"`
	}
	variadic struct {
		First string
		Rest  []int `aemp:"rest"`
	}
	nothing struct{}
	unbound struct{ N int }
)

var (
	_ = actor.Bind[ping]("typed-ping")
	_ = actor.Bind[everything]("typed-everything")
	_ = actor.Bind[options]("typed-options")
	_ = actor.Bind[variadic]("typed-variadic")
	_ = actor.Bind[nothing]("typed-nothing")
)

func full() everything {
	seven := 7
	return everything{
		Bool: true, Int: -1, Int8: -128, Int64: math.MinInt64, Uint8: 255, Uint64: math.MaxUint64, Float32: 0.5, Float64: 1e100,
		String: "größe", Level: "high", Bytes: []byte{0xff, 0, 1}, Time: time.Unix(1795225744, 733091000), Duration: 1500 * time.Millisecond,
		Ints: []int{1, 2, 3}, Points: []point{{1, 2}, {3, 4}}, Map: map[string]point{"a": {5, 6}}, Point: point{7, 8}, Pointer: &point{9, 10},
		Number: &seven, Port: "node#port", PID: proto.NewPID("node", "pid"), Any: "any", List: []any{int64(1), "x", nil, map[string]any{"k": "v"}},
		Tree: tree{"root", []tree{{"left", []tree{}}, {"right", []tree{{"leaf", []tree{}}}}}}, End: 42,
	}
}

// typedPort makes a port that passes on what it receives of a type.
func typedPort[T any](sys *actor.System) (actor.PortID, <-chan T) {
	got := make(chan T, 100)
	return sys.Port(func(c *actor.Context) error {
		actor.On(c, func(_ *actor.Context, m T) error {
			got <- m
			return nil
		})
		return nil
	}), got
}

// A message is the same whether it stays here, or goes through any framing.
func TestTypedMessages(t *testing.T) {
	sys := newSystem(t)
	port, got := typedPort[everything](sys)
	want := full()
	sys.Send(port, want)
	sys.Send(port, &want)
	for range 2 {
		if g := next(t, got); !reflect.DeepEqual(g, want) {
			t.Errorf("got %+v\nwant %+v", g, want)
		}
	}
	for _, f := range []aemp.Framing{aemp.JSON, aemp.CBOR, aemp.MessagePack, aemp.Storable} {
		t.Run(f.Name(), func(t *testing.T) {
			deliver(t, sys, f, actor.Outgoing{Port: port.Name(), Message: &want})
			if g := next(t, got); !reflect.DeepEqual(g, want) {
				t.Errorf("got %+v\nwant %+v", g, want)
			}
		})
	}
}

// Lists become typed messages and the reverse, as the receiver wants.
func TestTypedAndUntypedConvert(t *testing.T) {
	sys := newSystem(t)
	port, got := typedPort[ping](sys)
	sys.Send(port, "typed-ping", "3", "a#b") // numbers may be strings
	if g := next(t, got); g != (ping{3, "a#b"}) {
		t.Errorf("got %+v", g)
	}
	untyped, messages := collector(sys)
	sys.Send(untyped, ping{4, "c#d"})
	wantMessage(t, next(t, messages), "typed-ping", 4, "c#d")
	tagged := make(chan actor.Message, 1)
	port = sys.Port(func(c *actor.Context) error {
		c.Receive("typed-ping", func(_ *actor.Context, m actor.Message) error { tagged <- m; return nil })
		return nil
	})
	sys.Send(port, ping{5, ""})
	wantMessage(t, next(t, tagged), 5, "")
}

func TestOptionalAndRest(t *testing.T) {
	sys := newSystem(t)
	opt, gotOptions := typedPort[options](sys)
	rest, gotRest := typedPort[variadic](sys)
	none, gotNothing := typedPort[nothing](sys)
	list, lists := collector(sys)
	for _, test := range []struct {
		sent options
		list []any
	}{
		{options{Must: "a"}, []any{"typed-options", "a"}},
		{options{Must: "a", May: "b"}, []any{"typed-options", "a", "b"}},
		{options{Must: "a", Num: 2.5}, []any{"typed-options", "a", "", []any{}, 2.5}},
	} {
		sys.Send(list, test.sent)
		wantMessage(t, next(t, lists), test.list...)
		sys.Send(opt, test.list...)
		g := next(t, gotOptions)
		if len(g.Also) == 0 {
			g.Also = nil
		}
		if !reflect.DeepEqual(g, test.sent) {
			t.Errorf("got %+v, want %+v", g, test.sent)
		}
	}
	for _, want := range []variadic{{"x", nil}, {"x", []int{1, 2, 3}}} {
		sys.Send(list, want)
		m := next(t, lists)
		if len(m) != 2+len(want.Rest) {
			t.Errorf("got %v", m)
		}
		sys.Send(rest, m...)
		if g := next(t, gotRest); !reflect.DeepEqual(g, want) {
			t.Errorf("got %+v, want %+v", g, want)
		}
	}
	sys.Send(none, "typed-nothing", "ignored", 1)
	next(t, gotNothing)
}

// The last field, if it is a port, is where the answer goes, and a request's
// sender fills it in.
func TestTypedReply(t *testing.T) {
	sys := newSystem(t)
	port := sys.Port(func(c *actor.Context) error {
		actor.On(c, func(c *actor.Context, m ping) error { return c.Respond("pong", m.N) })
		actor.On(c, func(c *actor.Context, m variadic) error { return c.Respond("rest", len(m.Rest)) })
		return nil
	})
	self, got := collector(sys)
	sys.Send(port, ping{1, self})
	wantMessage(t, next(t, got), "pong", 1)
	for _, f := range []aemp.Framing{aemp.JSON, aemp.CBOR} {
		deliver(t, sys, f, actor.Outgoing{Port: port.Name(), Message: ping{N: 2}, Reply: self})
		wantMessage(t, next(t, got), "pong", 2)
		deliver(t, sys, f, actor.Outgoing{Port: port.Name(), Message: actor.Message{"typed-ping", 3, self}})
		wantMessage(t, next(t, got), "pong", 3)
	}
	answer, err := sys.Actors().Root.RequestFuture(sys.PID(port), &ping{N: 4}, 10*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, answer.(actor.Message), "pong", 4)
}

// A protoactor-go actor gets the pointer.
func TestTypedMessagesForProtoactor(t *testing.T) {
	sys := newSystem(t)
	got := make(chan *ping, 10)
	pid := sys.Actors().Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if m, ok := c.Message().(*ping); ok {
			got <- m
		}
	}))
	sys.Send(actor.PortOf(pid), ping{1, "x#y"})
	deliver(t, sys, aemp.JSON, actor.Outgoing{Port: pid.Id, Message: actor.Message{"typed-ping", 2, "x#y"}})
	for i := 1; i <= 2; i++ {
		if g := next(t, got); *g != (ping{i, "x#y"}) {
			t.Errorf("got %+v", g)
		}
	}
}

func TestTypedMismatches(t *testing.T) {
	for name, test := range map[string]struct {
		list actor.Message
		want string
	}{
		"missing":        {actor.Message{"typed-ping", 1}, "typed-ping: argument 2 (From): wrong value: missing, want aemp.PortID"},
		"wrong kind":     {actor.Message{"typed-ping", []any{}, "x"}, "typed-ping: argument 1 (N): wrong value: want int, found"},
		"not a number":   {actor.Message{"typed-ping", "three", "x"}, `typed-ping: argument 1 (N): wrong value: want int, found string "three"`},
		"deep inside":    {everythingWith(14, []any{[]any{1, 2}, []any{1, "y"}}), "argument 15 (Points): index 1: argument 2 (Y): wrong value: want int"},
		"not a list":     {everythingWith(13, "x"), "argument 14 (Ints): wrong value: want []int, found string"},
		"not a map":      {everythingWith(15, []any{}), "argument 16 (Map): wrong value: want map[string]actor_test.point, found array"},
		"too large":      {everythingWith(2, 128), "argument 3 (Int8): wrong value: want int8"},
		"in the rest":    {actor.Message{"typed-variadic", "x", 1, "no"}, "typed-variadic: argument 3 (Rest): wrong value: want int"},
		"list as string": {actor.Message{"typed-variadic", []any{}}, "typed-variadic: argument 1 (First): wrong value: want string"},
	} {
		t.Run(name, func(t *testing.T) {
			sys := newSystem(t)
			bad := make(chan error, 1)
			dies := sys.Port(func(c *actor.Context) error {
				actor.On(c, func(*actor.Context, ping) error { t.Error("received"); return nil })
				actor.On(c, func(*actor.Context, everything) error { t.Error("received"); return nil })
				actor.On(c, func(*actor.Context, variadic) error { t.Error("received"); return nil })
				return nil
			})
			asks := sys.Port(func(c *actor.Context) error {
				keep := func(_ *actor.Context, m actor.Message, err error) error {
					if len(m) != len(test.list)-1 {
						t.Errorf("got message %v", m)
					}
					bad <- err
					return nil
				}
				actor.OnError(c, func(*actor.Context, ping) error { t.Error("received"); return nil }, keep)
				actor.OnError(c, func(*actor.Context, everything) error { t.Error("received"); return nil }, keep)
				actor.OnError(c, func(*actor.Context, variadic) error { t.Error("received"); return nil }, keep)
				return nil
			})
			died := monitored(sys, dies)
			sys.Send(dies, test.list...)
			r := next(t, died)
			if text, _ := r[1].(string); r.Kind() != aemp.ReasonDie || !strings.Contains(text, test.want) {
				t.Errorf("got reason %v, want %q", r, test.want)
			}
			for range 2 {
				if err := next(t, bad2(sys, asks, test.list, bad)); !errors.Is(err, aemp.ErrValue) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want %q", err, test.want)
				}
			}
			deliver(t, sys, aemp.JSON, actor.Outgoing{Port: asks.Name(), Message: test.list})
			if err := next(t, bad); !errors.Is(err, aemp.ErrValue) {
				t.Errorf("from another node: got error %v", err)
			}
		})
	}
}

func bad2(sys *actor.System, port actor.PortID, m actor.Message, bad chan error) <-chan error {
	sys.Send(port, m...)
	return bad
}

// everythingWith is the list of a full message with one element changed.
func everythingWith(i int, v any) actor.Message {
	sys := actor.NewSystem()
	port, got := collector(sys)
	sys.Send(port, full())
	m := <-got
	m[1+i] = v
	return m
}

func TestRegisterTyped(t *testing.T) {
	sys := newSystem(t)
	type arguments struct {
		Owner actor.PortID
		Count int `aemp:"optional"`
	}
	err := actor.RegisterTyped(sys, "Typed::init", func(c *actor.Context, args arguments) error {
		c.Default(func(*actor.Context, actor.Message) error { return nil })
		return c.Send(args.Owner, "count", args.Count)
	})
	if err != nil {
		t.Fatal(err)
	}
	self, got := collector(sys)
	sys.Spawn(sys.Node(), "Typed::init", self, "7")
	wantMessage(t, next(t, got), "count", 7)
	sys.Spawn(sys.Node(), "Typed::init", self)
	wantMessage(t, next(t, got), "count", 0)
	r := next(t, monitored(sys, sys.Spawn(sys.Node(), "Typed::init")))
	if r.Kind() != aemp.ReasonNoSuchPort && !strings.Contains(r.String(), "argument 1 (Owner): wrong value: missing") {
		t.Errorf("got reason %v", r)
	}
	if err := actor.RegisterTyped(sys, "Typed::bad", func(*actor.Context, struct{ C chan int }) error { return nil }); err == nil {
		t.Error("a channel was accepted as an argument")
	}
	if err := actor.RegisterTyped(sys, "Typed::init", func(*actor.Context, arguments) error { return nil }); !errors.Is(err, actor.ErrNameTaken) {
		t.Errorf("got error %v, want ErrNameTaken", err)
	}
}

func TestBindPanics(t *testing.T) {
	for name, bind := range map[string]func(){
		"not a struct":    func() { actor.Bind[int]("typed-int") },
		"tag twice":       func() { actor.Bind[unbound]("typed-ping") },
		"type twice":      func() { actor.Bind[ping]("typed-ping-again") },
		"channel":         func() { actor.Bind[struct{ C chan int }]("typed-chan") },
		"function inside": func() { actor.Bind[struct{ F []func() }]("typed-func") },
		"map of ints":     func() { actor.Bind[struct{ M map[int]int }]("typed-map") },
		"rest not last": func() {
			actor.Bind[struct {
				R []int `aemp:"rest"`
				N int
			}]("typed-rest")
		},
		"rest no slice": func() {
			actor.Bind[struct {
				R int `aemp:"rest"`
			}]("typed-rest")
		},
		"unknown option": func() {
			actor.Bind[struct {
				R int `aemp:"omitempty"`
			}]("typed-option")
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			bind()
		}()
	}
	sys := newSystem(t)
	port := sys.Port(func(c *actor.Context) error {
		actor.On(c, func(*actor.Context, unbound) error { return nil })
		return nil
	})
	if r := next(t, monitored(sys, port)); r.Kind() != aemp.ReasonDie && r.Kind() != aemp.ReasonNoSuchPort {
		t.Errorf("got reason %v", r)
	}
	if err := sys.Send(port, (*ping)(nil)); err != nil {
		t.Errorf("a nil message on this system: %v", err)
	}
}

// A message costs no more than itself and its string, in either direction.
func TestTypedAllocations(t *testing.T) {
	sys := newSystem(t)
	m := &ping{123456, "node#0123456789abcdef"}
	for _, f := range []aemp.Framing{aemp.JSON, aemp.CBOR, aemp.MessagePack} {
		e := f.NewEncoder()
		buf := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := (actor.Outgoing{Port: "port", Message: m}).Encode(e, buf); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: encoding allocates %v times", f.Name(), n)
		}
		packet, _ := actor.Outgoing{Port: "port", Message: m}.Encode(e, nil)
		d := f.NewDecoder(aemp.Limits{}.WithDefaults())
		if n := testing.AllocsPerRun(100, func() {
			d.Scan(packet)
			d.Reset(packet)
			aemp.DecodePort(d)
			if _, _, err := actor.DecodeMessage(d, packet); err != nil {
				t.Fatal(err)
			}
		}); n > 2 {
			t.Errorf("%s: decoding allocates %v times, want 2", f.Name(), n)
		}
	}
	_ = sys
}
