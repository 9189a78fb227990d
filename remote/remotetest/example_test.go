package remotetest_test

import (
	"fmt"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// A monitor tells when the connection to a port breaks; the port may be alive,
// and can be reached again.
func Example() {
	mesh := remotetest.NewMesh(nil) // in a test: NewMesh(t), and no Close
	defer mesh.Close()
	a, b := mesh.Start("a"), mesh.Start("b")

	echo := b.System().Port(func(c *actor.Context) error {
		c.Receive("ping", func(c *actor.Context, _ actor.Message) error { return c.Respond("pong") })
		return nil
	})
	answers := make(chan actor.Message)
	asker := a.System().Port(func(c *actor.Context) error {
		c.Receive("pong", func(c *actor.Context, _ actor.Message) error {
			answers <- actor.Message{"pong"}
			return nil
		})
		return nil
	})
	down := make(chan string)
	a.System().Monitor(echo, func(reason actor.Reason) { down <- reason.Kind() })

	a.System().Send(echo, "ping", asker)
	fmt.Println(<-answers)
	mesh.Cut("a", "b")
	fmt.Println("down:", <-down)
	a.System().Send(echo, "ping", asker)
	fmt.Println(<-answers)
	// Output:
	// ["pong"]
	// down: transport_error
	// ["pong"]
}
