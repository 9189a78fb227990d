package actor_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// doubler makes a port that answers "double", is silent at "ignore" and dies at
// anything else.
func doubler(sys *actor.System) actor.PortID {
	return sys.Port(func(c *actor.Context) error {
		c.Receive("double", func(c *actor.Context, m actor.Message) error {
			var n int
			if err := m.Scan(&n); err != nil {
				return err
			}
			return c.Respond(2 * n)
		})
		actor.On(c, func(c *actor.Context, m ping) error { return c.Respond(ping{N: 2 * m.N}) })
		c.Receive("ignore", func(*actor.Context, actor.Message) error { return nil })
		return nil
	})
}

func TestCall(t *testing.T) {
	sys := newSystem(t)
	port := doubler(sys)
	answer, err := sys.Call(t.Context(), port, "double", 21)
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, answer, 42)
	if answer, err = sys.Call(t.Context(), port, ping{N: 4}); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, answer, "typed-ping", 8, "")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := sys.Call(ctx, port, "ignore"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want a timeout", err)
	}
	var death *actor.DeathError
	if _, err := sys.Call(t.Context(), port, "surprise"); !errors.As(err, &death) || death.Port != port || death.Reason.Kind() != aemp.ReasonUnhandled {
		t.Errorf("got error %v, want a DeathError", err)
	}
	if _, err := sys.Call(t.Context(), port, "double", 1); !errors.As(err, &death) || death.Reason.Kind() != aemp.ReasonNoSuchPort {
		t.Errorf("got error %v, want a DeathError", err)
	}
	if _, err := sys.Call(t.Context(), "far#away", "x"); !errors.As(err, &death) || death.Reason.Kind() != aemp.ReasonTransport {
		t.Errorf("got error %v, want a DeathError", err)
	}
}

func TestCallInPort(t *testing.T) {
	sys := newSystem(t)
	port := doubler(sys)
	got := make(chan any, 10)
	sys.Port(func(c *actor.Context) error {
		self := c.Self()
		c.Call(port, func(c *actor.Context, answer actor.Message, err error) error {
			if c.Self() != self {
				t.Error("the answer came to another port")
			}
			got <- answer
			c.Call(port, func(_ *actor.Context, answer actor.Message, err error) error {
				got <- err
				return nil
			}, "surprise")
			return nil
		}, "double", 2)
		c.Call(port, func(*actor.Context, actor.Message, error) error {
			t.Error("a call that was given up came back")
			return nil
		}, "ignore")()
		return nil
	})
	wantMessage(t, next(t, got).(actor.Message), 4)
	if err, ok := next(t, got).(*actor.DeathError); !ok || err.Reason.Kind() != aemp.ReasonUnhandled {
		t.Errorf("got %v", err)
	}
}

func TestFuncRunsInThePort(t *testing.T) {
	sys := newSystem(t)
	calls := make(chan func(), 1)
	count := 0 // owned by the port
	counted := make(chan int, 1)
	port := sys.Port(func(c *actor.Context) error {
		self := c.Self()
		calls <- c.Func(func(c *actor.Context) error {
			if count++; c.Self() != self {
				t.Error("it ran elsewhere")
			}
			if count == 100 {
				counted <- count
			}
			if count > 100 {
				panic("too many")
			}
			return nil
		})
		return nil
	})
	call := next(t, calls)
	died := monitored(sys, port)
	for range 100 {
		go call()
	}
	next(t, counted)
	call()
	wantReason(t, next(t, died), "die", "too many")
	call() // does nothing
}

func TestAfter(t *testing.T) {
	sys := newSystem(t)
	got := make(chan string, 10)
	watched := make(chan bool)
	port := sys.Port(func(c *actor.Context) error {
		<-watched
		c.After(0, func(*actor.Context) error { got <- "now"; return nil })
		c.After(time.Hour, func(*actor.Context) error { t.Error("it was stopped"); return nil })()
		c.After(time.Millisecond, func(*actor.Context) error { return errors.New("time is up") })
		return nil
	})
	died := monitored(sys, port)
	close(watched)
	if g := next(t, got); g != "now" {
		t.Errorf("got %q", g)
	}
	wantReason(t, next(t, died), "die", "time is up")
}

func TestGuard(t *testing.T) {
	sys := newSystem(t)
	r, w := io.Pipe()
	port := doubler(sys)
	sys.Guard(port, w)
	kept, _ := io.Pipe()
	sys.Guard(port, kept)()
	sys.Kill(port)
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got error %v, want EOF", err)
	}
}
