package command

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"
)

const generalGroup = "About the tool"

// generalCommands are those that are about the tool itself.
func generalCommands() []*Command {
	return []*Command{
		{
			Name:     "help",
			Group:    generalGroup,
			Args:     "[command...]",
			Short:    "explain a subcommand, or list all",
			Examples: []string{"help", "help profile"},
			Run: func(_ context.Context, c *Call) error {
				if len(c.Args) == 0 {
					return c.overview(c.Env)
				}
				return c.helpOn(c.Text(0), c.Text(1))
			},
		},
		{
			Name:  "version",
			Group: generalGroup,
			Short: "print the version of the tool",
			Run:   func(_ context.Context, c *Call) error { return printVersion(c.Env) },
		},
		manCommand(),
		completionCommand(),
	}
}

// helpOn explains the command of one or two words, or all that begin with the
// first.
func (c *Call) helpOn(first, second string) error {
	if cmd := c.lookup(first + " " + second); cmd != nil {
		return c.explain(cmd)
	}
	if cmd := c.lookup(first); cmd != nil {
		return c.explain(cmd)
	}
	words := c.second(first)
	if len(words) == 0 {
		return Usagef("%s: no such subcommand%s; see aemp help", first, c.suggest(first))
	}
	for i, word := range words {
		if i > 0 {
			c.Printf("\n")
		}
		if err := c.explain(c.lookup(first + " " + word)); err != nil {
			return err
		}
	}
	return nil
}

// A group is what stands in the help under one heading.
type group struct {
	title    string
	commands []*Command
}

// groups returns the commands by their groups, both in the order of the table.
func (t *Tool) groups() []group {
	var groups []group
	at := make(map[string]int)
	for _, c := range t.Commands {
		i, ok := at[c.Group]
		if !ok {
			i = len(groups)
			at[c.Group] = i
			groups = append(groups, group{title: c.Group})
		}
		groups[i].commands = append(groups[i].commands, c)
	}
	return groups
}

// overview lists all subcommands.
func (t *Tool) overview(e *Env) error {
	if e.JSON() {
		for _, g := range t.groups() {
			for _, c := range g.commands {
				if err := e.Emit(c.describe(), ""); err != nil {
					return err
				}
			}
		}
		return nil
	}
	e.Printf("Usage: aemp [flag...] subcommand [argument...] [subcommand ...]\n\n" +
		"Subcommands may follow each other. \"aemp help subcommand\" explains one, and\n\"aemp man\" is the whole manual.\n")
	for _, g := range t.groups() {
		e.Printf("\n%s\n", e.Paint(Bold, g.title))
		table(e.Output(), func(row func(left, right string)) {
			for _, c := range g.commands {
				row(strings.TrimPrefix(c.usageShort(), "aemp "), c.Short)
			}
		})
	}
	e.Printf("\n%s\n", e.Paint(Bold, "Flags of all subcommands"))
	e.flagTable(globalFlags)
	return nil
}

// usageShort is the usage without the flags.
func (c *Command) usageShort() string { return strings.TrimSpace("aemp " + c.Name + " " + c.Args) }

// explain prints all about one subcommand.
func (e *Env) explain(c *Command) error {
	if e.JSON() {
		return e.Emit(c.describe(), "")
	}
	e.Printf("Usage: %s\n", e.Paint(Bold, c.usage()))
	if len(c.Aliases) > 0 {
		e.Printf("Also called: %s\n", strings.Join(c.Aliases, ", "))
	}
	e.Printf("\n%s\n", sentence(c.Short))
	if c.Long != "" {
		e.Printf("\n%s\n", strings.TrimSpace(c.Long))
	}
	if len(c.Flags) > 0 {
		e.Printf("\n%s\n", e.Paint(Bold, "Flags"))
		e.flagTable(c.Flags)
	}
	if len(c.Examples) > 0 {
		e.Printf("\n%s\n", e.Paint(Bold, "Examples"))
		for _, example := range c.Examples {
			e.Printf("  aemp %s\n", example)
		}
	}
	return nil
}

// describe is what --json tells of a command.
func (c *Command) describe() map[string]any {
	flags := make([]any, 0, len(c.Flags))
	for _, f := range c.Flags {
		flags = append(flags, map[string]any{"name": f.Name, "value": f.Value, "help": f.Help})
	}
	return map[string]any{
		"name": c.Name, "aliases": append([]string{}, c.Aliases...), "group": c.Group, "usage": c.usage(),
		"short": c.Short, "long": strings.TrimSpace(c.Long), "flags": flags, "examples": append([]string{}, c.Examples...),
	}
}

// sentence makes a line of help a sentence.
func sentence(s string) string {
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (e *Env) flagTable(flags []Flag) {
	table(e.Output(), func(row func(left, right string)) {
		for _, f := range flags {
			row(f.usage(), f.help())
		}
	})
}

// help tells the default as well, if it is not the zero value.
func (f Flag) help() string {
	switch d := f.Default.(type) {
	case int:
		if d != 0 {
			return fmt.Sprintf("%s (%d)", f.Help, d)
		}
	case string:
		if d != "" {
			return fmt.Sprintf("%s (%s)", f.Help, d)
		}
	case time.Duration:
		if d != 0 {
			return fmt.Sprintf("%s (%v)", f.Help, d)
		}
	}
	return f.Help
}

// table prints two columns.
func table(w io.Writer, fill func(row func(left, right string))) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fill(func(left, right string) { fmt.Fprintf(columns, "  %s\t%s\n", left, right) })
	columns.Flush() // the output remembers its errors
}

// printVersion prints what the build knows of its version.
func printVersion(e *Env) error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	return e.Emit(map[string]any{"version": version, "go": runtime.Version()}, "aemp "+version+" "+runtime.Version())
}
