package registry

import (
	"fmt"
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

// A requestHandler is called under the lock. The error says why a request was
// ignored, or a part of it.
type requestHandler func(from actor.NodeID, args actor.Message) error

func (r *Registry) handlers() map[string]requestHandler {
	handlers := map[string]requestHandler{
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
	return handlers
}

// handle registers what is done about each request. What has a wrong shape, or
// comes from a node that is not what it would have to be, is logged and ignored.
func (r *Registry) handle() {
	for request, h := range r.handlers() {
		r.sys.HandleRequest(request, func(from actor.NodeID, args actor.Message) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if err := h(from, args); err != nil {
				r.log.Warn("registry request ignored", "peer", from, "request", request, "err", err)
			}
		})
	}
	r.sys.HandleEval(questionFamilies, func(actor.NodeID) (actor.Message, error) {
		names := actor.Message{}
		for _, name := range r.Families() {
			names = append(names, name)
		}
		return names, nil
	})
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
		r.up[e.Node] = e.Greeting
		if e.Greeting.Generation() == 1 || r.gossip.joined && e.Greeting.IsPortmesh() {
			r.meet(e.Node)
		}
		if e.Greeting.Generation() == 2 && r.global != nil {
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
		if r.up[e.Node] != nil {
			r.seedUp(e.Node)
		}
	case remote.NodeDown:
		r.down(e.Node)
	}
}

// seedUp asks a seed to be global, and takes it for our master if there is none.
func (r *Registry) seedUp(seed actor.NodeID) {
	if r.up[seed].Generation() == 1 {
		r.chooseGossipMaster(seed)
		return
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
	if r.global != nil {
		r.downGlobal(node, wasGlobal)
	}
	if r.master == node {
		r.master, r.lost, r.lostAt = "", node, time.Time{}
		if r.chooseMaster(); r.master == "" {
			r.lostAt = time.Now()
		}
	}
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
