package command

import (
	"regexp"
	"strings"
	"testing"
)

// line is a mesh in which a is the seed of b and of c, and b is connected with d,
// which has no other seed.
func line(t *testing.T) (a, b, c, d *testNode) {
	a = startNode(t, "a")
	b = startNode(t, "b", a.address)
	c = startNode(t, "c", a.address)
	d = startNode(t, "d", a.address)
	eventually(t, "all are connected with a", func() bool { return len(a.Node().Nodes()) == 3 })
	return a, b, c, d
}

func TestNodes(t *testing.T) {
	a, b, c, d := line(t)
	eventually(t, "all are known", func() bool {
		content, err := a.Family(t.Context(), familyAddresses)
		return err == nil && len(content) == 4
	})
	want := "a  global  " + a.address + "\nb          " + b.address + "\nc          " + c.address + "\nd          " + d.address + "\n"
	if r := runTool(t, toolFor(t, a), "nodes"); r.code != ExitOK || r.out != want {
		t.Errorf("got %+v, want\n%s", r, want)
	}
	if r := runTool(t, toolFor(t, a), "--json", "nodes"); r.code != ExitOK || !strings.HasPrefix(r.out, `{"node":"a","global":true,"addresses":["`+a.address+`"]}`+"\n") {
		t.Errorf("got %+v", r)
	}
}

func TestPing(t *testing.T) {
	a := startNode(t, "a")
	startNode(t, "b", a.address)
	r := runTool(t, toolFor(t, a), "ping", "--count", "3", "--interval", "1ms", "b")
	want := regexp.MustCompile(`^(answer from b: seq=[123] time=\d+\.\d{3} ms\n){3}3 answers from b: min/mean/max/deviation = ([\d.]+/){3}[\d.]+ ms\n$`)
	if r.code != ExitOK || !want.MatchString(r.out) {
		t.Errorf("got %+v", r)
	}
	r = runTool(t, toolFor(t, a), "--json", "ping", "--count", "1", "a")
	if !regexp.MustCompile(`^\{"ms":[\d.]+,"node":"a","seq":1\}\n\{"answers":1,"deviation_ms":0,"max_ms":[\d.]+,"mean_ms":[\d.]+,"min_ms":[\d.]+,"node":"a"\}\n$`).MatchString(r.out) {
		t.Errorf("got %+v", r)
	}
	out, _, stop := startTool(t, toolFor(t, a), "ping", "--count", "0", "--interval", "10ms", "a")
	out.wait(t, "seq=2 ")
	if code := stop(); code != ExitOK || !strings.Contains(out.String(), "answers from a: min") {
		t.Errorf("exit code %d, %s", code, out)
	}
}

func TestTrace(t *testing.T) {
	a, b, c, d := line(t)
	if err := b.Node().Connect(t.Context(), "d"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"trace"}, "a\n├── b  -- d\n├── c\n└── d  -- b\n"},
		{[]string{"trace", "d"}, "d\n├── a  -- b\n│   └── c\n└── b  -- a\n"},
		{[]string{"trace", "--links", "c"}, "c a\na b c d\nb a d\nd a b\n"},
		{[]string{"--json", "trace", "c"}, `{"node":"c","generation":2,"provider":"Portmesh-0.1.0","links":["a"]}
{"node":"a","generation":2,"provider":"Portmesh-0.1.0","links":["b","c","d"]}
{"node":"b","generation":2,"provider":"Portmesh-0.1.0","links":["a","d"]}
{"node":"d","generation":2,"provider":"Portmesh-0.1.0","links":["a","b"]}
`},
		{[]string{"trace", "--dot", "b"}, `graph mesh {
	"b" [label="b\nPortmesh-0.1.0"];
	"a" [label="a\nPortmesh-0.1.0"];
	"d" [label="d\nPortmesh-0.1.0"];
	"c" [label="c\nPortmesh-0.1.0"];
	"a" -- "b";
	"b" -- "d";
	"a" -- "c";
	"a" -- "d";
}
`},
	} {
		eventually(t, "all are connected as they should be, and no tool is", func() bool {
			return len(a.Node().Nodes()) == 3 && len(b.Node().Nodes()) == 2 && len(c.Node().Nodes()) == 1 && len(d.Node().Nodes()) == 2
		})
		if got := runTool(t, toolFor(t, a), test.args...); got.code != ExitOK || got.out != test.want {
			t.Errorf("%v: got %d %s\n%swant\n%s", test.args, got.code, got.errors, got.out, test.want)
		}
	}
}
