package supervision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// Errors of [Run].
var (
	// ErrDeadline: the supervisor had not stopped when the time for it was up.
	ErrDeadline = errors.New("not stopped in time")
	// ErrForced: a second signal came before the supervisor had stopped.
	ErrForced = errors.New("stop was forced by a signal")
)

// RunConfig says how [Run] runs a program. Its zero value is ready to use.
type RunConfig struct {
	// Ready is called when all children have been started. Nil means nothing.
	Ready func(s *Supervisor)
	// Deadline is how long the supervisor may take to stop. Zero means 30
	// seconds. What does not stop in that time is left as it is, for the end
	// of the process to end.
	Deadline time.Duration
	// Signals are those that stop it. Nil means SIGINT and SIGTERM.
	Signals []os.Signal
}

// Run starts a supervisor and waits until it has ended, as the main job of a
// program:
//
//	func main() {
//		os.Exit(supervision.ExitCode(supervision.Run(context.Background(), sys, spec, supervision.RunConfig{})))
//	}
//
// A signal, or the end of the context, stops it in order; a second signal ends
// the waiting. The error is nil if it was stopped in order, in time, or its
// significant children had ended. Otherwise it is a [StartError] or an
// [EndError], or it wraps [ErrDeadline], [ErrForced] or [ErrSpec].
//
// It fits into an errgroup: the end of the group's context stops it, and its
// error ends the group.
func Run(ctx context.Context, sys *actor.System, spec Spec, config RunConfig) error {
	if config.Signals == nil {
		config.Signals = []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	if config.Deadline == 0 {
		config.Deadline = 30 * time.Second
	}
	signals := make(chan os.Signal, 2)
	if len(config.Signals) > 0 { // no signals would be all of them
		signal.Notify(signals, config.Signals...)
		defer signal.Stop(signals)
	}
	s, ready, err := launch(sys, spec)
	if err != nil {
		return err
	}
	signalled := false
	for stop := false; !stop; {
		select {
		case <-ready:
			ready = nil
			if config.Ready != nil {
				config.Ready(s)
			}
		case <-s.ended:
			return s.Err()
		case sig := <-signals:
			sys.Logger().Info("stopping", "signal", sig)
			stop, signalled = true, true
		case <-ctx.Done():
			stop = true
		}
	}
	stopping, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), config.Deadline, ErrDeadline)
	defer cancel()
	sys.Send(s.port, tagStop) // it is local
	for err == nil {
		select {
		case <-s.ended:
			return s.Err()
		case <-signals:
			if signalled {
				err = ErrForced
			}
			signalled = true // it may be the one that has ended the context
		case <-stopping.Done():
			err = ErrDeadline
		}
	}
	s.Kill()
	return fmt.Errorf("supervision: %w", err)
}

// Exit codes of a program whose main job is [Run].
const (
	ExitOK         = 0 // stopped in order
	ExitGaveUp     = 1 // the supervisor has given up
	ExitNotStarted = 3 // a child could not be started, or the Spec is not valid
	ExitDeadline   = 4 // not stopped in time
	ExitForced     = 5 // a second signal came
)

// ExitCode returns the exit code that tells of an error of [Run]. (2 is that of
// Go programs that panic.)
func ExitCode(err error) int {
	_, start := errors.AsType[*StartError](err)
	switch {
	case err == nil:
		return ExitOK
	case start, errors.Is(err, ErrSpec):
		return ExitNotStarted
	case errors.Is(err, ErrDeadline):
		return ExitDeadline
	case errors.Is(err, ErrForced):
		return ExitForced
	}
	return ExitGaveUp
}
