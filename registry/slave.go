package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// chooseMaster finds a master for a node that has none: a seed that is
// connected. All that is open is asked again.
func (r *Registry) chooseMaster() {
	if r.global != nil || r.master != "" {
		return
	}
	for node := range r.seeds {
		if r.up[node] == nil || r.up[node].Generation() == 1 {
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
		return
	}
}

// checkMaster refuses what only a master may tell. A node that was ours until a
// moment ago may still answer; the new one has been asked as well.
func (r *Registry) checkMaster(from actor.NodeID) error {
	if from != r.master {
		return fmt.Errorf("%s is not our master", from)
	}
	return nil
}

func (r *Registry) onFound(from actor.NodeID, args actor.Message) error {
	if err := r.checkMaster(from); err != nil {
		return err
	}
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

func (r *Registry) onReply(from actor.NodeID, args actor.Message) error {
	if err := r.checkMaster(from); err != nil {
		return err
	}
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
	if r.global != nil {
		defer r.mu.Unlock()
		return r.global.ask(request, subject), nil
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

// A node that has been heard of is not kept waiting for longer than that by a
// master that is slow to answer.
const findPatience = time.Second

// find returns the addresses of a node: those that were heard of and those in the
// database, since one of the two may be that of a relay, which refuses us.
func (r *Registry) find(ctx context.Context, node actor.NodeID) ([]string, error) {
	r.mu.Lock()
	heard := r.gossip.addresses[node]
	r.mu.Unlock()
	if len(heard) == 0 {
		return r.findInDatabase(ctx, node)
	}
	ctx, cancel := context.WithTimeout(ctx, findPatience)
	defer cancel()
	addresses, err := r.findInDatabase(ctx, node)
	if err != nil {
		r.log.Debug("address not found in the database", "peer", node, "err", err)
	}
	return append(slices.Clone(heard), addresses...), nil
}

// findInDatabase returns the addresses that the database has. Without a master
// there is nobody to ask, and no use in waiting: the node asks again.
func (r *Registry) findInDatabase(ctx context.Context, node actor.NodeID) ([]string, error) {
	r.mu.Lock()
	known := r.global != nil || r.master != ""
	r.mu.Unlock()
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
