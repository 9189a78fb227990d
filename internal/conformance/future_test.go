package conformance

import (
	"errors"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// short is how long a test waits for what does not come.
const short = 20 * time.Millisecond

func TestFutureTimesOut(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		silent := w.far.spawn(func(proto.Context) {})
		result, err := w.near.RequestFuture(silent, msg("hello"), short).Result()
		if result != nil || !errors.Is(err, proto.ErrTimeout) {
			t.Errorf("got %v, %v, want ErrTimeout", result, err)
		}
	})
}

// An answer that comes after its time is a dead letter.
func TestAnswerAfterTheTimeout(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		answer := make(chan bool)
		slow := w.far.spawn(func(c proto.Context) {
			if tag(c) == "ask" {
				<-answer
				c.Respond(msg("at last"))
			}
		})
		f := w.near.RequestFuture(slow, msg("ask"), short)
		if err := f.Wait(); !errors.Is(err, proto.ErrTimeout) {
			t.Errorf("got error %v, want ErrTimeout", err)
		}
		answer <- true
		if letter := w.near.wantLetter(msg("at last")); !letter.PID.Equal(f.PID()) {
			t.Errorf("got a letter to %v, want %v", letter.PID, f.PID())
		}
		if err := f.Wait(); !errors.Is(err, proto.ErrTimeout) {
			t.Errorf("afterwards: got error %v, want ErrTimeout", err)
		}
	})
}

func TestPipeTo(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		for _, when := range []string{"before", "after"} {
			t.Run(when+" the answer", func(t *testing.T) {
				one, first := w.far.recorder()
				two, second := w.near.recorder()
				f := w.near.RequestFuture(w.far.spawn(echo), msg("hello"), patience)
				if when == "after" {
					f.Wait()
				}
				f.PipeTo(one, two)
				first.want("Started", `["echo", "hello"]`)
				second.want("Started", `["echo", "hello"]`)
			})
		}
	})
}

func TestPipeToTellsOfTheTimeout(t *testing.T) {
	everywhere(t, func(_ *testing.T, w world) {
		pid, d := w.near.recorder()
		w.near.RequestFuture(w.far.spawn(func(proto.Context) {}), msg("hello"), short).PipeTo(pid)
		d.want("Started", "error: future: timeout")
	})
}

// An error is a Go value, and does not reach an actor on another node: its
// place is taken by a dead letter.
func TestPipeToCannotTellAnotherNodeOfTheTimeout(t *testing.T) {
	w := twoNodes(t)
	pid, d := w.far.recorder()
	w.near.RequestFuture(w.far.spawn(func(proto.Context) {}), msg("hello"), short).PipeTo(pid)
	w.near.wantLetter(proto.ErrTimeout)
	w.near.wantWarning("message cannot be sent")
	w.near.Send(pid, msg("next"))
	d.want("Started", `["next"]`)
}

// What follows a future runs in the actor, with the message that it dealt with
// when it began to wait, and other messages do not wait meanwhile.
func TestReenterAfter(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		var asked *proto.PID
		server := w.far.spawn(func(c proto.Context) {
			switch tag(c) {
			case "question":
				asked = c.Sender()
			case "go on":
				c.Send(asked, msg("answer"))
			}
		})
		client := w.near.spawn(func(c proto.Context) {
			switch tag(c) {
			case "ask":
				c.ReenterAfter(c.RequestFuture(server, msg("question"), patience), func(result any, err error) {
					d.note("%s, %v, during %s", describe(result), err, describe(content(c)))
					c.Respond(msg("done"))
				})
			case "meanwhile":
				d.note("meanwhile")
				c.Send(server, msg("go on"))
			}
		})
		f := w.near.RequestFuture(client, msg("ask"), patience)
		w.near.Send(client, msg("meanwhile"))
		d.want("meanwhile", `["answer"], <nil>, during ["ask"]`)
		wantResult(t, f, "done")
	})
}

func TestReenterAfterTimeout(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		silent := w.far.spawn(func(proto.Context) {})
		client := w.near.spawn(func(c proto.Context) {
			if tag(c) == "ask" {
				c.ReenterAfter(c.RequestFuture(silent, msg("question"), short), func(result any, err error) {
					d.note("%v, %v", result, err)
				})
			}
		})
		w.near.Send(client, msg("ask"))
		d.want("<nil>, future: timeout")
	})
}

// A future has an address, which anybody may answer.
func TestFutureIsAnAddress(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		f := proto.NewFuture(w.near.ActorSystem(), patience)
		w.far.Send(address(f.PID()), msg("hello"))
		wantResult(t, f, "hello")

		f = proto.NewFuture(w.near.ActorSystem(), patience)
		if err := w.far.sys.Send(actor.PortOf(f.PID()), "hello"); err != nil {
			t.Fatal(err)
		}
		wantResult(t, f, "hello")
	})
}

func TestRequestToNobody(t *testing.T) {
	t.Run("here", func(t *testing.T) {
		w := oneSystem(t)
		err := w.near.RequestFuture(proto.NewPID(string(w.far.sys.Node()), "nobody"), msg("hello"), patience).Wait()
		if !errors.Is(err, proto.ErrDeadLetter) {
			t.Errorf("got error %v, want ErrDeadLetter", err)
		}
		w.near.wantLetter(msg("hello"))
	})
	// AEMP does not tell the sender. It is a dead letter where it arrives.
	t.Run("on another node", func(t *testing.T) {
		w := twoNodes(t)
		nobody := proto.NewPID("far", "nobody")
		f := w.near.RequestFuture(nobody, msg("hello"), short)
		if err := f.Wait(); !errors.Is(err, proto.ErrTimeout) {
			t.Errorf("got error %v, want ErrTimeout", err)
		}
		letter := w.far.wantLetter(msg("hello", actor.PortOf(f.PID())))
		if !letter.PID.Equal(nobody) {
			t.Errorf("got a letter to %v, want %v", letter.PID, nobody)
		}
	})
	t.Run("without a network", func(t *testing.T) {
		w := oneSystem(t)
		err := w.near.RequestFuture(proto.NewPID("far", "nobody"), msg("hello"), patience).Wait()
		if !errors.Is(err, proto.ErrDeadLetter) {
			t.Errorf("got error %v, want ErrDeadLetter", err)
		}
	})
	t.Run("after the node was closed", func(t *testing.T) {
		w := twoNodes(t)
		server := w.far.spawn(echo)
		wantResult(t, w.near.RequestFuture(server, msg("hello"), patience), "echo", "hello")
		w.near.node.Close()
		fresh := address(server)
		for name, pid := range map[string]*proto.PID{"used before": server, "new": fresh} {
			if err := w.near.RequestFuture(pid, msg("hello"), patience).Wait(); !errors.Is(err, proto.ErrDeadLetter) {
				t.Errorf("PID %s: got error %v, want ErrDeadLetter", name, err)
			}
		}
	})
}
