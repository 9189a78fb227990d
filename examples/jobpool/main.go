// Command jobpool shows a pool of workers on many nodes that loses no job when a
// worker is lost:
//
//	go run ./examples/jobpool              # a dispatcher and three workers, one of which is killed
//
//	go run ./examples/jobpool dispatch     # the same by hand, in several terminals
//	go run ./examples/jobpool work
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/internal/child"
	"github.com/portmesh/portmesh/remote"
)

const usage = `usage:
  jobpool [flags]            start a dispatcher and three workers, and kill one of these
  jobpool dispatch [flags]   have jobs done by the workers that there are
  jobpool work [flags]       be a worker

flags:
`

// envChild tells a worker that the demonstration has started it.
const envChild = "JOBPOOL_CHILD"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "jobpool:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("jobpool", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:4040", "dispatch: the `address` to listen on")
	jobs := flags.Int("jobs", 40, "dispatch: the `number` of jobs")
	seeds := flags.String("seeds", "127.0.0.1:4040", "work: the `addresses` of dispatchers, separated by commas")
	delay := flags.Duration("delay", 100*time.Millisecond, "work: how `long` a job takes at least")
	secret := flags.String("secret", "portmesh-example", "the `secret` that all nodes share")
	silence := flags.Duration("silence", 5*time.Second, "after how `long` a silent node counts as lost, in whole seconds")
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	var command string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	flags.Parse(args)
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *jobs < 0:
		return errors.New("the number of jobs must not be negative")
	}
	config := remote.Config{Secret: *secret, SilenceTimeout: *silence}
	switch command {
	case "":
		config.NodeID, config.Listen = "dispatcher", []string{"127.0.0.1:0"}
		return demonstrate(ctx, config, *jobs)
	case "dispatch":
		config.NodeID, config.Listen = "dispatcher", []string{*listen}
		return dispatch(ctx, config, *jobs, func(address string) error {
			fmt.Println("dispatcher listens on", address)
			return nil
		})
	case "work":
		if os.Getenv(envChild) != "" {
			parent, end := context.WithCancel(ctx)
			go func() { child.WaitForParent(); end() }()
			ctx = parent
		}
		config.NodeID, config.Seeds = "worker/", strings.Split(*seeds, ",")
		return work(ctx, config, *delay)
	default:
		return fmt.Errorf("unknown command %q; try: jobpool -help", command)
	}
}

// demonstrate starts a dispatcher in this process and three workers in others,
// and kills one of them.
func demonstrate(ctx context.Context, config remote.Config, jobs int) error {
	var started []*child.Process
	defer func() {
		for _, p := range started {
			p.Stop()
		}
	}()
	return dispatch(ctx, config, jobs, func(address string) error {
		for range 3 {
			p, err := child.Start(os.Stdout, []string{envChild + "=1"}, "work", "-seeds", address, "-secret", config.Secret)
			if err != nil {
				return err
			}
			started = append(started, p)
		}
		time.AfterFunc(500*time.Millisecond, func() {
			fmt.Printf("killing process %d\n", started[0].PID())
			started[0].Kill()
		})
		return nil
	})
}
