package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// join is a member of the chat until its input ends or ctx is done.
func join(ctx context.Context, config remote.Config, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	sys, reg, err := start(ctx, config, false)
	if err != nil {
		return err
	}
	defer reg.Close()

	m := &member{name: name}
	port := sys.Port(m.setup)
	ended := make(chan actor.Reason, 1)
	sys.Monitor(port, func(reason actor.Reason) { ended <- reason })
	fmt.Println("* looking for a server; /quit ends")
	stop, err := reg.Monitor(servers, func(c registry.Change) {
		sys.Send(port, "servers", slices.Collect(maps.Keys(c.Content)))
	})
	if err != nil {
		return err
	}
	defer stop()
	go readInput(sys, port)
	select {
	case <-ctx.Done():
		sys.Send(port, "quit")
		<-ended
		return nil
	case reason := <-ended:
		if reason.Normal() {
			return nil
		}
		return errors.New(reason.String())
	}
}

// readInput sends each line of the standard input to the member's port.
func readInput(sys *actor.System, port actor.PortID) {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line == "/quit" {
			break
		}
		if line != "" {
			sys.Send(port, "input", line)
		}
		if err != nil {
			if err != io.EOF {
				fmt.Fprintln(os.Stderr, "chat:", err)
			}
			break
		}
	}
	sys.Send(port, "quit")
}

// A member is a port between a terminal and a server. When its server is gone,
// it goes to another one. Its fields belong to the port.
type member struct {
	name    string
	servers []actor.PortID // all there are
	server  actor.PortID   // the one that we have asked to let us in; may be empty
	joined  bool           // it has
}

func (me *member) setup(c *actor.Context) error {
	c.Receive("servers", func(c *actor.Context, m actor.Message) error {
		if err := m.Scan(&me.servers); err != nil {
			return err
		}
		return me.choose(c)
	})
	c.Receive("input", func(c *actor.Context, m actor.Message) error {
		var text string
		if err := m.Scan(&text); err != nil {
			return err
		}
		if !me.joined {
			fmt.Println("* there is no server; nobody has heard that")
			return nil
		}
		return c.Send(me.server, saying{text, c.Self()})
	})
	c.Receive("quit", func(c *actor.Context, _ actor.Message) error {
		if me.server != "" {
			c.Send(me.server, leaving{c.Self()})
		}
		c.Kill()
		return nil
	})
	actor.On(c, func(c *actor.Context, m welcome) error {
		me.joined = true
		fmt.Printf("* you are on %s, with: %s\n", printable(string(m.Server)), printable(strings.Join(m.Names, ", ")))
		return nil
	})
	actor.On(c, func(c *actor.Context, m refused) error {
		c.Kill("refused", printable(m.Why))
		return nil
	})
	actor.On(c, func(c *actor.Context, m said) error {
		fmt.Printf("%s: %s\n", printable(m.Who), printable(m.Text))
		return nil
	})
	actor.On(c, func(c *actor.Context, m notice) error {
		fmt.Printf("* %s\n", printable(m.Text))
		return nil
	})
	return nil
}

// choose asks any server to let us in, if we are with none.
func (me *member) choose(c *actor.Context) error {
	if me.server != "" || len(me.servers) == 0 {
		return nil
	}
	me.server = me.servers[rand.IntN(len(me.servers))]
	again := c.Func(me.choose)
	c.Monitor(me.server, func(reason actor.Reason) {
		if me.joined {
			fmt.Printf("* the server is gone (%s)\n", printable(reason.String()))
		}
		me.server, me.joined = "", false
		// The registry may not know yet that it is gone.
		time.AfterFunc(500*time.Millisecond, again)
	})
	return c.Send(me.server, joining{me.name, c.Self()})
}
