package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// workshop is what the processes do that the office starts: be a node on which
// workers can be spawned.
func workshop(ctx context.Context) error {
	name := os.Getenv(envNode)
	sys := actor.NewSystem()
	if err := sys.Register("Workshop::worker", worker); err != nil {
		return err
	}
	node, err := remote.Start(ctx, sys, remote.Config{
		NodeID: actor.NodeID(name),
		Secret: os.Getenv(envSecret),
		Listen: []string{"127.0.0.1:0"},
	})
	if err != nil {
		return err
	}
	defer node.Close()
	fmt.Println(node.Addresses()[0])
	// The office holds the other end. When it is gone, so are we.
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// worker makes a worker of a new port. It runs on the node where the worker
// was spawned, with the arguments that the spawner gave.
func worker(c *actor.Context, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	tell(c, "%s starts to work as %s", name, c.Self())
	c.Receive("work", func(c *actor.Context, m actor.Message) error {
		var job string
		if err := m.Scan(&job); err != nil {
			return err
		}
		if job == "" {
			return errors.New("cannot work without a job")
		}
		tell(c, "%s works on %q", name, job)
		return c.Respond("done", name, job, strings.ToUpper(job))
	})
	return nil
}

// tell prints what a worker says. The office passes it on.
func tell(c *actor.Context, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "   [%s] %s\n", c.Node(), fmt.Sprintf(format, args...))
}

// The environment variables by which the office tells a process what it is.
const (
	envNode   = "QUICKSTART_NODE"
	envSecret = "QUICKSTART_SECRET"
)

// A process is one that runs workshop.
type process struct {
	address string // where its node listens
	cmd     *exec.Cmd
	stdin   io.Closer
}

// startProcess runs this program again, as a node of that name, and waits until
// it listens.
func startProcess(name, secret string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), envNode+"="+name, envSecret+"="+secret)
	cmd.Stderr = os.Stdout
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
	p := &process{cmd: cmd, stdin: stdin}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("process %s did not start: %w", name, err)
	}
	p.address = strings.TrimSpace(address)
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process by SIGKILL.
func (p *process) kill() error { return p.cmd.Process.Kill() }

// stop lets the process end, and waits for it.
func (p *process) stop() {
	p.stdin.Close()
	p.cmd.Wait()
}
