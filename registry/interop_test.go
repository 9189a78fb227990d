package registry_test

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
)

// startPerl starts a Perl node of that generation with the given seeds, and
// returns its address.
func startPerl(t *testing.T, generation int, id string, seeds ...string) string {
	t.Helper()
	perl := perltest.Generation(t, generation)
	args := append([]string{"testdata/mesh.pl", id, "geheim-for-tests-0123456789"}, seeds...)
	cmd := perl.Command(args...)
	cmd.Stderr = t.Output()
	return proctest.StartCommand(t, cmd).Line()
}

// eval has the Perl node run code.
func eval(t *testing.T, r *registry.Registry, code string) {
	t.Helper()
	answer, err := r.Node().System().Call(t.Context(), "perl", "eval", "use AnyEvent::MP; "+code+"; 1")
	if err != nil || answer.String() != `["", 1]` {
		t.Fatalf("%s: got %v, %v", code, answer, err)
	}
}

// A Go node is the only global node of a mesh with a Perl slave, and the slave
// of a Perl node that is global.
func TestInterop(t *testing.T) {
	t.Run("Perl slave", func(t *testing.T) {
		r := start(t, "go", nil)
		startPerl(t, 2, "perl", address(r))
		wait(t, r, "nothing", map[string]any{})
		shareWithPerl(t, r)
		if !r.IsGlobal() {
			t.Error("the seed is not global")
		}
	})
	t.Run("Perl global", func(t *testing.T) {
		seed := startPerl(t, 2, "perl")
		r := start(t, "go", nil, seed)
		shareWithPerl(t, r)
		if r.IsGlobal() {
			t.Error("the slave is global")
		}
		// Slaves find each other by way of the Perl node.
		other := start(t, "other", nil, seed)
		wait(t, other, "nothing", map[string]any{})
		if err := other.Node().Connect(t.Context(), "go"); err != nil {
			t.Error(err)
		}
	})
}

// Nodes of generation 1 find each other, and us, through a Go node.
func TestInteropGossip(t *testing.T) {
	r := start(t, "go", nil)
	startPerl(t, 1, "perl", address(r))
	startPerl(t, 1, "other", address(r))
	if err := r.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	sys := r.Node().System()
	ask := func(code string) string {
		t.Helper()
		answer, err := sys.Call(t.Context(), "perl", "eval", code)
		if err != nil {
			t.Fatal(err)
		}
		return answer.String()
	}
	for deadline := time.Now().Add(patience); ; {
		up := ask("join ',', sort +AnyEvent::MP::Kernel::up_nodes ()")
		if up == `["", "go,other"]` {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nodes that Perl is connected with: %s", up)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got, want := ask("@{ $AnyEvent::MP::Global::addr{go} }"), `["", "`+address(r)+`"]`; got != want {
		t.Errorf("Perl knows our address as %s, want %s", got, want)
	}
	// So that a data connection needs nobody to tell it anything.
	echoed := make(chan string, 1)
	r.Node().HandleData("Go::data", func(conn net.Conn, from actor.NodeID, args actor.Message) {
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		echoed <- string(from) + args.String() + line
	})
	eval(t, r, `require AnyEvent::MP::DataConn; $main::port = port { }; AnyEvent::MP::peval ($main::port, sub {
		AnyEvent::MP::DataConn::connect_to ("go", 5, "Go::data", 7, sub { $main::hdl = $_[0]; $main::hdl->push_write ("a line\n") })
	})`)
	select {
	case got := <-echoed:
		if got != "perl[7]a line\n" {
			t.Errorf("got %q", got)
		}
	case <-time.After(patience):
		t.Fatal("there is no data connection")
	}
}

func shareWithPerl(t *testing.T, r *registry.Registry) {
	t.Helper()
	if err := r.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	got := make(chan actor.Message, 100)
	port, err := r.Node().System().NamedPort("report", func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error { got <- m; return nil })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	report := func() actor.Message {
		t.Helper()
		select {
		case m := <-got:
			return m
		case <-time.After(patience):
			t.Fatal("Perl does not report")
			return nil
		}
	}
	to := string(port)
	eval(t, r, `db_set "fruit", "apple", "red"`)
	wait(t, r, "fruit", map[string]any{"apple": "red"})
	undo := set(t, r, "fruit", "plum", []any{int64(1), nil})
	wait(t, r, "fruit", map[string]any{"apple": "red", "plum": []any{int64(1), nil}})

	eval(t, r, `db_family "fruit", sub { snd "`+to+`", "family", map { ($_, $_[0]{$_}) } sort keys %{$_[0]} }`)
	if m, want := report(), `["family", "apple", "red", "plum", [1, null]]`; m.String() != want {
		t.Errorf("got %v, want %s", m, want)
	}
	eval(t, r, `$main::guard = db_mon "fruit", sub { snd "`+to+`", "mon", (join ",", sort keys %{$_[0]}), @_[1,2,3] }`)
	if m := report(); m[1] != "apple,plum" {
		t.Errorf("got %v", m)
	}
	undo()
	if m := report(); m[4].([]any)[0] != "plum" {
		t.Errorf("got %v", m)
	}
	set(t, r, "fruit", "apple", "blue") // now of two owners
	if err := r.Delete("fruit", "apple"); err != nil {
		t.Error(err)
	}
	eval(t, r, `db_del "fruit", "apple"`)
	wait(t, r, "fruit", map[string]any{})
}

// A Go node and Perl nodes of generation 1 have the same groups.
func TestInteropGroups(t *testing.T) {
	r := start(t, "go", nil)
	startPerl(t, 1, "perl", address(r))
	if err := r.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	port := newPort(t, r)
	leave, err := r.PortGroups().Join("workers", port)
	if err != nil {
		t.Fatal(err)
	}
	expect := watchGroup(t, r, "workers")
	expect(port)
	eval(t, r, `use AnyEvent::MP::Global; $main::worker = port { }; $main::guard = grp_reg workers => $main::worker`)
	ask := func(code string) string {
		t.Helper()
		answer, err := r.Node().System().Call(t.Context(), "perl", "eval", code)
		if err != nil || len(answer) != 2 {
			t.Fatalf("%s: got %v, %v", code, answer, err)
		}
		return fmt.Sprint(answer[1])
	}
	const members = `join ",", sort @{ AnyEvent::MP::Global::grp_get ("workers") }`
	worker := ask("$main::worker")
	expect(port, actor.PortID(worker))
	if got, want := ask(members), string(port)+","+worker; got != want {
		t.Errorf("Perl sees %s, want %s", got, want)
	}
	leave()
	expect(actor.PortID(worker))
	if got := ask(members); got != worker {
		t.Errorf("Perl sees %s, want %s", got, worker)
	}
	eval(t, r, `undef $main::guard`)
	expect()
}

// Perl nodes of the two generations, which cannot talk to each other, share names
// through a Go node, and reach each other's ports.
func TestInteropBridge(t *testing.T) {
	r := startWith(t, "go", registry.Config{Bridge: []string{"workers"}})
	startPerl(t, 1, "old", address(r))
	startPerl(t, 2, "new", address(r))
	for _, node := range []actor.NodeID{"old", "new"} {
		if err := r.Node().Connect(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	on := func(node actor.NodeID, code string) string {
		t.Helper()
		answer, err := r.Node().System().Call(t.Context(), node.NodePort(), "eval", "use AnyEvent::MP; "+code)
		if err != nil || len(answer) < 1 || answer[0] != "" {
			t.Fatalf("%s: %s: got %v, %v", node, code, answer, err)
		}
		if len(answer) == 1 {
			return ""
		}
		return fmt.Sprint(answer[1])
	}
	until := func(node actor.NodeID, code, want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if got = on(node, code); got == want {
				return
			}
		}
		t.Fatalf("%s: %s: got %q, want %q", node, code, got, want)
	}
	// Each has a worker that echoes, and knows the other's.
	worker := `$main::worker = port { }; $main::got = ""; rcv $main::worker, echo => sub { my ($text, $reply) = @_; snd $reply, echoed => $text };
		$main::client = port { }; rcv $main::client, echoed => sub { $main::got = "@_" };`
	on("old", worker+`use AnyEvent::MP::Global; $main::guard = grp_reg workers => $main::worker; 1`)
	on("new", worker+`db_reg workers => $main::worker; $main::mon = db_mon workers => sub { $main::workers = join ",", sort keys %{ $_[0] } }; 1`)
	oldWorker, newWorker := on("old", "$main::worker"), on("new", "$main::worker")
	both := newWorker + "," + oldWorker
	if oldWorker < newWorker {
		both = oldWorker + "," + newWorker
	}
	until("old", `join ",", sort @{ AnyEvent::MP::Global::grp_get ("workers") }`, both)
	until("new", `$main::workers`, both)

	// Messages with reply ports, both ways.
	on("old", `snd "`+newWorker+`", echo => "from the old", $main::client; 1`)
	until("old", `$main::got`, "from the old")
	on("new", `snd "`+oldWorker+`", echo => "from the new", $main::client; 1`)
	until("new", `$main::got`, "from the new")

	// Monitors and kills.
	on("old", `$main::died = ""; mon "`+newWorker+`", sub { $main::died = "@_" }; 1`)
	on("new", `$main::died = ""; mon "`+oldWorker+`", sub { $main::died = "@_" }; 1`)
	on("old", `kil "`+newWorker+`", because => 1; 1`)
	until("old", `$main::died`, "because 1")
	until("old", `join ",", sort @{ AnyEvent::MP::Global::grp_get ("workers") }`, oldWorker)
	on("new", `kil "`+oldWorker+`", because => 2; 1`)
	until("new", `$main::died`, "because 2")
	until("new", `$main::workers`, "")
	until("old", `join ",", @{ AnyEvent::MP::Global::grp_get ("workers") || [] }`, "")
}
