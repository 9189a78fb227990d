package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// An Env is what the calls of one command line share.
type Env struct {
	*Tool
	flags  map[string]any
	output *output
	config configuration
	// session is that of the shell in which the line stands, or nil.
	session *session
}

// A Call is one subcommand on the command line.
type Call struct {
	*Env
	Command *Command
	// Args are the arguments: strings, or what the JSON arguments hold, whose
	// numbers are of type [json.Number].
	Args []any

	flags       map[string]any
	help        bool
	params      []param
	least, most int
}

func newCall(env *Env, c *Command) *Call {
	call := &Call{Env: env, Command: c, flags: make(map[string]any), params: c.params()}
	call.least, call.most = arity(call.params)
	return call
}

func (c *Call) full() bool { return c.most >= 0 && len(c.Args) >= c.most }

// Text returns an argument as text; a list, or a map, as JSON. It is empty if the
// argument was not given.
func (c *Call) Text(i int) string {
	if i >= len(c.Args) {
		return ""
	}
	return argText(c.Args[i])
}

func argText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case nil:
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil { // it came from JSON
		return fmt.Sprint(v)
	}
	return string(text)
}

// Message returns the arguments from index i on as the elements of a message.
func (c *Call) Message(i int) aemp.Message {
	m := aemp.Message{}
	for ; i < len(c.Args); i++ {
		m = append(m, messageValue(c.Args[i]))
	}
	return m
}

// messageValue makes JSON's numbers what a message can hold.
func messageValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = messageValue(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k := range v {
			m[k] = messageValue(v[k])
		}
		return m
	}
	return v
}

// value finds a flag: the command's own, or one that all have.
func (c *Call) value(name string) any {
	for _, f := range c.Command.Flags {
		if f.Name == name {
			if v, ok := c.flags[name]; ok {
				return v
			}
			return f.Default
		}
	}
	return c.Env.value(name)
}

func (e *Env) value(name string) any {
	if v, ok := e.flags[name]; ok {
		return v
	}
	for _, f := range globalFlags {
		if f.Name == name {
			return f.Default
		}
	}
	panic("command: no flag is called " + name)
}

// Bool returns a flag whose default is a bool.
func (c *Call) Bool(name string) bool { return c.value(name).(bool) }

// Int returns a flag whose default is an int. It is not negative.
func (c *Call) Int(name string) int { return c.value(name).(int) }

// String returns a flag whose default is a string.
func (c *Call) String(name string) string { return c.value(name).(string) }

// Duration returns a flag whose default is a duration. It is not negative.
func (c *Call) Duration(name string) time.Duration { return c.value(name).(time.Duration) }

// again waits for the next of the rounds that the flags "count" and "interval" are
// about. It returns false when the round of that number, counted from 1, was the
// last, or ctx is done.
func (c *Call) again(ctx context.Context, round int) bool {
	if round == c.Int("count") {
		return false
	}
	select {
	case <-time.After(c.Duration("interval")):
		return true
	case <-ctx.Done():
		return false
	}
}

// JSON reports whether results are to be printed as JSON.
func (e *Env) JSON() bool { return e.value("json").(bool) }

// Emit prints a result: v as one line of JSON if that is wanted, or else text
// and a line end. An empty text prints nothing.
func (e *Env) Emit(v any, text string) error {
	if e.session != nil {
		e.session.seen.value(v)
	}
	if !e.JSON() {
		if text == "" {
			return nil
		}
		_, err := fmt.Fprintln(e.output, text)
		return err
	}
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("result as JSON: %w", err)
	}
	_, err = e.output.Write(append(line, '\n'))
	return err
}

// Printf prints to standard output, whatever --json says.
func (e *Env) Printf(format string, args ...any) { fmt.Fprintf(e.output, format, args...) }

// Output is standard output. What is written to it is not held back.
func (e *Env) Output() io.Writer { return e.output }

// A Color is a colour or a style of the terminal.
type Color int

// Colours of [Env.Paint], as terminals number them.
const (
	Bold   Color = 1
	Dim    Color = 2
	Red    Color = 31
	Green  Color = 32
	Yellow Color = 33
	Blue   Color = 34
	Cyan   Color = 36
)

// Paint returns text in a colour, if colours are wanted on standard output.
func (e *Env) Paint(c Color, text string) string {
	if !e.Colors() {
		return text
	}
	return "\x1b[" + strconv.Itoa(int(c)) + "m" + text + "\x1b[0m"
}

// Colors reports whether standard output is to be coloured: as --color says, or
// else if it is a terminal that can, and NO_COLOR is not set.
func (e *Env) Colors() bool {
	switch e.value("color") {
	case "always":
		return true
	case "never":
		return false
	}
	return e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb" && !e.JSON() && isTerminal(e.Stdout)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// An output remembers that a write has failed: a command may ignore it, but the
// exit code must tell.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	if err != nil {
		o.err = fmt.Errorf("standard output: %w", err)
	}
	return n, o.err
}
