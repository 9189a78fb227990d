// Command chat is a chat for terminals, with any number of servers in one mesh:
//
//	go run ./examples/chat serve                  # the first server
//	go run ./examples/chat join anna              # in other terminals
//	go run ./examples/chat join bert
//
// docs/tutorial.md tells how it came to be.
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

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

const usage = `usage:
  chat serve [flags]       be a server
  chat join [flags] NAME   chat under that name

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("chat", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:4040", "serve: the `address` to listen on")
	node := flags.String("node", "", "serve: the `name` of this node (default a random one)")
	seeds := flags.String("seeds", "127.0.0.1:4040", "the `addresses` of servers, separated by commas")
	secret := flags.String("secret", "portmesh-example", "the `secret` that all nodes share")
	cert := flags.String("cert", "", "a `file` with a key and certificate, to encrypt (see examples/tls)")
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	if len(args) == 0 {
		flags.Usage()
		os.Exit(2)
	}
	command := args[0]
	flags.Parse(args[1:])

	config := remote.Config{Secret: *secret, Seeds: strings.Split(*seeds, ",")}
	if *cert != "" {
		bundle, err := os.ReadFile(*cert)
		if err != nil {
			return err
		}
		if config.TLS, err = aemp.NewTLSConfig(bundle); err != nil {
			return err
		}
	}
	switch {
	case command == "serve" && flags.NArg() == 0:
		config.NodeID, config.Listen = actor.NodeID(*node), []string{*listen}
		return serve(ctx, config)
	case command == "join" && flags.NArg() == 1:
		return join(ctx, config, flags.Arg(0))
	case command == "join" && flags.NArg() == 0:
		return errors.New("who are you? Say: chat join NAME")
	default:
		return fmt.Errorf("cannot make sense of %q; try: chat -help", strings.Join(args, " "))
	}
}

// start makes this process a node of the chat's mesh. A global node keeps the
// mesh together.
func start(ctx context.Context, config remote.Config, global bool) (*actor.System, *registry.Registry, error) {
	sys := actor.NewSystem()
	if config.NodeID == "" {
		config.NodeID = "chat/" // and a random suffix
	}
	reg, err := registry.Start(ctx, sys, config, registry.Config{Global: global})
	return sys, reg, err
}
