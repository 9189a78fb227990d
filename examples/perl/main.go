// Command perl is the Go half of an example in which a Go node and a Perl node
// spawn, monitor and kill each other's ports. The other half is node.pl, which
// needs AnyEvent::MP from CPAN, of either generation:
//
//	go run ./examples/perl
//	perl examples/perl/node.pl
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
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

func main() {
	address := flag.String("listen", "127.0.0.1:4040", "the `address` to listen on")
	secret := flag.String("secret", "portmesh-example", "the secret that both nodes share")
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

// run is a node until a Perl node has come and gone, or ctx is done. It sends
// the address that it listens on to listening, unless that is nil.
func run(ctx context.Context, out io.Writer, address, secret string, listening chan<- string) error {
	say := log.New(out, "   [go] ", 0).Printf // ports and this function use it at once
	sys := actor.NewSystem()

	// Perl spawns this one.
	err := sys.Register("Greeter::init", func(c *actor.Context, args actor.Message) error {
		var from string
		if err := args.Scan(&from); err != nil {
			return err
		}
		say("greeter %s is spawned %s", c.Self(), from)
		c.Receive("greet", func(c *actor.Context, m actor.Message) error {
			var name string
			if err := m.Scan(&name); err != nil {
				return err
			}
			return c.Respond("hello", name, "from", c.Node())
		})
		return nil
	})
	if err != nil {
		return err
	}

	// Nodes come and go; protoactor-go's event stream tells.
	nodes := make(chan any, 16)
	sys.Actors().EventStream.Subscribe(func(event any) {
		switch event.(type) {
		case remote.NodeUp, remote.NodeDown:
			select {
			case nodes <- event:
			default: // we have seen enough
			}
		}
	})
	node, err := remote.Start(ctx, sys, remote.Config{NodeID: "go", Secret: secret, Listen: []string{address}})
	if err != nil {
		return err
	}
	defer node.Close()
	say("listening on %s; now start the other half: perl examples/perl/node.pl %[1]s", node.Addresses()[0])
	if listening != nil {
		listening <- node.Addresses()[0]
	}

	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-nodes:
			switch event := event.(type) {
			case remote.NodeUp:
				say("node %s is up (%s)", event.Node, event.Greeting.Extra["provider"])
				visit(ctx, sys, event.Node, say)
			case remote.NodeDown:
				say("node %s is down", event.Node)
				return nil
			}
		}
	}
}

// visit is what Go does to Perl.
func visit(ctx context.Context, sys *actor.System, perl actor.NodeID, say func(string, ...any)) {
	counted := make(chan actor.Message, 1)
	desk := sys.Port(func(c *actor.Context) error {
		c.Receive("counted", func(_ *actor.Context, m actor.Message) error {
			counted <- m
			return nil
		})
		return nil
	})
	defer sys.Kill(desk)

	counter := sys.Spawn(perl, "Counter::init", "Conny")
	say("spawned %s", counter)
	died := make(chan actor.Reason, 1)
	sys.Monitor(counter, func(reason actor.Reason) { died <- reason })
	sys.Send(counter, "count", "just another Perl hacker", desk)

	for {
		select {
		case m := <-counted:
			say("the answer is: %v words in %q", m[1], m[0])
			sys.Kill(counter, "thanks", "that was all")
		case reason := <-died:
			say("the counter died: %s", reason)
			return
		case <-ctx.Done():
			return
		case <-time.After(30 * time.Second):
			say("%s does not answer", perl)
			return
		}
	}
}
