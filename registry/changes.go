package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/portmesh/portmesh/remote"
)

// ErrNoMember: a family has no member.
var ErrNoMember = errors.New("no member")

// Changes returns the content of a family, soon and even if there is none, and
// then each change of it, until the loop is left:
//
//	for change, err := range reg.Changes(ctx, "workers") {
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// The loop ends by itself with an error: that of ctx, beside which there is
// [ErrNoMaster] if the family could not even be asked for; [remote.ErrClosed];
// or [ErrFamily], at once.
//
// It is [Registry.Monitor] for those who take their time. Nothing piles up
// behind a loop that is slow: it gets everything that has happened meanwhile as
// one change, in which a key that came and went does not show.
func (r *Registry) Changes(ctx context.Context, family string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		p := pending{more: make(chan struct{}, 1)}
		stop, err := r.Monitor(family, p.add)
		if err != nil {
			yield(Change{}, err)
			return
		}
		defer stop()
		for {
			select {
			case <-p.more:
				if c, ok := p.take(); ok && !yield(c, nil) {
					return
				}
				continue
			case <-ctx.Done():
			case <-r.ctx.Done():
			}
			yield(Change{}, r.waitError(ctx, family))
			return
		}
	}
}

// WaitFor waits until a family has a member, and returns the members: the
// content, as [Registry.Family] does. The error wraps that of ctx or
// [remote.ErrClosed], and tells by [ErrNoMaster] or [ErrNoMember] what was
// missing; or it is [ErrFamily].
func (r *Registry) WaitFor(ctx context.Context, family string) (map[string]any, error) {
	for c, err := range r.Changes(ctx, family) {
		switch {
		case errors.Is(err, ErrFamily):
			return nil, err
		case err != nil:
			return nil, r.noMember(ctx, family)
		case len(c.Content) > 0:
			return c.Content, nil
		}
	}
	panic("registry: Changes ended without an error")
}

// waitError tells why one who waits for a family has to stop.
func (r *Registry) waitError(ctx context.Context, family string) error {
	if r.ctx.Err() != nil {
		return fmt.Errorf("registry: family %q: %w", family, remote.ErrClosed)
	}
	if !r.connected() {
		return fmt.Errorf("registry: family %q: %w: %w", family, ErrNoMaster, context.Cause(ctx))
	}
	return fmt.Errorf("registry: family %q: %w", family, context.Cause(ctx))
}

// noMember tells why one who waits for a member has to stop.
func (r *Registry) noMember(ctx context.Context, family string) error {
	err := r.waitError(ctx, family)
	if errors.Is(err, remote.ErrClosed) || errors.Is(err, ErrNoMaster) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ErrNoMember)
}

// connected reports whether there is a global node to ask, be it this one.
func (r *Registry) connected() bool {
	if r.IsGlobal() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.master != ""
}

// pending is the change that a loop has not got to yet.
type pending struct {
	more chan struct{} // holds a token when there is one

	mu      sync.Mutex
	change  *Change
	merged  bool           // it stands for several: what is different has to be found out
	started bool           // the loop has had a content
	seen    map[string]any // which is this
}

// add is called by the monitor.
func (p *pending) add(c Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.merged = p.change != nil
	p.change = &c
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// take returns the change, if there is still any: a token may have come with one
// that was taken with the one before, and what has happened may be undone.
func (p *pending) take() (Change, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.change == nil {
		return Change{}, false
	}
	c := *p.change
	if p.merged {
		c = difference(p.seen, c.Content)
	}
	first := !p.started
	p.change, p.merged, p.started, p.seen = nil, false, true, c.Content
	return c, first || len(c.Added)+len(c.Changed)+len(c.Deleted) > 0
}

// difference is the change from one content to another.
func difference(from, to map[string]any) Change {
	c := Change{Content: to}
	for key, value := range to {
		if old, ok := from[key]; !ok {
			c.Added = append(c.Added, key)
		} else if !equal(old, value) {
			c.Changed = append(c.Changed, key)
		}
	}
	for key := range from {
		if _, ok := to[key]; !ok {
			c.Deleted = append(c.Deleted, key)
		}
	}
	return c
}
