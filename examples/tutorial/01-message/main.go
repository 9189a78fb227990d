// Command 01-message sends a message from one part of a process to another:
// chapter 1 of docs/tutorial.md.
//
//	go run ./examples/tutorial/01-message
package main

import (
	"fmt"
	"log"

	"github.com/portmesh/portmesh/actor"
)

func main() {
	sys := actor.NewSystem()

	heard := make(chan string)
	room := sys.Port(func(c *actor.Context) error {
		c.Receive("say", func(c *actor.Context, m actor.Message) error {
			var text string
			if err := m.Scan(&text); err != nil {
				return err
			}
			heard <- text
			return nil
		})
		return nil
	})

	if err := sys.Send(room, "say", "hello"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the room has heard:", <-heard)
}
