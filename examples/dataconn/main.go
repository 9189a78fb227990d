// Command dataconn sends large files between nodes, over connections of their
// own, so that messages do not have to wait behind them:
//
//	go run ./examples/dataconn receive            # into the current folder
//	go run ./examples/dataconn send cat.png       # in another terminal
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

const usage = `usage:
  dataconn receive [flags]     receive files, until it is interrupted
  dataconn send [flags] FILE   send a file

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dataconn:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("dataconn", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:4040", "receive: the `address` to listen on")
	dir := flags.String("dir", ".", "receive: the `folder` for the files")
	largest := flags.Int64("max", 10<<30, "receive: the largest `size` of a file, in bytes")
	to := flags.String("to", "127.0.0.1:4040", "send: the `address` of the receiver")
	timeout := flags.Duration("timeout", 10*time.Second, "send: how `long` to wait for a connection")
	secret := flags.String("secret", "portmesh-example", "the `secret` that both nodes share")
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
	switch {
	case command == "receive" && flags.NArg() == 0:
		return receive(ctx, remote.Config{NodeID: receiver, Secret: *secret, Listen: []string{*listen}}, inbox{*dir, *largest})
	case command == "send" && flags.NArg() == 1:
		config := remote.Config{NodeID: "sender/", Secret: *secret}
		// A data connection is made to the address of a node. Here we are told;
		// in a mesh with a registry it is known.
		config.Resolve = func(context.Context, actor.NodeID) ([]string, error) { return []string{*to}, nil }
		return send(ctx, config, flags.Arg(0), *timeout)
	default:
		return fmt.Errorf("cannot make sense of %q; try: dataconn -help", strings.Join(args, " "))
	}
}

// receive is a node that takes files, until ctx is done.
func receive(ctx context.Context, config remote.Config, in inbox) error {
	if info, err := os.Stat(in.dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", in.dir)
	}
	sys := actor.NewSystem()
	node, err := remote.Start(ctx, sys, config)
	if err != nil {
		return err
	}
	defer node.Close()
	node.HandleData(function, func(conn net.Conn, from actor.NodeID, args actor.Message) {
		defer conn.Close()
		// Whoever ends the program does not wait for files.
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		name, err := in.take(conn, args)
		if err != nil {
			fmt.Printf("a file from %s is refused: %v\n", from, err)
			return
		}
		fmt.Printf("received %s from %s\n", name, from)
	})
	fmt.Println("receiver listens on", node.Addresses()[0])
	<-ctx.Done()
	return nil
}

// send sends a file. The time is for the connection only.
func send(ctx context.Context, config remote.Config, path string, timeout time.Duration) error {
	sys := actor.NewSystem()
	node, err := remote.Start(ctx, sys, config)
	if err != nil {
		return err
	}
	defer node.Close()
	file, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	dialCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := node.DialData(dialCtx, receiver, function, file.name, file.size)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	sum, err := file.put(conn, newProgress(os.Stdout, file.name, file.size))
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	fmt.Printf("sent %s: %d bytes, sha256 %x\n", file.name, file.size, sum)
	return nil
}
