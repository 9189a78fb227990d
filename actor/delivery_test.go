package actor_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// deliver hands a message to a system as if it came from another node.
func deliver(t *testing.T, sys *actor.System, f aemp.Framing, m actor.Outgoing) {
	t.Helper()
	v := actor.GatewayOf(sys).NewDelivery()
	deliverBy(t, v, f, m)
	v.Post()
}

func deliverBy(t *testing.T, v *actor.Delivery, f aemp.Framing, m actor.Outgoing) {
	t.Helper()
	packet, err := m.Encode(f.NewEncoder(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := f.NewDecoder(aemp.Limits{}.WithDefaults())
	if n, err := d.Scan(packet); err != nil || n != len(packet) {
		t.Fatal(n, err)
	}
	d.Reset(packet)
	if v.Repeat(d, packet) {
		return
	}
	name, _, err := aemp.DecodePort(d)
	if err == nil {
		err = v.Deliver(name, d, packet)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func say(t *testing.T, v *actor.Delivery, port actor.PortID, m ...any) {
	t.Helper()
	deliverBy(t, v, aemp.JSON, actor.Outgoing{Port: port.Name(), Message: actor.Message(m)})
}

type deliveryJob struct {
	N    int
	Text string
}

var _ = actor.Bind[deliveryJob]("delivery.job")

// What a port gets does not depend on what came before, however alike it began.
func TestDeliveryRepeats(t *testing.T) {
	sys := newSystem(t)
	got := make(chan string, 100)
	// What is left over tells what the others have not taken.
	everything := func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			got <- fmt.Sprint("default ", m)
			return nil
		})
		return nil
	}
	typed := sys.Port(func(c *actor.Context) error {
		actor.On(c, func(_ *actor.Context, m deliveryJob) error {
			got <- fmt.Sprint("job ", m)
			return nil
		})
		c.Receive("delivery.list", func(_ *actor.Context, m actor.Message) error {
			got <- fmt.Sprint("list ", m)
			return nil
		})
		return everything(c)
	})
	untyped := sys.Port(everything)
	fitting := []actor.Message{
		{"delivery.job", 1, "one"}, {"delivery.job", 2, "two"}, {"delivery.job", "3", 4}, {"delivery.job", 4, "four", nil},
		{"delivery.list", 1}, {"delivery.list", 2}, {"delivery.list"}, {"delivery.list", []any{3}},
		{"other", 1}, {"other", 2}, {1, 2}, {1, 3}, {}, {"other", 3}, {"delivery.job", 7, "seven"},
	}
	others := append(slices.Clone(fitting),
		actor.Message{"delivery.job", 1, "one"}, actor.Message{"delivery.job", "no number", "two"},
		actor.Message{"delivery.job", 3, "three"}, actor.Message{"delivery.job", 4}, actor.Message{"delivery.job", 5, "five"})
	for _, f := range []aemp.Framing{aemp.JSON, aemp.CBOR, aemp.MessagePack, aemp.Storable} {
		for port, messages := range map[actor.PortID][]actor.Message{typed: fitting, untyped: others} {
			v := actor.GatewayOf(sys).NewDelivery()
			for i, m := range messages {
				out := actor.Outgoing{Port: port.Name(), Message: m}
				deliver(t, sys, f, out)
				want := next(t, got)
				for range 2 {
					deliverBy(t, v, f, out)
					v.Post()
					if again := next(t, got); again != want {
						t.Errorf("%s: message %d: got %s, want %s", f.Name(), i, again, want)
					}
				}
			}
		}
	}
}

// A name that is used again leads to the new port, and a type that is bound is used
// from then on.
func TestDeliveryForgets(t *testing.T) {
	sys := newSystem(t)
	v := actor.GatewayOf(sys).NewDelivery()
	for round := range 3 {
		got := make(chan actor.Message, 10)
		port, err := sys.NamedPort("delivery", func(c *actor.Context) error {
			c.Default(func(_ *actor.Context, m actor.Message) error {
				got <- m
				return nil
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			say(t, v, port, "n", 5*round+i)
			v.Post()
		}
		for i := range 5 {
			wantMessage(t, next(t, got), "n", 5*round+i)
		}
		died := make(chan actor.Reason, 1)
		sys.Monitor(port, func(r actor.Reason) { died <- r })
		sys.Kill(port)
		next(t, died)
		say(t, v, port, "n", "lost")
		v.Post()
	}
}

// holding returns a delivery that holds a port, and what that port gets when it
// is run.
func holding(t *testing.T, sys *actor.System) (*actor.Delivery, <-chan actor.Message) {
	t.Helper()
	v := actor.GatewayOf(sys).NewDelivery()
	v.Hold = true
	port, got := collector(sys)
	for { // until it is found by a short way, and asleep
		say(t, v, port, "before")
		v.Post()
		if v.Held() > 0 {
			break
		}
		next(t, got)
	}
	say(t, v, port, "held")
	v.Post()
	return v, got
}

// waitForHeld waits until the port of holding has run.
func waitForHeld(got <-chan actor.Message) {
	for m := range got {
		if m[0] == "held" {
			return
		}
	}
}

func TestDeliveryHolds(t *testing.T) {
	v, got := holding(t, newSystem(t))
	v.Next()()
	if v.Held() != 0 {
		t.Error("the port is still held")
	}
	for len(got) > 1 {
		<-got
	}
	wantMessage(t, <-got, "held") // it has run in this goroutine
}

// While a delivery waits for room in a mailbox, no port sleeps: the owner of the
// mailbox may wait for one of them.
func TestDeliveryWaitsForHeldPort(t *testing.T) {
	sys := newSystem(t)
	v, held := holding(t, sys)
	got := make(chan actor.Message, 10)
	full := sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			if len(m) > 1 {
				waitForHeld(held)
			}
			got <- m
			return nil
		})
		return nil
	}, actor.Mailbox{Size: 1, Full: actor.WaitFor(time.Minute)})
	sys.Send(full, "first", "waits")
	for range 4 { // by the long way, then by the short one
		say(t, v, full, "next")
	}
	for range 5 {
		next(t, got)
	}
}

// Nor does one sleep while a dead letter is dealt with.
func TestDeliveryLosesBesideHeldPort(t *testing.T) {
	sys := newSystem(t)
	v, held := holding(t, sys)
	lost := make(chan bool, 1)
	sys.Actors().EventStream.Subscribe(func(e any) {
		if _, ok := e.(*proto.DeadLetterEvent); ok {
			waitForHeld(held)
			lost <- true
		}
	})
	go say(t, v, sys.Node().Port("nobody"), "lost")
	next(t, lost)
}

// An actor with a dispatcher of its own is run by that and nobody else.
func TestDeliveryLeavesDispatcherAlone(t *testing.T) {
	sys := newSystem(t)
	d := reportingDispatcher{proto.NewDefaultDispatcher(300), make(chan bool)}
	pid := sys.Actors().Root.Spawn(proto.PropsFromFunc(func(proto.Context) {}, sys.WithMailbox(actor.Mailbox{}), proto.WithDispatcher(d)))
	next(t, d.ran) // it has been started
	v := actor.GatewayOf(sys).NewDelivery()
	v.Hold = true
	for range 5 { // by the long way, then by the short one
		say(t, v, actor.PortOf(pid), "message")
		v.Post()
		next(t, d.ran)
	}
}

// A reportingDispatcher tells when an actor has nothing more to do.
type reportingDispatcher struct {
	proto.Dispatcher
	ran chan bool
}

func (d reportingDispatcher) Schedule(fn func()) {
	d.Dispatcher.Schedule(func() {
		fn()
		d.ran <- true
	})
}
