package remote_test

import (
	"io"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/remote"
)

// TestInterop talks to a real Perl node, of whichever generations of
// AnyEvent::MP are installed.
func TestInterop(t *testing.T) {
	for _, perl := range perltest.All(t) {
		framings := []string{"json", "storable", "cbor"}
		if perl.Generation() == 1 {
			framings = framings[:2]
		}
		for _, framing := range framings {
			t.Run(perl.Name()+" "+framing, func(t *testing.T) { interop(t, perl, framing) })
		}
	}
}

func interop(t *testing.T, perl perltest.Perl, framing string) {
	m := newMesh(t)
	a := m.start("go")
	a.registerPeer()
	self, got := a.collector()

	p := proctest.StartCommand(t, perl.Command("testdata/interop.pl", a.Addresses()[0], secret, framing))
	up, ok := next(t, a.events).(remote.NodeUp)
	if !ok || up.Node != "perl" {
		t.Fatalf("got event %+v", up)
	}

	t.Run("Go drives", func(t *testing.T) {
		echo := a.sys.Spawn("perl", "Peer::echo", self, "via", 1)
		died := a.monitored(echo)
		values := []any{"tag", 0, -7, 2.5, "zwei", "", nil, []any{3, []any{4}}, map[string]any{"k": "v"}, "äöü €", int64(1) << 40}
		a.sys.Send(echo, values...)
		want := append([]any{"via", 1, "echo"}, values...)
		if framing == "storable" { // has no such numbers: see docs/values.md
			want[6], want[13] = "2.5", "1099511627776"
		}
		wantMessage(t, next(t, got), want...)
		a.sys.Kill(echo, "because", 3, []any{"x"})
		wantReason(t, next(t, died), "because", 3, []any{"x"})

		echo = a.sys.Spawn("perl", "Peer::echo", self)
		died = a.monitored(echo)
		a.sys.Send(echo, "die")
		wantReason(t, next(t, died), "die", "told to die")

		wantReason(t, next(t, a.monitored("perl#nosuchport")), aemp.NoSuchPort("perl#nosuchport")...)
		for _, function := range []string{"Peer::nosuchfunc", "Peer::broken"} {
			port := a.sys.Spawn("perl", function)
			wantReason(t, next(t, a.monitored(port)), aemp.NoSuchPort(port)...)
		}

		owner, _ := a.collector()
		linked := a.sys.Spawn("perl", "Peer::linked", owner)
		died = a.monitored(linked)
		a.sys.Send(linked, "ping", self)
		wantMessage(t, next(t, got), "pong")
		a.sys.Kill(owner, "gone", "away")
		wantReason(t, next(t, died), "gone", "away")

		a.sys.Send("perl", "Peer::hello", self, "tag")
		wantMessage(t, next(t, got), "tag", "hello", "perl")
		adder := a.sys.Spawn("perl", "Peer::adder")
		a.sys.Send(adder, "add", 20, 22, self)
		wantMessage(t, next(t, got), "sum", 42)
		answer, err := a.sys.Actors().Root.RequestFuture(a.sys.PID(adder), actor.Message{"add", 1, 2}, patience).Result()
		if err != nil {
			t.Fatal(err)
		}
		wantMessage(t, answer.(actor.Message), "sum", 3)
		a.sys.Send("perl", "time", self, "now")
		if m := next(t, got); m[0] != "now" {
			t.Errorf("got %v", m)
		}
		a.sys.Send("perl", "eval", "6 * 7", self, "result")
		wantMessage(t, next(t, got), "result", "", 42)
	})

	t.Run("Perl drives", func(t *testing.T) {
		driver := a.sys.Spawn("perl", "Driver::init", self, "go")
		died := a.monitored(driver)
		reports := make(map[string]actor.Message)
		for len(reports) < 10 {
			select {
			case m := <-got:
				tag, _ := m.Tag()
				if tag == "echoed" && m[1] == "relayed" {
					tag = "relayed"
				}
				reports[tag] = m[1:]
			case r := <-died:
				t.Fatalf("the driver died: %v; reports are %v", r, reports)
			case <-timeout():
				t.Fatalf("reports are %v", reports)
			}
		}
		cafe := any("café")
		if framing != "json" {
			cafe = []byte("caf\xe9") // a byte string in Perl
		}
		for tag, want := range map[string][]any{
			"echoed":      {1, "echo", "hello", 42, cafe, "€", []any{1, map[string]any{"k": nil}}},
			"relayed":     {"relayed"},
			"tag":         {"hello", "go"},
			"killed":      {"because", 3, []any{"x"}},
			"died":        {"die", "told to die"},
			"nonexistent": aemp.NoSuchPort("go#nosuchport"),
			"linked":      {},
			"unlinked":    {"gone", "away"},
			"done":        {},
		} {
			wantMessage(t, reports[tag], want...)
		}
		if r := reports["nofunc"]; len(r) == 0 || r[0] != "no_such_port" {
			t.Errorf("got reason %v", r)
		}
	})

	t.Run("data connections", func(t *testing.T) {
		// Without a mesh, each side has to be told where the other listens. (Perl 2.x
		// has to be told in any case: it looks where only 1.x keeps addresses.)
		a.sys.Send("perl", "eval", "@{ $AnyEvent::MP::Kernel::BINDS || $AnyEvent::MP::Kernel::LISTENER }", self, "listens")
		m.mu.Lock()
		m.addresses["perl"] = []string{next(t, got)[2].(string)}
		m.mu.Unlock()
		a.sys.Send("perl", "eval", "require AnyEvent::MP::DataConn; 1", self, "loaded")
		wantMessage(t, next(t, got), "loaded", "", 1)

		conn, err := a.DialData(t.Context(), "perl", "Peer::data", "welcome")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "hello\n")
		answer := make([]byte, len("welcome\necho hello\n"))
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "welcome\necho hello\n" {
			t.Errorf("got %q, %v", answer, err)
		}

		a.HandleData("Echo::data", echoData)
		for _, listens := range []string{`"` + a.Addresses()[0] + `"`, ""} { // once each side dials
			a.sys.Send("perl", "eval", "$AnyEvent::MP::Global::addr{go} = ["+listens+"]; 1", self, "told")
			wantMessage(t, next(t, got), "told", "", 1)
			driver := a.sys.Spawn("perl", "Driver::data", self, "go", "Echo::data")
			wantMessage(t, next(t, got), "data", `perl ["from perl"]`, "a line")
			a.sys.Kill(driver)
		}

		driver := a.sys.Spawn("perl", "Driver::data", self, "go", "No::such")
		wantReason(t, next(t, a.monitored(driver)), "AnyEvent::MP::DataConn", "no such function: No::such")
	})

	t.Run("Perl goes away", func(t *testing.T) {
		died := a.monitored("perl")
		p.CloseInput()
		if r := next(t, died); r.Kind() != aemp.ReasonTransport || r[1] != "perl" {
			t.Errorf("got reason %v", r)
		}
	})
	if w := a.log.warnings(); len(w) != 1 || !strings.Contains(w[0], "Peer::nosuchfunc") {
		t.Errorf("logged %q, want a line about Peer::nosuchfunc", w)
	}
}
