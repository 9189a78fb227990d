package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// A Group is a family whose keys are port IDs, as one who wants to send to its
// members sees it: it follows the family, so that to pick a member costs no
// round trip. Any family will do, whoever sets its keys: [Registry.Register],
// [Group.Join], or a Perl node's db_reg. Node IDs are port IDs, too. Keys that
// are not are left out.
//
// What a group shows may be behind by as long as news takes to come, and stays
// as it is while there is no connection to the mesh. To send to a member that
// has died is to send to any port that has died.
//
// Its methods may be called by any goroutine at any time.
type Group struct {
	r      *Registry
	family string
	stop   func()          // ends the monitor
	ctx    context.Context // done when the group or the registry closes
	cancel context.CancelFunc

	view   atomic.Pointer[members]
	picked atomic.Uint64 // how often Next was called

	mu      sync.Mutex
	changed chan struct{}            // closed and replaced when members come or go
	routers map[actor.PortID]*router // that have started and live
}

// Group begins to follow a family. It does not wait: at first the group may be
// empty. Whoever only wants a port to be a member needs no Group, but
// [Registry.Register]. The error wraps [ErrFamily].
func (r *Registry) Group(family string) (*Group, error) {
	g := &Group{
		r: r, family: family,
		changed: make(chan struct{}),
		routers: make(map[actor.PortID]*router),
	}
	g.view.Store(&members{})
	g.picked.Store(rand.Uint64()) // so that not all nodes begin with the same member
	g.ctx, g.cancel = context.WithCancel(r.ctx)
	var err error
	if g.stop, err = r.Monitor(family, g.follow); err != nil {
		g.cancel()
		return nil, err
	}
	return g, nil
}

// follow is called by the monitor.
func (g *Group) follow(c Change) {
	if len(c.Added)+len(c.Deleted) == 0 {
		return
	}
	for _, key := range c.Added {
		if err := actor.PortID(key).Validate(); err != nil {
			g.r.log.Warn("member of a group is no port", "family", g.family, "err", err)
		}
	}
	g.view.Store(&members{content: c.Content})
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.changed)
	g.changed = make(chan struct{})
	for _, router := range g.routers {
		router.wake()
	}
}

// Close ends the group and kills its routers, once they have forwarded what was
// sent to them before. The ports that are members stay so, and are what is picked
// from then on, whatever becomes of them.
func (g *Group) Close() {
	g.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel()
	for port := range g.routers {
		if err := g.r.sys.Kill(port); err != nil {
			g.r.log.Error("router cannot be killed", "port", port, "err", err)
		}
	}
}

// Join makes a port a member for as long as it lives, or until the returned
// function is called. The error wraps [aemp.ErrInvalidID].
func (g *Group) Join(port actor.PortID) (leave func(), err error) {
	if err := port.Validate(); err != nil {
		return nil, fmt.Errorf("registry: join group %q: %w", g.family, err)
	}
	return g.r.Register(g.family, port, nil)
}

// Members returns the members, in the order of their IDs.
func (g *Group) Members() []actor.PortID { return slices.Clone(g.view.Load().list()) }

// Wait waits until there is a member, and returns them all. Its error is that of
// [Registry.WaitFor]; it wraps [remote.ErrClosed] also when the group is closed.
func (g *Group) Wait(ctx context.Context) ([]actor.PortID, error) {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if members := g.Members(); len(members) > 0 {
			return members, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, g.r.noMember(ctx, g.family)
		case <-g.ctx.Done():
			return nil, fmt.Errorf("registry: group %q: %w", g.family, remote.ErrClosed)
		}
	}
}

// Next returns one member after another, in turn, beginning with any; or false
// when there is none.
func (g *Group) Next() (actor.PortID, bool) { return first(g.next()) }

func (g *Group) next() []actor.PortID { return g.view.Load().at(g.picked.Add(1)) }

// Random returns any member, or false when there is none.
func (g *Group) Random() (actor.PortID, bool) { return first(g.view.Load().random()) }

// ForKey returns the member that a key belongs to, or false when there is none.
// Every node gets the same answer, as long as it sees the same members. When a
// member goes, only its keys get another one, each any of those that are left;
// one that comes takes its share of the keys from all others alike. (This is
// rendezvous hashing; the time it takes grows with the number of members.)
func (g *Group) ForKey(key string) (actor.PortID, bool) { return first(g.view.Load().forKey(key)) }

func first(ports []actor.PortID) (actor.PortID, bool) {
	if len(ports) == 0 {
		return "", false
	}
	return ports[0], true
}
