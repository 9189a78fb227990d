package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

// write makes a file of random bytes.
func write(t *testing.T, name string, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// content returns the names of the files in a folder.
func content(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	node := proctest.Start(t, "receive", "-listen", "127.0.0.1:0", "-dir", dir, "-max", "30000000")
	_, address, _ := strings.Cut(node.Expect("receiver listens on "), " on ")
	for name, size := range map[string]int{"large.bin": 20 << 20, "empty": 0, "one byte": 1} {
		path, want := write(t, name, size)
		out, err := proctest.Run(t, "send", "-to", address, path)
		if line := fmt.Sprintf("sent %s: %d bytes, sha256 %x\n", name, size, sha256.Sum256(want)); err != nil || out != line {
			t.Errorf("%s: got %v\n%s\nwant %s", name, err, out, line) // and no bar in it
		}
		node.Expect("received " + filepath.Join(dir, name) + " from sender/")
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes that differ, %v", name, len(got), err)
		}
	}
	for want, file := range map[string][]any{
		"there is a file empty already": {"empty", 10},
		"30000001 bytes are too many":   {"huge", 30_000_001},
		"is not a name for a file":      {".profile", 10},
	} {
		path, _ := write(t, file[0].(string), file[1].(int))
		out, err := proctest.Run(t, "send", "-to", address, path)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: got %v\n%s\nwant %q", file, err, out, want)
		}
	}
	if got := content(t, dir); len(got) != 3 {
		t.Errorf("the folder holds %q", got)
	}
	node.Signal(syscall.SIGTERM)
	if err := node.Wait(); err != nil {
		t.Error(err)
	}
}

// What can go wrong at the other end.
func TestBadSenders(t *testing.T) {
	sum := sha256.Sum256([]byte("hello"))
	for name, test := range map[string]struct {
		args  actor.Message
		bytes string
		want  string
	}{
		"no arguments":     {actor.Message{}, "", "wrong value"},
		"no size":          {actor.Message{"a", "big"}, "", "wrong value"},
		"negative size":    {actor.Message{"a", -1}, "", "too many"},
		"no name":          {actor.Message{"", 5}, "", "not a name"},
		"parent folder":    {actor.Message{"../a", 5}, "", "not a name"},
		"absolute":         {actor.Message{"/tmp/a", 5}, "", "not a name"},
		"folder":           {actor.Message{"..", 5}, "", "not a name"},
		"escape sequence":  {actor.Message{"\x1b[2J", 5}, "", "not a name"},
		"cut content":      {actor.Message{"a", 5}, "hel", "a is incomplete"},
		"cut checksum":     {actor.Message{"a", 5}, "hello123", "a has no checksum"},
		"damaged":          {actor.Message{"a", 5}, "hallo" + string(sum[:]), "a is damaged"},
		"fine, for a test": {actor.Message{"a", 5}, "hello" + string(sum[:]), ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := inbox{t.TempDir(), 100}
			ours, theirs := net.Pipe()
			answer := make(chan string, 1)
			go func() {
				defer ours.Close()
				go func() {
					io.WriteString(ours, test.bytes)
					if strings.HasPrefix(name, "cut") {
						ours.Close() // the sender is gone after these bytes
					}
				}()
				b, _ := io.ReadAll(ours)
				answer <- string(b)
			}()
			_, err := in.take(theirs, test.args)
			theirs.Close()
			got := <-answer
			if test.want == "" {
				if err != nil || got != wanted+"\n"+accepted+"\n" {
					t.Errorf("got %v, and answer %q", err, got)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if files := content(t, in.dir); len(files) != 0 {
				t.Errorf("%q is left", files)
			}
		})
	}
}

func TestBar(t *testing.T) {
	for _, test := range []struct {
		done, total int64
		want        string
	}{
		{0, 100, "[" + strings.Repeat(" ", 40) + "]   0%"},
		{50, 100, "[" + strings.Repeat("#", 20) + strings.Repeat(" ", 20) + "]  50%"},
		{0, 0, "[" + strings.Repeat("#", 40) + "] 100%"},
	} {
		if got := bar(test.done, test.total); got != test.want {
			t.Errorf("%d of %d: got %q, want %q", test.done, test.total, got, test.want)
		}
	}
	var out bytes.Buffer
	p := &progress{out: &out, name: "a", total: 10}
	for range 10 {
		p.Write([]byte{0})
	}
	// Drawn at the start and at the end; not ten times.
	if got := out.String(); strings.Count(got, "\r") != 2 || !strings.HasSuffix(got, "100%\n") {
		t.Errorf("got %q", got)
	}
}

func TestBadArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"usage:":                            nil,
		`cannot make sense of "keep"`:       {"keep"},
		`cannot make sense of "send"`:       {"send"},
		"no such file":                      {"send", "no such file"},
		"is not a file":                     {"send", "."},
		"no such folder":                    {"receive", "-dir", "no such folder"},
		"main.go is not a folder":           {"receive", "-dir", "main.go"},
		"data connection to receiver: cont": {"send", "-to", "127.0.0.1:1", "-timeout", "500ms", "main.go"},
	} {
		out, err := proctest.Run(t, args...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%q: got %v\n%s\nwant %q", args, err, out, want)
		}
	}
}
