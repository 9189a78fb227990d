package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The exit codes of the tool.
const (
	ExitOK          = 0   // all has been done
	ExitFailed      = 1   // a subcommand failed; those behind it were not run
	ExitUsage       = 2   // the command line makes no sense; nothing was done
	ExitUnreachable = 3   // a node could not be reached, or did not answer in time
	ExitInterrupted = 130 // the user interrupted
)

// An ExitError is an error that decides the exit code.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// Usagef returns an error for a command line that makes no sense: ExitUsage.
func Usagef(format string, args ...any) error {
	return &ExitError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// Unreachablef returns an error for a node that cannot be reached or does not
// answer: ExitUnreachable.
func Unreachablef(format string, args ...any) error {
	return &ExitError{Code: ExitUnreachable, Err: fmt.Errorf(format, args...)}
}

// exitCode tells what the tool returns to the shell for an error. That of a
// context which ended is decided by the one who knows why.
func exitCode(ctx context.Context, err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return ExitOK
	case ctx.Err() != nil:
		return ExitInterrupted
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.DeadlineExceeded):
		return ExitUnreachable
	}
	return ExitFailed
}

// oneLine makes an error a line that cannot be taken for several, nor move the
// cursor of a terminal.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, strings.TrimSpace(lines[i]))
	}
	return strings.Join(lines, "; ")
}
