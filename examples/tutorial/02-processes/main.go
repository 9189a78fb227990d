// Command 02-processes sends a message from one process to another: chapter 2 of
// docs/tutorial.md.
//
//	go run ./examples/tutorial/02-processes room
//	go run ./examples/tutorial/02-processes say hello    # in another terminal
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// secret is what both processes know. Others get no connection.
const secret = "portmesh-tutorial"

func main() {
	address := flag.String("address", "127.0.0.1:4040", "where the room `listens`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch args := flag.Args(); {
	case len(args) == 1 && args[0] == "room":
		err = room(ctx, *address)
	case len(args) > 1 && args[0] == "say":
		err = say(ctx, *address, strings.Join(args[1:], " "))
	default:
		err = fmt.Errorf("usage: 02-processes [-address ADDRESS] room | say TEXT")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "02-processes:", err)
		os.Exit(1)
	}
}

// room is a node with a port that listens to people, until ctx is done.
func room(ctx context.Context, address string) error {
	sys := actor.NewSystem()
	node, err := remote.Start(ctx, sys, remote.Config{
		NodeID: "house",
		Secret: secret,
		Listen: []string{address},
	})
	if err != nil {
		return err
	}
	defer node.Close()

	port, err := sys.NamedPort("room", func(c *actor.Context) error {
		c.Receive("say", func(c *actor.Context, m actor.Message) error {
			var text string
			if err := m.Scan(&text); err != nil {
				return err
			}
			fmt.Println("heard:", text)
			return c.Respond("heard", len(text))
		})
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println(port, "listens at", node.Addresses()[0])
	<-ctx.Done()
	return nil
}

// say says something in the room, and waits until it was heard.
func say(ctx context.Context, address, text string) error {
	sys := actor.NewSystem()
	node, err := remote.Start(ctx, sys, remote.Config{
		NodeID: "visitor/", // and a random suffix
		Secret: secret,
		Seeds:  []string{address},
	})
	if err != nil {
		return err
	}
	defer node.Close()

	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := sys.Call(ctx, "house#room", "say", text)
	if err != nil {
		return err
	}
	fmt.Println("the answer is:", answer)
	return nil
}
