package registry

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// What a lost global node has told of is not gone: its slaves live on, and look
// for another master. Until they have had the time to find one, what they had set
// stays, so that nobody is told of its going and coming again. That is so where
// other global nodes hold the part of the lost one (orphan), and where slaves hold
// copies of families (compare), since a master that has just been found may not
// have been found by all others yet.
//
// What belongs to the lost node itself goes with it, as far as that can be told:
// its ports do at once, since nobody should send to them any more; other keys,
// which tell nothing of their owners, when the time is up.

// takeoverTime is how long slaves have to find another master, if they have other
// seeds that are connected.
const takeoverTime = 5 * time.Second

// takeoverTime is how long other slaves may need to find the master that we have
// found. If that took us a while, it may take them longer: they try a seed anew
// after delays that double, up to a limit. If the master has come back, they have
// tried it for as long as we have; another one may have been gone before.
func (r *Registry) takeoverTime() time.Duration {
	switch {
	case r.lostAt.IsZero():
		return takeoverTime
	case r.lost == r.master:
		return takeoverTime + min(2*time.Since(r.lostAt), r.seedDelayMax)
	}
	return takeoverTime + r.seedDelayMax
}

// after calls f with the lock when that time has passed, unless the registry
// closes.
func (r *Registry) after(d time.Duration, f func()) {
	if r.ctx.Err() != nil {
		return
	}
	r.goroutines.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			f()
		case <-r.ctx.Done():
		}
	})
}

// orphan keeps the part of a global node that is lost, but for its ports.
func (r *Registry) orphan(node actor.NodeID) {
	for family, keys := range r.global.view.keys(node, false) {
		var ports []string
		for key := range keys {
			if isPortOf(node, key) {
				ports = append(ports, key)
			}
		}
		if len(ports) > 0 {
			r.spread(r.global.view.update(node, false, family, nil, ports))
		}
	}
	r.global.losses++
	loss := r.global.losses
	r.global.orphans[node] = loss
	r.after(takeoverTime, func() {
		if r.global.orphans[node] == loss { // it has not come back
			delete(r.global.orphans, node)
			r.spread(r.global.view.replace(node, false, nil))
		}
	})
}

// promoted drops the part of a slave that has become a global node and has told
// what it has as such: later, since others may not have heard that yet.
func (r *Registry) promoted(node actor.NodeID) {
	if r.global.view.keys(node, true) == nil {
		return
	}
	r.after(takeoverTime, func() {
		if !r.global.slaves[node] {
			r.spread(r.global.view.replace(node, true, nil))
		}
	})
}

func isPortOf(node actor.NodeID, key string) bool {
	return node != "" && strings.HasPrefix(key, string(node.Port("")))
}

// compare takes the content of a family as a new master has it. What it lacks
// stays in the copy for a while, unless it cannot come back.
func (r *Registry) compare(f *family, content map[string]any) {
	clear(f.lacking)
	for key, value := range f.content {
		f.dirty[key] = struct{}{}
		if _, ok := content[key]; !ok && !r.isGone(key) {
			content[key] = value
			f.lacking[key] = struct{}{}
		}
	}
	if len(f.lacking) == 0 {
		return
	}
	f.compared++
	compared := f.compared
	r.after(r.takeoverTime(), func() {
		if f.compared == compared {
			r.change(f, nil, slices.Collect(maps.Keys(f.lacking)))
		}
	})
}

// isGone reports whether a key that our master lacks is a port of the last one,
// which is lost, or of this one, which knows what it has.
func (r *Registry) isGone(key string) bool {
	return isPortOf(r.master, key) || r.up[r.lost] == nil && isPortOf(r.lost, key)
}
