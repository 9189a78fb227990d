package actor_test

import (
	"fmt"

	"github.com/portmesh/portmesh/actor"
)

// A port adds numbers and answers whoever asks.
func Example() {
	sys := actor.NewSystem()
	adder := sys.Port(func(c *actor.Context) error {
		c.Receive("add", func(c *actor.Context, m actor.Message) error {
			var x, y int
			if err := m.Scan(&x, &y); err != nil {
				return err
			}
			return c.Respond("sum", x+y)
		})
		return nil
	})

	answers := make(chan actor.Message)
	self := sys.Port(func(c *actor.Context) error {
		c.Default(func(_ *actor.Context, m actor.Message) error {
			answers <- m
			return nil
		})
		return nil
	})
	sys.Send(adder, "add", 1, 2, self)
	fmt.Println(<-answers)
	// Output: ["sum", 3]
}

// The monitor of a port learns why it died.
func ExampleSystem_Monitor() {
	sys := actor.NewSystem()
	port := sys.Port(func(c *actor.Context) error {
		c.Receive("work", func(*actor.Context, actor.Message) error {
			return fmt.Errorf("no paper")
		})
		return nil
	})
	died := make(chan actor.Reason)
	sys.Monitor(port, func(reason actor.Reason) { died <- reason })
	sys.Send(port, "work")
	fmt.Println(<-died)

	sys.Monitor(port, func(reason actor.Reason) { died <- reason })
	fmt.Println((<-died).Kind())
	// Output:
	// die no paper
	// no_such_port
}

// A function is spawned by its name, on any node; here on this one.
func ExampleSystem_Spawn() {
	sys := actor.NewSystem()
	done := make(chan string)
	sys.Register("Greeter::init", func(c *actor.Context, args actor.Message) error {
		var greeting string
		if err := args.Scan(&greeting); err != nil {
			return err
		}
		c.Receive("greet", func(_ *actor.Context, m actor.Message) error {
			done <- fmt.Sprintf("%s, %s!", greeting, m[0])
			return nil
		})
		return nil
	})
	greeter := sys.Spawn(sys.Node(), "Greeter::init", "Hello")
	sys.Send(greeter, "greet", "world") // without waiting
	fmt.Println(<-done)
	// Output: Hello, world!
}
