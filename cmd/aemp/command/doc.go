// Package command holds the subcommands of the aemp tool, and the frame that
// they hang in. A program that embeds the tool calls [New] and [Tool.Run], and
// may add commands of its own to [Tool.Commands], and functions in Go for the
// nodes that it runs ([Tool.Functions]).
//
// # The command line
//
// Subcommands follow each other on one command line, and each takes the
// arguments that it knows of:
//
//	aemp gensecret profile server nodeid anon/ seeds doomed:4040
//
// An argument that begins with [, { or " is JSON, unless it is an IPv6 address, as
// in [::1]:4040. If the first begins with [,
// it must be the only one, and the list replaces it:
//
//	aemp '["snd", "doomed#log", {"level": 3}]'
//
// The whole line is read before anything is done, so that a mistake at its end
// does not leave the first half done.
//
// Flags begin with two hyphens. They stand where a subcommand could stand, or
// among the arguments of one; but behind the first argument of one that takes
// any number of arguments everything is an argument. A lone "--" makes what
// follows an argument, until the subcommand is complete, and so does JSON:
// "\"--text\"".
//
// # A subcommand
//
// A [Command] is a row of a table. Its file holds a function that returns it, or
// several that belong together, and that function is listed in commands
// (tool.go). The row says everything that the parser, the help, the manual and
// the shell completion need to know: what Command.Args tells is parsed, and the
// name of a placeholder decides how it is completed. What a command must do by
// itself is written in Command.Run:
//
//   - Arguments come from [Call.Text] and [Call.Message], flags from [Call.Bool],
//     [Call.Int], [Call.Duration] and [Call.String]. Their number and their types
//     have been checked.
//   - Results go to standard output, by [Call.Emit], which knows of --json: one
//     value for each line. Anything else goes to Call.Stderr.
//   - It returns an error of one line that says what failed and what to do, without
//     the name of the command, which is put before it. [Usagef] is for arguments
//     that make no sense, [Unreachablef] for a node that does not answer.
//   - The context ends after Command.Timeout or the time of --timeout, and when the
//     user interrupts. A command that works until then returns nil.
//   - Colours come from [Call.Paint], which knows whether they are wanted.
//
// # Exit codes
//
// See [ExitOK] and the others.
package command
