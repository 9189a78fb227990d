package command

import (
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

func TestSpawnAndKil(t *testing.T) {
	a := startNode(t, "a")
	if err := greeter(a.sys); err != nil {
		t.Fatal(err)
	}
	got := runTool(t, toolFor(t, a), "spawn", "a", "MyApp::greeter", "hi")
	port := actor.PortID(strings.TrimSpace(got.out))
	if got.code != ExitOK || port.Node() != "a" {
		t.Fatalf("got %+v", got)
	}
	died := make(chan actor.Reason, 1)
	a.sys.Monitor(port, func(reason actor.Reason) { died <- reason })
	if got := runTool(t, toolFor(t, a), "kil", string(port), "because", `{"k":[1]}`); got != (result{}) {
		t.Errorf("got %+v", got)
	}
	if reason := <-died; reason.String() != `because {"k": [1]}` {
		t.Errorf("reason %v", reason)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"kil", string(port)}, ExitFailed, "there is no port " + string(port)},
		{[]string{"kil", "a"}, ExitUsage, "a node cannot be killed"},
		{[]string{"spawn", "a", "Nothing"}, ExitFailed, "function Nothing of node a has made no port"},
	} {
		if got := runTool(t, toolFor(t, a), test.args...); got.code != test.code || !strings.Contains(got.errors, test.want) {
			t.Errorf("%q: got %+v, want %q", test.args, got, test.want)
		}
	}
}
