package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/supervision"
)

var (
	perlPath   = flag.String("perl", "perl", "the `perl` that has AnyEvent::MP")
	perlScript = flag.String("script", "examples/supervision/worker.pl", "the Perl `program` with the worker")
)

// perl supervises a worker in a Perl process, which needs nothing but
// AnyEvent::MP and the worker's own code.
func perl(ctx context.Context) error {
	if err := exec.CommandContext(ctx, *perlPath, "-MAnyEvent::MP", "-e1").Run(); err != nil {
		return fmt.Errorf("%s has no AnyEvent::MP, which CPAN has: %w", *perlPath, err)
	}
	const secret = "portmesh-example"
	sys := actor.NewSystem(actor.WithLogger(silent))
	node, err := remote.Start(ctx, sys, remote.Config{NodeID: "office", Secret: secret, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		return err
	}
	defer node.Close()
	start := func() (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, *perlPath, *perlScript, node.Addresses()[0], secret)
		cmd.Env = append(os.Environ(), "PERL_ANYEVENT_MP_RC="+os.DevNull)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return cmd, node.Connect(ctx, "perl")
	}

	step("A Perl process connects; the supervisor in Go starts a worker there.")
	process, err := start()
	if process != nil {
		defer func() { // whichever is the latest
			process.Process.Kill()
			process.Wait()
		}()
	}
	if err != nil {
		return err
	}
	w := watch(sys)
	defer w.behind()
	// The office cannot connect to Perl, only Perl to the office: the restarted
	// process is known when it has come.
	sup, err := supervision.Start(ctx, sys, supervision.Spec{Intensity: 3, Children: []supervision.Child{{
		ID: "counter", Name: "counter",
		Start: supervision.Remote{Node: "perl", Function: "Counter::init", Args: []any{supervision.Self}},
		Lost:  supervision.Lost{Wait: 30 * time.Second},
	}}})
	if err != nil {
		return err
	}
	if err := w.wait(ctx, 1, supervision.Up); err != nil {
		return err
	}
	if err := count(ctx, sys, "just another Perl hacker"); err != nil {
		return err
	}

	step("The worker dies of a bad message, in Perl, and is started again under its name.")
	sys.Send("perl#counter", "count")
	if err := w.wait(ctx, 1, supervision.Started); err != nil {
		return err
	}
	if err := count(ctx, sys, "there is more than one way to do it"); err != nil {
		return err
	}

	step("The Perl process is killed, and started again.")
	process.Process.Kill()
	process.Wait()
	if err := w.wait(ctx, 1, supervision.NodeLost); err != nil {
		return err
	}
	if process, err = start(); err != nil {
		return err
	}
	if err := w.wait(ctx, 1, supervision.Started); err != nil {
		return err
	}
	if err := count(ctx, sys, "and there it is"); err != nil {
		return err
	}
	if err := show(ctx, sup); err != nil {
		return err
	}
	return sup.Stop(ctx)
}

// count asks the worker, whichever it is now.
func count(ctx context.Context, sys *actor.System, text string) error {
	answer, err := sys.Call(ctx, "perl#counter", "count", text)
	if err == nil {
		var words int
		if err = answer[1:].Scan(&words); err == nil {
			fmt.Printf("   Perl counts %d words in %q\n", words, text)
		}
	}
	return err
}
