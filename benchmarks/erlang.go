package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

//go:embed erlang/bench.erl
var erlangSource []byte

// erlang is Erlang/OTP, as far as it is installed, with its own distribution.
type erlang struct {
	path    string // of erl
	dir     string // of the compiled module
	release string
}

// newErlang compiles the works. The error is exec.ErrNotFound if there is no
// Erlang here.
func newErlang(ctx context.Context) (erlang, error) {
	var e erlang
	var err error
	if e.path, err = exec.LookPath("erl"); err != nil {
		return e, err
	}
	if e.dir, err = os.MkdirTemp("", "benchmarks-erlang-"); err != nil {
		return e, err
	}
	if err = os.WriteFile(filepath.Join(e.dir, "bench.erl"), erlangSource, 0o644); err == nil {
		e.release, err = e.compile(ctx)
	}
	if err != nil {
		e.remove()
		return e, fmt.Errorf("compiling for Erlang: %w", err)
	}
	return e, nil
}

// remove removes what was compiled.
func (e erlang) remove() { os.RemoveAll(e.dir) }

// compile returns the release that it compiled with.
func (e erlang) compile(ctx context.Context) (release string, err error) {
	cmd := e.erl(ctx, `case compile:file(bench, [report]) of
		{ok, _} -> io:put_chars(erlang:system_info(otp_release)), halt(0);
		error -> halt(1)
	end.`)
	cmd.Dir = e.dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// command is a process that does the job. Nothing but the limit of processes is
// set otherwise than by default, and nothing listens but on the loopback.
func (e erlang) command(ctx context.Context, j bench.Job) (*exec.Cmd, error) {
	side := "drive"
	if j.Serve {
		side = "serve"
	}
	w := j.Work
	kinds := map[bench.Kind]string{bench.Flood: "flood", bench.PingPong: "ping_pong", bench.Spawning: "spawning"}
	what := fmt.Sprintf("bench:run(%s, #{kind => %s, remote => %t, count => %d, size => %d, flight => %d, pairs => %d, duration => %d}, %q).",
		side, kinds[w.Kind], w.Remote, w.Count, w.Size, w.Flight, w.Pairs, w.Duration.Nanoseconds(), j.Server)
	return e.erl(ctx, what, "-pa", e.dir,
		"+P", "2000000",
		"-epmd_module", "bench", "-start_epmd", "false",
		"-kernel", "inet_dist_use_interface", "{127,0,0,1}",
		"-setcookie", "benchmarks"), nil
}

// erl is a process that evaluates what, and leaves no dump if it fails.
func (e erlang) erl(ctx context.Context, what string, options ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.path, append(options, "-noshell", "-eval", what)...)
	cmd.Env = append(os.Environ(), "ERL_CRASH_DUMP_SECONDS=0")
	return cmd
}
