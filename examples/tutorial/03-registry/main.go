// Command 03-registry lets processes find each other: chapter 3 of
// docs/tutorial.md.
//
//	go run ./examples/tutorial/03-registry room kitchen
//	go run ./examples/tutorial/03-registry -listen 127.0.0.1:0 room garden   # in another terminal
//	go run ./examples/tutorial/03-registry say hello                        # in a third one
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
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

const (
	secret = "portmesh-tutorial"
	rooms  = "tutorial:rooms" // the family of all rooms
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4040", "where a room `listens`")
	seed := flag.String("seed", "127.0.0.1:4040", "where some room of the mesh `listens`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch args := flag.Args(); {
	case len(args) == 2 && args[0] == "room":
		err = room(ctx, args[1], *listen, *seed)
	case len(args) > 1 && args[0] == "say":
		err = say(ctx, strings.Join(args[1:], " "), *seed)
	default:
		err = fmt.Errorf("usage: 03-registry [-listen ADDRESS] [-seed ADDRESS] room NAME | say TEXT")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "03-registry:", err)
		os.Exit(1)
	}
}

// room is a node with a port that all nodes can find, until ctx is done.
func room(ctx context.Context, name, listen, seed string) error {
	sys := actor.NewSystem()
	reg, err := registry.Start(ctx, sys, remote.Config{
		NodeID: "house/", // and a random suffix
		Secret: secret,
		Listen: []string{listen},
		Seeds:  []string{seed},
	}, registry.Config{})
	if err != nil {
		return err
	}
	defer reg.Close()

	port := sys.Port(func(c *actor.Context) error {
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
	if _, err := reg.Register(rooms, port, name); err != nil {
		return err
	}
	fmt.Println(name, "listens at", reg.Node().Addresses()[0])
	<-ctx.Done()
	return nil
}

// say says something in all rooms that there are.
func say(ctx context.Context, text, seed string) error {
	sys := actor.NewSystem()
	reg, err := registry.Start(ctx, sys, remote.Config{
		NodeID: "visitor/",
		Secret: secret,
		Seeds:  []string{seed},
	}, registry.Config{})
	if err != nil {
		return err
	}
	defer reg.Close()

	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	all, err := reg.WaitFor(ctx, rooms)
	if err != nil {
		return err
	}
	for port, name := range all {
		answer, err := sys.Call(ctx, actor.PortID(port), "say", text)
		if err != nil {
			fmt.Printf("%s does not answer: %v\n", name, err)
			continue
		}
		fmt.Printf("%s answers: %v\n", name, answer)
	}
	return nil
}
