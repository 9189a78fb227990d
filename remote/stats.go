package remote

import (
	"context"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/portmesh/portmesh/actor"
)

// LinkStats tells what has gone over the connection to a node.
type LinkStats struct {
	Node             actor.NodeID
	MessagesSent     int64 // accepted for sending
	MessagesReceived int64
	BytesSent        int64 // handed to the connection
	BytesReceived    int64
	PendingBytes     int // accepted and not yet handed to the connection
	Monitors         int // that the node has on ports here
}

// Stats returns a snapshot of all links, in the order of the nodes' IDs.
func (n *Node) Stats() []LinkStats {
	var stats []LinkStats
	for _, p := range n.allPeers() {
		p.mu.Lock()
		if p.link != nil {
			stats = append(stats, p.link.stats())
		}
		p.mu.Unlock()
	}
	slices.SortFunc(stats, func(a, b LinkStats) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return stats
}

// stats is called with the lock of the peer held.
func (l *link) stats() LinkStats {
	return LinkStats{
		Node:             l.peer.id,
		MessagesSent:     l.sent,
		MessagesReceived: l.received.Load(),
		BytesSent:        l.written,
		BytesReceived:    l.conn.Received(),
		PendingBytes:     len(l.pending),
		Monitors:         l.monitors.count(),
	}
}

// totals are what has gone over links that have ended.
type totals struct {
	mu    sync.Mutex
	ended LinkStats
	links int64 // that have come up
}

func (t *totals) up() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.links++
}

func (t *totals) down(s LinkStats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = t.ended.plus(s)
}

func (s LinkStats) plus(o LinkStats) LinkStats {
	s.MessagesSent += o.MessagesSent
	s.MessagesReceived += o.MessagesReceived
	s.BytesSent += o.BytesSent
	s.BytesReceived += o.BytesReceived
	return s
}

// startMetrics reports through the meter provider that protoactor-go has been
// given, if there is one. Nothing is measured beyond what Stats tells.
func (n *Node) startMetrics() error {
	provider := n.sys.Actors().Config.MetricsProvider
	if provider == nil {
		return nil
	}
	meter := provider.Meter("github.com/portmesh/portmesh/remote")
	var failed error
	counter := func(name, unit, text string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		if err != nil {
			failed = err
		}
		return c
	}
	gauge := func(name, unit, text string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
		if err != nil {
			failed = err
		}
		return g
	}
	var (
		links    = gauge("portmesh.links", "{link}", "connections to other nodes that are up")
		made     = counter("portmesh.links.made", "{link}", "connections that have come up")
		sent     = counter("portmesh.messages.sent", "{message}", "messages accepted for other nodes")
		received = counter("portmesh.messages.received", "{message}", "messages from other nodes")
		out      = counter("portmesh.bytes.sent", "By", "bytes sent to other nodes")
		in       = counter("portmesh.bytes.received", "By", "bytes received from other nodes")
		pending  = gauge("portmesh.pending", "By", "bytes that wait to be sent, over all links")
		monitors = gauge("portmesh.monitors", "{monitor}", "monitors that other nodes have on ports here")
	)
	if failed != nil {
		return failed
	}
	labels := metric.WithAttributes(attribute.String("node", string(n.ID())))
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		n.totals.mu.Lock()
		sum, count := n.totals.ended, n.totals.links
		n.totals.mu.Unlock()
		up := n.Stats()
		var bytes, watched int64
		for _, s := range up {
			sum = sum.plus(s)
			bytes += int64(s.PendingBytes)
			watched += int64(s.Monitors)
		}
		o.ObserveInt64(links, int64(len(up)), labels)
		o.ObserveInt64(made, count, labels)
		o.ObserveInt64(sent, sum.MessagesSent, labels)
		o.ObserveInt64(received, sum.MessagesReceived, labels)
		o.ObserveInt64(out, sum.BytesSent, labels)
		o.ObserveInt64(in, sum.BytesReceived, labels)
		o.ObserveInt64(pending, bytes, labels)
		o.ObserveInt64(monitors, watched, labels)
		return nil
	}, links, made, sent, received, out, in, pending, monitors)
	if err != nil {
		return err
	}
	context.AfterFunc(n.ctx, func() { registration.Unregister() })
	return nil
}
