package actor

import (
	proto "github.com/asynkron/protoactor-go/actor"
)

// A cradle is what ports are made in, one after another. protoactor-go has the
// function that makes an actor in the actor's props; with props of its own, a
// port would be half as large again. The ports of a cradle have the same props,
// and take from the cradle what each is to be. Those that are made at the same
// time are in different cradles.
type cradle struct {
	props *proto.Props

	// The port that is in it.
	id    PortID
	setup func(c *Context) error
	portOptions
}

// newCradle returns a cradle for ports at the top level, where the decision about
// a failure is to let the port die.
func newCradle(s *System) *cradle {
	cr := &cradle{}
	guardian := s.actors.Root.Copy().WithGuardian(letDie)
	cr.props = proto.PropsFromProducer(
		// It is called for ports that are restarted as well, while another port
		// is in the cradle.
		func() proto.Actor { return &port{Context{sys: s}} },
		// These are called for new ports only.
		proto.WithMailbox(func() proto.Mailbox { return cr.mailbox.produce() }),
		proto.WithOnInit(func(pc proto.Context) {
			p := pc.Actor().(*port)
			p.self, p.setup = cr.id, cr.setup
		}),
		proto.WithDispatcher(s.dispatcher),
		// As proto.WithGuardian does, but without a copy of the root for each.
		proto.WithSpawnFunc(func(actors *proto.ActorSystem, name string, props *proto.Props, _ proto.SpawnerContext) (*proto.PID, error) {
			return proto.DefaultSpawner(actors, name, props, guardian)
		}),
	)
	return cr
}

var letDie = proto.NewOneForOneStrategy(0, 0, func(any) proto.Directive { return proto.StopDirective })

// makePort makes the port of that ID. It fails if the name is taken.
func (s *System) makePort(id PortID, setup func(c *Context) error, opts []PortOption) error {
	cr := s.cradles.Get().(*cradle)
	cr.id, cr.setup, cr.mailbox = id, setup, s.mailbox
	for _, opt := range opts {
		opt.applyTo(s, &cr.portOptions)
	}
	_, err := s.actors.Root.SpawnNamed(cr.props, id.Name())
	cr.id, cr.setup, cr.mailbox = "", nil, nil
	s.cradles.Put(cr)
	return err
}

// restarted makes p what it was before protoactor-go restarted it.
func (p *port) restarted() {
	if former, ok := p.sys.restarting.LoadAndDelete(p.proto.Self()); ok {
		p.self, p.setup = former.(*port).self, former.(*port).setup
	}
}
