// Command perl is the Go half of an example in which Go and Perl nodes use each
// other's ports. The other halves are Perl scripts, which need AnyEvent::MP from
// CPAN:
//
//	go run ./examples/perl
//	perl examples/perl/node.pl        # either generation: spawning, both ways
//	perl examples/perl/service1.pl    # 1.x: names, as groups
//	perl examples/perl/service2.pl    # 2.x: names, as families
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// The names by which ports are found: families for Perl 2.x, groups for Perl 1.x.
const (
	shouters = "Example::shouters" // in Go
	counters = "Example::counters" // in Perl
)

func main() {
	address := flag.String("listen", "127.0.0.1:4040", "the `address` to listen on")
	secret := flag.String("secret", "portmesh-example", "the secret that all nodes share")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "perl: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *address, *secret, nil); err != nil {
		fmt.Fprintln(os.Stderr, "perl:", err)
		os.Exit(1)
	}
}

// run is a node until ctx is done. It sends the address that it listens on to
// listening, unless that is nil.
func run(ctx context.Context, out io.Writer, address, secret string, listening chan<- string) error {
	say := log.New(out, "   [go] ", 0).Printf // ports and this function use it at once
	sys := actor.NewSystem()
	if err := offer(sys, say); err != nil {
		return err
	}

	// Nodes come and go; protoactor-go's event stream tells.
	sys.Actors().EventStream.Subscribe(func(event any) {
		switch event := event.(type) {
		case remote.NodeUp:
			say("node %s is up (%s)", event.Node, event.Greeting.Extra["provider"])
		case remote.NodeDown:
			say("node %s is down", event.Node)
		}
	})
	reg, err := registry.Start(ctx, sys, remote.Config{
		NodeID: "go", Secret: secret, Listen: []string{address},
	}, registry.Config{
		Bridge: []string{shouters, counters}, // families are groups, too
	})
	if err != nil {
		return err
	}
	defer reg.Close()
	if _, err := reg.Register(shouters, newShouter(sys), nil); err != nil {
		return err
	}
	address = reg.Node().Addresses()[0]
	say("listening on %s; now start a Perl half, for example: perl examples/perl/node.pl %[1]s", address)
	if listening != nil {
		listening <- address
	}

	// Whatever Perl counts words is used as soon as it is there.
	for change, err := range reg.Changes(ctx, counters) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		for _, counter := range change.Added {
			use(sys, actor.PortID(counter), say)
		}
	}
	return nil
}
