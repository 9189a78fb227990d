package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/supervision"
)

// serve is a server until ctx is done.
func serve(ctx context.Context, config remote.Config) error {
	sys, reg, err := start(ctx, config, true)
	if err != nil {
		return err
	}
	defer reg.Close()
	// A server that dies is replaced by a new one, which knows nothing of what
	// the old one did wrong.
	return supervision.Run(ctx, sys, supervision.Spec{
		Children: []supervision.Child{{
			ID: "server",
			Start: supervision.Local{Init: func(c *actor.Context, _ actor.Message) error {
				s := &server{sys: sys, members: make(map[actor.PortID]string)}
				return s.setup(c)
			}},
			Announce: func(port actor.PortID) (func(), error) { return announce(sys, reg, port) },
		}},
	}, supervision.RunConfig{Ready: func(*supervision.Supervisor) {
		fmt.Printf("server %s listens on %s\n", sys.Node(), reg.Node().Addresses()[0])
	}})
}

// announce lets all find a server in the registry, and lets it find the others
// there.
func announce(sys *actor.System, reg *registry.Registry, port actor.PortID) (undo func(), err error) {
	unregister, err := reg.Register(servers, port, nil)
	if err != nil {
		return nil, err
	}
	stop, err := reg.Monitor(servers, func(c registry.Change) {
		sys.Send(port, "servers", slices.Collect(maps.Keys(c.Content)))
	})
	if err != nil {
		unregister()
		return nil, err
	}
	return func() { stop(); unregister() }, nil
}

// A server is a port that passes on what its members say, to its other members
// and to the other servers. Its fields belong to the port.
type server struct {
	sys     *actor.System
	members map[actor.PortID]string // their names
	others  []actor.PortID          // the other servers
}

func (s *server) setup(c *actor.Context) error {
	actor.On(c, s.join)
	actor.On(c, s.say)
	actor.On(c, func(_ *actor.Context, m leaving) error { s.remove(m.Member, "left"); return nil })
	// What other servers tell us is for our members.
	actor.On(c, func(_ *actor.Context, m said) error { s.tellMembers(m); return nil })
	actor.On(c, func(_ *actor.Context, m notice) error { s.tellMembers(m); return nil })
	c.Receive("servers", s.know)
	// What nobody understands is no reason to die.
	c.Default(func(_ *actor.Context, m actor.Message) error {
		s.sys.Logger().Warn("unknown message", "message", m.String())
		return nil
	})
	return nil
}

func (s *server) join(c *actor.Context, m joining) error {
	if err := checkName(m.Name); err != nil {
		return c.Respond(refused{err.Error()})
	}
	if _, again := s.members[m.Member]; again {
		return nil
	}
	names := slices.Sorted(maps.Values(s.members))
	if slices.Contains(names, m.Name) {
		return c.Respond(refused{fmt.Sprintf("the name %q is taken", m.Name)})
	}
	s.members[m.Member] = m.Name
	// However the member goes, here is where we hear of it.
	c.Monitor(m.Member, func(reason actor.Reason) {
		s.remove(m.Member, fmt.Sprintf("is lost (%s)", reason))
	})
	s.sys.Send(m.Member, welcome{c.Node(), names})
	s.tellAll(notice{fmt.Sprintf("%s came to %s", m.Name, c.Node())})
	return nil
}

// remove forgets a member, and tells everybody what has become of it.
func (s *server) remove(member actor.PortID, what string) {
	name, ok := s.members[member]
	if !ok {
		return // it left before it died
	}
	delete(s.members, member)
	s.tellAll(notice{name + " " + what})
}

func (s *server) say(c *actor.Context, m saying) error {
	name, ok := s.members[m.Member]
	if !ok {
		return c.Respond(refused{"join before you say something"})
	}
	s.tellAll(said{name, m.Text})
	return nil
}

// know takes the list of all servers, whenever it has changed.
func (s *server) know(c *actor.Context, m actor.Message) error {
	var all []actor.PortID
	if err := m.Scan(&all); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(p actor.PortID) bool { return p == c.Self() })
	for _, other := range s.others {
		if !slices.Contains(all, other) {
			s.tellMembers(notice{fmt.Sprintf("server %s is gone", other.Node())})
		}
	}
	for _, other := range all {
		if !slices.Contains(s.others, other) {
			fmt.Printf("server %s is there as well\n", other.Node())
		}
	}
	s.others = all
	return nil
}

// tellMembers tells our own members something.
func (s *server) tellMembers(m any) {
	for member := range s.members {
		s.sys.Send(member, m)
	}
}

// tellAll tells everybody something.
func (s *server) tellAll(m any) {
	s.tellMembers(m)
	for _, other := range s.others {
		s.sys.Send(other, m)
	}
}
