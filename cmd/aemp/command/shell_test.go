package command

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

// A shell without a terminal: a script.
func TestShellScript(t *testing.T) {
	a := startNode(t, "a")
	b := startNode(t, "b", a.address)
	if err := greeter(b.sys); err != nil {
		t.Fatal(err)
	}
	if err := serveDatabase(b.Registry); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b is known", func() bool {
		content, err := a.Family(t.Context(), familyAddresses)
		return err == nil && len(content) == 2
	})
	echo := b.echo()
	r, w := io.Pipe()
	tool := toolFor(t, a)
	tool.Stdin = r
	out, errs, stop := startTool(t, tool, "shell")
	for _, test := range []struct{ line, want string }{
		{"=", `(?m)^a +global.*\nb `},
		{"cal " + string(echo) + ` x 'a b' {"k": [1, null]} "c d"`, `(?m)^"x","a b",\{"k":\[1,null\]\},"c d"$`},
		{"snd " + string(echo) + " hello $SELF", `(?m)^message: "hello"$`},
		{"=b", ""},
		{"cal #" + echo.Name() + " here", `(?m)^"here"$`},
		{"!AnyEvent::MP::Kernel::up_nodes", `(?m)^"a","aemp/.*"$`},
		{"![1]", `error: eval: b: this node does not evaluate code`},
		{"mon " + string(echo), ""},
		{"kil " + string(echo) + " because", `has died: because`},
		{"db set --on b fruit apple [1]", ""},
		{"db get fruit", `(?m)^apple \[1\]$`},
		{"spawn b MyApp::greeter hi", `(?m)^b#\S+$`},
		{"spawn b NoSuch::function", `error: spawn: function NoSuch::function of node b has made no port`},
		{"nonsense", `error: nonsense: no such subcommand`},
		{"snd 'x", `error: a ' is missing`},
		{`cal x {"k"`, `error: what begins with { is no JSON`},
		{"help cal", `Usage: aemp cal`},
		{"", ""},
	} {
		if _, err := io.WriteString(w, test.line+"\n"); err != nil {
			t.Fatal(err)
		}
		out.wait(t, test.want)
	}
	io.WriteString(w, "exit\n")
	errs.wait(t, "aemp: shell: not all lines have succeeded\n")
	if code := stop(); code == ExitOK {
		t.Error("the exit code says that all is well")
	}
	w.CloseWithError(errors.New("over"))
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		`snd a#b x`:               {"snd", "a#b", "x"},
		`  'a b'   {"k": [1, 2]}`: {"a b", `{"k": [1, 2]}`},
		`"a b" [ 1 ] '' '--x'`:    {`"a b"`, "[ 1 ]", "", `"--x"`},
		`'[not json' it's`:        {`"[not json"`, "it's"},
	} {
		if got, err := splitWords(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`{"k"`, `[1]x`, `'x`, `"x`} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("%s: got %q", line, got)
		}
	}
}

func TestCompleted(t *testing.T) {
	for _, test := range []struct {
		head       string
		candidates []string
		want       string
		again      bool
	}{
		{"db g", []string{"get"}, "db get ", false},
		{"cal wor", []string{"worker1", "worker2"}, "cal worker", false},
		{"cal worker", []string{"worker1", "worker2"}, "cal worker", true},
		{"cal x", nil, "cal x", false},
		{"=wo", []string{"worker1"}, "=worker1 ", false},
		{"cal ä", []string{"äö", "äü"}, "cal ä", true},
	} {
		if got, again := completed(test.head, test.candidates); got != test.want || again != test.again {
			t.Errorf("%q: got %q, %v", test.head, got, again)
		}
	}
}

func TestSeen(t *testing.T) {
	s := newSeen("a")
	s.value(map[string]any{"a#1": []any{"b#2", "text", nil}, "k": actor.PortID("a#3")})
	s.setNodes([]string{"a", "b"})
	s.look(strings.Fields("db get fruit b#4 b# b"))
	slices.Sort(s.ports)
	if !slices.Equal(s.ports, []string{"a#1", "a#3", "b#4"}) || !slices.Equal(s.families, []string{"fruit"}) {
		t.Errorf("%+v", s)
	}
}
