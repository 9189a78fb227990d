package registry

import (
	"maps"
	"slices"

	"github.com/portmesh/portmesh/actor"
)

// A Change tells what has happened to a family that is monitored.
type Change struct {
	// Content is the family as it is now. It must not be changed.
	Content map[string]any
	// Added, Changed and Deleted are the keys that came, got another value, and
	// went.
	Added, Changed, Deleted []string
}

// Monitor calls fn with the content of a family, soon and even if there is none,
// and then whenever it changes. (AEMP: db_mon.) A loss of the connection to the
// mesh is no change: what has changed meanwhile is told when there is a
// connection again, except that what is missing then is told of as deleted a few
// seconds later, because it may belong to nodes that have to find a connection as
// well.
//
// Such functions are called one after another. The returned function ends the
// monitor; fn is not called after it, unless it is running already.
//
// Changes that come while a function runs are told together in the next call, as
// the difference that remains of them. Each call copies the family once for all
// of its monitors.
func (r *Registry) Monitor(name string, fn func(Change)) (stop func(), err error) {
	if err := checkReadable(name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watch(r.copies, name, fn, func(f *family) {
		switch {
		case r.global != nil:
			r.content(f, r.global.view.content(name))
		case r.master != "":
			r.request(r.master, requestMonitor, name)
		}
	}, func() {
		if r.master != "" {
			r.request(r.master, requestEnd, name)
		}
	}), nil
}

// watch adds a watcher of one of the copies, which begins with the first one and
// ends with the last. The caller holds the lock.
func (r *Registry) watch(copies map[string]*family, name string, fn func(Change), begin func(*family), end func()) (stop func()) {
	w := &watcher{fn: fn}
	f := copies[name]
	if f == nil {
		f = &family{watchers: make(map[*watcher]bool), dirty: make(map[string]struct{}), lacking: make(map[string]struct{})}
		copies[name] = f
		begin(f)
	}
	f.watchers[w] = true
	r.deliver(f)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !f.watchers[w] {
			return
		}
		delete(f.watchers, w)
		if len(f.watchers) == 0 {
			delete(copies, name)
			end()
		}
	}
}

// A family is our copy of one that is monitored.
type family struct {
	known    bool                // content has come
	content  map[string]any      // as it is now
	shown    map[string]any      // as the watchers have seen it; never changed, but replaced
	dirty    map[string]struct{} // keys in which the two may differ
	coming   bool                // the watchers are about to be called
	watchers map[*watcher]bool

	// See compare.
	lacking  map[string]struct{} // keys that a new master did not have
	compared int                 // how often there were any
}

type watcher struct {
	fn   func(Change)
	told bool // has been called
}

// content takes the whole content of a family, if that is monitored: f may be nil.
func (r *Registry) content(f *family, content map[string]any) {
	if f == nil {
		return
	}
	r.compare(f, content)
	for key := range content {
		f.dirty[key] = struct{}{}
	}
	f.content, f.known = content, true
	r.deliver(f)
}

// change takes a change of a family, likewise.
func (r *Registry) change(f *family, set map[string]any, del []string) {
	if f == nil || !f.known {
		return
	}
	for key, value := range set {
		f.content[key] = value
		f.dirty[key] = struct{}{}
		delete(f.lacking, key)
	}
	for _, key := range del {
		delete(f.content, key)
		delete(f.lacking, key)
		f.dirty[key] = struct{}{}
	}
	r.deliver(f)
}

// deliver has the watchers called, later, with all that has changed by then: the
// copy that they get is made once for all, and the faster the changes come, the
// fewer copies are made.
func (r *Registry) deliver(f *family) {
	if f.coming || !f.known {
		return
	}
	f.coming = true
	r.callbacks.Run(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f.coming = false
		news := f.news()
		for w := range f.watchers {
			c := news
			if !w.told {
				w.told = true
				c = f.first()
			} else if news.empty() {
				continue
			}
			// What changes meanwhile is delivered behind these calls.
			r.callbacks.Run(func() {
				r.mu.Lock()
				there := f.watchers[w]
				r.mu.Unlock()
				if there {
					w.fn(c)
				}
			})
		}
	})
}

// news compares what is with what has been shown, and shows it.
func (f *family) news() Change {
	var c Change
	for key := range f.dirty {
		old, was := f.shown[key]
		value, is := f.content[key]
		switch {
		case is && !was:
			c.Added = append(c.Added, key)
		case was && !is:
			c.Deleted = append(c.Deleted, key)
		case is && !equal(old, value):
			c.Changed = append(c.Changed, key)
		}
	}
	clear(f.dirty)
	if !c.empty() {
		f.shown = maps.Clone(f.content)
	}
	c.Content = f.shown
	return c
}

// first is the change from nothing to what there is.
func (f *family) first() Change {
	return Change{Content: f.shown, Added: slices.Collect(maps.Keys(f.shown))}
}

func (c *Change) empty() bool { return len(c.Added)+len(c.Changed)+len(c.Deleted) == 0 }

func (r *Registry) onContent(from actor.NodeID, args actor.Message) error {
	name, content, _, err := changeOf(args)
	if err == nil {
		err = r.checkMaster(from)
	}
	if err != nil {
		return err
	}
	if content == nil {
		content = make(map[string]any)
	}
	r.content(r.copies[name], content)
	return nil
}

func (r *Registry) onChange(from actor.NodeID, args actor.Message) error {
	name, set, del, err := changeOf(args)
	if err == nil {
		err = r.checkMaster(from)
	}
	if err != nil {
		return err
	}
	r.change(r.copies[name], set, del)
	return nil
}
