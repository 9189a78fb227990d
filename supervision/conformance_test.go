package supervision_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	sv "github.com/portmesh/portmesh/supervision"
)

// The promises of OTP's supervisor, each with its test. What children note is
// explained at world.child: "+a" is a start, "-a" an end, "!a" a failed start.

func TestChildrenAreStartedFromLeftToRight(t *testing.T) {
	inBubble(t, func(w *world) {
		slow := w.child("b")
		slow.Start = sv.Local{Init: func(c *actor.Context, _ actor.Message) error {
			time.Sleep(time.Minute) // the next child waits for it
			w.note("+b")
			return nil
		}}
		s := w.start(sv.Spec{Children: []sv.Child{w.child("a"), slow, w.child("c")}})
		w.want("+a +b +c")
		w.wantStates(s, "a:running b:running c:running")
		w.stop(s)
	})
}

func TestChildrenAreTerminatedInReverseOrder(t *testing.T) {
	for _, strategy := range []sv.Strategy{sv.OneForOne, sv.OneForAll, sv.RestForOne} {
		t.Run(strategy.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.startWith(strategy, "a b c d")
				w.stop(s)
				w.want("-d -c -b -a")
				w.wantEnded(s, "shutdown")
				if err := s.Err(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestFailingStartUndoesTheEarlierOnes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.fail["c"] = 1
		_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: w.children("a b c d")})
		w.want("+a +b !c -b -a")
		var failed *sv.StartError
		if !errors.As(err, &failed) || failed.Path != "c" || failed.Reason.String() != "die c cannot start" {
			t.Errorf("got error %v", err)
		}
	})
}

// Whatever kind of child it is, the reason of the failure is its own.
func TestStartFailuresCarryTheReason(t *testing.T) {
	broken := errors.New("no database")
	for _, test := range []struct {
		name  string
		start sv.Starter
		path  string
		want  string
	}{
		{"error", sv.Local{Init: func(*actor.Context, actor.Message) error { return broken }}, "x", "die no database"},
		{"panic", sv.Local{Init: func(*actor.Context, actor.Message) error { panic("oops") }}, "x", "die oops"},
		{"killed while it starts", sv.Local{Init: func(c *actor.Context, _ actor.Message) error {
			c.Kill("murdered")
			return broken
		}}, "x", "die no database"},
		{"below", sv.Spec{Children: []sv.Child{{ID: "y", Start: sv.Spec{Children: []sv.Child{{ID: "z", Start: sv.Local{
			Init: func(*actor.Context, actor.Message) error { return broken }}}}}}}}, "x/y/z", "die no database"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: []sv.Child{{ID: "x", Start: test.start}}})
				var failed *sv.StartError
				if !errors.As(err, &failed) || failed.Path != test.path || failed.Reason.String() != test.want {
					t.Errorf("got error %v, want %q of %s", err, test.want, test.path)
				}
			})
		})
	}
}

// An actor may have failed, and be gone, before anybody can monitor it.
func TestFastFailuresCarryTheReason(t *testing.T) {
	inBubble(t, func(w *world) {
		slow := proto.WithSpawnFunc(func(s *proto.ActorSystem, id string, props *proto.Props, parent proto.SpawnerContext) (*proto.PID, error) {
			defer time.Sleep(time.Second) // it dies
			return proto.DefaultSpawner(s, id, props, parent)
		})
		props := proto.PropsFromFunc(func(c proto.Context) {
			if _, ok := c.Message().(*proto.Started); ok {
				panic("cannot start")
			}
		}, slow)
		_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: []sv.Child{{ID: "a", Start: sv.Actor{Props: props}}}})
		if failed, ok := errors.AsType[*sv.StartError](err); !ok || failed.Reason.String() != "die cannot start" {
			t.Errorf("got error %v", err)
		}
	})
}

func TestStrategies(t *testing.T) {
	for _, test := range []struct {
		strategy sv.Strategy
		crash    string
		want     string
	}{
		{sv.OneForOne, "a", "-a +a"},
		{sv.OneForOne, "b", "-b +b"},
		{sv.OneForAll, "a", "-a -d -c -b +a +b +c +d"},
		{sv.OneForAll, "c", "-c -d -b -a +a +b +c +d"},
		{sv.OneForAll, "d", "-d -c -b -a +a +b +c +d"},
		{sv.RestForOne, "a", "-a -d -c -b +a +b +c +d"},
		{sv.RestForOne, "b", "-b -d -c +b +c +d"},
		{sv.RestForOne, "d", "-d +d"},
	} {
		t.Run(fmt.Sprint(test.strategy, " ", test.crash), func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.startWith(test.strategy, "a b c d")
				w.crash(test.crash)
				w.want(test.want)
				w.wantStates(s, "a:running b:running c:running d:running")
				w.stop(s)
				w.want("-d -c -b -a")
			})
		})
	}
}

// Two that die at once, or one that dies while the others are stopped because
// of it, are one restart of the group or two, but no more, and all are there
// in the end.
func TestDeathsDuringARestart(t *testing.T) {
	for _, strategy := range []sv.Strategy{sv.OneForAll, sv.RestForOne} {
		t.Run(strategy.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.startWith(strategy, "a b c d")
				block := make(chan struct{})
				w.sys.Send(w.port("d"), "block", block) // keeps the group waiting
				w.crash("a")
				w.crash("b")
				synctest.Wait()
				w.crash("c")
				synctest.Wait()
				close(block)
				w.wantStates(s, "a:running b:running c:running d:running")
				if n := w.count(sv.Restarting); n > 2 {
					t.Errorf("%d restarts were counted", n)
				}
				w.stop(s)
			})
		})
	}
}

func TestIntensity(t *testing.T) {
	for _, strategy := range []sv.Strategy{sv.OneForOne, sv.OneForAll, sv.RestForOne} {
		for _, limit := range []int{1, 3, 10} {
			t.Run(fmt.Sprint(strategy, limit), func(t *testing.T) {
				inBubble(t, func(w *world) {
					s := w.startWith(strategy, "a b", func(s *sv.Spec) { s.Intensity, s.Period = limit, time.Minute })
					for range limit { // exactly at the limit
						w.crash("b")
					}
					w.wantStates(s, "a:running b:running")
					w.take()
					w.crash("b") // one more
					w.wantEnded(s, "shutdown")
					w.want("-b -a")
					if w.count(sv.GaveUp) != 1 {
						t.Error("there is no event that tells")
					}
					var ended *sv.EndError
					if !errors.As(s.Err(), &ended) || !strings.Contains(s.Err().Error(), "die crashed") {
						t.Errorf("got error %v", s.Err())
					}
				})
			})
		}
	}
}

func TestRestartsBeforeThePeriodDoNotCount(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForOne, "a", func(s *sv.Spec) { s.Intensity, s.Period = 2, 10*time.Second })
		for range 20 {
			w.crash("a")
			w.wantAlive(s)
			time.Sleep(5*time.Second + time.Millisecond)
		}
		w.crash("a")
		w.wantAlive(s)
		w.crash("a")
		w.wantEnded(s, "shutdown")
	})
}

func TestIntensityOfZero(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForOne, "a", func(s *sv.Spec) { s.Intensity = -1 })
		w.crash("a")
		w.wantEnded(s, "shutdown")
	})
}

func TestDefaultIntensityIsOneWithinFiveSeconds(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForOne, "a", func(s *sv.Spec) { s.Intensity = 0 })
		w.crash("a")
		w.wantAlive(s)
		time.Sleep(5001 * time.Millisecond)
		w.crash("a")
		w.wantAlive(s)
		time.Sleep(4999 * time.Millisecond)
		w.crash("a")
		w.wantEnded(s, "shutdown")
	})
}

func TestRestartTypes(t *testing.T) {
	reasons := map[string]actor.Reason{
		"normal": {}, "shutdown": {"shutdown"}, "shutdown with a term": {"shutdown", "enough"}, "abnormal": {"whatever"}, "killed": {"killed"},
	}
	for _, test := range []struct {
		restart  sv.Restart
		restarts []string // after which ends
	}{
		{sv.Permanent, slices.Collect(maps.Keys(reasons))},
		{sv.Transient, []string{"abnormal", "killed"}},
		{sv.Temporary, nil},
	} {
		for name, reason := range reasons {
			t.Run(test.restart.String()+" "+name, func(t *testing.T) {
				inBubble(t, func(w *world) {
					s := w.start(sv.Spec{Children: []sv.Child{w.child("a", func(c *sv.Child) { c.Restart = test.restart })}})
					w.want("+a")
					w.end("a", reason...)
					want := "-a"
					if slices.Contains(test.restarts, name) {
						want = "-a +a"
					}
					w.want(want)
					w.wantAlive(s)
					w.stop(s)
				})
			})
		}
	}
}

// A temporary child is not restarted even when a sibling's death ends it, and
// is forgotten in either case.
func TestTemporaryChildrenAreForgotten(t *testing.T) {
	for _, strategy := range []sv.Strategy{sv.OneForAll, sv.RestForOne} {
		inBubble(t, func(w *world) {
			s := w.start(sv.Spec{Strategy: strategy, Children: []sv.Child{w.child("a"), w.child("b", temporary), w.child("c")}})
			w.take()
			w.crash("a")
			w.want("-a -c -b +a +c")
			w.wantStates(s, "a:running c:running")
			w.stop(s)
		})
	}
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Children: []sv.Child{w.child("a", temporary), w.child("b")}})
		w.end("a")
		w.wantStates(s, "b:running")
		w.stop(s)
	})
}

// A group restart starts all, those too that were stopped or have ended.
func TestAllAreRestarted(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Strategy: sv.OneForAll, Children: []sv.Child{w.child("a"), w.child("b"), w.child("c", transient)}})
		if err := s.TerminateChild(w.t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		w.end("c")
		w.wantStates(s, "a:running b:stopped c:stopped")
		w.crash("a")
		w.wantStates(s, "a:running b:running c:running")
		w.stop(s)
	})
}

func TestAutomaticShutdown(t *testing.T) {
	type step struct {
		do    func(w *world, s *sv.Supervisor)
		alive bool
	}
	end := func(id string) func(*world, *sv.Supervisor) { return func(w *world, _ *sv.Supervisor) { w.end(id) } }
	crash := func(id string) func(*world, *sv.Supervisor) { return func(w *world, _ *sv.Supervisor) { w.crash(id) } }
	terminate := func(id string) func(*world, *sv.Supervisor) {
		return func(w *world, s *sv.Supervisor) {
			if err := s.TerminateChild(w.t.Context(), id); err != nil {
				w.t.Error(err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		auto  sv.AutoShutdown
		steps []step
	}{
		{"any: one that is not significant", sv.AnySignificant, []step{{end("n"), true}}},
		{"any: a normal end", sv.AnySignificant, []step{{end("s"), false}}},
		{"any: a restart is no end", sv.AnySignificant, []step{{crash("s"), true}, {end("s"), false}}},
		{"any: a temporary one that crashes", sv.AnySignificant, []step{{crash("t"), false}}},
		{"any: one that is terminated does not count", sv.AnySignificant, []step{{terminate("s"), true}, {terminate("t"), true}}},
		{"all: the last one", sv.AllSignificant, []step{{end("s"), true}, {end("t"), false}}},
		{"all: in the other order", sv.AllSignificant, []step{{crash("t"), true}, {crash("s"), true}, {end("s"), false}}},
		{"all: when the others were terminated", sv.AllSignificant, []step{{terminate("s"), true}, {end("t"), false}}},
		{"all: terminated last", sv.AllSignificant, []step{{end("s"), true}, {terminate("t"), true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.start(sv.Spec{AutoShutdown: test.auto, Intensity: 10, Children: []sv.Child{
					w.child("p"), w.child("s", transient, significant), w.child("t", temporary, significant), w.child("n", transient),
				}})
				for i, step := range test.steps {
					step.do(w, s)
					synctest.Wait()
					if step.alive {
						w.wantAlive(s)
					} else {
						w.wantEnded(s, "shutdown")
						if err := s.Err(); err != nil {
							t.Errorf("step %d: %v", i, err)
						}
					}
				}
				s.Stop(w.t.Context())
			})
		})
	}
}

// A significant child that ends because of its sibling does not count.
func TestSiblingsDoNotCauseAutomaticShutdown(t *testing.T) {
	for _, strategy := range []sv.Strategy{sv.OneForAll, sv.RestForOne} {
		inBubble(t, func(w *world) {
			s := w.start(sv.Spec{Strategy: strategy, AutoShutdown: sv.AnySignificant, Children: []sv.Child{
				w.child("a"), w.child("b", temporary, significant),
			}})
			w.crash("a")
			w.wantStates(s, "a:running")
			w.stop(s)
		})
	}
}

// "The supervisor tells the child process to terminate, and waits for an exit
// signal ... If no exit signal is received within the specified time, the child
// is unconditionally terminated."
func TestShutdown(t *testing.T) {
	for _, test := range []struct {
		shutdown sv.Shutdown
		blocked  time.Duration // the child is in its own code for so long
		takes    time.Duration // until the supervisor has ended
	}{
		{0, 0, 0},
		{0, 3 * time.Second, 3 * time.Second},
		{0, 7 * time.Second, 7 * time.Second}, // it is killed after 5, and ends when it can
		{0, time.Hour, 10 * time.Second},      // it is given up
		{sv.Shutdown(time.Minute), 59 * time.Second, 59 * time.Second},
		{sv.Shutdown(time.Minute), time.Hour, time.Minute + 5*time.Second},
		{sv.Brutal, 0, 0},
		{sv.Brutal, time.Hour, 5 * time.Second},
		{sv.Infinity, time.Hour, time.Hour},
	} {
		t.Run(fmt.Sprint(time.Duration(test.shutdown), " ", test.blocked), func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.start(sv.Spec{Children: []sv.Child{w.child("a"), w.child("b", shutdown(test.shutdown))}})
				w.take()
				block := make(chan struct{})
				stop := time.AfterFunc(test.blocked, func() { close(block) })
				if test.blocked > 0 {
					w.sys.Send(w.port("b"), "block", block)
					synctest.Wait()
				}
				start := time.Now()
				w.stop(s)
				if took := time.Since(start); took != test.takes {
					t.Errorf("it took %v, want %v", took, test.takes)
				}
				if stop.Stop() {
					if w.count(sv.Abandoned) != 1 {
						t.Error("there is no event that tells")
					}
					close(block)
				}
			})
		})
	}
}

// A brutal kill does not wait for messages that were sent before; others do.
func TestBrutalKillIsFaster(t *testing.T) {
	for _, how := range []sv.Shutdown{sv.Brutal, sv.Infinity} {
		inBubble(t, func(w *world) {
			got := 0
			block := make(chan struct{})
			s := w.start(sv.Spec{Children: []sv.Child{{ID: "a", Name: "a", Shutdown: how, Start: sv.Local{
				Init: func(c *actor.Context, _ actor.Message) error {
					c.Receive("m", func(*actor.Context, actor.Message) error {
						if got++; got == 1 {
							<-block
						}
						return nil
					})
					return nil
				}}}}})
			for range 10 {
				w.sys.Send(w.sys.Node().Port("a"), "m")
			}
			synctest.Wait()
			go s.Stop(context.Background())
			synctest.Wait()
			close(block)
			synctest.Wait()
			w.wantEnded(s, "shutdown")
			if want := map[sv.Shutdown]int{sv.Brutal: 1, sv.Infinity: 10}[how]; got != want {
				t.Errorf("%v: the child got %d messages, want %d", how, got, want)
			}
		})
	}
}

func TestStopMessage(t *testing.T) {
	inBubble(t, func(w *world) {
		polite := func(c *actor.Context, _ actor.Message) error {
			c.Receive("finish", func(c *actor.Context, m actor.Message) error {
				w.note(fmt.Sprint("finishes ", m[0]))
				c.After(2*time.Second, func(c *actor.Context) error {
					c.Kill("done")
					return nil
				})
				return nil
			})
			return nil
		}
		deaf := func(c *actor.Context, _ actor.Message) error {
			c.Default(func(*actor.Context, actor.Message) error { return nil })
			return nil
		}
		ask := actor.Message{"finish", "now"}
		s := w.start(sv.Spec{Children: []sv.Child{
			{ID: "deaf", Start: sv.Local{Init: deaf}, StopMessage: ask, Shutdown: sv.Shutdown(time.Second)},
			{ID: "polite", Start: sv.Local{Init: polite}, StopMessage: ask},
		}})
		start := time.Now()
		w.stop(s)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, want 3s", took)
		}
		w.want("finishes now")
	})
}

func TestNoRestartsWhileStopping(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForOne, "a b c")
		block := make(chan struct{})
		w.sys.Send(w.port("c"), "block", block)
		synctest.Wait()
		go s.Stop(context.Background())
		synctest.Wait()
		w.crash("a")
		w.want("-a")
		if _, err := s.StartChild(w.t.Context(), w.child("x")); !errors.Is(err, sv.ErrStopping) {
			t.Errorf("got error %v", err)
		}
		if _, err := s.RestartChild(w.t.Context(), "a"); !errors.Is(err, sv.ErrStopping) {
			t.Errorf("got error %v", err)
		}
		close(block)
		w.want("-c -b")
		w.wantEnded(s, "shutdown")
		if w.count(sv.Restarting) != 0 {
			t.Error("a child was restarted")
		}
	})
}

func TestStopWhileStarting(t *testing.T) {
	inBubble(t, func(w *world) {
		block := make(chan struct{})
		slow := sv.Child{ID: "b", Start: sv.Local{Init: func(*actor.Context, actor.Message) error {
			<-block
			return nil
		}}}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		_, err := sv.Start(ctx, w.sys, sv.Spec{Children: []sv.Child{w.child("a"), slow, w.child("c")}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v", err)
		}
		w.want("+a")
		close(block)
		w.want("-a")
	})
}

func TestStartTimeout(t *testing.T) {
	inBubble(t, func(w *world) {
		block := make(chan struct{})
		slow := sv.Child{ID: "b", StartTimeout: time.Second, Start: sv.Local{Init: func(*actor.Context, actor.Message) error {
			<-block
			return nil
		}}}
		time.AfterFunc(2*time.Second, func() { close(block) })
		_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: []sv.Child{w.child("a"), slow}})
		if err == nil || !strings.Contains(err.Error(), "did not start within 1s") {
			t.Errorf("got error %v", err)
		}
		w.want("+a -a")
	})
}

// A child that has told that it is ready and dies while later ones start is
// restarted like any other.
func TestDeathDuringTheStart(t *testing.T) {
	inBubble(t, func(w *world) {
		slow := sv.Child{ID: "b", Start: sv.Local{Init: func(*actor.Context, actor.Message) error {
			w.mu.Lock()
			a := w.ports["a"]
			w.mu.Unlock()
			w.sys.Send(a, "crash")
			time.Sleep(time.Second)
			w.note("+b")
			return nil
		}}}
		s := w.start(sv.Spec{Children: []sv.Child{w.child("a"), slow, w.child("c")}})
		w.want("+a -a +b +a +c")
		w.stop(s)
	})
}

func TestNestedEscalation(t *testing.T) {
	build := func(w *world, outer int) *sv.Supervisor {
		return w.start(sv.Spec{Intensity: outer, Children: []sv.Child{
			w.child("before"),
			{ID: "inner", Start: sv.Spec{Strategy: sv.OneForAll, Intensity: 2, Children: w.children("x y")}},
			w.child("after"),
		}})
	}
	inBubble(t, func(w *world) {
		s := build(w, 1)
		w.want("+before +x +y +after")
		w.crash("y")
		w.crash("y")
		w.want("-y -x +x +y -y -x +x +y")
		w.crash("y") // the inner one gives up, and is restarted by the outer one
		w.want("-y -x +x +y")
		w.wantStates(s, "before:running inner:running after:running")
		for range 2 {
			w.crash("x")
		}
		w.take()
		w.crash("x") // the outer one gives up as well
		w.want("-x -y -after -before")
		w.wantEnded(s, "shutdown")
	})
}

// A supervisor that gives up ends with "shutdown", which is no abnormal end.
func TestTransientSupervisorIsNotRestarted(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Children: []sv.Child{
			{ID: "inner", Restart: sv.Transient, Start: sv.Spec{Intensity: -1, Children: w.children("x")}},
			w.child("other"),
		}})
		w.crash("x")
		w.wantStates(s, "inner:stopped other:running")
		w.stop(s)
	})
}

func TestTreeStopsFromTheRightAtEveryLevel(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Children: []sv.Child{
			w.child("a"),
			{ID: "b", Start: sv.Spec{Children: []sv.Child{w.child("b1"), {ID: "b2", Start: sv.Spec{Children: w.children("b21 b22")}}, w.child("b3")}}},
			w.child("c"),
		}})
		w.want("+a +b1 +b21 +b22 +b3 +c")
		w.stop(s)
		w.want("-c -b3 -b22 -b21 -b1 -a")
	})
}

func TestStartChild(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForAll, "a")
		port, err := s.StartChild(w.t.Context(), w.child("b"))
		if err != nil || port != w.port("b") {
			t.Errorf("got %v, %v", port, err)
		}
		w.want("+b")
		if _, err := s.StartChild(w.t.Context(), w.child("b")); !errors.Is(err, sv.ErrExists) {
			t.Errorf("got error %v", err)
		}
		// "If the start fails, the child specification is discarded."
		w.fail["c"] = 1
		_, err = s.StartChild(w.t.Context(), w.child("c"))
		var failed *sv.StartError
		if !errors.As(err, &failed) || failed.Path != "c" || failed.Reason.String() != "die c cannot start" {
			t.Errorf("got error %v", err)
		}
		w.want("!c")
		if _, err := s.StartChild(w.t.Context(), sv.Child{ID: "d"}); !errors.Is(err, sv.ErrSpec) {
			t.Errorf("got error %v", err)
		}
		if _, _, err := s.StartDynamic(w.t.Context()); !errors.Is(err, sv.ErrStrategy) {
			t.Errorf("got error %v", err)
		}
		w.wantStates(s, "a:running b:running")
		w.crash("a") // the new one is like the others
		w.want("-a -b +a +b")
		w.stop(s)
	})
}

func TestTerminateRestartDeleteChild(t *testing.T) {
	inBubble(t, func(w *world) {
		ctx := w.t.Context()
		s := w.start(sv.Spec{Children: []sv.Child{w.child("a"), w.child("b"), w.child("t", temporary)}})
		w.take()
		if err := s.DeleteChild(ctx, "a"); !errors.Is(err, sv.ErrRunning) {
			t.Errorf("got error %v", err)
		}
		if _, err := s.RestartChild(ctx, "a"); !errors.Is(err, sv.ErrRunning) {
			t.Errorf("got error %v", err)
		}
		for range 2 { // the second finds it stopped
			if err := s.TerminateChild(ctx, "a"); err != nil {
				t.Error(err)
			}
		}
		w.want("-a")
		w.wantStates(s, "a:stopped b:running t:running")

		w.fail["a"] = 1
		_, err := s.RestartChild(ctx, "a")
		if _, ok := errors.AsType[*sv.StartError](err); !ok {
			t.Errorf("got error %v", err)
		}
		w.wantStates(s, "a:stopped b:running t:running")
		port, err := s.RestartChild(ctx, "a")
		if err != nil || port != w.port("a") {
			t.Errorf("got %v, %v", port, err)
		}
		w.want("!a +a")

		s.TerminateChild(ctx, "a")
		if err := s.DeleteChild(ctx, "a"); err != nil {
			t.Error(err)
		}
		if err := s.TerminateChild(ctx, "t"); err != nil { // a temporary one is forgotten
			t.Error(err)
		}
		w.wantStates(s, "b:running")
		for _, err := range []error{s.TerminateChild(ctx, "a"), s.DeleteChild(ctx, "a"), s.DeleteChild(ctx, "t")} {
			if !errors.Is(err, sv.ErrNotFound) {
				t.Errorf("got error %v", err)
			}
		}
		if _, err := s.RestartChild(ctx, "a"); !errors.Is(err, sv.ErrNotFound) {
			t.Errorf("got error %v", err)
		}
		w.stop(s)
	})
}

func TestCountAndChildren(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Children: []sv.Child{
			w.child("a"), w.child("b", transient), {ID: "c", Start: sv.Spec{Children: w.children("x")}},
		}})
		w.end("b")
		synctest.Wait()
		n, err := s.Count(w.t.Context())
		if err != nil || n != (sv.Counts{Specs: 3, Active: 2, Supervisors: 1, Workers: 2}) {
			t.Errorf("got %+v, %v", n, err)
		}
		w.crash("a")
		synctest.Wait()
		a, err := s.Child(w.t.Context(), "a")
		if err != nil || a.Port != w.port("a") || a.Restarts != 1 || a.Last.String() != "die crashed" || a.Since.IsZero() || a.Supervisor {
			t.Errorf("got %+v, %v", a, err)
		}
		b, _ := s.Child(w.t.Context(), "b")
		if b.Port != "" || b.State != sv.Stopped || b.Restart != sv.Transient || b.Last == nil || !b.Last.Normal() {
			t.Errorf("got %+v", b)
		}
		w.stop(s)
		if _, err := s.Count(w.t.Context()); err == nil {
			t.Error("a supervisor that has ended answers")
		}
	})
}

// A start that fails when a child is restarted is tried again, and counts each
// time.
func TestFailingRestartIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		strategy sv.Strategy
		want     string
	}{
		{sv.OneForOne, "-b !b !b +b"},
		{sv.OneForAll, "-b -c -a +a !b -a +a !b -a +a +b +c"},
		{sv.RestForOne, "-b -c !b !b +b +c"},
	} {
		t.Run(test.strategy.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.startWith(test.strategy, "a b c", func(s *sv.Spec) { s.Intensity = 3 })
				w.fail["b"] = 2
				w.crash("b")
				w.want(test.want)
				w.wantAlive(s)
				w.fail["b"] = 1
				w.crash("b") // the fourth, of which the start fails, is too many
				w.wantEnded(s, "shutdown")
			})
		})
	}
}

// rest_for_one restarts from the child on that did not start.
func TestFailingRestartOfALaterChild(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.RestForOne, "a b c")
		w.fail["c"] = 1
		w.crash("a")
		w.want("-a -c -b +a +b !c +c")
		w.stop(s)
	})
}

func TestIgnore(t *testing.T) {
	inBubble(t, func(w *world) {
		idle := sv.Local{Init: func(*actor.Context, actor.Message) error { return fmt.Errorf("not today: %w", sv.ErrIgnore) }}
		s := w.start(sv.Spec{Children: []sv.Child{{ID: "i", Start: idle}, {ID: "t", Start: idle, Restart: sv.Temporary}, w.child("a")}})
		w.wantStates(s, "i:stopped a:running")
		if port, err := s.StartChild(w.t.Context(), sv.Child{ID: "j", Start: idle}); err != nil || port != "" {
			t.Errorf("got %v, %v", port, err)
		}
		w.stop(s)
	})
}

func TestBackoff(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Intensity: 100, Children: []sv.Child{w.child("a", func(c *sv.Child) {
			c.Backoff = sv.Backoff{Min: time.Second, Max: 5 * time.Second}
		}), w.child("b")}})
		w.take()
		for _, delay := range []time.Duration{1, 2, 4, 5, 5} {
			w.crash("a")
			w.want("-a")
			w.wantStates(s, "a:waiting b:running")
			time.Sleep(delay*time.Second - time.Millisecond)
			w.want("")
			time.Sleep(time.Millisecond)
			w.want("+a")
		}
		time.Sleep(6 * time.Second) // it has lived for long enough
		w.crash("a")
		time.Sleep(time.Second)
		w.want("-a +a")
		w.crash("a")
		w.want("-a")
		w.stop(s) // does not wait for it
		w.want("-b")
	})
}

func TestNamesSurviveRestarts(t *testing.T) {
	inBubble(t, func(w *world) {
		named := func(c *sv.Child) { c.Name = c.ID + "-port" }
		known := map[string]actor.PortID{}
		s := w.start(sv.Spec{Intensity: 10, Children: []sv.Child{
			w.child("a", named),
			{ID: "b", Name: "b-port", Start: sv.Local{Init: func(c *actor.Context, _ actor.Message) error {
				c.Receive("die", func(*actor.Context, actor.Message) error { return errors.New("told to") })
				c.Receive("hello", func(c *actor.Context, m actor.Message) error { return c.Respond("hi") })
				return nil
			}}},
			{ID: "c", Start: sv.Spec{}, Name: "c-port"},
			w.child("d", func(c *sv.Child) {
				c.Announce = func(port actor.PortID) (func(), error) {
					known["d"] = port
					return func() { delete(known, "d") }, nil
				}
			}),
		}})
		w.crash("a")
		w.sys.Send("nonhost#b-port", "die")
		synctest.Wait()
		if w.port("a") != "nonhost#a-port" || w.count(sv.Restarting) != 2 {
			t.Errorf("the port is %s", w.port("a"))
		}
		if m, err := w.sys.Call(w.t.Context(), "nonhost#b-port", "hello"); err != nil || m[0] != "hi" {
			t.Errorf("got %v, %v", m, err)
		}
		if _, err := sv.Of(w.sys, "nonhost#c-port").Count(w.t.Context()); err != nil {
			t.Error(err)
		}
		first := known["d"]
		w.crash("d")
		synctest.Wait()
		if known["d"] == first || known["d"] != w.port("d") {
			t.Errorf("known as %s, then %s; the port is %s", first, known["d"], w.port("d"))
		}
		w.stop(s)
		if len(known) != 0 {
			t.Errorf("still known: %v", known)
		}
	})
}

func TestNameTaken(t *testing.T) {
	for _, start := range []sv.Starter{sv.Local{Init: func(*actor.Context, actor.Message) error { return nil }}, sv.Spec{}, sv.Task(func(ctx context.Context, _ actor.Message) error { return nil })} {
		inBubble(t, func(w *world) {
			w.sys.NamedPort("taken", func(*actor.Context) error { return nil })
			_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: []sv.Child{{ID: "a", Name: "taken", Start: start}}})
			if err == nil || !strings.Contains(err.Error(), "name is taken") {
				t.Errorf("%T: got error %v", start, err)
			}
		})
	}
	inBubble(t, func(w *world) {
		w.sys.NamedPort("a", func(*actor.Context) error { return nil })
		_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: []sv.Child{w.child("a", func(c *sv.Child) { c.Name = "a" })}})
		if err == nil || !strings.Contains(err.Error(), "taken") {
			t.Errorf("got error %v", err)
		}
	})
}

func TestAnnounceFails(t *testing.T) {
	for name, f := range map[string]func(actor.PortID) (func(), error){
		"error": func(actor.PortID) (func(), error) { return nil, errors.New("no registry") },
		"panic": func(actor.PortID) (func(), error) { panic("no registry") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				_, err := sv.Start(w.t.Context(), w.sys, sv.Spec{Children: []sv.Child{w.child("a", func(c *sv.Child) { c.Announce = f })}})
				if err == nil || !strings.Contains(err.Error(), "no registry") {
					t.Errorf("got error %v", err)
				}
				w.want("+a -a")
			})
		})
	}
}

func TestTask(t *testing.T) {
	inBubble(t, func(w *world) {
		work := make(chan error)
		s := w.start(sv.Spec{Children: []sv.Child{{ID: "t", Restart: sv.Transient, Start: sv.Task(func(ctx context.Context, _ actor.Message) error {
			w.note("+t")
			defer w.note("-t")
			select {
			case err := <-work:
				if err != nil && err.Error() == "panic" {
					panic("task panics")
				}
				return err
			case <-ctx.Done():
				time.Sleep(time.Second)
				return ctx.Err()
			}
		})}}, Intensity: 5})
		w.want("+t")
		work <- errors.New("failed")
		w.want("-t +t")
		st, _ := s.Child(w.t.Context(), "t")
		if st.Last.String() != "die failed" {
			t.Errorf("got %v", st.Last)
		}
		work <- errors.New("panic")
		w.want("-t +t")
		st, _ = s.Child(w.t.Context(), "t")
		w.sys.Kill(st.Port, "murder") // the port stands for the task
		w.want("")
		time.Sleep(time.Second)
		w.want("-t +t")
		work <- nil
		w.want("-t")
		w.wantStates(s, "t:stopped")
		if _, err := s.RestartChild(w.t.Context(), "t"); err != nil {
			t.Error(err)
		}
		start := time.Now()
		w.stop(s)
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
		w.want("+t -t")
	})
}

// What an actor does with its own children is no concern of its supervisor.
func TestStrategiesOfActorsGoOnWorking(t *testing.T) {
	inBubble(t, func(w *world) {
		below := proto.PropsFromFunc(func(c proto.Context) {
			switch m := c.Message().(type) {
			case *proto.Started:
				w.note("+below")
			case string:
				panic(m)
			}
		})
		var child *proto.PID
		above := proto.PropsFromFunc(func(c proto.Context) {
			switch c.Message().(type) {
			case *proto.Started:
				w.note("+above")
				child = c.Spawn(below)
			case *proto.Terminated:
				w.note("-below")
			}
		}, proto.WithSupervisor(proto.NewOneForOneStrategy(2, time.Minute, proto.DefaultDecider)))
		s := w.start(sv.Spec{Children: []sv.Child{{ID: "above", Start: sv.Actor{Props: above}}}})
		w.want("+above +below")
		for range 2 {
			w.sys.Actors().Root.Send(child, "crash")
			w.want("+below")
		}
		w.sys.Actors().Root.Send(child, "crash") // the third is too many for its parent
		w.want("-below")
		if n := w.count(sv.Died); n != 0 {
			t.Errorf("the supervisor has seen %d deaths", n)
		}
		w.stop(s)
	})
}

// protoactor-go does not end an actor that panics at its Stopping. It is given up
// and replaced.
func TestActorThatCannotDie(t *testing.T) {
	inBubble(t, func(w *world) {
		props := proto.PropsFromFunc(func(c proto.Context) {
			switch c.Message().(type) {
			case *proto.Started:
				w.note("+")
			case *proto.Stopping:
				panic("I do not want to die")
			case actor.Message:
				panic("crashed")
			}
		})
		s := w.start(sv.Spec{Children: []sv.Child{{ID: "a", Start: sv.Actor{Props: props}}}})
		st, err := s.Child(w.t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		w.sys.Send(st.Port, "crash")
		time.Sleep(10 * time.Second)
		w.want("+ +")
		if w.count(sv.Abandoned) != 1 {
			t.Error("there is no event that tells")
		}
		w.stop(s)
	})
}

// A task that does not care for its context is given up.
func TestTaskIgnoresItsStop(t *testing.T) {
	inBubble(t, func(w *world) {
		block := make(chan struct{})
		s := w.start(sv.Spec{Children: []sv.Child{{ID: "t", Start: sv.Task(func(context.Context, actor.Message) error {
			<-block
			return nil
		})}}})
		start := time.Now()
		w.stop(s)
		if took := time.Since(start); took != 10*time.Second || w.count(sv.Abandoned) != 1 {
			t.Errorf("it took %v", took)
		}
		close(block)
	})
}

// When a supervisor is killed, nothing that it had is left behind.
func TestKilledSupervisor(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Children: []sv.Child{
			w.child("a"), {ID: "b", Start: sv.Spec{Children: w.children("x y")}}, w.child("c"),
		}})
		w.take()
		s.Kill()
		synctest.Wait()
		w.wantEnded(s, "killed")
		if got := sorted(w.take()); got != "-a -c -x -y" {
			t.Errorf("got %q", got)
		}
	})
}

// What anybody may send does not harm a supervisor.
func TestGarbage(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForOne, "a")
		for _, tag := range []string{"start_child", "start_dynamic", "terminate", "restart", "delete", "child", "children", "count", "tree",
			"supervision ready", "supervision ignore", "supervision died", "supervision returned", "no such tag", "ping"} {
			for _, args := range [][]any{nil, {1}, {"a#b"}, {[]any{}, map[string]any{}}, {nil, nil}, {"", -1.5}} {
				w.sys.Send(s.Port(), append([]any{tag}, args...)...)
			}
		}
		w.sys.Send(s.Port())
		w.sys.Send(s.Port(), 1)
		w.wantStates(s, "a:running")
		w.want("")
		w.stop(s)
	})
}

func TestValidate(t *testing.T) {
	ok := sv.Local{Init: func(*actor.Context, actor.Message) error { return nil }}
	one := func(c sv.Child) sv.Spec { return sv.Spec{Children: []sv.Child{c}} }
	for want, spec := range map[string]sv.Spec{
		`bad child ID ""`:                             one(sv.Child{Start: ok}),
		`bad child ID "a/b"`:                          one(sv.Child{ID: "a/b", Start: ok}),
		`there are two children "a"`:                  {Children: []sv.Child{{ID: "a", Start: ok}, {ID: "a", Start: ok}}},
		`child "a": there is no Start`:                one(sv.Child{ID: "a"}),
		`child "a": Local has no Init`:                one(sv.Child{ID: "a", Start: sv.Local{}}),
		`child "a": Actor has no Props`:               one(sv.Child{ID: "a", Start: sv.Actor{}}),
		`child "a": Task is nil`:                      one(sv.Child{ID: "a", Start: sv.Task(nil)}),
		`child "a/b": there is no Start`:              one(sv.Child{ID: "a", Start: one(sv.Child{ID: "b"})}),
		`a permanent child cannot be significant`:     {AutoShutdown: sv.AnySignificant, Children: []sv.Child{{ID: "a", Start: ok, Significant: true}}},
		`its supervisor never ends by itself`:         one(sv.Child{ID: "a", Start: ok, Restart: sv.Transient, Significant: true}),
		`Shutdown is negative`:                        one(sv.Child{ID: "a", Start: ok, Shutdown: -3}),
		`StartTimeout is negative`:                    one(sv.Child{ID: "a", Start: ok, StartTimeout: -1}),
		`Backoff is negative`:                         one(sv.Child{ID: "a", Start: ok, Backoff: sv.Backoff{Min: -1}}),
		`Backoff.Max is less than Min`:                one(sv.Child{ID: "a", Start: ok, Backoff: sv.Backoff{Min: 2, Max: 1}}),
		`Backoff.Jitter is not from 0 to 1`:           one(sv.Child{ID: "a", Start: ok, Backoff: sv.Backoff{Jitter: 2}}),
		`bad Lost`:                                    one(sv.Child{ID: "a", Start: ok, Lost: sv.Lost{Wait: -1}}),
		`unknown restart type`:                        one(sv.Child{ID: "a", Start: ok, Restart: 7}),
		`unknown strategy`:                            {Strategy: 9},
		`unknown AutoShutdown`:                        {AutoShutdown: -1},
		`Period is negative`:                          {Period: -1},
		`a dynamic supervisor has one kind`:           {Strategy: sv.Dynamic},
		`the children of a dynamic supervisor cannot`: {Strategy: sv.Dynamic, Children: []sv.Child{{ID: "a", Name: "n", Start: ok}}},
	} {
		_, err := sv.Start(t.Context(), actor.NewSystem(), spec)
		if !errors.Is(err, sv.ErrSpec) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	if err := one(sv.Child{ID: "a", Start: ok}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestTree(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.start(sv.Spec{Strategy: sv.RestForOne, Children: []sv.Child{
			w.child("a", func(c *sv.Child) { c.Name = "a" }),
			{ID: "b", Name: "b", Start: sv.Spec{Strategy: sv.OneForAll, Children: []sv.Child{w.child("x", func(c *sv.Child) { c.Name = "x" }), w.child("y", transient)}}},
			{ID: "d", Name: "d", Start: sv.Spec{Strategy: sv.Dynamic, Children: w.children("z")}},
		}})
		w.end("y")
		w.crash("x")
		w.end("y")
		for range 1002 {
			if _, _, err := sv.Of(w.sys, "nonhost#d").StartDynamic(w.t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		tree, err := s.Tree(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := tree.String()
		lines := strings.Split(text, "\n")
		lines[0] = "(root)  running  rest_for_one"
		got := strings.Join(lines[:6], "\n")
		want := "(root)  running  rest_for_one\n" +
			"├─ a  running  nonhost#a\n" +
			"├─ b  running  one_for_all  nonhost#b\n" +
			"│  ├─ x  running  nonhost#x  restarts: 1  last: die crashed\n" +
			"│  └─ y  stopped  last: normal\n" +
			"└─ d  running  dynamic  nonhost#d"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if !strings.HasSuffix(text, "   └─ and 2 more\n") || len(tree.Children[2].Children) != 1000 {
			t.Errorf("the end is %q", text[len(text)-40:])
		}
		w.stop(s)
	})
}

// A supervisor that does not answer is missing in the tree, which comes all the
// same.
func TestTreeOfSilence(t *testing.T) {
	inBubble(t, func(w *world) {
		block := make(chan struct{})
		s := w.start(sv.Spec{Children: []sv.Child{
			{ID: "b", Name: "b", Start: sv.Spec{Children: []sv.Child{w.child("x", func(c *sv.Child) {
				first := true
				c.Announce = func(actor.PortID) (func(), error) {
					if !first {
						<-block
					}
					first = false
					return nil, nil
				}
			})}}},
		}})
		w.crash("x")
		synctest.Wait()
		tree, err := s.Tree(w.t.Context())
		if err != nil || tree.Children[0].Missing != "it does not answer" {
			t.Errorf("got %v, %v", tree, err)
		}
		close(block)
		w.stop(s)
	})
}

func TestContext(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.startWith(sv.OneForOne, "a", func(s *sv.Spec) { s.Intensity = -1 })
		ctx := s.Context(w.t.Context())
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("it has ended")
		}
		w.crash("a")
		synctest.Wait()
		if _, ok := errors.AsType[*sv.EndError](context.Cause(ctx)); !ok {
			t.Errorf("got cause %v", context.Cause(ctx))
		}
	})
}
