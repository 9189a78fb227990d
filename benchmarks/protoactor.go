package main

import (
	"io"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"

	"github.com/portmesh/portmesh/benchmarks/bench"
	"github.com/portmesh/portmesh/benchmarks/internal/item"
)

// protoactor is protoactor-go with its own remoting.
type protoactor struct{ sys *actor.ActorSystem }

// newProtoactor returns a system; "tuned" as setup means larger batches.
func newProtoactor(setup string, network bool) protoactor {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	}))
	if network {
		var options []remote.ConfigOption
		if setup == "tuned" {
			options = append(options, remote.WithEndpointWriterBatchSize(8000), remote.WithEndpointManagerBatchSize(8000))
		}
		remote.NewRemote(sys, remote.Configure("127.0.0.1", 0, options...)).Start()
	}
	return protoactor{sys}
}

func (p protoactor) Address() string { return p.sys.Address() }

func (p protoactor) Spawn(name string, started func(), receive func(n int64, text string)) {
	props := actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *item.Item:
			receive(m.N, m.Text)
		case *actor.Started:
			started()
		}
	})
	if name == "" {
		p.sys.Root.Spawn(props)
		return
	}
	if _, err := p.sys.Root.SpawnNamed(props, name); err != nil {
		panic(err)
	}
}

func (p protoactor) Sender(address, name string) func(n int64, text string) {
	if address == "" {
		address = p.sys.Address()
	}
	to := actor.NewPID(address, name)
	return func(n int64, text string) {
		p.sys.Root.Send(to, &item.Item{Tag: bench.Item, N: n, Text: text})
	}
}
