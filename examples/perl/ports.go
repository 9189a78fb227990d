package main

import (
	"strings"

	"github.com/portmesh/portmesh/actor"
)

// What Go has for Perl.

// offer registers what Perl can spawn and call by its name.
func offer(sys *actor.System, say func(string, ...any)) error {
	// A port that greets, and dies with the port that it was spawned for.
	err := sys.Register("Greeter::init", func(c *actor.Context, args actor.Message) error {
		var owner actor.PortID
		if err := args.Scan(&owner); err != nil {
			return err
		}
		say("greeter %s is spawned for %s", c.Self(), owner)
		c.Link(owner)
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
	// A function, by which a Perl node asks us to spawn something there.
	return sys.RegisterCall("Example::visit", func(from actor.NodeID, _ actor.Message) error {
		visit(sys, from, say)
		return nil
	})
}

// newShouter makes the port that Perl finds by the name of its family or group.
func newShouter(sys *actor.System) actor.PortID {
	return sys.Port(func(c *actor.Context) error {
		c.Receive("shout", func(c *actor.Context, m actor.Message) error {
			var text string
			if err := m.Scan(&text); err != nil {
				return err
			}
			return c.Respond(strings.ToUpper(text) + "!")
		})
		return nil
	})
}

// What Go does with Perl.

// visit spawns a port on a Perl node, has it count, and kills it. Each of the two
// ports monitors the other.
func visit(sys *actor.System, perl actor.NodeID, say func(string, ...any)) {
	sys.Port(func(c *actor.Context) error {
		counter := c.Spawn(perl, "Counter::init", c.Self(), "Conny")
		say("spawned %s", counter)
		self := c.Self()
		c.Monitor(counter, func(reason actor.Reason) {
			say("the counter died: %s", reason)
			sys.Kill(self)
		})
		count(c, counter, say, func() { sys.Kill(counter, "thanks", "that was all") })
		return nil
	})
}

// use has a port count that some Perl node has registered.
func use(sys *actor.System, counter actor.PortID, say func(string, ...any)) {
	say("found %s", counter)
	sys.Port(func(c *actor.Context) error {
		self := c.Self()
		count(c, counter, say, func() { sys.Kill(self) })
		return nil
	})
}

// count asks a counter, and says what it answers.
func count(c *actor.Context, counter actor.PortID, say func(string, ...any), then func()) {
	const text = "just another Perl hacker"
	c.Call(counter, func(_ *actor.Context, answer actor.Message, err error) error {
		var tag string
		var words int
		if err == nil {
			err = answer.Scan(&tag, &words)
		}
		if err != nil {
			say("%s does not count: %v", counter, err)
		} else {
			say("the answer is: %d words in %q", words, text)
		}
		then()
		return nil
	}, "count", text)
}
