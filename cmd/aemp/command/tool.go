package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// A Tool is the aemp tool: its commands, and what they see of the world. It must
// not be changed once it runs.
type Tool struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv looks up environment variables.
	Getenv func(string) string
	// Commands is the table.
	Commands []*Command
	// Functions makes functions known in each node that the subcommand run starts:
	// its services, and what other nodes may spawn and call there. Nil means
	// that there are none.
	Functions func(sys *actor.System) error
}

// New returns the tool with all its commands, connected with this process.
func New() *Tool {
	return &Tool{
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Getenv:   os.Getenv,
		Commands: commands(),
	}
}

// commands returns the table, in the order of the help.
func commands() []*Command {
	return slices.Concat(
		sndCommands(),
		nodesCommands(),
		[]*Command{traceCommand(), shellCommand()},
		dbCommands(),
		[]*Command{runCommand(), restartCommand()},
		[]*Command{benchCommand(), topCommand()},
		proxyCommands(),
		configCommands(),
		generalCommands(),
	)
}

// Run carries out a command line, without the name of the program, and returns
// the exit code. When ctx ends, so does what runs. Errors have been written to
// Stderr.
func (t *Tool) Run(ctx context.Context, args []string) int {
	env := &Env{Tool: t, flags: make(map[string]any), output: &output{w: t.Stdout}}
	err := t.run(ctx, env, args)
	if err == nil {
		err = env.output.err
	}
	if err != nil {
		fmt.Fprintln(t.Stderr, "aemp:", oneLine(err.Error()))
	}
	return exitCode(ctx, err)
}

func (t *Tool) run(ctx context.Context, env *Env, args []string) error {
	if len(args) > 0 && args[0] == completeWord {
		for _, candidate := range env.complete(args[1:]) {
			env.Printf("%s\n", candidate)
		}
		return nil
	}
	calls, err := t.parse(env, args)
	if err != nil {
		return err
	}
	switch {
	case env.value("help").(bool) && len(calls) == 0:
		return t.overview(env)
	case env.value("version").(bool):
		return printVersion(env)
	}
	for _, c := range calls {
		if c.help {
			return c.explain(c.Command)
		}
	}
	if len(calls) == 0 {
		return Usagef("which subcommand? usage: aemp subcommand ...; see aemp help")
	}
	for _, c := range calls {
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.Command.Name, err)
		}
	}
	return env.save(ctx)
}

// run carries out one subcommand within its time.
func (c *Call) run(ctx context.Context) error {
	timeout := c.Command.Timeout
	if t := c.Duration("timeout"); t > 0 {
		timeout = t
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
		defer cancel()
	}
	err := c.Command.Run(ctx, c)
	// What ran into the deadline mostly knows no more than that.
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, new(*timeoutError)) && !errors.As(err, new(*ExitError)) {
		if cause := new(timeoutError); errors.As(context.Cause(ctx), &cause) {
			err = Unreachablef("%w; %w", err, cause)
		}
	}
	return err
}

// A timeoutError is the cause of a context that ended because of a command's
// time limit.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("gave up after %v (--timeout gives it more time)", e.after)
}

// Is makes it a [context.DeadlineExceeded].
func (*timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// lookup finds a command by its name or an alias.
func (t *Tool) lookup(name string) *Command {
	for _, c := range t.Commands {
		if slices.Contains(c.names(), name) {
			return c
		}
	}
	return nil
}

// second returns the second words of the commands that have two and begin with
// this one.
func (t *Tool) second(first string) []string {
	var words []string
	for _, c := range t.Commands {
		if word, ok := strings.CutPrefix(c.Name, first+" "); ok {
			words = append(words, word)
		}
	}
	return words
}

// suggest returns a hint at the command that was probably meant.
func (t *Tool) suggest(name string) string {
	best, bestDistance := "", 3
	for _, c := range t.Commands {
		for _, n := range c.names() {
			if d := distance(name, n); d < bestDistance && d < len(n) {
				best, bestDistance = n, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is the number of letters to be changed, added or removed to make one
// word of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
