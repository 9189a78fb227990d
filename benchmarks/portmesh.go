package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/benchmarks/bench"
	"github.com/portmesh/portmesh/remote"
)

// Item is a message of a bound type.
type Item struct {
	N    int64
	Text string
}

// portmesh is Portmesh with typed messages, or with lists.
type portmesh struct {
	sys   *actor.System
	typed bool
}

// newPortmesh returns a system; setup has the name of the framing, and
// "untyped" for messages that are lists.
func newPortmesh(setup string, network bool) (portmesh, error) {
	p := portmesh{actor.NewSystem(), !strings.Contains(setup, "untyped")}
	if p.typed {
		actor.Bind[Item](bench.Item)
	}
	if !network {
		return p, nil
	}
	framing := map[string]aemp.Framing{
		"msgpack": aemp.MessagePack, "cbor": aemp.CBOR, "json": aemp.JSON, "storable": aemp.Storable,
	}[strings.Fields(setup)[0]]
	if framing == nil {
		return p, fmt.Errorf("no framing %q", setup)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return p, err
	}
	_, err = remote.Start(context.Background(), p.sys, remote.Config{
		NodeID:    actor.NodeID(listener.Addr().String()),
		Secret:    "benchmarks",
		Listeners: []net.Listener{listener},
		Framings:  []aemp.Framing{framing},
		// The ID of a node is its address here.
		Resolve: func(_ context.Context, node actor.NodeID) ([]string, error) { return []string{string(node)}, nil },
	})
	return p, err
}

func (p portmesh) Address() string { return string(p.sys.Node()) }

func (p portmesh) Spawn(name string, started func(), receive func(n int64, text string)) {
	setup := func(c *actor.Context) error {
		if p.typed {
			actor.On(c, func(_ *actor.Context, m Item) error {
				receive(m.N, m.Text)
				return nil
			})
		} else {
			c.Receive(bench.Item, func(_ *actor.Context, m actor.Message) error {
				var n int64
				var text string
				if err := m.Scan(&n, &text); err != nil {
					return err
				}
				receive(n, text)
				return nil
			})
		}
		started()
		return nil
	}
	if name == "" {
		p.sys.Port(setup)
		return
	}
	if _, err := p.sys.NamedPort(name, setup); err != nil {
		panic(err)
	}
}

func (p portmesh) Sender(address, name string) func(n int64, text string) {
	node := actor.NodeID(address)
	if address == "" {
		node = p.sys.Node()
	}
	to := node.Port(name)
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if p.typed {
		return func(n int64, text string) { check(p.sys.Send(to, &Item{n, text})) }
	}
	return func(n int64, text string) { check(p.sys.Send(to, bench.Item, n, text)) }
}
