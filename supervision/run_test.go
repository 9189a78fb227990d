package supervision_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
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

// runProcess is a program that runs a tree. Its child takes as long to stop as
// the environment says.
func runProcess() {
	takes, _ := time.ParseDuration(os.Getenv("PORTMESH_TEST_TAKES"))
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	task := sv.Task(func(ctx context.Context, _ actor.Message) error {
		fmt.Println("started")
		<-ctx.Done()
		fmt.Println("stopping")
		time.Sleep(takes)
		fmt.Println("stopped")
		return nil
	})
	spec := sv.Spec{Children: []sv.Child{{ID: "task", Start: task, Shutdown: sv.Infinity}}}
	os.Exit(sv.ExitCode(sv.Run(context.Background(), sys, spec, sv.RunConfig{Deadline: 500 * time.Millisecond})))
}

func init() { processes["run"] = runProcess }

func TestSignals(t *testing.T) {
	for _, test := range []struct {
		name    string
		takes   string
		signals []syscall.Signal
		want    string
		code    int
	}{
		{"SIGTERM", "0", []syscall.Signal{syscall.SIGTERM}, "stopping stopped", sv.ExitOK},
		{"SIGINT", "0", []syscall.Signal{syscall.SIGINT}, "stopping stopped", sv.ExitOK},
		{"twice", "1h", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, "stopping", sv.ExitForced},
		{"too late", "1h", []syscall.Signal{syscall.SIGTERM}, "stopping", sv.ExitDeadline},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), envProcess+"=run", "PORTMESH_TEST_TAKES="+test.takes)
			cmd.Stderr = t.Output()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			out := bufio.NewScanner(stdout)
			var lines []string
			for i := 0; out.Scan(); i++ { // a signal behind each line, as long as there are any
				if i > 0 {
					lines = append(lines, out.Text())
				}
				if i < len(test.signals) {
					cmd.Process.Signal(test.signals[i])
				}
			}
			err = cmd.Wait()
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				code = exit.ExitCode()
			}
			if got := strings.Join(lines, " "); got != test.want || code != test.code {
				t.Errorf("got %q with code %d, want %q with %d", got, code, test.want, test.code)
			}
		})
	}
}
