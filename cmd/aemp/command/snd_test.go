package command

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

func TestSnd(t *testing.T) {
	a := startNode(t, "a")
	b := startNode(t, "b", a.address)
	got := make(chan actor.Message, 1)
	port := b.sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			got <- m
			return nil
		})
		return nil
	})
	want := result{ExitOK, "message sent successfully\n", ""}
	if r := runTool(t, toolFor(t, a), "snd", string(port), "hello", "1", `{"k":[1,null]}`); r != want {
		t.Fatalf("got %+v", r)
	}
	if m := <-got; m.String() != `["hello", "1", {"k": [1, null]}]` {
		t.Errorf("got %v", m)
	}
	if r := runTool(t, toolFor(t, a), "--json", "snd", string(port)); r.out != `{"port":"`+string(port)+`","sent":true}`+"\n" {
		t.Errorf("got %+v", r)
	}
	<-got
	// A port that dies of the message has got it.
	if r := runTool(t, toolFor(t, a), "snd", string(b.echo()), "die", "because"); r != want {
		t.Errorf("got %+v", r)
	}
	if r := runTool(t, toolFor(t, a), "snd", "b#nosuchport", "hello"); r.code != ExitFailed || r.errors != "aemp: snd: there is no port b#nosuchport; ports have new names each time their node is started\n" {
		t.Errorf("got %+v", r)
	}
}

func TestMon(t *testing.T) {
	a := startNode(t, "a")
	port := a.echo()
	out, _, stop := startTool(t, toolFor(t, a), "--json", "mon", string(port))
	eventually(t, "the tool is connected", func() bool { return len(a.Node().Nodes()) == 1 && a.Node().Stats()[0].Monitors > 0 })
	a.sys.Kill(port, "because", 1)
	out.wait(t, regexp.QuoteMeta(`{"port":"`+string(port)+`","reason":["because",1]}`+"\n"))
	if code := stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if r := runTool(t, toolFor(t, a), "mon", "a#nosuchport"); r != (result{ExitOK, "no_such_port cannot monitor nonexistent port a#nosuchport\n", ""}) {
		t.Errorf("got %+v", r)
	}
	if r := runTool(t, toolFor(t, a), "--timeout", "1s", "mon", string(a.echo())); r.code != ExitUnreachable || !strings.Contains(r.errors, "is alive: gave up after 1s") {
		t.Errorf("got %+v", r)
	}
}

func TestCal(t *testing.T) {
	a := startNode(t, "a")
	b := startNode(t, "b", a.address)
	for _, test := range []struct {
		args []string
		want result
	}{
		{[]string{"cal", string(b.echo()), "x", `{"a":[1,null,"<ä>"]}`}, result{ExitOK, `"x",{"a":[1,null,"<ä>"]}` + "\n", ""}},
		{[]string{"--json", "cal", string(b.echo()), "x", `[1]`}, result{ExitOK, `["x",[1]]` + "\n", ""}},
		{[]string{"cal", "b", "info"}, result{ExitOK, `"b"` + "\n", ""}},
		{[]string{"cal", "b#gone", "x"}, result{ExitFailed, "", "aemp: cal: there is no port b#gone; ports have new names each time their node is started\n"}},
		{[]string{"cal", string(b.echo()), "die", "so"}, result{ExitFailed, "", "has died: so 7\n"}},
		{[]string{"cal", "no;node", "x"}, result{ExitUsage, "", `contains ';'; want NODE#PORT, or NODE for the node itself` + "\n"}},
		{[]string{"eval", "b", "1", "+1"}, result{ExitFailed, "", "aemp: eval: b: this node does not evaluate code\n"}},
		{[]string{"eval", "b#x", "AnyEvent::MP::Kernel::up_nodes"}, result{ExitOK, "", ""}},
	} {
		got := runTool(t, toolFor(t, a), test.args...)
		if got.code != test.want.code || !strings.HasSuffix(got.errors, test.want.errors) || test.want.out != "" && got.out != test.want.out {
			t.Errorf("%q: got %+v, want %+v", test.args, got, test.want)
		}
	}
}

// What is wrong is told in one line that says what to do, soon.
func TestUnreachable(t *testing.T) {
	a := startNode(t, "a")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for _, test := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		want []string
	}{
		{"no seed", map[string]string{"PORTMESH_SECRET": "s"}, []string{"cal", "a", "time"}, ExitUsage, []string{"no seed is known", "aemp addseed host:port"}},
		{"nobody there", map[string]string{"PORTMESH_SECRET": "s", "PORTMESH_SEEDS": nobody}, []string{"cal", "a", "time"}, ExitUnreachable, []string{nobody, "connection refused", "is a node running there?"}},
		{"wrong secret", map[string]string{"PORTMESH_SECRET": "s"}, []string{"cal", "--seeds", a.address, "a", "time"}, ExitUnreachable, []string{a.address, "share one secret (aemp setsecret)"}},
		{"a seed that says nothing", map[string]string{"PORTMESH_SECRET": "s", "PORTMESH_SEEDS": mute.Addr().String()}, []string{"--timeout", "300ms", "cal", "a", "time"}, ExitUnreachable, []string{mute.Addr().String(), "gave up after 300ms"}},
		{"an unknown node", map[string]string{"PORTMESH_SECRET": testSecret, "PORTMESH_SEEDS": nobody + "," + a.address}, []string{"snd", "b", "time"}, ExitUnreachable, []string{"node b cannot be reached", "aemp nodes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := runTool(t, toolWith(t, test.env), test.args...)
			if got.code != test.code || got.out != "" {
				t.Errorf("got %+v", got)
			}
			for _, want := range test.want {
				if !strings.Contains(got.errors, want) {
					t.Errorf("got %s, want %q", got.errors, want)
				}
			}
		})
	}
}
