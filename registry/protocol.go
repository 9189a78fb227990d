package registry

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// The requests by which the mesh of generation 2 is formed (section 6 of the
// protocol).
const (
	requestSlave   = "g_slave"     // [database]: be global; I am your slave, and this is mine
	requestGlobal  = "g_global"    // I am global
	requestUpdate  = "g_upd"       // family, set, del: change of the sender's part
	requestSet     = "g_set"       // database: all of the sender's part, between globals
	requestFind    = "g_find"      // node: where does it listen
	requestFound   = "g_found"     // node, addresses
	requestFamily  = "g_db_family" // family, id
	requestKeys    = "g_db_keys"
	requestValues  = "g_db_values"
	requestReply   = "g_reply" // id, result
	requestMonitor = "g_mon1"  // family
	requestContent = "g_chg1"  // family, content
	requestChange  = "g_chg2"  // family, set, del
	requestEnd     = "g_mon0"  // family
)

var requests = []string{
	requestSlave, requestGlobal, requestUpdate, requestSet, requestFind, requestFound, requestFamily, requestKeys, requestValues,
	requestReply, requestMonitor, requestContent, requestChange, requestEnd,
}

// The families that the mesh keeps for itself.
const (
	familyAddresses = "'l" // node ID: addresses it listens on
	familyGlobals   = "'g" // node IDs of global nodes
)

// handle registers what is done about each request, under the lock. What has a
// wrong shape, or comes from a node that is not what it would have to be, is
// logged and ignored.
func (r *Registry) handle() {
	handlers := map[string]func(from actor.NodeID, args actor.Message) error{
		requestSlave:   r.onSlave,
		requestGlobal:  r.onGlobal,
		requestUpdate:  r.onUpdate,
		requestSet:     r.onSet,
		requestFind:    r.onFind,
		requestFound:   r.onFound,
		requestReply:   r.onReply,
		requestMonitor: r.onMonitor,
		requestEnd:     r.onEnd,
		requestContent: r.onContent,
		requestChange:  r.onChange,
	}
	for _, request := range []string{requestFamily, requestKeys, requestValues} {
		handlers[request] = func(from actor.NodeID, args actor.Message) error { return r.onQuery(request, from, args) }
	}
	for request, h := range handlers {
		r.sys.HandleRequest(request, func(from actor.NodeID, args actor.Message) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if err := h(from, args); err != nil {
				r.log.Warn("registry request ignored", "peer", from, "request", request, "err", err)
			}
		})
	}
}

// request sends a request. A node that is gone meanwhile is told of as such.
func (r *Registry) request(to actor.NodeID, request string, args ...any) {
	if err := r.node.Request(to, request, args...); err != nil {
		r.log.Debug("registry request not sent", "peer", to, "err", err)
	}
}

// event follows the coming and going of nodes.
func (r *Registry) event(e any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := e.(type) {
	case remote.NodeUp:
		r.up[e.Node] = true
		switch {
		case e.Greeting.Generation() == 1:
			r.meet(e.Node)
		case r.global:
			r.request(e.Node, requestGlobal)
		}
		if r.seeds[e.Node] {
			r.seedUp(e.Node)
		}
	case remote.SeedUp:
		if e.Node == r.node.ID() {
			r.becomeGlobal()
			return
		}
		// The two events of a node come in either order.
		r.seeds[e.Node] = true
		if r.up[e.Node] {
			r.seedUp(e.Node)
		}
	case remote.NodeDown:
		r.down(e.Node)
	}
}

// seedUp asks a seed to be global, and takes it for our master if there is none.
func (r *Registry) seedUp(seed actor.NodeID) {
	if _, old := r.gossip.ports[seed]; old {
		return // generation 1 has no masters of this kind
	}
	r.request(seed, requestSlave)
	r.chooseMaster()
}

func (r *Registry) down(node actor.NodeID) {
	delete(r.up, node)
	delete(r.seeds, node)
	r.part(node)
	wasGlobal := r.globals[node]
	delete(r.globals, node)
	if r.global {
		delete(r.slaves, node)
		for _, monitors := range r.watched {
			delete(monitors, node)
		}
		if wasGlobal {
			r.changeMine(r.node.ID(), familyGlobals, nil, []string{string(node)})
			r.changesOfAll(r.all.replace(node, nil))
			r.keepGlobal(node)
		}
		r.changesOfMine(r.mine.replace(node, nil))
	}
	if r.master == node {
		r.master = ""
		r.chooseMaster()
	}
}

// chooseMaster finds a master for a node that has none: a seed that is
// connected. All that is open is asked again.
func (r *Registry) chooseMaster() {
	if r.global || r.master != "" {
		return
	}
	for node := range r.seeds {
		if _, old := r.gossip.ports[node]; old || !r.up[node] {
			continue
		}
		r.master = node
		r.request(node, requestSlave, r.local.message())
		for name := range r.copies {
			r.request(node, requestMonitor, name)
		}
		for id, q := range r.queries {
			q.send(r, node, id)
		}
		r.notify()
		return
	}
}

func (r *Registry) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// becomeGlobal makes us a global node, if we are not one already.
func (r *Registry) becomeGlobal() {
	if r.global {
		return
	}
	r.log.Info("becoming a global node")
	r.global = true
	r.mine, r.all = newView(), newView()
	r.local.set(familyGlobals, string(r.node.ID()), nil)
	r.changesOfMine(r.mine.replace(r.node.ID(), r.local))
	if r.master != "" {
		for name := range r.copies {
			r.request(r.master, requestEnd, name)
		}
		r.master = ""
	}
	for node := range r.up {
		r.request(node, requestGlobal)
	}
	for node := range r.globals {
		r.welcome(node)
	}
	for name := range r.copies {
		r.content(name, copyOf(r.all.seen[name]))
	}
	for id, q := range r.queries {
		delete(r.queries, id)
		q.answer(r.ask(q.request, q.subject))
	}
	r.notify()
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
	r.slaves[from] = true
	r.changesOfMine(r.mine.replace(from, part))
	return nil
}

func (r *Registry) onGlobal(from actor.NodeID, _ actor.Message) error {
	r.globals[from] = true // remembered in case that we become global too
	if r.global {
		r.welcome(from)
	}
	return nil
}

// welcome begins to exchange the database with another global node.
func (r *Registry) welcome(other actor.NodeID) {
	if r.slaves[other] {
		delete(r.slaves, other)
		r.changesOfMine(r.mine.replace(other, nil))
	}
	r.changeMine(r.node.ID(), familyGlobals, map[string]any{string(other): nil}, nil)
	r.request(other, requestSet, r.mine.seen.message())
}

func (r *Registry) onSet(from actor.NodeID, args actor.Message) error {
	if !r.global || !r.globals[from] {
		return fmt.Errorf("%s and we are not both global nodes", from)
	}
	if len(args) == 0 {
		return fmt.Errorf("%w: database is missing", aemp.ErrValue)
	}
	part, err := databaseOf(args[0])
	if err != nil {
		return err
	}
	r.changesOfAll(r.all.replace(from, part))
	// Who is global is worth a connection.
	for node := range part[familyGlobals] {
		r.keepGlobal(actor.NodeID(node))
	}
	return nil
}

func (r *Registry) onUpdate(from actor.NodeID, args actor.Message) error {
	family, set, del, err := changeOf(args)
	if err != nil {
		return err
	}
	switch {
	case r.global && r.globals[from]:
		r.changesOfAll(map[string]change{family: r.all.update(from, family, set, del)})
		if family == familyGlobals {
			for node := range set {
				r.keepGlobal(actor.NodeID(node))
			}
		}
	case r.slaves[from]:
		r.changeMine(from, family, set, del)
	default:
		return fmt.Errorf("%s is neither a slave nor a global node", from)
	}
	return nil
}

// changeMine changes the part of a slave, or our own.
func (r *Registry) changeMine(owner actor.NodeID, family string, set map[string]any, del []string) {
	r.changesOfMine(map[string]change{family: r.mine.update(owner, family, set, del)})
}

// changesOfMine tells the other globals, and puts the changes into the union.
func (r *Registry) changesOfMine(changes map[string]change) {
	for family, c := range changes {
		if c.empty() {
			continue
		}
		for node := range r.globals {
			r.request(node, requestUpdate, family, c.set, anyList(c.del))
		}
		r.changesOfAll(map[string]change{family: r.all.update(r.node.ID(), family, c.set, c.del)})
	}
}

// changesOfAll tells all who monitor.
func (r *Registry) changesOfAll(changes map[string]change) {
	for family, c := range changes {
		if c.empty() {
			continue
		}
		for node := range r.watched[family] {
			r.request(node, requestChange, family, c.set, anyList(c.del))
		}
		r.change(family, c.set, c.del)
	}
}

func (r *Registry) onFind(from actor.NodeID, args actor.Message) error {
	var node string
	if err := args.Scan(&node); err != nil {
		return err
	}
	r.request(from, requestFound, node, r.ask(requestFind, node))
	return nil
}

func (r *Registry) onFound(_ actor.NodeID, args actor.Message) error {
	var node string
	var addresses any
	if err := args.Scan(&node, &addresses); err != nil {
		return err
	}
	for id, q := range r.queries {
		if q.request == requestFind && q.subject == node {
			delete(r.queries, id)
			q.answer(addresses)
		}
	}
	return nil
}

func (r *Registry) onQuery(request string, from actor.NodeID, args actor.Message) error {
	var family, id string
	if err := args.Scan(&family, &id); err != nil {
		return err
	}
	if !r.global {
		return fmt.Errorf("asked for %s, but this node is not global", family)
	}
	r.request(from, requestReply, id, r.ask(request, family))
	return nil
}

// ask answers a question from the union.
func (r *Registry) ask(request, subject string) any {
	switch request {
	case requestFind:
		if r.global {
			return r.all.seen[familyAddresses][subject]
		}
		return nil
	case requestFamily:
		return copyOf(r.all.seen[subject])
	}
	list := []any{}
	for key, value := range r.all.seen[subject] {
		if request == requestKeys {
			list = append(list, key)
		} else {
			list = append(list, value)
		}
	}
	return list
}

func (r *Registry) onReply(_ actor.NodeID, args actor.Message) error {
	var id string
	var result any
	if err := args.Scan(&id, &result); err != nil {
		return err
	}
	if q := r.queries[id]; q != nil {
		delete(r.queries, id)
		q.answer(result)
	}
	return nil
}

// A query is a question that has not been answered.
type query struct {
	request string
	subject string // family, or node
	result  chan any
}

// send asks the master.
func (q *query) send(r *Registry, master actor.NodeID, id string) {
	if q.request == requestFind {
		r.request(master, requestFind, q.subject)
	} else {
		r.request(master, q.request, q.subject, id)
	}
}

// answer is called once, by whoever removes the query.
func (q *query) answer(v any) { q.result <- v }

// query asks a question, of ourselves or of the master.
func (r *Registry) query(ctx context.Context, request, subject string) (any, error) {
	r.mu.Lock()
	if r.global {
		defer r.mu.Unlock()
		return r.ask(request, subject), nil
	}
	r.lastID++
	id := strconv.FormatInt(int64(r.lastID), 36)
	q := &query{request, subject, make(chan any, 1)}
	r.queries[id] = q
	if r.master != "" {
		q.send(r, r.master, id)
	}
	r.mu.Unlock()
	select {
	case v := <-q.result:
		return v, nil
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.queries, id)
	err := context.Cause(ctx)
	if r.ctx.Err() != nil {
		err = remote.ErrClosed
	}
	if r.master == "" {
		return nil, fmt.Errorf("registry: %s: %w: %w", subject, ErrNoMaster, err)
	}
	return nil, fmt.Errorf("registry: %s: %w", subject, err)
}

// find returns the addresses of a node. Without a master there is nobody to ask,
// and no use in waiting: the node asks again.
func (r *Registry) find(ctx context.Context, node actor.NodeID) ([]string, error) {
	r.mu.Lock()
	known := r.global || r.master != ""
	heard := r.gossip.addresses[node]
	r.mu.Unlock()
	if len(heard) > 0 {
		return heard, nil
	}
	if !known {
		return nil, nil
	}
	v, err := r.query(ctx, requestFind, string(node))
	if err != nil || v == nil {
		return nil, err
	}
	var addresses []string
	if err := aemp.Convert(&addresses, v); err != nil {
		return nil, fmt.Errorf("registry: addresses of %s: %w", node, err)
	}
	return addresses, nil
}

// The delays between attempts to reach another global node.
const globalDelay = 300 * time.Millisecond

// keepGlobal sees to it that another global node gets connected, as long as it
// is said to be global.
func (r *Registry) keepGlobal(node actor.NodeID) {
	if node == r.node.ID() || r.globals[node] || r.ctx.Err() != nil {
		return
	}
	r.goroutines.Go(func() {
		for delay := globalDelay; ; delay = min(2*delay, 30*time.Second) {
			ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
			err := r.node.Connect(ctx, node)
			cancel()
			if err == nil || r.ctx.Err() != nil {
				return
			}
			r.mu.Lock()
			_, said := r.all.seen[familyGlobals][string(node)]
			r.mu.Unlock()
			if !said {
				return
			}
			select {
			case <-time.After(delay):
			case <-r.ctx.Done():
				return
			}
		}
	})
}

// databaseOf makes a database of an element of a message.
func databaseOf(v any) (database, error) {
	families, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: database is %T, want a map", aemp.ErrValue, v)
	}
	d := make(database, len(families))
	for name, content := range families {
		values, ok := content.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: family %q is %T, want a map", aemp.ErrValue, name, content)
		}
		for key, value := range values {
			d.set(name, key, value)
		}
	}
	return d, nil
}

// changeOf reads family, set and del, of which the latter two may be undef or
// missing.
func changeOf(args actor.Message) (family string, set map[string]any, del []string, err error) {
	if err := args.Scan(&family); err != nil {
		return "", nil, nil, err
	}
	if len(args) > 1 && args[1] != nil {
		var ok bool
		if set, ok = args[1].(map[string]any); !ok {
			return "", nil, nil, fmt.Errorf("%w: values to set are %T, want a map", aemp.ErrValue, args[1])
		}
	}
	if len(args) > 2 {
		if err := aemp.Convert(&del, args[2]); err != nil {
			return "", nil, nil, err
		}
	}
	return family, set, del, nil
}
