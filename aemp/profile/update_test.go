package profile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test program be one of several that change a file.
func TestMain(m *testing.M) {
	if path := os.Getenv("PROFILE_TEST_WRITER"); path != "" {
		if err := writeMany(path, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// set returns an edit.
func set(key string, value any) func(*File) error {
	return func(f *File) error { return f.Defaults().Set(key, value) }
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files returns what is in the folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %o", e.Name(), info.Mode().Perm()))
	}
	return strings.Join(names, ", ")
}

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rc")
	if err := Update(t.Context(), path, set("secret", "one")); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); got != "rc 600" {
		t.Errorf("a new file: %s", got)
	}
	const one = "{\n   \"secret\" : \"one\",\n   \"version\" : 1\n}\n"
	if got := read(t, path); got != one {
		t.Errorf("got %s", got)
	}
	if err := os.Chmod(path, 0o644); err != nil { // as Perl's tool leaves it
		t.Fatal(err)
	}
	if err := Update(t.Context(), path, set("secret", "two")); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); got != "rc 600, rc~ 600" {
		t.Errorf("with a backup: %s", got)
	}
	if got := read(t, path+"~"); got != one {
		t.Errorf("the backup is %s", got)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(f *File) error { f.Defaults().Delete("eval"); return nil }
	if err := Update(t.Context(), path, nothing); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) || files(t, dir) != "rc 600, rc~ 600" {
		t.Errorf("nothing has changed, and the file was replaced: %v, %s", err, files(t, dir))
	}
}

// TestSymlink: the link stays, and what it points to is replaced.
func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "dotfiles"), filepath.Join(dir, "rc")
	if err := os.WriteFile(target, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dotfiles", link); err != nil {
		t.Fatal(err)
	}
	if err := Update(t.Context(), link, set("secret", "x")); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "dotfiles" || !strings.Contains(read(t, target), "secret") {
		t.Errorf("link to %q, %v", to, err)
	}
}

// TestFailures: whatever fails, the file stays, and nothing else is left.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rc")
	const text = "{ \"secret\": \"kept\" } # by hand"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	full := func(f *os.File, p []byte) (int, error) {
		n, _ := f.Write(p[:len(p)/2])
		return n, errors.New("no space left on device")
	}
	for _, test := range []struct {
		name  string
		edit  func(*File) error
		write func(*os.File, []byte) (int, error)
		want  string
	}{
		{"edit", func(*File) error { return errors.New("changed my mind") }, (*os.File).Write, "changed my mind"},
		{"value", set("monitor_timeout", -1), (*os.File).Write, "monitor_timeout: want a positive number"},
		{"full disk", set("secret", "new"), full, "profile: write: no space left on device"},
		{"write", set("secret", "new"), func(f *os.File, p []byte) (int, error) { f.Close(); return f.Write(p) }, "file already closed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := update(t.Context(), path, test.edit, test.write)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if read(t, path) != text || files(t, dir) != "rc 600" {
				t.Errorf("the file is %s, and there are %s", read(t, path), files(t, dir))
			}
		})
	}
	t.Run("broken", func(t *testing.T) {
		broken := filepath.Join(t.TempDir(), "rc")
		if err := os.WriteFile(broken, []byte("{\n\"a\" 1}"), 0o600); err != nil {
			t.Fatal(err)
		}
		called := false
		err := Update(t.Context(), broken, func(*File) error { called = true; return nil })
		if syntax := new(SyntaxError); !errors.As(err, &syntax) || syntax.Path != broken || syntax.Line != 2 || syntax.Column != 5 || called {
			t.Errorf("got %v, called %v", err, called)
		}
		if read(t, broken) != "{\n\"a\" 1}" || files(t, filepath.Dir(broken)) != "rc 600" {
			t.Error("the broken file was changed")
		}
	})
	t.Run("folder", func(t *testing.T) {
		err := Update(t.Context(), filepath.Join(dir, "none", "rc"), set("secret", "x"))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		home := t.TempDir()
		if os.Geteuid() == 0 {
			home = "/proc/self" // where not even root can make files
		} else if err := os.Chmod(home, 0o500); err != nil {
			t.Fatal(err)
		}
		err := Update(t.Context(), filepath.Join(home, "rc"), set("secret", "x"))
		if err == nil || !strings.Contains(err.Error(), filepath.Join(home, "rc")) {
			t.Errorf("got %v", err)
		}
	})
}

// TestLeftOver: what a crash has left does not get into the way.
func TestLeftOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rc")
	if err := os.WriteFile(path+newSuffix, bytes.Repeat([]byte("x"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Update(t.Context(), path, set("secret", "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rc")
	f, err := lock(t.Context(), path+newSuffix)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = Update(ctx, path, set("secret", "x"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another program is changing it") {
		t.Errorf("got %v", err)
	}
	f.Close()
	if err := Update(t.Context(), path, set("secret", "x")); err != nil {
		t.Error(err)
	}
}

const changes = 20

// writeMany makes a profile of that name, in many steps.
func writeMany(path, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range changes {
		err := Update(ctx, path, func(f *File) error { return f.Create(name).Set(fmt.Sprint("key", i), i) })
		if err != nil {
			return err
		}
	}
	return nil
}

// TestWriters: changes by several goroutines and processes at once are all
// there in the end, and at each moment there is a whole file.
func TestWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rc")
	if err := Update(t.Context(), path, set("secret", "x")); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	names := []string{"goroutine 1", "goroutine 2", "process 1", "process 2", "process 3"}
	for _, name := range names {
		writers.Go(func() {
			if strings.HasPrefix(name, "goroutine") {
				if err := writeMany(path, name); err != nil {
					t.Error(err)
				}
				return
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], name)
			cmd.Env = append(os.Environ(), "PROFILE_TEST_WRITER="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v %s", name, err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		f, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := f.Defaults().Get("secret"); v != "x" {
			t.Fatal("the file was there in part")
		}
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if p := f.Profile(name); p == nil || len(p.Keys()) != changes {
			t.Errorf("%s: changes are lost: %v", name, p)
		}
	}
}
