// Package child starts programs again as further processes, so that an example
// with several nodes is one command to run.
package child

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A Process is a process that this one has started.
type Process struct {
	// Address is the first line that the process has printed: by custom, where
	// its node listens.
	Address string

	cmd    *exec.Cmd
	stdin  io.Closer
	copied chan struct{} // closed when the output has ended
}

// Start runs this program once more with these arguments, and further variables
// in its environment ("KEY=VALUE"), and waits for the first line that it prints.
// What it prints later, and its errors, go to out.
//
// The process should end when its standard input does ([WaitForParent]), which
// happens when this process ends, however it does so.
func Start(out *os.File, env []string, args ...string) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, stdin: stdin, copied: make(chan struct{})}
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	if err != nil {
		stdin.Close()
		cmd.Wait()
		return nil, fmt.Errorf("a process did not start: %w", err)
	}
	p.Address = strings.TrimSpace(first)
	go func() {
		defer close(p.copied)
		io.Copy(out, lines)
	}()
	return p, nil
}

// PID returns the ID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process by SIGKILL.
func (p *Process) Kill() error { return p.cmd.Process.Kill() }

// Stop lets the process end, and waits for it.
func (p *Process) Stop() {
	p.stdin.Close()
	<-p.copied
	p.cmd.Wait()
}

// WaitForParent waits, in a process that [Start] has started, until it is to
// end: it was told so by [Process.Stop], or the process that started it is gone.
func WaitForParent() { io.Copy(io.Discard, os.Stdin) }
