package logcatcher

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// function is what a collector calls on each node (section 10 of the protocol).
const function = "AnyEvent::MP::LogCatcher::connect"

// title is where records come from, in the words of Perl's AnyEvent::Log: a
// context.
const title = "Portmesh"

const (
	// maxWaiting bounds the records that wait to be sent; more are lost.
	maxWaiting = 1000
	// maxCollectors bounds how many ports get records.
	maxCollectors = 100
)

// A Handler hands log records to another handler and to all collectors. It may be
// used by any goroutine at any time, and never waits for the network.
type Handler struct {
	next   slog.Handler
	attrs  []attr
	prefix string // of the open groups
	out    *outlet
}

// NewHandler returns a Handler before another one, which decides by itself what it
// wants to see. Nil means that there is none.
func NewHandler(next slog.Handler) *Handler {
	if next == nil {
		next = slog.DiscardHandler
	}
	return &Handler{next: next, out: &outlet{}}
}

// collected marks the context of records that come from other nodes.
type collected struct{}

// Enabled reports whether anybody wants records of that level.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level) || ctx.Value(collected{}) == nil && h.out.wants(level)
}

// Handle hands the record on.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if ctx.Value(collected{}) == nil && h.out.wants(r.Level) {
		attrs := slices.Clone(h.attrs)
		r.Attrs(func(a slog.Attr) bool {
			attrs = appendAttr(attrs, h.prefix, a)
			return true
		})
		h.out.add(record{r.Time, r.Level, r.Message, attrs})
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs returns a Handler that adds attributes.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = appendAttr(with.attrs, h.prefix, a)
	}
	return &with
}

// WithGroup returns a Handler that puts a name before the keys that follow.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.next = h.next.WithGroup(name)
	with.prefix += name + "."
	return &with
}

// Serve lets other nodes collect what is logged through the handler and through
// those that were made of it. Call it before the system becomes a node: the others
// ask once, when they first hear of it. The error wraps [actor.ErrNameTaken].
func (h *Handler) Serve(sys *actor.System) error {
	var greetings sync.Map // of the nodes that are connected: NodeID to *aemp.Greeting
	events := sys.Actors().EventStream
	subscription := events.Subscribe(func(e any) {
		switch e := e.(type) {
		case remote.NodeUp:
			greetings.Store(e.Node, e.Greeting)
		case remote.NodeDown:
			greetings.Delete(e.Node)
		}
	})
	err := sys.RegisterCall(function, func(from actor.NodeID, args actor.Message) error {
		var version string
		var port actor.PortID
		level := 9
		if err := args.Scan(&version, &port, &level); err != nil {
			return err
		}
		if err := port.Validate(); err != nil {
			return err
		}
		c := &collector{port: port, scale: generation2, threshold: level}
		if g, ok := greetings.Load(port.Node()); ok {
			c.portmesh = g.(*aemp.Greeting).IsPortmesh()
			c.scale = scale(g.(*aemp.Greeting).Generation())
		}
		return h.out.connect(sys, c)
	})
	if err != nil {
		events.Unsubscribe(subscription)
	}
	return err
}

// A record is what is to be sent of a slog.Record.
type record struct {
	time    time.Time
	level   slog.Level
	message string
	attrs   []attr
}

// A collector is a port that wants records.
type collector struct {
	port      actor.PortID
	scale     scale
	threshold int  // on that scale
	portmesh  bool // it understands attributes
}

// message returns the record in the form that the collector expects, or false if
// it does not want it.
func (c *collector) message(r record) (actor.Message, bool) {
	number := c.scale.number(r.level)
	if number > c.threshold {
		return nil, false
	}
	if c.scale == generation1 {
		return actor.Message{number, text(r.message, r.attrs)}, true
	}
	seconds := float64(r.time.UnixMicro()) / 1e6
	if !c.portmesh {
		return actor.Message{seconds, title, number, text(r.message, r.attrs)}, true
	}
	list := []any{}
	for _, a := range r.attrs {
		list = append(list, a.key, a.value)
	}
	return actor.Message{seconds, title, number, r.message, list}, true
}

// An outlet sends records to collectors, from a goroutine that exists as long as
// there is something to be sent: those who log may hold locks that sending takes.
type outlet struct {
	mu         sync.Mutex
	sys        *actor.System
	collectors []*collector
	level      slog.Level // the least important that somebody wants
	queue      []record
	lost       int
	running    bool
}

// wants reports whether a collector may want records of the level.
func (o *outlet) wants(level slog.Level) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.collectors) > 0 && level >= o.level
}

// connect adds a collector, until it dies.
func (o *outlet) connect(sys *actor.System, c *collector) error {
	o.mu.Lock()
	if len(o.collectors) >= maxCollectors {
		o.mu.Unlock()
		return fmt.Errorf("logcatcher: there are %d collectors already", maxCollectors)
	}
	o.sys = sys
	o.collectors = append(o.collectors, c)
	o.update()
	o.mu.Unlock()
	sys.Monitor(c.port, func(actor.Reason) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.collectors = slices.DeleteFunc(slices.Clone(o.collectors), func(other *collector) bool { return other == c })
		o.update()
	})
	return nil
}

// update finds the least important level that is wanted. The caller holds the
// lock.
func (o *outlet) update() {
	o.level = slog.LevelError + 100
	for _, c := range o.collectors {
		o.level = min(o.level, c.least())
	}
}

// least is the least important level that the collector wants.
func (c *collector) least() slog.Level {
	if c.threshold >= 9 {
		return slog.LevelDebug - 1000
	}
	for _, l := range slices.Backward(levels) {
		if c.scale.number(l.level) <= c.threshold {
			return l.level
		}
	}
	return slog.LevelError + 100
}

func (o *outlet) add(r record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= maxWaiting {
		o.lost++
		return
	}
	o.queue = append(o.queue, r)
	if !o.running {
		o.running = true
		go o.run()
	}
}

func (o *outlet) run() {
	for {
		o.mu.Lock()
		queue := o.queue
		if o.lost > 0 {
			queue = append(queue, record{time.Now(), slog.LevelWarn, "log records were lost", []attr{{"count", int64(o.lost)}}})
		}
		o.queue, o.lost = nil, 0
		collectors, sys := o.collectors, o.sys
		o.running = len(queue) > 0
		o.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, r := range queue {
			for _, c := range collectors {
				if m, ok := c.message(r); ok {
					// An error tells that the node is closed or the
					// collector gone; a monitor tells, too.
					_ = sys.Send(c.port, m...)
				}
			}
		}
	}
}
