package supervision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	sv "github.com/portmesh/portmesh/supervision"
)

// counter is a child that gets its number from StartDynamic, and crashes or
// ends when it is told to.
func counter(w *world) sv.Local {
	return sv.Local{Args: []any{"template"}, Init: func(c *actor.Context, args actor.Message) error {
		var template string
		n := -1
		if err := args.Scan(&template); err != nil || template != "template" {
			return fmt.Errorf("bad arguments %v", args)
		}
		if len(args) > 1 {
			if err := args[1:].Scan(&n); err != nil {
				return err
			}
		}
		w.note(fmt.Sprint("+", n))
		c.Receive("crash", func(*actor.Context, actor.Message) error { return errors.New("crashed") })
		c.Receive("end", func(c *actor.Context, _ actor.Message) error {
			c.Kill()
			return nil
		})
		return nil
	}}
}

func dynamic(w *world, change ...func(*sv.Child)) sv.Spec {
	c := sv.Child{ID: "counter", Start: counter(w)}
	for _, f := range change {
		f(&c)
	}
	return sv.Spec{Strategy: sv.Dynamic, Intensity: 1000, Children: []sv.Child{c}}
}

func TestDynamic(t *testing.T) {
	inBubble(t, func(w *world) {
		ctx := w.t.Context()
		s := w.start(dynamic(w, transient))
		w.want("") // none is started at first
		var ports []actor.PortID
		for i := range 3 {
			id, port, err := s.StartDynamic(ctx, i+10)
			if err != nil || id != fmt.Sprint(i+1) {
				t.Fatalf("got %s, %v", id, err)
			}
			ports = append(ports, port)
		}
		w.want("+10 +11 +12")
		w.sys.Send(ports[1], "crash") // comes back with the same arguments
		w.want("+11")
		w.sys.Send(ports[2], "end")
		w.wantStates(s, "1:running 2:running")
		if err := s.TerminateChild(ctx, "1"); err != nil {
			t.Error(err)
		}
		w.wantStates(s, "2:running") // those that ended are forgotten

		_, _, err := s.StartDynamic(ctx, "no number")
		var failed *sv.StartError
		if !errors.As(err, &failed) || failed.Path != "4" {
			t.Errorf("got error %v", err)
		}
		w.wantStates(s, "2:running")
		if _, err := s.StartChild(ctx, w.child("x")); !errors.Is(err, sv.ErrStrategy) {
			t.Errorf("got error %v", err)
		}
		if _, err := s.RestartChild(ctx, "2"); !errors.Is(err, sv.ErrStrategy) {
			t.Errorf("got error %v", err)
		}
		if err := s.DeleteChild(ctx, "2"); !errors.Is(err, sv.ErrStrategy) {
			t.Errorf("got error %v", err)
		}
		w.stop(s)
	})
}

func TestDynamicIntensity(t *testing.T) {
	inBubble(t, func(w *world) {
		spec := dynamic(w)
		spec.Intensity = 2
		s := w.start(spec)
		var ports []actor.PortID
		for i := range 5 {
			_, port, _ := s.StartDynamic(w.t.Context(), i)
			ports = append(ports, port)
		}
		for _, port := range ports[:2] {
			w.sys.Send(port, "crash")
		}
		w.wantAlive(s)
		w.sys.Send(ports[2], "crash")
		w.wantEnded(s, "shutdown")
	})
}

// The children of a dynamic supervisor are stopped all at once.
func TestDynamicStopsAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Strategy: sv.Dynamic, Children: []sv.Child{{ID: "t", Start: sv.Task(func(ctx context.Context, args actor.Message) error {
			<-ctx.Done()
			time.Sleep(4 * time.Second)
			return nil
		})}}})
		for range 10 {
			if _, _, err := s.StartDynamic(w.t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		w.stop(s)
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// fill starts so many children, without waiting for each.
func fill(t testing.TB, w *world, s *sv.Supervisor, n int) []actor.PortID {
	t.Helper()
	ports := make([]actor.PortID, 0, n)
	done := make(chan struct{})
	desk := w.sys.Port(func(c *actor.Context) error {
		c.Receive("ok", func(c *actor.Context, m actor.Message) error {
			var id string
			var port actor.PortID
			if err := m.Scan(&id, &port); err != nil {
				return err
			}
			if ports = append(ports, port); len(ports) == n {
				close(done)
				c.Kill()
			}
			return nil
		})
		return nil
	})
	for i := range n {
		w.sys.Send(s.Port(), "start_dynamic", i, string(desk))
	}
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		t.Fatal("the children were not started in time")
	}
	return ports
}

// With 100,000 children, the supervisor stops in bounded time, and the restart
// of one takes as long as with a few.
func TestDynamicWithManyChildren(t *testing.T) {
	many := 100_000
	if testing.Short() || underRace {
		many = 20_000
	}
	w := newWorld(t)
	restart := func(n int) (time.Duration, *sv.Supervisor) {
		spec := dynamic(w)
		spec.Intensity = 1 << 20
		s := w.start(spec)
		ports := fill(t, w, s, n)
		restarted := make(chan struct{}, 1)
		sub := w.sys.Actors().EventStream.Subscribe(func(event any) {
			if e, ok := event.(sv.Event); ok && e.Kind == sv.Started && e.Restarts > 0 {
				restarted <- struct{}{}
			}
		})
		defer w.sys.Actors().EventStream.Unsubscribe(sub)
		const rounds = 200
		start := time.Now()
		for i := range rounds {
			w.sys.Send(ports[i*n/rounds], "crash")
			<-restarted
		}
		return time.Since(start) / rounds, s
	}
	few, s := restart(200)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	one, s := restart(many)
	t.Logf("%d children started in %v; a restart takes %v, with 200 children %v", many, time.Since(start), one, few)
	// A scan of that many children would take a hundred times as long.
	if one > 20*few+time.Millisecond {
		t.Errorf("a restart takes %v with %d children, %v with 200", one, many, few)
	}
	start = time.Now()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("stopped in %v", took)
	if took > time.Minute {
		t.Errorf("it took %v to stop", took)
	}
}

func TestDynamicBelow(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Children: []sv.Child{w.child("a"), {ID: "pool", Start: dynamic(w)}}})
		w.take()
		pool, err := s.Child(w.t.Context(), "pool")
		if err != nil {
			t.Fatal(err)
		}
		p := sv.Of(w.sys, pool.Port)
		for i := range 3 {
			p.StartDynamic(w.t.Context(), i)
		}
		w.want("+0 +1 +2")
		w.stop(s)
		synctest.Wait()
		select {
		case <-p.Done():
		default:
			t.Error("the pool lives")
		}
		w.want("-a")
	})
}
