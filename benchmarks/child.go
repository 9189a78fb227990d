package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// patience is how long one measurement may take.
const patience = 2 * time.Minute

// A program returns a process that is to do the job. It behaves as one that
// calls bench.Main.
type program func(ctx context.Context, j bench.Job) (*exec.Cmd, error)

// measure has two processes of the program, or one, do the job once.
func measure(ctx context.Context, p program, j bench.Job) (bench.Measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var servers []*child
	if j.Work.Remote {
		serve := j
		serve.Serve = true
		server, err := startChild(ctx, p, serve)
		if err != nil {
			return nil, err
		}
		defer server.end()
		if err := server.read(&j.Server); err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	client, err := startChild(ctx, p, j)
	if err != nil {
		return nil, err
	}
	defer client.end()
	m := make(bench.Measurement)
	if err := client.read(&m); err != nil {
		return nil, err
	}
	used := client.end()
	m[senderRSS] = used.rss
	for _, server := range servers {
		s := server.end()
		m[receiverRSS] = s.rss
		used.cpu += s.cpu
	}
	if n := m[bench.Messages]; n > 0 {
		m[cpu] = used.cpu / n * 1e6
	}
	return m, nil
}

// A child is a process that does a job. What it has to tell it writes as lines
// of JSON.
type child struct {
	cmd  *exec.Cmd
	in   io.Closer // nil when it has ended
	out  *bufio.Reader
	err  bytes.Buffer
	used used
}

// thisProgram is the program of all peers that are written here in Go.
func thisProgram(ctx context.Context, j bench.Job) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return programAt(self)(ctx, j)
}

// programAt is a program that calls bench.Main.
func programAt(path string) program {
	return func(ctx context.Context, j bench.Job) (*exec.Cmd, error) {
		what, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, path, "-child", string(what)), nil
	}
}

func startChild(ctx context.Context, p program, j bench.Job) (*child, error) {
	cmd, err := p(ctx, j)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: cmd}
	c.cmd.Stderr = &c.err
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// read reads the next line.
func (c *child) read(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		c.end()
		return fmt.Errorf("%v: %s", c.cmd.ProcessState, bytes.TrimSpace(c.err.Bytes()))
	}
	return json.Unmarshal(line, v)
}

// used is what a process has used in its life: seconds and bytes.
type used struct{ cpu, rss float64 }

// end waits until the process has ended, which it does when its input has.
func (c *child) end() used {
	if c.in != nil {
		c.in.Close()
		c.in = nil
		c.read(&c.used.rss)
		c.cmd.Wait()
		if state := c.cmd.ProcessState; state != nil {
			c.used.cpu = (state.UserTime() + state.SystemTime()).Seconds()
		}
	}
	return c.used
}
