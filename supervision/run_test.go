package supervision_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/proctest"
	sv "github.com/portmesh/portmesh/supervision"
)

var noSignals = []os.Signal{}

func TestRunEndsWithItsContext(t *testing.T) {
	inBubble(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		done := make(chan error, 1)
		ready := make(chan *sv.Supervisor, 1)
		config := sv.RunConfig{Signals: noSignals, Ready: func(s *sv.Supervisor) { ready <- s }}
		go func() { done <- sv.Run(ctx, w.sys, sv.Spec{Children: w.children("a b")}, config) }()
		w.wantStates(<-ready, "a:running b:running")
		w.want("+a +b")
		cancel()
		w.want("-b -a")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRunErrors(t *testing.T) {
	for name, test := range map[string]struct {
		spec func(w *world) sv.Spec
		do   func(w *world, cancel func())
		want string
		code int
	}{
		"stopped": {func(w *world) sv.Spec { return sv.Spec{Children: w.children("a")} },
			func(w *world, cancel func()) { cancel() }, "<nil>", 0},
		"stopped while it starts": {func(w *world) sv.Spec {
			return sv.Spec{Children: []sv.Child{{ID: "a", Start: sv.Local{Init: func(*actor.Context, actor.Message) error {
				time.Sleep(2 * time.Second)
				return nil
			}}}}}
		}, func(w *world, cancel func()) { cancel() }, "<nil>", 0},
		"significant child": {func(w *world) sv.Spec {
			return sv.Spec{AutoShutdown: sv.AnySignificant, Children: []sv.Child{w.child("a", transient, significant)}}
		}, func(w *world, _ func()) { w.end("a") }, "<nil>", 0},
		"gives up": {func(w *world) sv.Spec { return sv.Spec{Intensity: -1, Children: w.children("a")} },
			func(w *world, _ func()) { w.crash("a") }, "die crashed", 1},
		"not started": {func(w *world) sv.Spec {
			w.fail["a"] = 1
			return sv.Spec{Children: w.children("a")}
		}, func(*world, func()) {}, `child "a" did not start: die a cannot start`, 3},
		"bad spec": {func(*world) sv.Spec { return sv.Spec{Strategy: 7} }, func(*world, func()) {}, "unknown strategy", 3},
		"deadline": {func(w *world) sv.Spec {
			return sv.Spec{Children: []sv.Child{w.child("a", shutdown(sv.Infinity))}}
		}, func(w *world, cancel func()) {
			w.sys.Send(w.port("a"), "block", time.After(time.Hour))
			cancel()
		}, "not stopped in time", 4},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				ctx, cancel := context.WithCancel(w.t.Context())
				defer cancel()
				spec := test.spec(w)
				done := make(chan error, 1)
				go func() {
					done <- sv.Run(ctx, w.sys, spec, sv.RunConfig{Signals: noSignals, Deadline: 10 * time.Second})
				}()
				synctest.Wait()
				test.do(w, cancel)
				start := time.Now()
				err := <-done
				if !strings.Contains(fmt.Sprint(err), test.want) || sv.ExitCode(err) != test.code {
					t.Errorf("got %v with code %d, want %s with %d", err, sv.ExitCode(err), test.want, test.code)
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				if name == "deadline" {
					time.Sleep(2 * time.Hour) // the child ends
				}
			})
		})
	}
}

// runProgram is a program that runs a tree, whose child takes so long to stop.
func runProgram(takes string) {
	duration, _ := time.ParseDuration(takes)
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	task := sv.Task(func(ctx context.Context, _ actor.Message) error {
		fmt.Println("started")
		<-ctx.Done()
		fmt.Println("stopping")
		time.Sleep(duration)
		fmt.Println("stopped")
		return nil
	})
	spec := sv.Spec{Children: []sv.Child{{ID: "task", Start: task, Shutdown: sv.Infinity}}}
	os.Exit(sv.ExitCode(sv.Run(context.Background(), sys, spec, sv.RunConfig{Deadline: time.Second})))
}

func TestSignals(t *testing.T) {
	for _, test := range []struct {
		name    string
		takes   string
		signals []syscall.Signal // the first when it has started, the second when it stops
		want    string
		code    int
	}{
		{"SIGTERM", "0", []syscall.Signal{syscall.SIGTERM}, "started stopping stopped", sv.ExitOK},
		{"SIGINT", "0", []syscall.Signal{syscall.SIGINT}, "started stopping stopped", sv.ExitOK},
		{"twice", "1h", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, "started stopping", sv.ExitForced},
		{"too late", "1h", []syscall.Signal{syscall.SIGTERM}, "started stopping", sv.ExitDeadline},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := proctest.Start(t, "run", test.takes)
			for _, s := range test.signals {
				p.Line()
				p.Signal(s)
			}
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](p.Wait()); ok {
				code = exit.ExitCode()
			}
			if got := strings.Join(strings.Fields(p.Output()), " "); got != test.want || code != test.code {
				t.Errorf("got %q with code %d, want %q with %d", got, code, test.want, test.code)
			}
		})
	}
}

// contextProgram is a program whose context ends by a signal, of which its tree
// hears as well. Its child ends at the next one.
func contextProgram() {
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	next := make(chan os.Signal, 1)
	signal.Notify(next, syscall.SIGTERM)
	task := sv.Task(func(ctx context.Context, _ actor.Message) error {
		fmt.Println("started")
		<-ctx.Done()
		fmt.Println("stopping")
		<-next
		fmt.Println("stopped")
		return nil
	})
	spec := sv.Spec{Children: []sv.Child{{ID: "task", Start: task, Shutdown: sv.Infinity}}}
	os.Exit(sv.ExitCode(sv.Run(ctx, sys, spec, sv.RunConfig{Signals: []os.Signal{syscall.SIGTERM}})))
}

// A signal that comes when the context has ended is no second one: it may be what
// has ended the context.
func TestSignalEndsContext(t *testing.T) {
	p := proctest.Start(t, "context")
	p.Expect("started")
	p.Signal(os.Interrupt)
	p.Expect("stopping")
	p.Signal(syscall.SIGTERM)
	p.Expect("stopped")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}
