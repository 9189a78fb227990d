package registry

import (
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
// mesh is no change: what has changed meanwhile is told in one call when there
// is a connection again.
//
// Such functions are called one after another. The returned function ends the
// monitor; fn is not called after it, unless it is running already.
func (r *Registry) Monitor(name string, fn func(Change)) (stop func(), err error) {
	if err := checkFamily(name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &watcher{fn: fn}
	f := r.copies[name]
	if f == nil {
		f = &family{watchers: make(map[*watcher]bool)}
		r.copies[name] = f
		f.watchers[w] = true
		switch {
		case r.global:
			r.content(name, copyOf(r.all.seen[name]))
		case r.master != "":
			r.request(r.master, requestMonitor, name)
		}
	} else {
		f.watchers[w] = true
		if f.known {
			r.tell(w, f.first())
		}
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !f.watchers[w] {
			return
		}
		w.ended = true
		delete(f.watchers, w)
		if len(f.watchers) == 0 {
			delete(r.copies, name)
			if r.master != "" {
				r.request(r.master, requestEnd, name)
			}
		}
	}, nil
}

// A family is our copy of one that is monitored.
type family struct {
	content  map[string]any // never changed, but replaced
	known    bool           // content has come
	watchers map[*watcher]bool
}

type watcher struct {
	fn    func(Change)
	ended bool
}

// first is the change from nothing to what there is.
func (f *family) first() Change {
	c := Change{Content: f.content}
	for key := range f.content {
		c.Added = append(c.Added, key)
	}
	return c
}

// tell calls a watcher, later. The caller holds the lock.
func (r *Registry) tell(w *watcher, c Change) {
	r.callbacks.Run(func() {
		r.mu.Lock()
		ended := w.ended
		r.mu.Unlock()
		if !ended {
			w.fn(c)
		}
	})
}

// content takes the whole content of a family, and tells what is different from
// the copy.
func (r *Registry) content(name string, content map[string]any) {
	f := r.copies[name]
	if f == nil {
		return
	}
	c := Change{Content: content}
	for key, value := range content {
		if old, ok := f.content[key]; !ok {
			c.Added = append(c.Added, key)
		} else if !equal(old, value) {
			c.Changed = append(c.Changed, key)
		}
	}
	for key := range f.content {
		if _, ok := content[key]; !ok {
			c.Deleted = append(c.Deleted, key)
		}
	}
	known := f.known
	f.content, f.known = content, true
	if known && len(c.Added)+len(c.Changed)+len(c.Deleted) == 0 {
		return
	}
	for w := range f.watchers {
		r.tell(w, c)
	}
}

// change takes a change of a family.
func (r *Registry) change(name string, set map[string]any, del []string) {
	f := r.copies[name]
	if f == nil || !f.known {
		return
	}
	content := copyOf(f.content)
	for key, value := range set {
		content[key] = value
	}
	for _, key := range del {
		delete(content, key)
	}
	r.content(name, content)
}

func (r *Registry) onMonitor(from actor.NodeID, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	r.becomeGlobal()
	if r.watched[name] == nil {
		r.watched[name] = make(map[actor.NodeID]bool)
	}
	r.watched[name][from] = true
	r.request(from, requestContent, name, nullable(copyOf(r.all.seen[name])))
	return nil
}

func (r *Registry) onEnd(from actor.NodeID, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	delete(r.watched[name], from)
	if len(r.watched[name]) == 0 {
		delete(r.watched, name)
	}
	return nil
}

func (r *Registry) onContent(from actor.NodeID, args actor.Message) error {
	name, content, _, err := changeOf(args)
	if err != nil {
		return err
	}
	if from == r.master {
		r.content(name, copyOf(content))
	}
	return nil
}

func (r *Registry) onChange(from actor.NodeID, args actor.Message) error {
	name, set, del, err := changeOf(args)
	if err != nil {
		return err
	}
	if from == r.master {
		r.change(name, set, del)
	}
	return nil
}
