package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
)

// An inbox is a port that records what it receives.
type inbox struct {
	port actor.PortID
	mu   sync.Mutex
	got  []string
}

func newInbox(r *registry.Registry) *inbox {
	in := &inbox{}
	in.port = r.Node().System().Port(func(c *actor.Context) error {
		c.Default(func(c *actor.Context, m actor.Message) error {
			in.add(m.String())
			return nil
		})
		return nil
	})
	return in
}

func (in *inbox) add(what string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.got = append(in.got, what)
}

// take waits until nothing happens any more, and returns what has come since the
// last call.
func (in *inbox) take() []string {
	synctest.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	got := in.got
	in.got = nil
	return got
}

func (in *inbox) want(t *testing.T, want ...string) {
	t.Helper()
	if got := in.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// deadLetters records the dead letters of a node.
func deadLetters(r *registry.Registry) *inbox {
	in := &inbox{}
	r.Node().System().Actors().EventStream.Subscribe(func(e any) {
		if d, ok := e.(*proto.DeadLetterEvent); ok {
			in.add(fmt.Sprint(d.Message))
		}
	})
	return in
}

func TestRouters(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b, c := m.start("a"), m.start("b", "a"), m.start("c", "a")
		g := group(t, a, "workers")
		x, y, z := newInbox(a), newInbox(b), newInbox(b)
		ins := []*inbox{x, y, z}
		for _, in := range ins {
			join(t, g, in.port)
		}
		settle()
		send := c.Node().System().Send // from a third node
		take := func() (all []string, most int) {
			for _, in := range ins {
				got := in.take()
				all, most = append(all, got...), max(most, len(got))
			}
			slices.Sort(all)
			return all, most
		}

		everyone := g.Router(registry.ToAll, registry.RouterConfig{})
		send(everyone, "hello", 1)
		send(everyone, "hello", 2)
		for _, in := range ins {
			in.want(t, `["hello", 1]`, `["hello", 2]`)
		}

		inTurn := g.Router(registry.ToNext, registry.RouterConfig{})
		for i := range 6 {
			send(inTurn, i)
		}
		if all, most := take(); fmt.Sprint(all) != "[[0] [1] [2] [3] [4] [5]]" || most != 2 {
			t.Errorf("in turn: got %v, at most %d", all, most)
		}

		anyone := g.Router(registry.ToRandom, registry.RouterConfig{})
		for i := range 6 {
			send(anyone, i)
		}
		if all, _ := take(); fmt.Sprint(all) != "[[0] [1] [2] [3] [4] [5]]" {
			t.Errorf("at random: got %v", all)
		}

		byKey := g.Router(registry.ToKey(registry.Element(1)), registry.RouterConfig{})
		for i := range 60 {
			send(byKey, "job", i%6, i)
		}
		seen := make(map[string]bool)
		for _, in := range ins {
			for _, got := range in.take() {
				key := strings.Split(got, ",")[1]
				owner, _ := g.ForKey(strings.TrimSpace(key))
				if owner != in.port {
					t.Errorf("%s came to %s, want %s", got, in.port, owner)
				}
				seen[got] = true
			}
		}
		if len(seen) != 60 {
			t.Errorf("by key: got %d messages", len(seen))
		}
	})
}

type routed struct {
	N     int
	Reply actor.PortID
}

var _ = actor.Bind[routed]("routed")

// A member answers to whoever has asked the router, not to the router.
func TestRouterKeepsReplyPort(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b, c := m.start("a"), m.start("b", "a"), m.start("c", "a")
		g := group(t, b, "workers")
		join(t, g, c.Node().System().Port(func(cx *actor.Context) error {
			cx.Receive("ping", func(cx *actor.Context, m actor.Message) error { return cx.Respond("pong", m[0]) })
			actor.On(cx, func(cx *actor.Context, m routed) error { return cx.Send(m.Reply, "typed", m.N) })
			return nil
		}))
		settle()
		router := g.Router(registry.ToNext, registry.RouterConfig{})
		for _, r := range []*registry.Registry{a, b, c} {
			sys := r.Node().System()
			if m, err := sys.Call(t.Context(), router, "ping", 7); err != nil || m.String() != `["pong", 7]` {
				t.Errorf("%s: got %v, %v", r.Node().ID(), m, err)
			}
			in := newInbox(r)
			sys.Send(router, routed{7, in.port})
			in.want(t, `["typed", 7]`)
			// The same through protoactor-go, where the sender is no element.
			answer, err := sys.Actors().Root.RequestFuture(sys.PID(router), actor.Message{"ping", 8}, time.Minute).Result()
			if err != nil || fmt.Sprint(answer) != `["pong", 8]` {
				t.Errorf("%s: got %v, %v", r.Node().ID(), answer, err)
			}
		}
	})
}

// What senders on several nodes send by one router comes to each member in
// order, and once, whoever joins and leaves meanwhile.
func TestRouterKeepsOrder(t *testing.T) {
	for name, policy := range map[string]registry.Policy{
		"next": registry.ToNext, "random": registry.ToRandom, "key": registry.ToKey(registry.Element(2)),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *bubble) {
				nodes := []*registry.Registry{m.start("a"), m.start("b", "a"), m.start("c", "a")}
				const members, count = 6, 300
				type message struct {
					sender string
					n      int
				}
				got := make([][]message, members)
				var ports []actor.PortID
				for i := range members {
					ports = append(ports, nodes[i%3].Node().System().Port(func(c *actor.Context) error {
						c.Receive("n", func(_ *actor.Context, m actor.Message) (err error) {
							var x message
							err = m.Scan(&x.sender, &x.n)
							got[i] = append(got[i], x)
							return err
						})
						return nil
					}))
				}
				g := group(t, nodes[1], "workers")
				router := g.Router(policy, registry.RouterConfig{})
				settle()
				var senders sync.WaitGroup
				for _, r := range nodes {
					senders.Go(func() {
						for i := range count {
							r.Node().System().Send(router, "n", string(r.Node().ID()), i)
							time.Sleep(time.Millisecond)
						}
					})
				}
				// Nobody is a member for the first while, and now and then.
				for range 50 {
					time.Sleep(rand.N(20 * time.Millisecond))
					i := rand.IntN(members)
					leave, err := nodes[i%3].Register("workers", ports[i], nil)
					if err != nil {
						t.Error(err)
					}
					time.AfterFunc(rand.N(20*time.Millisecond), leave)
				}
				senders.Wait()
				join(t, g, ports[0])
				synctest.Wait()
				seen := make(map[message]int)
				for i := range got {
					last := map[string]int{"a": -1, "b": -1, "c": -1}
					for _, x := range got[i] {
						if x.n <= last[x.sender] {
							t.Fatalf("member %d got %d of %s behind %d", i, x.n, x.sender, last[x.sender])
						}
						last[x.sender] = x.n
						seen[x]++
						if seen[x] > 1 {
							t.Fatalf("%v came twice", x)
						}
					}
				}
				if len(seen) != 3*count {
					t.Errorf("%d messages came, want %d", len(seen), 3*count)
				}
			})
		})
	}
}

// Messages wait for a member, for as long as was said, and then are dead
// letters.
func TestRouterWithoutMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a := m.start("a", "a")
		g := group(t, a, "workers")
		dead := deadLetters(a)
		sys := a.Node().System()
		router := g.Router(registry.ToNext, registry.RouterConfig{Wait: 10 * time.Second, Size: 3})
		impatient := g.Router(registry.ToAll, registry.RouterConfig{Wait: -1})
		usual := g.Router(registry.ToAll, registry.RouterConfig{})
		sys.Send(impatient, "now")
		dead.want(t, `["now"]`)
		sys.Send(usual, "patient")
		for i := range 4 {
			sys.Send(router, i)
			time.Sleep(2 * time.Second)
		}
		dead.want(t, "[3]") // for which there was no room
		time.Sleep(3 * time.Second)
		dead.want(t, "[0]") // whose time is up
		sys.Send(router, 4)
		dead.want(t)
		in := newInbox(a)
		leave := join(t, g, in.port)
		got := in.take()
		slices.Sort(got) // two routers
		if want := []string{`["patient"]`, "[1]", "[2]", "[4]"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		sys.Send(router, 5)
		in.want(t, "[5]")
		leave()
		synctest.Wait()
		sys.Send(router, 6)
		time.Sleep(9 * time.Second)
		dead.want(t)
		time.Sleep(2 * time.Second)
		dead.want(t, "[6]")
		sys.Send(usual, "late")
		time.Sleep(29 * time.Second)
		dead.want(t)
		time.Sleep(2 * time.Second)
		dead.want(t, `["late"]`)
	})
}

// Lost decides what becomes of messages that are not forwarded.
func TestRouterLost(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a, b := m.start("a", "a"), m.start("b", "a")
		settle()
		g := group(t, a, "workers")
		dead := deadLetters(a)
		sys := a.Node().System()
		config := registry.RouterConfig{Wait: time.Second, Lost: func(c *actor.Context, m actor.Message, cause error) error {
			return c.Send(actor.PortID(m[len(m)-1].(string)), "lost", m[0], errors.Is(cause, registry.ErrNoMember), errors.Is(cause, aemp.ErrValue))
		}}
		polite := g.Router(registry.ToKey(registry.Element(1)), config)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for want, msg := range map[string]actor.Message{
			`["lost", "nobody", true, false]`: {"nobody", 1},
			`["lost", "key", false, true]`:    {"key", map[string]any{}},
		} {
			if answer, err := sys.Call(ctx, polite, msg...); err != nil || answer.String() != want {
				t.Errorf("got %v, %v, want %s", answer, err, want)
			}
		}

		strict := g.Router(registry.ToNext, registry.RouterConfig{Wait: time.Second, Lost: func(_ *actor.Context, _ actor.Message, cause error) error { return cause }})
		reasons := make(chan actor.Reason, 1)
		sys.Monitor(strict, func(r actor.Reason) { reasons <- r })
		sys.Send(strict, 1)
		time.Sleep(time.Second / 2)
		sys.Send(strict, 2)
		if r := <-reasons; r.Kind() != aemp.ReasonDie || !strings.Contains(r.String(), "no member") {
			t.Errorf("got reason %v", r)
		}
		sys.Send(strict, 3)
		dead.want(t, "[2]", "[3]")

		// A message that cannot be sent is lost, and nothing else.
		in := newInbox(b)
		join(t, g, in.port)
		router := g.Router(registry.ToAll, registry.RouterConfig{})
		for _, v := range []any{1, make(chan int), 2} {
			sys.Send(router, v)
		}
		in.want(t, "[1]", "[2]")
		if got := dead.take(); len(got) != 1 || !strings.HasPrefix(got[0], "[0x") {
			t.Errorf("got dead letters %q", got)
		}
		join(t, g, router)
		synctest.Wait()
		sys.Send(router, "round")
		in.want(t, `["round"]`)
		dead.want(t, `["round"]`)
	})
}

// A router whose mailbox overflows dies, as any port does, and what it held is
// not lost silently.
func TestRouterMailbox(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a := m.start("a", "a")
		sys := a.Node().System()
		dead := deadLetters(a)
		busy := make(chan bool)
		router := group(t, a, "workers").Router(registry.ToNext, registry.RouterConfig{
			Size:    2,
			Lost:    func(*actor.Context, actor.Message, error) error { <-busy; return nil },
			Mailbox: actor.Mailbox{Size: 1},
		})
		reasons := make(chan actor.Reason, 1)
		sys.Monitor(router, func(r actor.Reason) { reasons <- r })
		for i := range 5 { // two are held, one is being lost, one is in the mailbox
			sys.Send(router, i)
			synctest.Wait()
		}
		close(busy)
		if r := <-reasons; r.Kind() != "mailbox_full" {
			t.Errorf("got reason %v", r)
		}
		got := dead.take()
		slices.Sort(got)
		if want := []string{"[0]", "[1]", "[3]", "[4]"}; !slices.Equal(got, want) {
			t.Errorf("got dead letters %q, want %q", got, want)
		}
	})
}

func TestElement(t *testing.T) {
	for _, test := range []struct {
		i    int
		m    actor.Message
		want string
		err  string
	}{
		{0, actor.Message{"tag", 1}, "tag", ""},
		{1, actor.Message{"tag", 1}, "1", ""},
		{1, actor.Message{"tag", actor.PortID("a#b")}, "a#b", ""},
		{2, actor.Message{"tag", 1}, "", "element 2: wrong value: it is missing"},
		{-1, actor.Message{"tag"}, "", "element -1: wrong value: it is missing"},
		{1, actor.Message{"tag", []any{}}, "", "element 1: wrong value: want string, found []"},
	} {
		got, err := registry.Element(test.i)(test.m)
		if got != test.want || test.err == "" && err != nil || test.err != "" && (!errors.Is(err, aemp.ErrValue) || !strings.HasPrefix(err.Error(), test.err)) {
			t.Errorf("element %d of %v: got %q, %v", test.i, test.m, got, err)
		}
	}
}

func TestRoutersEndWithTheirGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, m *bubble) {
		a := m.start("a", "a")
		sys := a.Node().System()
		dead := deadLetters(a)
		full, empty := group(t, a, "workers"), group(t, a, "idle")
		in := newInbox(a)
		join(t, full, in.port)
		settle()
		one, two := full.Router(registry.ToAll, registry.RouterConfig{}), empty.Router(registry.ToAll, registry.RouterConfig{})
		synctest.Wait()
		ended := make(chan actor.Reason, 3)
		for _, port := range []actor.PortID{one, two} {
			sys.Monitor(port, func(r actor.Reason) { ended <- r })
		}
		sys.Send(one, "before")
		sys.Send(two, "waits")
		full.Close()
		empty.Close()
		empty.Close()
		late := full.Router(registry.ToAll, registry.RouterConfig{})
		sys.Monitor(late, func(r actor.Reason) { ended <- r })
		for range 3 {
			if r := <-ended; !r.Normal() && r.Kind() != aemp.ReasonNoSuchPort {
				t.Errorf("got reason %v", r)
			}
		}
		in.want(t, `["before"]`)
		dead.want(t, `["waits"]`)
		sys.Send(one, "behind")
		dead.want(t, `["behind"]`)
		in.want(t)
	})
}

// What a router adds to a message on its way to a member on the same node.
func BenchmarkRouter(b *testing.B) {
	for _, members := range []int{1, 100} {
		for name, policy := range map[string]registry.Policy{
			"next": registry.ToNext, "key": registry.ToKey(registry.Element(1)),
		} {
			b.Run(fmt.Sprint(name, "/", members), func(b *testing.B) {
				r := startAlone()
				defer r.Close()
				g, err := r.Group("workers")
				if err != nil {
					b.Fatal(err)
				}
				defer g.Close()
				done := make(chan bool)
				for range members {
					g.Join(r.Node().System().Port(func(c *actor.Context) error {
						c.Receive("n", func(_ *actor.Context, m actor.Message) error {
							if m[0] == 0 {
								done <- true
							}
							return nil
						})
						return nil
					}))
				}
				for len(g.Members()) < members {
					if _, err := g.Wait(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				router := g.Router(policy, registry.RouterConfig{Mailbox: actor.Mailbox{Size: 1000, Full: actor.WaitFor(time.Minute)}})
				send := r.Node().System().Send
				b.ReportAllocs()
				for i := 1; b.Loop(); i++ {
					send(router, "n", i)
				}
				send(router, "n", 0)
				<-done
			})
		}
	}
}
