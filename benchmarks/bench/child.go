package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
)

// A Job is what a process gets to do.
type Job struct {
	Peer   string
	Work   Work
	Serve  bool   // for another process, until our input ends
	Server string // where that is; empty for work within a process

	Profiles string // folder for a CPU profile; empty for none
}

// A Peer does works, in processes of its own.
type Peer interface {
	// Serve is the one side of a work between processes. It calls ready with
	// what the other side needs to reach it, returns, and then serves for as
	// long as the process lives.
	Serve(w Work, ready func(address string)) error
	// Drive is the other side, or both if there is no server.
	Drive(w Work, server string) (Measurement, error)
}

// Main does the job that the arguments are, "-child" and the job as JSON, and
// ends the process; it returns if they are anything else. A program calls it
// before all else.
func Main(newPeer func(name string, w Work) (Peer, error)) {
	if len(os.Args) != 3 || os.Args[1] != "-child" {
		return
	}
	if err := child(os.Args[2], newPeer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child is the life of a process that does a job. What it has to tell it writes
// as lines of JSON: where it can be reached or what it has measured, and, when
// its input has ended, the most memory that it has had.
func child(what string, newPeer func(name string, w Work) (Peer, error)) error {
	var j Job
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
		err = p.Serve(j.Work, func(address string) { out.Encode(address) })
	} else {
		var m Measurement
		if m, err = p.Drive(j.Work, j.Server); err == nil {
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
func (j Job) startProfile() (stop func(), err error) {
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
