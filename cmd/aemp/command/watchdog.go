package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// envWatched tells a process that a watchdog has started it; file descriptor 3
// is where its heart beats.
const envWatched = "PORTMESH_WATCHED"

func isWatched() bool { return os.Getenv(envWatched) != "" }

const (
	// beatTime is the time between two beats, and silentTime the silence after
	// which a node is taken to hang.
	beatTime   = 10 * time.Second
	silentTime = 60 * time.Second
	// The delay before a node is started anew begins with the first, doubles,
	// and ends at the second; after the third without a crash it begins again.
	crashDelay    = time.Second
	maxCrashDelay = 30 * time.Second
	calmTime      = time.Minute
)

// watch runs this program once more, as a node, and again whenever that crashes
// or hangs. A node that never was ready has another problem, and its exit code
// becomes ours; so does one that ends by itself.
func watch(ctx context.Context, stderr io.Writer) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	delay := crashDelay
	everReady := false
	for {
		started := time.Now()
		ready, err := runWatched(ctx, path)
		everReady = everReady || ready
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil || err == nil:
			return nil
		case !errors.As(err, &exit):
			return err
		case !everReady:
			// The node has told why.
			return &ExitError{Code: max(exit.ExitCode(), ExitFailed), Err: errors.New("the node could not be started")}
		}
		if time.Since(started) > calmTime {
			delay = crashDelay
		}
		fmt.Fprintf(stderr, "aemp: run: the node has crashed (%v); it is started anew in %v\n", err, delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
		delay = min(2*delay, maxCrashDelay)
	}
}

// runWatched runs the node until it ends, and tells whether it was ready.
func runWatched(ctx context.Context, path string) (ready bool, err error) {
	beats, theirs, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer beats.Close()
	cmd := exec.CommandContext(ctx, path, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envWatched+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * stopTime
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return false, err
	}
	var listening sync.WaitGroup
	listening.Go(func() {
		silence := time.AfterFunc(silentTime, func() { cmd.Process.Kill() })
		silence.Stop() // until it is ready
		defer silence.Stop()
		for buf := make([]byte, 1); ; {
			if _, err := beats.Read(buf); err != nil {
				return
			}
			ready = true
			silence.Reset(silentTime)
		}
	})
	err = cmd.Wait()
	beats.SetReadDeadline(time.Now())
	beats.Close()
	listening.Wait()
	return ready, err
}

// heartbeat tells systemd and our watchdog that the node is ready, and from then
// on that it lives: that messages are dealt with. The returned function tells
// systemd that it stops.
func (n *runner) heartbeat(ctx context.Context, status string) (stop func()) {
	var beats []func(ready bool)
	interval := beatTime
	if socket := n.call.Getenv("NOTIFY_SOCKET"); socket != "" {
		notify := func(state string) {
			if err := sdNotify(socket, state); err != nil {
				n.sys.Logger().Warn("systemd cannot be told", "err", err)
			}
		}
		n.stop = append(n.stop, func() { notify("STOPPING=1") })
		beats = append(beats, func(ready bool) {
			if ready {
				notify("READY=1\nSTATUS=" + status)
			}
			notify("WATCHDOG=1")
		})
		if usec, err := strconv.ParseInt(n.call.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			interval = min(interval, time.Duration(usec)*time.Microsecond/2)
		}
	}
	if isWatched() {
		pipe := os.NewFile(3, "watchdog")
		beats = append(beats, func(bool) { pipe.Write([]byte{1}) })
	}
	if len(beats) == 0 {
		return func() {}
	}
	for _, beat := range beats {
		beat(true)
	}
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if _, err := n.sys.Call(ctx, n.sys.Node().NodePort(), "snd"); err != nil {
				continue
			}
			for _, beat := range beats {
				beat(false)
			}
		}
	})
	return func() {
		cancel()
		beating.Wait()
	}
}

// sdNotify sends a state to systemd.
func sdNotify(socket, state string) error {
	if socket[0] == '@' {
		socket = "\x00" + socket[1:] // the abstract name space
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second)) // a full queue must not hold us up
	_, err = conn.Write([]byte(state))
	return err
}
