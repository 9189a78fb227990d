package main

import (
	"fmt"
	"os"

	proto "github.com/asynkron/protoactor-go/actor"
)

// An ordinary program for protoactor-go. Nothing here knows of Portmesh, or of
// where the other actor is.

type hello struct{ Who string }

type ball struct{ Hits int }

// ponger greets, and plays the ball back.
func ponger(c proto.Context) {
	switch m := c.Message().(type) {
	case *hello:
		c.Respond(&hello{fmt.Sprintf("%s, said by process %d", m.Who, os.Getpid())})
	case *ball:
		c.Request(c.Sender(), &ball{m.Hits + 1})
	}
}

// pinger serves, and catches the ball when it was hit ten times.
type pinger struct {
	partner *proto.PID
	caught  chan<- int
}

func (p *pinger) Receive(c proto.Context) {
	switch m := c.Message().(type) {
	case *proto.Started:
		c.Watch(p.partner)
		c.Request(p.partner, &ball{1})
	case *ball:
		fmt.Printf("pinger: the ball came back, hit %d times\n", m.Hits)
		if m.Hits >= 10 {
			p.caught <- m.Hits
			c.Poison(p.partner)
			return
		}
		c.Request(c.Sender(), &ball{m.Hits + 1})
	case *proto.Terminated:
		fmt.Printf("pinger: my partner has gone: %s\n", m.Why)
		close(p.caught)
	}
}
