package command

import (
	"context"
	"fmt"
	"io"
	"strings"
)

func manCommand() *Command {
	return &Command{
		Name:  "man",
		Group: generalGroup,
		Short: "print the manual, as a page for man",
		Long: `The output is the source of a manual page, made of the same table as the help. To read
it at once, give it to man; to install it, write it to a folder of manual pages.`,
		Examples: []string{"man | man -l -", "man > ~/.local/share/man/man1/aemp.1"},
		Run: func(_ context.Context, c *Call) error {
			c.writeMan(c.Output())
			return nil
		},
	}
}

// writeMan writes the manual page.
func (t *Tool) writeMan(w io.Writer) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	text := func(s string) {
		for i, paragraph := range strings.Split(strings.TrimSpace(s), "\n\n") {
			if i > 0 {
				line(".PP")
			}
			if strings.HasPrefix(paragraph, "  ") { // an example or a table
				line(".nf\n%s\n.fi", roff(paragraph))
				continue
			}
			line("%s", roff(paragraph))
		}
	}
	line(`.TH AEMP 1 "" "Portmesh" "User commands"`)
	line(".SH NAME\naemp \\- configure, ask and run nodes of an AEMP mesh")
	line(".SH SYNOPSIS\n.B aemp\n[flag...] subcommand [argument...] [subcommand ...]")
	line(".SH DESCRIPTION")
	text(manIntroduction)
	line(".SH OPTIONS\nThese flags are understood by all subcommands.")
	manFlags(line, globalFlags)
	line(".SH SUBCOMMANDS")
	for _, g := range t.groups() {
		line(".SS %s", roff(g.title))
		for _, c := range g.commands {
			line(".TP\n.B %s", roff(strings.TrimPrefix(c.usage(), "aemp ")))
			line("%s", roff(sentence(c.Short)))
			if len(c.Aliases) > 0 {
				line("Also called %s.", roff(strings.Join(c.Aliases, ", ")))
			}
			if c.Long != "" || len(c.Flags) > 0 || len(c.Examples) > 0 {
				line(".RS")
				if c.Long != "" {
					line(".PP")
					text(c.Long)
				}
				manFlags(line, c.Flags)
				for _, example := range c.Examples {
					line(".PP\n.nf\naemp %s\n.fi", roff(example))
				}
				line(".RE")
			}
		}
	}
	line(".SH EXIT STATUS")
	for _, exit := range exitTexts {
		line(".TP\n.B %d\n%s", exit.code, roff(sentence(exit.text)))
	}
	line(".SH FILES\n.TP\n.I ~/.perl-anyevent-mp\nThe configuration that all AEMP programs of a user share.")
	line(".SH ENVIRONMENT")
	for _, env := range environment {
		line(".TP\n.B %s\n%s", env.name, roff(sentence(env.text)))
	}
}

// exitTexts explain the exit codes.
var exitTexts = []struct {
	code int
	text string
}{
	{ExitOK, "all has been done"},
	{ExitFailed, "a subcommand failed; those behind it were not run"},
	{ExitUsage, "the command line makes no sense; nothing was done"},
	{ExitUnreachable, "a node could not be reached, or did not answer in time"},
	{ExitInterrupted, "interrupted by the user"},
}

// environment lists the environment variables that the tool looks at.
var environment = []struct{ name, text string }{
	{"PERL_ANYEVENT_MP_RC", "another file than ~/.perl-anyevent-mp"},
	{"PORTMESH_PROFILE", "the profile, if no other is named"},
	{"PORTMESH_SECRET, PORTMESH_SECRET_FILE, PORTMESH_CERT_FILE, PORTMESH_SEEDS, ...", "values that replace those of the configuration, or files to read them from: PORTMESH_ and the name of a key in capitals"},
	{"NO_COLOR", "if it is set, there are no colours"},
}

const manIntroduction = `
Subcommands follow each other on one command line, and each takes the arguments that it knows of. The whole line is read before anything is done.

An argument that begins with [, { or " is JSON, unless it is an IPv6 address, as in [::1]:4040. If the first argument begins with [, it must be the only one: the list replaces all arguments.

Flags stand where a subcommand could stand, or among the arguments of one; but behind the first argument of a subcommand that takes any number of arguments, everything is an argument. A lone "--" makes the next words arguments.`

func manFlags(line func(format string, args ...any), flags []Flag) {
	for _, f := range flags {
		line(".TP\n.B %s\n%s", roff(f.usage()), roff(sentence(f.help())))
	}
}

// roff protects text from being taken for requests.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
