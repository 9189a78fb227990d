package command

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A Command is a subcommand of the tool: a row of the table that the parser, the
// help, the manual and the shell completion are made of.
type Command struct {
	// Name is what the user types: a word, or two, such as "db get".
	Name string
	// Aliases are other names.
	Aliases []string
	// Group is the heading in help under which the command is listed.
	Group string
	// Args are the arguments: "<port>" is needed, "[node]" is not, and what ends
	// in "..." takes all that follow, so that no other subcommand can:
	// "<port> [arg...]". But "<name,...>" is one, a list with commas. Shell completion knows these names: profile, file,
	// seed, bind, command, shell.
	Args string
	// Flags are the command's own flags, beside those that all have.
	Flags []Flag
	// Short says in one line what the command does: "send a message".
	Short string
	// Long says the rest, in paragraphs with an empty line between.
	Long string
	// Examples are command lines, without "aemp".
	Examples []string
	// Timeout bounds the time that the command takes, unless --timeout gives
	// another. Zero means no bound.
	Timeout time.Duration
	// Run does it.
	Run func(ctx context.Context, c *Call) error
}

// A Flag is an option, --name or --name=value.
type Flag struct {
	Name string
	// Value is a placeholder that tells what the value is: "seconds". Empty if
	// Default is a bool.
	Value string
	// Default is what the flag is if it is not given. Its type, bool, int,
	// string, or [time.Duration], is that of the flag.
	Default any
	// Help says in one line what the flag does.
	Help string
}

// globalFlags are those that each subcommand understands.
var globalFlags = []Flag{
	{Name: "config", Value: "file", Default: "", Help: "use this configuration file"},
	{Name: "profile", Value: "profile", Default: "", Help: "use this profile, as the subcommand profile does, but do not create it"},
	{Name: "timeout", Value: "duration", Default: time.Duration(0), Help: "give up after this time: 10s, 1m, or a number of seconds"},
	{Name: "json", Default: false, Help: "print results as JSON, one value per line"},
	{Name: "color", Value: "when", Default: "auto", Help: "use colours: auto (on a terminal), always or never"},
	{Name: "help", Default: false, Help: "explain the subcommand, and do nothing"},
	{Name: "version", Default: false, Help: "print the version, and do nothing"},
}

// A param is one placeholder of Command.Args.
type param struct {
	name     string
	optional bool
	rest     bool
}

// params reads Command.Args.
func (c *Command) params() []param {
	var params []param
	for field := range strings.FieldsSeq(c.Args) {
		p := param{optional: strings.HasPrefix(field, "[")}
		name := strings.NewReplacer("<", "", ">", "", "[", "", "]", "").Replace(field)
		p.name = name
		if !strings.HasSuffix(name, ",...") {
			p.name, p.rest = strings.CutSuffix(name, "...")
		}
		params = append(params, p)
	}
	return params
}

// arity returns how many arguments there must be and may be; max is -1 if there
// is no end.
func arity(params []param) (least, most int) {
	for _, p := range params {
		if !p.optional {
			least++
		}
		if p.rest {
			return least, -1
		}
		most++
	}
	return least, most
}

// usage returns what is to be typed.
func (c *Command) usage() string {
	s := "aemp " + c.Name
	for _, f := range c.Flags {
		s += " [" + f.usage() + "]"
	}
	if c.Args != "" {
		s += " " + c.Args
	}
	return s
}

func (f Flag) usage() string {
	if f.Value == "" {
		return "--" + f.Name
	}
	return "--" + f.Name + " <" + f.Value + ">"
}

// names returns the name and the aliases.
func (c *Command) names() []string { return append([]string{c.Name}, c.Aliases...) }

// validate is for those who write commands: a row must be complete.
func (c *Command) validate() error {
	switch {
	case c.Name == "" || c.Short == "" || c.Run == nil || c.Group == "":
		return fmt.Errorf("command %q: Name, Group, Short and Run are needed", c.Name)
	case len(strings.Fields(c.Name)) > 2:
		return fmt.Errorf("command %q: a name has one or two words", c.Name)
	}
	for i, p := range c.params() {
		if p.rest && i < len(c.params())-1 {
			return fmt.Errorf("command %q: Args: %s... must be the last", c.Name, p.name)
		}
	}
	for _, f := range c.Flags {
		switch f.Default.(type) {
		case bool, int, string, time.Duration:
		default:
			return fmt.Errorf("command %q: flag %s: Default has type %T", c.Name, f.Name, f.Default)
		}
	}
	return nil
}
