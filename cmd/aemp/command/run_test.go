package command

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/proctest"
)

// greeter registers a service, and a function that other nodes spawn.
func greeter(sys *actor.System) error {
	return sys.Register("MyApp::greeter", func(c *actor.Context, args actor.Message) error {
		var greeting string
		if err := args.Scan(&greeting); err != nil {
			return err
		}
		c.Receive("greet", func(c *actor.Context, m actor.Message) error { return c.Respond(greeting, m[0]) })
		c.Receive("fail", func(*actor.Context, actor.Message) error { return errors.New("as told") })
		return nil
	})
}

const readyLine = `node (\S+) is ready, listening on (127\.0\.0\.1:\d+)\n`

// A node with all services: what the world sees of it from its start to its end.
func TestRun(t *testing.T) {
	dir, err := os.MkdirTemp("", "aemp") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	states := make(chan string, 10000)
	go func() {
		defer close(states)
		for buf := make([]byte, 1000); ; {
			n, err := systemd.Read(buf)
			if err != nil {
				return
			}
			states <- string(buf[:n])
		}
	}()
	notified := func() string {
		t.Helper()
		select {
		case state := <-states:
			return state
		case <-time.After(15 * time.Second):
			t.Fatal("systemd is told nothing")
			return ""
		}
	}

	tool := toolWith(t, map[string]string{"PORTMESH_SECRET": testSecret, "NOTIFY_SOCKET": systemd.LocalAddr().String(), "WATCHDOG_USEC": "20000"})
	started := make(chan actor.PortID, 10)
	tool.Functions = func(sys *actor.System) error {
		return errors.Join(greeter(sys), sys.Register("MyApp::mortal", func(c *actor.Context, _ actor.Message) error {
			c.Receive("x", func(*actor.Context, actor.Message) error { return nil })
			started <- c.Self()
			return nil
		}))
	}
	out, errs, stop := startTool(t, tool, "run", "nodeid", "runner", "binds", `["127.0.0.1:*"]`,
		"services", `["global",["logcatcher","debug"],["metrics","127.0.0.1:0"],["MyApp::greeter","hello"],"MyApp::mortal"]`)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", errs)
		}
	})
	address := out.wait(t, readyLine)[2]
	if text := notified(); text != "READY=1\nSTATUS=node runner is ready, listening on "+address {
		t.Errorf("systemd is told %q", text)
	}
	for range 3 {
		if text := notified(); text != "WATCHDOG=1" {
			t.Errorf("systemd is told %q", text)
		}
	}

	other := startNode(t, "other", address)
	ask := func(args ...string) string {
		t.Helper()
		return runTool(t, toolFor(t, &testNode{address: address}), args...).out
	}
	if got := ask("nodes"); !strings.HasPrefix(got, "other") && !strings.HasPrefix(got, "runner  global") {
		t.Errorf("nodes: %q", got)
	}
	ask("db", "set", "settings", "color", "blue")
	if got := ask("db", "get", "settings"); got != "color \"blue\"\n" {
		t.Errorf("db get: %q", got)
	}
	spawned := other.sys.Spawn("runner", "MyApp::greeter", "hi")
	if _, err := other.sys.Call(t.Context(), spawned, "greet", "me"); err != nil { // it has come to be
		t.Fatal(err)
	}
	if got := ask("cal", string(spawned), "greet", "you"); got != `"hi","you"`+"\n" {
		t.Errorf("cal: %q", got)
	}
	link := errs.wait(t, `url=(http://\S+)`)[1]
	response, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(response.Body)
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || !regexp.MustCompile(`(?m)^portmesh_messages_received_total\{node="runner",peer="other"\} \d+$`).Match(page) {
		t.Errorf("metrics: %v\n%s", err, page)
	}

	// A service that has failed is started anew.
	mortal := <-started
	other.sys.Kill(mortal, "because")
	select {
	case again := <-started:
		if again == mortal {
			t.Errorf("the port is %s once more", again)
		}
	case <-time.After(15 * time.Second):
		t.Error("the service is not started anew")
	}
	if code := stop(); code != ExitOK {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for text := notified(); text != "STOPPING=1"; text = notified() {
		if text != "WATCHDOG=1" {
			t.Errorf("systemd is told %q", text)
		}
	}
}

func TestRunMistakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no value", []string{"run", "p", "nodeid"}, ExitUsage, "p is no key of the configuration"},
		{"no key", []string{"run", "colour", "blue"}, ExitUsage, "colour is no key of the configuration"},
		{"address", []string{"run", "binds", `["` + taken + `"]`}, ExitFailed, "address already in use"},
		{"Perl service", []string{"run", "services", "My::Perl::"}, ExitUsage, "service My::Perl:: is not known here"},
		{"level", []string{"run", "--log", "loud"}, ExitUsage, "--log: want debug"},
		{"service level", []string{"run", "services", `[["logcatcher","loud"]]`}, ExitUsage, `level "loud"`},
		{"service address", []string{"run", "services", `[["metrics","here"]]`}, ExitUsage, "want host:port"},
		{"metrics taken", []string{"run", "binds", `["127.0.0.1:*"]`, "services", `[["metrics","` + taken + `"]]`}, ExitFailed, "choose another address"},
		{"a service that fails", []string{"run", "binds", `["127.0.0.1:*"]`, "services", `[["MyApp::greeter"]]`}, ExitFailed, `child "1 MyApp::greeter"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			tool := toolWith(t, map[string]string{"PORTMESH_SECRET": testSecret})
			tool.Functions = greeter
			errs := newWatched()
			tool.Stdout, tool.Stderr = io.Discard, errs
			code := tool.Run(t.Context(), test.args)
			last := errs.wait(t, `(?m)^aemp: run: (.*)\n\z`)[1]
			if code != test.code || !strings.Contains(last, test.want) {
				t.Errorf("exit code %d: %s, want %d: %s", code, last, test.code, test.want)
			}
		})
	}
	if got := runTool(t, toolWith(t, nil), "run"); got.code != ExitUsage || !strings.Contains(got.errors, "aemp gensecret") {
		t.Errorf("without a secret: %+v", got)
	}
}

// startRun runs a node as a process.
func startRun(t *testing.T, args ...string) *proctest.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"run", "--log", "error"}, args...)...)
	cmd.Env = append(os.Environ(), "PORTMESH_TEST_AEMP=1", "PERL_ANYEVENT_MP_RC="+filepath.Join(t.TempDir(), "rc"),
		"PORTMESH_SECRET="+testSecret, "GORACE=atexit_sleep_ms=0")
	return proctest.StartCommand(t, cmd)
}

// ready waits for the node and returns its address and its process ID.
func ready(t *testing.T, p *proctest.Process) (address string, pid int) {
	t.Helper()
	m := regexp.MustCompile(readyLine).FindStringSubmatch(p.Expect("is ready") + "\n")
	if m == nil {
		t.Fatal(p.Output())
	}
	got := runTool(t, toolFor(t, &testNode{address: m[2]}), "eval", m[1], "$$")
	pid, err := strconv.Atoi(strings.TrimSpace(got.out))
	if err != nil {
		t.Fatalf("got %+v", got)
	}
	return m[2], pid
}

// A node is restarted by another, by its user, and when it is killed.
func TestRunRestart(t *testing.T) {
	p := startRun(t, "--watchdog", "nodeid", "phoenix", "binds", `["127.0.0.1:*"]`)
	address, pid := ready(t, p)
	if pid == p.PID() {
		t.Error("the watchdog is the node")
	}
	if got := runTool(t, toolFor(t, &testNode{address: address}), "restart", "phoenix"); got != (result{}) {
		t.Errorf("got %+v", got)
	}
	_, again := ready(t, p)
	if again != pid {
		t.Errorf("the process is %d, was %d", again, pid)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ready(t, p)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.Expect("the node has crashed (signal: killed); it is started anew in 1s")
	if _, now := ready(t, p); now == pid {
		t.Error("the process is the same")
	}
	p.Signal(syscall.SIGTERM)
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.Output())
	}
}

// What cannot be started is not tried again and again.
func TestRunWatchdogGivesUp(t *testing.T) {
	p := startRun(t, "--watchdog", "services", "nosuchservice")
	p.Expect("service nosuchservice is not known here")
	exit := new(exec.ExitError)
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != ExitUsage {
		t.Errorf("got %v", err)
	}
}

// What is not run by the tool says so.
func TestRestartMistakes(t *testing.T) {
	a := startNode(t, "a")
	if got := runTool(t, toolFor(t, a), "restart", "a"); got.code != ExitFailed || !strings.Contains(got.errors, "not run by aemp run") {
		t.Errorf("got %+v", got)
	}
}
