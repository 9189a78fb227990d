package command

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

const recordings = "../../../internal/wiretest/testdata/"

func TestDecode(t *testing.T) {
	got := runTool(t, New(), "decode", recordings+"2.01-simple-client-json.jsonl")
	if got.code != ExitOK {
		t.Fatal(got)
	}
	// The output is that of package tap, which has golden files.
	if want := `   0.3872 #1 simple -> alpha  message   5M0eJ2GFPb ["hello", "from simple"]` + "\n"; !strings.Contains(got.out, want) {
		t.Errorf("got\n%swant\n%s", got.out, want)
	}
	tool := New()
	data, err := os.ReadFile(recordings + "2.01-two-nodes-storable.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	tool.Stdin = bytes.NewReader(data)
	got = runTool(t, tool, "--json", "decode", "-")
	var events []map[string]any
	for d := json.NewDecoder(strings.NewReader(got.out)); d.More(); {
		var e map[string]any
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) < 100 || events[0]["event"] != "greeting" || got.code != ExitOK {
		t.Errorf("%d events, exit code %d", len(events), got.code)
	}
	if strings.Contains(got.out, "problem") {
		t.Error("not all could be decoded")
	}
}

func TestDecodeMistakes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("{\"t\":1}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"decode", bad}, ExitFailed, "entry 2 is not that of a recording"},
		{[]string{"decode", bad + "x"}, ExitFailed, "no such file"},
		{[]string{"proxy", "127.0.0.1:0", "target"}, ExitUsage, `the target "target" is not host:port`},
		{[]string{"proxy", "nowhere.invalid:x", "127.0.0.1:1"}, ExitFailed, "choose another address to listen on"},
		{[]string{"proxy", "--cert", bad, "127.0.0.1:0", "127.0.0.1:1"}, ExitFailed, "want key and certificate, as PEM"},
		{[]string{"proxy", "--record", bad + "x/y", "127.0.0.1:0", "127.0.0.1:1"}, ExitFailed, "--record: "},
	} {
		if got := runTool(t, toolWith(t, nil), test.args...); got.code != test.code || !strings.Contains(got.errors, test.want) {
			t.Errorf("%v: got %+v, want %q", test.args, got, test.want)
		}
	}
}

// A watched is an output in which a test waits for something to appear.
type watched struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{}
}

func newWatched() *watched { return &watched{changed: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

// wait returns the submatches of a pattern as soon as it is there.
func (w *watched) wait(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for timeout := time.After(15 * time.Second); ; {
		if m := re.FindStringSubmatch(w.String()); m != nil {
			return m
		}
		select {
		case <-w.changed:
		case <-timeout:
			t.Fatalf("%s did not appear in:\n%s", pattern, w)
		}
	}
}

// start runs the tool in the background. The returned function ends it as the
// user would, and returns the exit code.
func startTool(t *testing.T, tool *Tool, args ...string) (out, errors *watched, stop func() int) {
	t.Helper()
	out, errors = newWatched(), newWatched()
	tool.Stdout, tool.Stderr = out, errors
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	code := 0
	run.Go(func() { code = tool.Run(ctx, args) })
	stop = sync.OnceValue(func() int {
		cancel()
		run.Wait()
		return code
	})
	t.Cleanup(func() { stop() })
	return out, errors, stop
}

// Two sides talk over TLS through the proxy, which prints and records; decode
// prints the recording as the proxy did.
func TestProxyRecords(t *testing.T) {
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, recording := filepath.Join(dir, "cert"), filepath.Join(dir, "recording")
	if err := os.WriteFile(cert, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	config := aemp.Config{NodeID: "a"}
	if config.TLS, err = aemp.NewTLSConfig(bundle); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var server sync.WaitGroup
	defer server.Wait()
	server.Go(func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		b := config
		b.NodeID = "b"
		c, err := aemp.Handshake(t.Context(), nc, b)
		if err != nil {
			t.Error(err)
			return
		}
		c.Receive()
		c.Close()
	})
	out, errs, stop := startTool(t, toolWith(t, map[string]string{"PORTMESH_CERT_FILE": cert}), "proxy", "--record", recording, "127.0.0.1:0", l.Addr().String())
	c, err := aemp.Dial(t.Context(), errs.wait(t, `listening on (\S+) for`)[1], config)
	if err != nil {
		t.Fatal(err)
	}
	c.Send("p", "hello", 1, []any{nil})
	out.wait(t, `a -> b  message   p \["hello", 1, \[null\]\]\n`)
	c.Close()
	out.wait(t, `(?s)closed.*closed`)
	if code := stop(); code != ExitInterrupted && code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if got := runTool(t, New(), "decode", recording); got.code != ExitOK || got.out != out.String() {
		t.Errorf("exit code %d, got\n%s\nwant\n%s", got.code, got.out, out)
	}
	if info, err := os.Stat(recording); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A recording for which there is no room ends the proxy, which says so.
func TestProxyDiskFull(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skipf("NOT RUN: there is no %s here", full)
	}
	tool := toolWith(t, nil)
	errs := newWatched()
	tool.Stdout, tool.Stderr = newWatched(), errs
	code := make(chan int, 1)
	go func() {
		code <- tool.Run(t.Context(), []string{"proxy", "--record", full, "127.0.0.1:0", "127.0.0.1:1"})
	}()
	nc, err := net.Dial("tcp", errs.wait(t, `listening on (\S+) for`)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	errs.wait(t, `aemp: proxy: the recording cannot be written: .*no space left on device`)
	if c := <-code; c != ExitFailed {
		t.Errorf("exit code %d", c)
	}
}
