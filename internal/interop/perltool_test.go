package interop_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
)

// Perl's own tool does to our nodes what it does to Perl's.
func TestInteropPerlTool(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) { perlTool(t, perl) })
	}
}

func perlTool(t *testing.T, perl perltest.Perl) {
	seed := start(t, "seed")
	other := start(t, "other", seed.address())
	if err := other.Node().Connect(t.Context(), "seed"); err != nil {
		t.Fatal(err)
	}
	config := perlConfig(seed.address())
	// tool runs a subcommand to its end and returns what it prints.
	tool := func(t *testing.T, args ...string) (string, error) {
		p := proctest.StartCommand(t, perl.Tool(t, config, args...))
		err := p.Wait()
		return p.Output(), err
	}
	want := func(t *testing.T, pattern string, args ...string) {
		t.Helper()
		out, err := tool(t, args...)
		if err != nil || !regexp.MustCompile("^(?s:"+pattern+") ?\n$").MatchString(out) {
			t.Errorf("aemp %s: got %q, %v, want %s", strings.Join(args, " "), out, err, pattern)
		}
	}
	echo, got := other.port(t, "echo", "answer", int64(42), []any{"list", nil})

	t.Run("snd", func(t *testing.T) {
		want(t, "message sent successfully", "snd", string(echo), "hello", `{"n":[1,"ä"]}`)
		if m := next(t, got); m != `["hello", {"n": [1, "ä"]}]` {
			t.Errorf("got %s", m)
		}
		// It monitors the port as well, but the last to answer wins.
		want(t, "no_such_port.*|message sent successfully", "snd", "other#nosuchport", "hello")
	})
	t.Run("cal", func(t *testing.T) {
		want(t, `"answer",42,\["list",null\]`, "cal", string(echo), "question")
		want(t, `\d+\.\d+`, "cal", "other", "time")
	})
	t.Run("mon", func(t *testing.T) {
		victim, _ := other.port(t, "victim")
		p := proctest.StartCommand(t, perl.Tool(t, config, "mon", string(victim)))
		eventually(t, "a monitor on the port", func() bool {
			for _, link := range other.Node().Stats() {
				if link.Monitors > 0 && link.Node != "seed" {
					return true
				}
			}
			return false
		})
		other.sys.Kill(victim, "because", 3)
		if err := p.Wait(); err != nil || strings.TrimSpace(p.Output()) != "because 3" {
			t.Errorf("got %q, %v", p.Output(), err)
		}
	})
	t.Run("eval", func(t *testing.T) {
		out, err := tool(t, "eval", "other", "6 * 7")
		if err == nil || !strings.HasPrefix(out, "this node does not evaluate code\n") {
			t.Errorf("got %q, %v", out, err)
		}
		want(t, `.*"seed".*`, "eval", "other", "AnyEvent::MP::Kernel::up_nodes")
		want(t, strconv.Itoa(os.Getpid()), "eval", "other", "$$")
	})
	t.Run("trace", func(t *testing.T) {
		out, err := tool(t, "trace", "seed")
		if err != nil {
			t.Error(err)
		}
		// Each line is a node and those that it is connected with.
		links := make(map[string][]string)
		for line := range strings.Lines(out) {
			words := strings.Fields(strings.Replace(line, " -> ", " ", 1))
			links[words[0]] = words[1:]
		}
		if !slices.Contains(links["seed"], "other") || !slices.Contains(links["other"], "seed") {
			t.Errorf("got %q", out)
		}
	})
	t.Run("shell", func(t *testing.T) {
		p := proctest.StartCommand(t, perl.Tool(t, config, "shell", "other"))
		defer p.Signal(os.Kill) // it does not notice the end of its input
		// It reads a line at a time, and loses what comes too early.
		seen := 0
		say := func(input, want string) {
			t.Helper()
			p.Input(input)
			eventually(t, want, func() bool { return regexp.MustCompile(want).MatchString(p.Output()[seen:]) })
			seen = len(p.Output())
		}
		prompt := "> "
		if perl.Generation() == 2 {
			prompt = " AnyEvent::MP::Kernel> "
		}
		say("=seed", "seed"+prompt)
		say("6 * 7", "this node does not evaluate code")
		say("AnyEvent::MP::Kernel::up_nodes", `"other"`)
		if perl.Generation() == 2 {
			say("=", "nodes: aemp/")
		} else {
			say("=", "seed.*\n") // those that it is connected with by now
		}
	})
}
