package supervision_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/supervision"
)

// A greeter dies of a bad message, and is there again, under its name.
func Example() {
	ctx := context.Background()
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	greeter := func(c *actor.Context, _ actor.Message) error {
		c.Receive("greet", func(c *actor.Context, m actor.Message) error {
			var name string
			if err := m.Scan(&name); err != nil {
				return err
			}
			if name == "nobody" {
				return errors.New("nobody to greet")
			}
			return c.Respond("hello", name)
		})
		return nil
	}
	started := make(chan string, 10)
	sys.Actors().EventStream.Subscribe(func(event any) {
		if e, ok := event.(supervision.Event); ok && e.Kind == supervision.Started {
			started <- e.Path
		}
	})
	sup, err := supervision.Start(ctx, sys, supervision.Spec{Children: []supervision.Child{
		{ID: "greeter", Name: "greeter", Start: supervision.Local{Init: greeter}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("started:", <-started)

	sys.Send("nonhost#greeter", "greet", "nobody")
	fmt.Println("started:", <-started)
	answer, err := sys.Call(ctx, "nonhost#greeter", "greet", "Larry")
	fmt.Println(answer, err)
	st, err := sup.Child(ctx, "greeter")
	fmt.Println(st.State, st.Restarts, st.Last, err)
	fmt.Println(sup.Stop(ctx))
	// Output:
	// started: greeter
	// started: greeter
	// ["hello", "Larry"] <nil>
	// running 1 die nobody to greet <nil>
	// <nil>
}
