package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test program be the tool, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("PORTMESH_TEST_AEMP") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := New().Run(ctx, os.Args[1:])
		stop()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// A result is what came out of a run of the tool.
type result struct {
	code        int
	out, errors string
}

// runTool runs a tool on a command line.
func runTool(t *testing.T, tool *Tool, args ...string) result {
	t.Helper()
	var out, errors bytes.Buffer
	tool.Stdout, tool.Stderr = &out, &errors
	code := tool.Run(t.Context(), args)
	if n := strings.Count(errors.String(), "\n"); code == ExitOK && n != 0 || code != ExitOK && n != 1 {
		t.Errorf("%q: exit code %d with %d lines of errors: %s", args, code, n, &errors)
	}
	return result{code, out.String(), errors.String()}
}

// testTool has commands that print what they got.
func testTool() *Tool {
	show := func(_ context.Context, c *Call) error {
		text := c.Command.Name + " " + c.Message(0).String()
		for _, f := range c.Command.Flags {
			text += fmt.Sprintf(" %s=%v", f.Name, c.value(f.Name))
		}
		return c.Emit(map[string]any{"command": c.Command.Name, "args": c.Args}, text)
	}
	return &Tool{
		Stdin:  strings.NewReader(""),
		Getenv: func(string) string { return "" },
		Commands: slices.Concat(generalCommands(), []*Command{
			{Name: "setone", Aliases: []string{"one"}, Group: "Test", Args: "<value>", Short: "take one", Run: show},
			{Name: "none", Group: "Test", Short: "take none", Run: show},
			{Name: "maybe", Group: "Test", Args: "[value]", Short: "take one or none", Run: show},
			{Name: "all", Group: "Test", Args: "<port> [arg...]", Short: "take all", Run: show, Flags: []Flag{
				{Name: "count", Value: "n", Default: 3, Help: "how many"},
				{Name: "every", Value: "duration", Default: time.Second, Help: "how often"},
				{Name: "dot", Default: false, Help: "as a graph"},
				{Name: "name", Value: "file", Default: "", Help: "a name"},
			}},
			{Name: "db get", Group: "Database", Args: "<family> [key]", Short: "get it", Run: show},
			{Name: "db watch", Group: "Database", Args: "<family>", Short: "watch it", Timeout: time.Nanosecond, Run: func(ctx context.Context, c *Call) error {
				<-ctx.Done()
				return fmt.Errorf("no answer: %w", ctx.Err())
			}},
			{Name: "fail", Group: "Test", Short: "fail", Run: func(context.Context, *Call) error { return errors.New("it\nis\x1b broken") }},
		}),
	}
}

func TestCommandLine(t *testing.T) {
	const defaults = ` count=3 every=1s dot=false name=`
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"one", []string{"setone", "x"}, `setone ["x"]` + "\n"},
		{"alias", []string{"one", "x"}, `setone ["x"]` + "\n"},
		{"chain", []string{"one", "x", "none", "one", "none"}, `setone ["x"]` + "\nnone []\n" + `setone ["none"]` + "\n"},
		{"optional is greedy", []string{"maybe", "none", "maybe"}, `maybe ["none"]` + "\nmaybe []\n"},
		{"all", []string{"all", "p", "none", "--dot"}, `all ["p", "none", "--dot"]` + defaults + "\n"},
		{"flags of a command", []string{"all", "--count", "5", "--every=2", "--dot", "--name", "--x", "p"}, `all ["p"]` + " count=5 every=2s dot=true name=--x\n"},
		{"flags behind a complete command", []string{"one", "x", "--json"}, `{"args":["x"],"command":"setone"}` + "\n"},
		{"flags in front", []string{"--json", "none"}, `{"args":null,"command":"none"}` + "\n"},
		{"two hyphens", []string{"one", "--", "--json", "none"}, `setone ["--json"]` + "\nnone []\n"},
		{"one hyphen is no flag", []string{"one", "-5"}, `setone ["-5"]` + "\n"},
		{"two words", []string{"db", "get", "f", "k", "none"}, `db get ["f", "k"]` + "\nnone []\n"},
		{"JSON", []string{"all", "p", `{"a":[1,18446744073709551615,1.5,1e400]}`, `"--dot"`, `[]`, `12`}, `all ["p", {"a": [1, 18446744073709551615, 1.5, "1e400"]}, "--dot", [], "12"]` + defaults + "\n"},
		{"JSON string is no flag", []string{"one", `"--json"`}, `setone ["--json"]` + "\n"},
		{"a list replaces all", []string{`["all","p",1,"[x"]`}, `all ["p", 1, "[x"]` + defaults + "\n"},
		{"a list behind flags", []string{"--json", `["one","--x"]`}, `{"args":["--x"],"command":"setone"}` + "\n"},
		{"empty argument", []string{"one", ""}, `setone [""]` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := runTool(t, testTool(), test.args...)
			if got.out != test.want || got.code != ExitOK {
				t.Errorf("got %q (%d, %s), want %q", got.out, got.code, got.errors, test.want)
			}
		})
	}
}

// TestMistakes: nothing is done, and the error says where to look.
func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "which subcommand?"},
		{[]string{"none", "nine"}, "nine: no such subcommand (did you mean none?); see aemp help"},
		{[]string{"none", "setone"}, "setone: <value> is missing; usage: aemp setone <value>"},
		{[]string{"none", "db"}, "db: want one of get, watch"},
		{[]string{"none", "db", "got"}, "db got: no such subcommand (did you mean db get?)"},
		{[]string{"none", "one", "[1,"}, "argument 3 begins as JSON does: invalid JSON: it ends too early"},
		{[]string{"none", "one", "{} {}"}, "something follows the value at offset"},
		{[]string{"none", `{"a":1}`}, `{"a":1} stands where a subcommand is expected`},
		{[]string{`["none"]`, "none"}, "an argument that begins with [ and stands first replaces all; 1 follow it"},
		{[]string{"none", "--what"}, "none: no such flag: --what"},
		{[]string{"--what"}, "no such flag: --what"},
		{[]string{"none", "all", "--count", "x", "p"}, `--count: want a number, have "x"`},
		{[]string{"none", "all", "--dot=x", "p"}, `--dot: want true or false`},
		{[]string{"none", "all", "p", "--", "--every"}, ""},
		{[]string{"none", "--timeout", "-1s"}, `--timeout: want a duration such as 5s, or a number of seconds, have "-1s"`},
		{[]string{"none", "--timeout"}, "--timeout: its value is missing"},
		{[]string{"none", "--color=blue"}, "--color: want auto, always or never"},
		{[]string{"completion", "tcsh"}, `completion: no completion for "tcsh"; want bash, zsh or fish`},
		{[]string{"help", "nine"}, "nine: no such subcommand"},
	} {
		got := runTool(t, testTool(), test.args...)
		if test.want == "" { // behind the first of any number, all are arguments
			if got.code != ExitOK {
				t.Errorf("%q: %+v", test.args, got)
			}
			continue
		}
		if got.code != ExitUsage || got.out != "" || !strings.Contains(got.errors, test.want) {
			t.Errorf("%q: got %+v, want %q", test.args, got, test.want)
		}
	}
}

// FuzzCommandLine: no command line breaks the parser, or completion.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{"one x none", `all p {"a":1} --x`, "--json -- db get f", `["all","p",[1]]`, "db", "one [::1]:5", "all --count 3 --", "help help --timeout=1h", "\"x\" -h"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		tool := testTool()
		env := &Env{Tool: tool, flags: make(map[string]any), output: &output{w: io.Discard}}
		args := strings.Split(line, " ")
		calls, err := tool.parse(env, args)
		if err != nil && exitCode(t.Context(), err) != ExitUsage {
			t.Errorf("%q: no error of usage: %v", args, err)
		}
		if err == nil {
			for _, c := range calls {
				if len(c.Args) < c.least && !c.help || c.most >= 0 && len(c.Args) > c.most {
					t.Errorf("%q: %s has %d arguments", args, c.Command.Name, len(c.Args))
				}
			}
		}
		for _, candidate := range env.complete(args) {
			if word, _, _ := strings.Cut(candidate, "\t"); !strings.HasPrefix(word, args[len(args)-1]) && candidate != ":file" {
				t.Errorf("%q is completed to %q", line, candidate)
			}
		}
	})
}

func TestExitCodes(t *testing.T) {
	if got := runTool(t, testTool(), "none", "fail", "none"); got != (result{ExitFailed, "none []\n", "aemp: fail: it; is  broken\n"}) {
		t.Errorf("got %+v", got)
	}
	got := runTool(t, testTool(), "db", "watch", "f")
	if got.code != ExitUnreachable || got.errors != "aemp: db watch: no answer: context deadline exceeded; gave up after 1ns (--timeout gives it more time)\n" {
		t.Errorf("got %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tool := testTool()
	tool.Stdout, tool.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
	if code := tool.Run(ctx, []string{"--timeout=1m", "db", "watch", "f"}); code != ExitInterrupted {
		t.Errorf("exit code %d", code)
	}
}

// brokenWriter is a full disk.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestBrokenOutput(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"none"}, {"man"}, {"--json", "version"}} {
		tool, stderr := testTool(), &bytes.Buffer{}
		tool.Stdout, tool.Stderr = brokenWriter{}, stderr
		if code := tool.Run(t.Context(), args); code != ExitFailed || !strings.Contains(stderr.String(), "standard output: no space left") {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
}

func TestColors(t *testing.T) {
	if got := runTool(t, testTool(), "help", "none"); strings.Contains(got.out, "\x1b") {
		t.Errorf("colours without a terminal: %q", got.out)
	}
	if got := runTool(t, testTool(), "--color=always", "help", "none"); !strings.Contains(got.out, "\x1b[1maemp none\x1b[0m") {
		t.Errorf("no colours although they are wanted: %q", got.out)
	}
}

func TestHelp(t *testing.T) {
	got := runTool(t, testTool(), "help", "all")
	const want = `Usage: aemp all [--count <n>] [--every <duration>] [--dot] [--name <file>] <port> [arg...]

Take all.

Flags
  --count <n>         how many (3)
  --every <duration>  how often (1s)
  --dot               as a graph
  --name <file>       a name
`
	if got.out != want {
		t.Errorf("got\n%s\nwant\n%s", got.out, want)
	}
	if again := runTool(t, testTool(), "none", "all", "--help"); again.out != want {
		t.Errorf("--help differs: %s", again.out)
	}
	if got := runTool(t, testTool(), "help", "db"); !strings.Contains(got.out, "aemp db get <family> [key]") || !strings.Contains(got.out, "aemp db watch") {
		t.Errorf("help of the first word: %s", got.out)
	}
	overview := runTool(t, testTool(), "--help")
	for _, c := range testTool().Commands {
		if !strings.Contains(overview.out, c.Short) {
			t.Errorf("%s is missing in the overview", c.Name)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(runTool(t, testTool(), "--json", "help").out), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// TestTable: the table that the tool has is complete and without ambiguity, and
// all of it is in the manual.
func TestTable(t *testing.T) {
	tool := New()
	manual := runTool(t, tool, "man").out
	seen := make(map[string]bool)
	for _, c := range tool.Commands {
		if err := c.validate(); err != nil {
			t.Error(err)
		}
		for _, name := range c.names() {
			if seen[name] {
				t.Errorf("two commands are called %s", name)
			}
			seen[name] = true
			if words := tool.second(name); len(words) > 0 {
				t.Errorf("%s is a command and the first word of others", name)
			}
		}
		if !strings.Contains(manual, ".B "+roff(strings.TrimPrefix(c.usage(), "aemp "))+"\n") {
			t.Errorf("%s is missing in the manual", c.Name)
		}
		for _, example := range c.Examples {
			words := strings.Fields(example)
			if !slices.Contains(c.names(), words[0]) && !slices.Contains(c.names(), strings.Join(words[:min(2, len(words))], " ")) &&
				!strings.Contains(" "+example+" ", " "+c.Name+" ") && !slices.ContainsFunc(c.Aliases, func(a string) bool { return strings.Contains(" "+example+" ", " "+a+" ") }) {
				t.Errorf("%s: an example does not use it: %s", c.Name, example)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct {
		line string // the last word is being typed
		want string
	}{
		{"no", "none"},
		{"one x no", "none"},
		{"one no", ""},
		{"--", "--config --profile --timeout --json --color --help --version"},
		{"all --", "--count --every --dot --name --config --profile --timeout --json --color --help --version"},
		{"none all --co", "--count --config --color"},
		{"--color ", "always auto never"},
		{"all --name ", ":file"},
		{"completion ", "bash fish zsh"},
		{"d", "db"},
		{"db ", "get watch"},
		{"db w", "watch"},
		{"s", "setone"},
		{"on", "one"},
		{"nonsense ", ""},
		{"help no", "none"},
		{"all p [ x", ""},
	} {
		t.Run(test.line, func(t *testing.T) {
			got := runTool(t, testTool(), append([]string{"__complete"}, strings.Split(test.line, " ")...)...)
			var words []string
			for line := range strings.Lines(got.out) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				words = append(words, word)
			}
			if text := strings.Join(words, " "); text != test.want || got.code != ExitOK {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
	if len(runTool(t, testTool(), "__complete").out) == 0 {
		t.Error("no candidates for an empty line")
	}
}

// TestCompletionScripts lets the shells check the scripts that they are to read,
// and bash use one.
func TestCompletionScripts(t *testing.T) {
	for shell, script := range completionScripts {
		if got := runTool(t, testTool(), "completion", shell); got.out != script {
			t.Errorf("%s: %+v", shell, got)
		}
		if path, err := exec.LookPath(shell); err == nil {
			cmd := exec.CommandContext(t.Context(), path, "-n")
			cmd.Stdin = strings.NewReader(script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s does not read the script: %v\n%s", shell, err, out)
			}
		} else {
			t.Logf("%s is not installed: its script was not read", shell)
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	script := `aemp() { PORTMESH_TEST_AEMP=1 "$TEST_PROGRAM" "$@"; }
` + bashCompletion + `
COMP_WORDS=(aemp help comp) COMP_CWORD=2
_aemp
printf '<%s>' "${COMPREPLY[@]}"`
	cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", script)
	cmd.Env = append(os.Environ(), "TEST_PROGRAM="+os.Args[0])
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "<completion>" {
		t.Errorf("bash completed to %q, %v", out, err)
	}
}
