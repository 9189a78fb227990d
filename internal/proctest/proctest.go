// Package proctest runs programs as processes of their own, for tests that talk
// to several of them and kill some: the test program itself, as the program
// that it tests, or any other command.
package proctest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// envMain tells the test program to be the program that it tests.
const envMain = "PORTMESH_PROCTEST_MAIN"

// patience is how long a process may take to do what a test waits for. It is for
// tests that fail; those that pass do not wait.
const patience = 30 * time.Second

// Main is what TestMain calls. It runs the tests, and checks that they leave no
// goroutine behind; in a process that [Start] has started, it calls program
// instead, which finds its arguments in os.Args as always.
func Main(m *testing.M, program func()) {
	if os.Getenv(envMain) != "" {
		program()
		return
	}
	goleak.VerifyTestMain(m)
}

// A Process is a running program. Its methods may be called by any goroutine,
// except those that end the test, which belong to that of the test.
type Process struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Closer
	input io.Writer
	ended chan struct{} // closed behind err
	err   error

	mu      sync.Mutex
	out     bytes.Buffer  // all output
	seen    int           // how much of it Expect has gone past
	changed chan struct{} // closed when there is more
}

// Start starts the program that Main was given, with these arguments. It ends
// with the test.
func Start(t testing.TB, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	// Under the race detector, a program would sleep for a second at its end.
	cmd.Env = append(os.Environ(), envMain+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return StartCommand(t, cmd)
}

// StartCommand starts any command. It ends with the test: its standard input is
// closed, and it gets SIGTERM and, if that does not help, SIGKILL. What it wrote
// is shown if the test fails.
func StartCommand(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, ended: make(chan struct{}), changed: make(chan struct{})}
	cmd.Stdout = writer{p}
	if cmd.Stderr == nil {
		cmd.Stderr = cmd.Stdout
	}
	// Processes that it has started itself may hold its output for a little
	// longer.
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.input = stdin, stdin
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stdin.Close()
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), p.Output())
		}
	})
	return p
}

// Run runs the program that Main was given until it ends, and returns what it
// wrote.
func Run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	p := Start(t, args...)
	err := p.Wait()
	return p.Output(), err
}

// Expect waits for a line that contains the text, behind those that were
// expected before, and returns it. The test ends if there is none.
func (p *Process) Expect(text string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		line, changed, ok := p.find(text)
		if ok {
			return line
		}
		select {
		case <-changed:
		case <-p.ended:
			// What it wrote last may have come since we looked.
			if line, _, ok := p.find(text); ok {
				return line
			}
			p.t.Fatalf("%q is missing: the process has ended (%v)", text, p.err)
		case <-timeout:
			p.t.Fatalf("%q is missing", text)
		}
	}
}

// find looks for a line behind those that were seen, and passes over it.
func (p *Process) find(text string) (line string, changed <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest, at := string(p.out.Bytes()[p.seen:]), p.seen
	for {
		line, behind, complete := strings.Cut(rest, "\n")
		if !complete {
			return "", p.changed, false
		}
		at += len(line) + 1
		if strings.Contains(line, text) {
			p.seen = at
			return line, nil, true
		}
		rest = behind
	}
}

// Line returns the next line of the output, without its end.
func (p *Process) Line() string {
	p.t.Helper()
	return p.Expect("")
}

// Input writes a line to the standard input of the process.
func (p *Process) Input(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// CloseInput ends the standard input of the process.
func (p *Process) CloseInput() { p.stdin.Close() }

// Signal sends a signal to the process; os.Kill ends it at once.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// PID returns the ID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Wait waits for the end of the process. The error is that of exec.Cmd.Wait.
func (p *Process) Wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
		return nil
	}
}

// Output returns what the process has written so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// A writer takes the output of a process.
type writer struct{ p *Process }

func (w writer) Write(b []byte) (int, error) {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Write(b)
	close(p.changed)
	p.changed = make(chan struct{})
	return len(b), nil
}
