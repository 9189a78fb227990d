package logcatcher

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// familyAddresses is the family of all nodes that listen.
const familyAddresses = "'l"

// again is how long to wait before a node is asked again whose connection was
// lost.
const again = time.Second

// Collect asks every other node of the mesh for its log records of at least that
// level, and hands them to the handler: the nodes that are connected, those that
// the database knows, and all that come up later. The returned function ends
// that.
//
// The handler is called by one goroutine for each node.
func Collect(reg *registry.Registry, level slog.Level, handler slog.Handler) (stop func(), err error) {
	c := &catcher{
		reg:     reg,
		sys:     reg.Node().System(),
		level:   level,
		handler: handler,
		sources: make(map[actor.NodeID]*source),
	}
	subscription := c.sys.Actors().EventStream.Subscribe(func(e any) {
		if up, ok := e.(remote.NodeUp); ok {
			c.add(up.Node, false)
		}
	})
	stopMonitor, err := reg.Monitor(familyAddresses, func(change registry.Change) {
		for _, key := range change.Deleted {
			c.forget(actor.NodeID(key))
		}
		for _, key := range change.Added {
			c.add(actor.NodeID(key), true)
		}
	})
	if err != nil {
		c.sys.Actors().EventStream.Unsubscribe(subscription)
		return nil, fmt.Errorf("logcatcher: %w", err)
	}
	for _, node := range reg.Node().Nodes() {
		c.add(node, false)
	}
	return func() {
		c.sys.Actors().EventStream.Unsubscribe(subscription)
		stopMonitor()
		c.close()
	}, nil
}

// A catcher is a collection.
type catcher struct {
	reg     *registry.Registry
	sys     *actor.System
	level   slog.Level
	handler slog.Handler

	mu      sync.Mutex
	closed  bool
	sources map[actor.NodeID]*source
}

// A source is a node that is asked for records.
type source struct {
	port   actor.PortID // empty while the node is down
	listed bool         // the database knows it, so that it is asked again
	retry  *time.Timer
}

// add asks a node, unless it has been.
func (c *catcher) add(node actor.NodeID, listed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || node == c.reg.Node().ID() {
		return
	}
	s := c.sources[node]
	if s == nil {
		s = &source{}
		c.sources[node] = s
	}
	s.listed = s.listed || listed
	if s.port != "" {
		return
	}
	if s.retry != nil {
		s.retry.Stop()
	}
	s.port = c.sys.Port(func(ctx *actor.Context) error {
		ctx.Default(func(_ *actor.Context, m actor.Message) error {
			c.receive(node, m)
			return nil
		})
		return nil
	})
	generation := generation2
	if g := c.reg.Node().Greeting(node); g != nil {
		generation = scale(g.Generation())
	}
	port := s.port
	threshold := generation.number(c.level)
	// The caller may be a reader of a connection, and Request and Monitor do
	// not wait. The monitor comes second: it would fire at once for a node that
	// cannot be reached.
	if err := c.reg.Node().Request(node, function, 0, port, threshold); err != nil {
		c.sys.Logger().Warn("node cannot be asked for its log", "peer", node, "err", err)
	}
	c.sys.Monitor(node.NodePort(), func(actor.Reason) { c.lost(node, port) })
}

// lost forgets the port of a node whose connection has ended. If the node still
// exists, the next attempt makes a new one.
func (c *catcher) lost(node actor.NodeID, port actor.PortID) {
	c.sys.Kill(port)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sources[node]
	if s == nil || s.port != port {
		return
	}
	s.port = ""
	if !s.listed {
		delete(c.sources, node)
		return
	}
	if !c.closed {
		s.retry = time.AfterFunc(again, func() { c.add(node, true) })
	}
}

// forget is for nodes that the database does not know any more. One that is
// connected is still a source.
func (c *catcher) forget(node actor.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sources[node]
	if s == nil {
		return
	}
	s.listed = false
	if s.port == "" {
		s.retry.Stop()
		delete(c.sources, node)
	}
}

func (c *catcher) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, s := range c.sources {
		if s.retry != nil {
			s.retry.Stop()
		}
		if s.port != "" {
			c.sys.Kill(s.port)
		}
	}
	clear(c.sources)
}

// receive hands a record to the handler. One that makes no sense is shown as it
// is.
func (c *catcher) receive(node actor.NodeID, m actor.Message) {
	r := parse(m)
	ctx := context.WithValue(context.Background(), collected{}, true)
	if !c.handler.Enabled(ctx, r.Level) {
		return
	}
	r.AddAttrs(slog.String("node", string(node)))
	_ = c.handler.Handle(ctx, r) // who writes logs has nobody to tell
}

// parse reads a record in the form of either generation.
func parse(m actor.Message) slog.Record {
	var number int
	var text string
	if len(m) == 2 && m.Scan(&number, &text) == nil {
		return slog.NewRecord(time.Now(), generation1.level(number), strings.TrimSuffix(text, "\n"), 0)
	}
	var seconds float64
	var where string
	if len(m) < 4 || m.Scan(&seconds, &where, &number, &text) != nil || math.IsNaN(seconds) || math.Abs(seconds) > math.MaxInt32 {
		return slog.NewRecord(time.Now(), slog.LevelWarn, "log record is not understood: "+m.String(), 0)
	}
	r := slog.NewRecord(time.UnixMicro(int64(seconds*1e6)), generation2.level(number), strings.TrimSuffix(text, "\n"), 0)
	if where != title {
		r.AddAttrs(slog.String("context", where))
	}
	if len(m) > 4 {
		if list, ok := m[4].([]any); ok {
			for i := 0; i+1 < len(list); i += 2 {
				var key string
				if aemp.Convert(&key, list[i]) == nil {
					r.AddAttrs(slog.Any(key, list[i+1]))
				}
			}
		}
	}
	return r
}
