package interop_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/cmd/aemp/command"
	"github.com/portmesh/portmesh/internal/perltest"
)

// Our tool does to Perl's nodes what it does to ours.
func TestInteropGoTool(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) { goTool(t, perl) })
	}
}

func goTool(t *testing.T, perl perltest.Perl) {
	seed := startPerl(t, perl, "seed")
	startPerl(t, perl, "other", seed.address)
	toolWithInput := func(input string, args ...string) (out, problem string, code int) {
		var stdout, stderr bytes.Buffer
		tool := command.New()
		rc := filepath.Join(t.TempDir(), "rc")
		tool.Getenv = func(name string) string {
			return map[string]string{
				"PERL_ANYEVENT_MP_RC": rc, "PORTMESH_SECRET": secret, "PORTMESH_SEEDS": seed.address,
			}[name]
		}
		tool.Stdin, tool.Stdout, tool.Stderr = strings.NewReader(input), &stdout, &stderr
		code = tool.Run(t.Context(), args)
		return stdout.String(), stderr.String(), code
	}
	tool := func(args ...string) (out, problem string, code int) { return toolWithInput("", args...) }
	want := func(pattern string, args ...string) {
		t.Helper()
		out, problem, code := tool(args...)
		if code != command.ExitOK || !regexp.MustCompile("^(?s:"+pattern+")\n?$").MatchString(out) {
			t.Errorf("aemp %s: got %q, %q, %d, want %s", strings.Join(args, " "), out, problem, code, pattern)
		}
	}
	// In generation 1 a list of nodes holds the tool as well, which is connected.
	eventually(t, "both nodes are there", func() bool {
		out, _, _ := tool("nodes")
		return strings.Contains(out, "other") && strings.Contains(out, "seed")
	})
	want(`seed\n.*other.*`, "trace")
	want(`.*seed.*other.*`, "trace", "other", "--dot")
	want("message sent successfully", "snd", "other#echo", "hello", "seed#nobody")
	want(`"hello",\{"n":\[1,null\]\}`, "cal", "other#echo", "hello", `{"n":[1,null]}`)
	want("42", "eval", "other", "6 * 7")
	want("no_such_port cannot monitor nonexistent port other#nosuchport", "mon", "other#nosuchport")
	want("message sent successfully", "snd", "other#echo", "die", "because")
	want("no_such_port.*", "mon", "other#echo")
	want(`.*(?:µs|ms).*`, "ping", "--count", "2", "--interval", "0", "other")

	want(".+", "bench", "--duration", "0.2s", "other")
	want(".*other.*", "top", "--count", "1", "other")

	port, problem, code := tool("spawn", "other", "Adder::init", "40")
	if code != command.ExitOK {
		t.Fatalf("spawn: %s, %d", problem, code)
	}
	port = strings.TrimSpace(port)
	want(`"sum",42`, "cal", port, "add", "2")
	want("", "kil", port, "enough")
	want("no_such_port.*", "mon", port)
	if out, problem, code := tool("spawn", "other", "No::such"); code == command.ExitOK {
		t.Errorf("got %q, %q", out, problem)
	}
	out, problem, _ := toolWithInput("=seed\n!6 * 7\ncal other#nobody hello\n", "shell")
	if !strings.Contains(out, "42\n") || !strings.Contains(out, "there is no port other#nobody") {
		t.Errorf("shell: got %q, %q", out, problem)
	}

	if out, problem, code := tool("eval", "other", `die "no\n"`); code != command.ExitFailed || !strings.Contains(problem, "no") {
		t.Errorf("got %q, %q, %d", out, problem, code)
	}
	if perl.Generation() == 2 {
		want(`(?:.*\n)?other\nseed`, "db", "keys", "'l") // and the tool itself
		want(`"red"`, "eval", "other", `db_set fruit => apple => "red"; "red"`)
		eventually(t, "the entry is known", func() bool {
			out, _, _ := tool("db", "get", "fruit", "apple")
			return out == "\"red\"\n"
		})
	}
}
