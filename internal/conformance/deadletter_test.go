package conformance

import (
	"errors"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// What is sent to an actor that does not exist is a dead letter on the actor's
// own system.
func TestDeadLetter(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		nobody := proto.NewPID(string(w.far.sys.Node()), "nobody")
		w.near.Send(nobody, msg("hello", 1))
		if letter := w.far.wantLetter(msg("hello", 1)); !letter.PID.Equal(nobody) || letter.Sender != nil {
			t.Errorf("got letter to %v from %v", letter.PID, letter.Sender)
		}
	})
}

func TestDeadLetterAfterTheEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		pid, d := w.far.recorder()
		w.near.Send(pid, msg("hello"))
		d.want("Started", `["hello"]`)
		if err := w.near.PoisonFuture(pid).Wait(); err != nil {
			t.Fatal(err)
		}
		w.near.Send(pid, msg("too late"))
		if letter := w.far.wantLetter(msg("too late")); !letter.PID.Equal(pid) {
			t.Errorf("got letter to %v, want %v", letter.PID, pid)
		}
	})
}

// A letter to somebody of an address that nobody has stays here.
func TestDeadLetterWithoutANetwork(t *testing.T) {
	s := newSide(t)
	s.Send(proto.NewPID("elsewhere", "somebody"), msg("hello"))
	s.wantLetter(msg("hello"))
}

// A parcel is a Go value that has no form on the wire.
type parcel struct{ Content string }

// What cannot be sent to another node is a dead letter here, with a warning,
// and whoever asked is told at once. What is sent later arrives.
func TestUnsendable(t *testing.T) {
	w := twoNodes(t)
	pid, d := w.far.recorder()
	d.want("Started")
	for _, test := range []struct {
		name    string
		message any
	}{
		{"struct", parcel{"nuts"}},
		{"pointer to a struct", &parcel{"nuts"}},
		{"struct in a message", msg("take", parcel{"nuts"})},
		{"channel", make(chan int)},
		{"function", func() {}},
		{"error", errors.New("no")},
		{"message of protoactor-go", &proto.Touch{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.near.Send(pid, test.message)
			if letter := w.near.wantLetter(test.message); !letter.PID.Equal(pid) || letter.Sender != nil {
				t.Errorf("got letter to %v from %v", letter.PID, letter.Sender)
			}
			w.near.wantWarning(aemp.ErrUnsupportedValue.Error())

			f := w.near.RequestFuture(pid, test.message, patience)
			if err := f.Wait(); !errors.Is(err, proto.ErrDeadLetter) {
				t.Errorf("request: got error %v, want ErrDeadLetter", err)
			}
			if letter := w.near.wantLetter(test.message); !letter.Sender.Equal(f.PID()) {
				t.Errorf("got letter from %v, want %v", letter.Sender, f.PID())
			}

			w.near.Send(pid, msg("after", test.name))
			d.want(msg("after", test.name).String())
		})
	}
}

// An actor that asked gets the news as a message.
func TestUnsendableRequestOfAnActor(t *testing.T) {
	w := twoNodes(t)
	server, _ := w.far.recorder()
	d := newDiary(t)
	client := w.near.spawn(func(c proto.Context) {
		switch c.Message().(type) {
		case *proto.DeadLetterResponse:
			d.Receive(c)
		case actor.Message:
			c.Request(server, parcel{"nuts"})
		}
	})
	w.near.Send(client, msg("go"))
	d.want("DeadLetterResponse")
}

// An answer that cannot be sent is a dead letter of the one who gave it.
func TestUnsendableAnswer(t *testing.T) {
	w := twoNodes(t)
	server := w.far.spawn(func(c proto.Context) {
		if tag(c) == "ask" {
			c.Respond(parcel{"nuts"})
		}
	})
	f := w.near.RequestFuture(server, msg("ask"), short)
	if err := f.Wait(); !errors.Is(err, proto.ErrTimeout) {
		t.Errorf("got error %v, want ErrTimeout", err)
	}
	if letter := w.far.wantLetter(parcel{}); !letter.PID.Equal(f.PID()) {
		t.Errorf("got letter to %v, want %v", letter.PID, f.PID())
	}
	w.far.wantWarning(aemp.ErrUnsupportedValue.Error())
}

// On one system, a Go value is passed on as it is.
func TestAnyValueOnOneSystem(t *testing.T) {
	w := oneSystem(t)
	want := &parcel{"nuts"}
	pid := w.far.spawn(func(c proto.Context) {
		if p, ok := c.Message().(*parcel); ok {
			c.Respond(p)
		}
	})
	if got, err := w.near.RequestFuture(pid, want, patience).Result(); got != want || err != nil {
		t.Errorf("got %v, %v, want the same pointer", got, err)
	}
}

// System messages other than those that AEMP has a form for stay here, too.
func TestUnsendableSystemMessage(t *testing.T) {
	w := twoNodes(t)
	pid, _ := w.far.recorder()
	process, ok := w.near.sys.Actors().ProcessRegistry.Get(pid)
	if !ok {
		t.Fatal("no process for the address")
	}
	process.SendSystemMessage(pid, &proto.Restart{})
	if letter := w.near.wantLetter(&proto.Restart{}); !letter.PID.Equal(pid) {
		t.Errorf("got letter to %v, want %v", letter.PID, pid)
	}
}
