package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A globalRole is what a global node knows. It is guarded by the lock of the
// registry.
type globalRole struct {
	view    *view                            // the parts of all nodes; ours and our slaves' are the near ones
	slaves  map[actor.NodeID]bool            // that are ours
	watched map[string]map[actor.NodeID]bool // by family, the slaves that monitor it
	keeping map[actor.NodeID]bool            // global nodes that we are trying to reach
	orphans map[actor.NodeID]int             // lost global nodes whose parts are still there, with the number of the loss
	losses  int
}

// becomeGlobal makes us a global node, if we are not one already.
func (r *Registry) becomeGlobal() {
	if r.global != nil {
		return
	}
	r.log.Info("becoming a global node")
	r.global = &globalRole{
		view:    newView(r.node.ID()),
		slaves:  make(map[actor.NodeID]bool),
		watched: make(map[string]map[actor.NodeID]bool),
		keeping: make(map[actor.NodeID]bool),
		orphans: make(map[actor.NodeID]int),
	}
	r.local.set(familyGlobals, string(r.node.ID()), nil)
	r.spread(r.global.view.replace(r.node.ID(), true, r.local))
	if r.master != "" {
		for name := range r.copies {
			r.request(r.master, requestEnd, name)
		}
		r.master = ""
	}
	for node, greeting := range r.up {
		if greeting.Generation() == 2 {
			r.request(node, requestGlobal)
		}
	}
	for node := range r.globals {
		r.welcome(node)
	}
	for name, f := range r.copies {
		r.content(f, r.global.view.content(name))
	}
	for id, q := range r.queries {
		delete(r.queries, id)
		q.answer(r.global.ask(q.request, q.subject))
	}
}

func (r *Registry) onSlave(from actor.NodeID, args actor.Message) error {
	r.becomeGlobal()
	if len(args) == 0 || args[0] == nil {
		return nil
	}
	part, err := databaseOf(args[0])
	if err != nil {
		return err
	}
	if r.globals[from] {
		return fmt.Errorf("%s is a global node", from)
	}
	err = part.dropUnfit()
	r.global.slaves[from] = true
	r.spread(r.global.view.replace(from, true, part))
	return err
}

func (r *Registry) onGlobal(from actor.NodeID, _ actor.Message) error {
	r.globals[from] = true // remembered in case that we become global too
	if r.global != nil {
		r.welcome(from)
	}
	return nil
}

// welcome begins to exchange the database with another global node.
func (r *Registry) welcome(other actor.NodeID) {
	delete(r.global.slaves, other) // its part stays until it sends that anew
	r.spread(r.global.view.update(r.node.ID(), true, familyGlobals, map[string]any{string(other): nil}, nil))
	r.request(other, requestSet, r.global.view.near())
}

func (r *Registry) onSet(from actor.NodeID, args actor.Message) error {
	if r.global == nil || !r.globals[from] {
		return fmt.Errorf("%s and we are not both global nodes", from)
	}
	if len(args) == 0 {
		return fmt.Errorf("%w: database is missing", aemp.ErrValue)
	}
	part, err := databaseOf(args[0])
	if err != nil {
		return err
	}
	err = part.dropUnfit()
	delete(r.global.orphans, from)
	r.spread(r.global.view.replace(from, false, part))
	r.promoted(from)
	// Where it listens becomes a part of ours too, so that others who lose it,
	// but not us, find it again.
	if addresses, ok := part[familyAddresses][string(from)]; ok {
		r.spread(r.global.view.update(r.node.ID(), true, familyAddresses, map[string]any{string(from): addresses}, nil))
	}
	r.keepGlobals(part[familyGlobals])
	return err
}

func (r *Registry) onUpdate(from actor.NodeID, args actor.Message) error {
	family, set, del, err := changeOf(args)
	if err != nil {
		return err
	}
	slave := r.global != nil && r.global.slaves[from]
	if !slave && (r.global == nil || !r.globals[from]) {
		return fmt.Errorf("%s is neither a slave nor a global node", from)
	}
	err = dropUnfit(family, set)
	r.spread(r.global.view.update(from, slave, family, set, del))
	if !slave && family == familyGlobals {
		r.keepGlobals(set)
	}
	return err
}

// spread tells of changes: the other global nodes of those of our part, and all
// who monitor of those that they can see.
func (r *Registry) spread(c changes) {
	for family, change := range c.near {
		if change.empty() {
			continue
		}
		for node := range r.globals {
			r.request(node, requestUpdate, family, change.set, anyList(change.del))
		}
	}
	for family, change := range c.all {
		if change.empty() {
			continue
		}
		for node := range r.global.watched[family] {
			r.request(node, requestChange, family, change.set, anyList(change.del))
		}
		r.change(r.copies[family], change.set, change.del)
	}
}

// downGlobal forgets a node that is down, as far as a global node knows it.
func (r *Registry) downGlobal(node actor.NodeID, wasGlobal bool) {
	delete(r.global.slaves, node)
	for family := range r.global.watched {
		forgetWatcher(r.global.watched, family, node)
	}
	r.spread(r.global.view.replace(node, true, nil))
	if wasGlobal {
		r.orphan(node)
		for _, family := range []string{familyGlobals, familyAddresses} {
			r.spread(r.global.view.update(r.node.ID(), true, family, nil, []string{string(node)}))
		}
		r.keepGlobal(node)
	}
}

func (r *Registry) onMonitor(from actor.NodeID, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	r.becomeGlobal()
	if r.global.watched[name] == nil {
		r.global.watched[name] = make(map[actor.NodeID]bool)
	}
	r.global.watched[name][from] = true
	r.request(from, requestContent, name, nullable(r.global.view.content(name)))
	return nil
}

func (r *Registry) onEnd(from actor.NodeID, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	if r.global != nil {
		forgetWatcher(r.global.watched, name, from)
	}
	return nil
}

func forgetWatcher(watched map[string]map[actor.NodeID]bool, family string, node actor.NodeID) {
	delete(watched[family], node)
	if len(watched[family]) == 0 {
		delete(watched, family)
	}
}

func (r *Registry) onFind(from actor.NodeID, args actor.Message) error {
	var node string
	if err := args.Scan(&node); err != nil {
		return err
	}
	var addresses any
	if r.global != nil {
		addresses = r.global.ask(requestFind, node)
	}
	r.request(from, requestFound, node, addresses)
	return nil
}

func (r *Registry) onQuery(request string, from actor.NodeID, args actor.Message) error {
	var family, id string
	if err := args.Scan(&family, &id); err != nil {
		return err
	}
	if r.global == nil {
		return fmt.Errorf("asked for %s, but this node is not global", family)
	}
	r.request(from, requestReply, id, r.global.ask(request, family))
	return nil
}

// ask answers a question.
func (g *globalRole) ask(request, subject string) any {
	switch request {
	case requestFind:
		addresses, _ := g.view.get(familyAddresses, subject)
		return addresses
	case requestFamily:
		return g.view.content(subject)
	}
	list := []any{}
	for key, value := range g.view.content(subject) {
		if request == requestKeys {
			list = append(list, key)
		} else {
			list = append(list, value)
		}
	}
	return list
}

// Between attempts to reach another global node: a random delay of up to twice
// that, which doubles until the longest.
const (
	globalDelay    = 300 * time.Millisecond
	globalDelayMax = 15 * time.Second
	globalPatience = 10 * time.Second // for one attempt
)

// globalsKept bounds the global nodes that we try to reach at the same time, since
// a peer may tell of as many as it likes.
const globalsKept = 1000

// keepGlobals sees to it that the nodes which are said to be global get
// connected.
func (r *Registry) keepGlobals(nodes map[string]any) {
	for node := range nodes {
		r.keepGlobal(actor.NodeID(node))
	}
}

// keepGlobal sees to it that another global node gets connected, as long as it
// is said to be global.
func (r *Registry) keepGlobal(node actor.NodeID) {
	if node == r.node.ID() || node.Validate() != nil || r.globals[node] || r.global.keeping[node] || len(r.global.keeping) == globalsKept || r.ctx.Err() != nil {
		return
	}
	r.global.keeping[node] = true
	r.goroutines.Go(func() {
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.global.keeping, node)
		}()
		for delay := globalDelay; ; delay = min(2*delay, globalDelayMax) {
			ctx, cancel := context.WithTimeout(r.ctx, globalPatience)
			err := r.node.Connect(ctx, node)
			cancel()
			if err == nil || r.ctx.Err() != nil {
				return
			}
			r.mu.Lock()
			_, said := r.global.view.get(familyGlobals, string(node))
			r.mu.Unlock()
			if !said {
				return
			}
			select {
			case <-time.After(delay + rand.N(delay)):
			case <-r.ctx.Done():
				return
			}
		}
	})
}
