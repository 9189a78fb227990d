package conformance

import (
	"fmt"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// The messages of an ordinary program for protoactor-go are pointers to
// structs. Bound to tags, they reach other nodes as what they are.
type (
	deposit  struct{ Amount int }
	balance  struct{ Amount int }
	transfer struct {
		To     *proto.PID
		Amount int
	}
	statement struct {
		Owner   string
		Entries []int
		Closed  bool
		Waited  time.Duration
	}
	getBalance   struct{}
	getStatement struct{ Owner string }
	overdraft    struct{ Missing int }
)

var _ = actor.Bind[deposit]("conformance deposit") &&
	actor.Bind[balance]("conformance balance") &&
	actor.Bind[transfer]("conformance transfer") &&
	actor.Bind[statement]("conformance statement") &&
	actor.Bind[getBalance]("conformance get balance") &&
	actor.Bind[getStatement]("conformance get statement") &&
	actor.Bind[overdraft]("conformance overdraft")

// An account knows nothing of where it runs.
type account struct {
	amount  int
	entries []int
}

func newAccount() proto.Actor { return &account{} }

func (a *account) Receive(c proto.Context) {
	switch m := c.Message().(type) {
	case *deposit:
		a.amount += m.Amount
		a.entries = append(a.entries, m.Amount)
	case *transfer:
		if m.Amount > a.amount {
			c.Respond(&overdraft{m.Amount - a.amount})
			return
		}
		a.amount -= m.Amount
		a.entries = append(a.entries, -m.Amount)
		c.Send(m.To, &deposit{m.Amount})
		c.Respond(&balance{a.amount})
	case *getBalance:
		c.Respond(&balance{a.amount})
	case *getStatement:
		c.Respond(&statement{Owner: m.Owner, Entries: a.entries, Waited: 1500 * time.Millisecond})
	}
}

func TestStructMessages(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		there := address(w.far.Spawn(proto.PropsFromProducer(newAccount)))
		here := address(w.near.Spawn(proto.PropsFromProducer(newAccount)))
		ask := func(pid *proto.PID, m any) string {
			t.Helper()
			result, err := w.near.RequestFuture(pid, m, patience).Result()
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%T%+v", result, result)[len("*conformance."):]
		}
		w.near.Send(there, &deposit{100})
		for _, step := range []struct {
			pid  *proto.PID
			ask  any
			want string
		}{
			{there, &getBalance{}, "balance&{Amount:100}"},
			{there, &transfer{here, 130}, "overdraft&{Missing:30}"},
			{there, &transfer{here, 30}, "balance&{Amount:70}"},
			{there, &getStatement{"Eve"}, "statement&{Owner:Eve Entries:[100 -30] Closed:false Waited:1.5s}"},
		} {
			if got := ask(step.pid, step.ask); got != step.want {
				t.Errorf("%+v: got %s, want %s", step.ask, got, step.want)
			}
		}
		// The money that was transferred comes from there; wait for what is
		// behind it.
		wantResult(t, w.far.RequestFuture(w.near.spawn(echo), msg("settle"), patience), "echo", "settle")
		if got := ask(here, &getBalance{}); got != "balance&{Amount:30}" {
			t.Errorf("here: got %s, want 30", got)
		}
	})
}

// A forwarded struct is the struct that was sent, with the sender it had.
func TestForwardStruct(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		for name, side := range map[string]*side{"to this side": w.near, "to that side": w.far} {
			t.Run(name, func(t *testing.T) {
				pid := address(side.Spawn(proto.PropsFromProducer(newAccount)))
				proxy := w.far.spawn(func(c proto.Context) {
					switch c.Message().(type) {
					case *deposit, *getBalance:
						c.Forward(pid)
					}
				})
				w.near.Send(proxy, &deposit{7})
				result, err := w.near.RequestFuture(proxy, &getBalance{}, patience).Result()
				if b, ok := result.(*balance); !ok || b.Amount != 7 {
					t.Errorf("got %+v, %v, want a balance of 7", result, err)
				}
			})
		}
	})
}

func TestPipeStruct(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		got := make(chan int, 1)
		receiver := w.far.spawn(func(c proto.Context) {
			if b, ok := c.Message().(*balance); ok {
				got <- b.Amount
			}
		})
		pid := address(w.far.Spawn(proto.PropsFromProducer(newAccount)))
		w.near.Send(pid, &deposit{7})
		w.near.RequestFuture(pid, &getBalance{}, patience).PipeTo(receiver)
		if amount := next(t, got); amount != 7 {
			t.Errorf("got %d, want 7", amount)
		}
	})
}

// A struct that was sent as a value is a pointer when it comes from another
// node, and a value when it does not.
func TestStructAsValue(t *testing.T) {
	for name, test := range map[string]struct {
		world func(*testing.T) world
		want  string
	}{
		"local":  {oneSystem, "conformance.deposit"},
		"remote": {twoNodes, "*conformance.deposit"},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world(t)
			types := make(chan string, 1)
			pid := w.far.spawn(func(c proto.Context) {
				switch c.Message().(type) {
				case deposit, *deposit:
					types <- fmt.Sprintf("%T", c.Message())
				}
			})
			w.near.Send(pid, deposit{1})
			if got := next(t, types); got != test.want {
				t.Errorf("got a %s, want a %s", got, test.want)
			}
		})
	}
}

// A dead letter holds the struct, at both sides.
func TestDeadStruct(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		w.near.Send(proto.NewPID(string(w.far.sys.Node()), "nobody"), &deposit{7})
		letter := next(t, w.far.letters)
		if d, ok := letter.Message.(*deposit); !ok || d.Amount != 7 {
			t.Errorf("got letter %+v, want a deposit of 7", letter.Message)
		}
	})
}
