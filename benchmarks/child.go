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
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// A measurement has the metrics of one round.
type measurement map[string]float64

// A job is what a child process gets to do, as its argument.
type job struct {
	Peer   string
	Work   work
	Serve  bool   // for another process, until our input ends
	Server string // where that is; empty for work within a process

	Profiles string // folder for a CPU profile; empty for none
}

// patience is how long one measurement may take.
const patience = 2 * time.Minute

// A program returns a process that is to do the job. It behaves as runChild.
type program func(ctx context.Context, j job) (*exec.Cmd, error)

// measure has two processes of the program, or one, do the job once.
func measure(ctx context.Context, p program, j job) (measurement, error) {
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
	m := make(measurement)
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
	if n := m[messages]; n > 0 {
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

// thisProgram is the program of all peers that are written in Go.
func thisProgram(ctx context.Context, j job) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	what, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, self, "-child", string(what)), nil
}

func startChild(ctx context.Context, p program, j job) (*child, error) {
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

// runChild is the life of a child.
func runChild(what string) error {
	var j job
	if err := json.Unmarshal([]byte(what), &j); err != nil {
		return err
	}
	p, err := newPeer(j.Peer, j.Work)
	if err != nil {
		return err
	}
	stop, err := j.startProfile()
	if err != nil {
		return err
	}
	defer stop()
	out := json.NewEncoder(os.Stdout)
	if j.Serve {
		err = p.serve(j.Work, func(address string) { out.Encode(address) })
	} else {
		var m measurement
		if m, err = p.drive(j.Work, j.Server); err == nil {
			err = out.Encode(m)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", j.Peer, err)
	}
	io.Copy(io.Discard, os.Stdin)
	return out.Encode(peakRSS())
}

// startProfile begins to write a CPU profile, if one is wanted. The name of the
// file tells of what.
func (j job) startProfile() (stop func(), err error) {
	if j.Profiles == "" {
		return func() {}, nil
	}
	side := "client"
	if j.Serve {
		side = "server"
	}
	name := strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '-'
		}
		return r
	}, j.Work.Name+" "+j.Peer+" "+side+".pprof")
	f, err := os.Create(filepath.Join(j.Profiles, name))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// peakRSS returns the most memory that this process has had, in bytes.
func peakRSS() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes * 1024
		}
	}
	return 0
}
