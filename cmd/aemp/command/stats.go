package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
)

// functionStats answers with the statistics of a node. Those that "aemp run"
// runs know it.
const functionStats = "Portmesh::stats"

// Statistics of a node, as they travel: a list of the node's own, then one for
// each link.
type nodeStats struct {
	Node       actor.NodeID    `json:"node"`
	Uptime     float64         `json:"uptime"` // in seconds
	Processes  int             `json:"ports"`
	Goroutines int             `json:"goroutines"`
	Memory     int64           `json:"memory"` // in bytes, from the system
	Global     bool            `json:"global"`
	Links      []linkStatsJSON `json:"links"`
}

type linkStatsJSON struct {
	Node             actor.NodeID `json:"node"`
	MessagesSent     int64        `json:"messages_sent"`
	MessagesReceived int64        `json:"messages_received"`
	BytesSent        int64        `json:"bytes_sent"`
	BytesReceived    int64        `json:"bytes_received"`
	PendingBytes     int64        `json:"pending_bytes"`
	Monitors         int64        `json:"monitors"`
}

// statistics takes those of this node.
func statistics(reg *registry.Registry, started time.Time) nodeStats {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s := nodeStats{
		Node:       reg.Node().ID(),
		Uptime:     time.Since(started).Seconds(),
		Goroutines: runtime.NumGoroutine(),
		Memory:     int64(memory.Sys),
		Global:     reg.IsGlobal(),
		Links:      []linkStatsJSON{},
	}
	for _, shard := range reg.Node().System().Actors().ProcessRegistry.LocalPIDs.LocalPIDs {
		s.Processes += shard.Count()
	}
	for _, l := range reg.Node().Stats() {
		s.Links = append(s.Links, linkStatsJSON{
			l.Node, l.MessagesSent, l.MessagesReceived, l.BytesSent, l.BytesReceived, int64(l.PendingBytes), int64(l.Monitors),
		})
	}
	return s
}

// message is what travels.
func (s nodeStats) message() aemp.Message {
	m := aemp.Message{"1", s.Node, s.Uptime, s.Processes, s.Goroutines, s.Memory, s.Global}
	for _, l := range s.Links {
		m = append(m, []any{l.Node, l.MessagesSent, l.MessagesReceived, l.BytesSent, l.BytesReceived, l.PendingBytes, l.Monitors})
	}
	return m
}

// parseStats reads what has travelled.
func parseStats(m aemp.Message) (s nodeStats, err error) {
	const own = 7
	var version string
	if err := m.Scan(&version, &s.Node, &s.Uptime, &s.Processes, &s.Goroutines, &s.Memory, &s.Global); err != nil {
		return s, err
	}
	if version != "1" {
		return s, fmt.Errorf("statistics of version %s", version)
	}
	s.Links = []linkStatsJSON{}
	for _, v := range m[own:] {
		list, _ := v.([]any)
		var l linkStatsJSON
		if err := aemp.Message(list).Scan(&l.Node, &l.MessagesSent, &l.MessagesReceived, &l.BytesSent, &l.BytesReceived, &l.PendingBytes, &l.Monitors); err != nil {
			return s, err
		}
		s.Links = append(s.Links, l)
	}
	return s, nil
}

// serveStats answers other nodes.
func serveStats(reg *registry.Registry) error {
	started := time.Now()
	return reg.Node().System().RegisterCall(functionStats, func(_ actor.NodeID, args aemp.Message) error {
		var reply actor.PortID
		if err := args.Scan(&reply); err != nil {
			return err
		}
		return reg.Node().System().Send(reply, statistics(reg, started).message()...)
	})
}

// serveMetrics is the service metrics: the statistics in the text form that
// Prometheus reads.
func (n *runner) serveMetrics(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; choose another address: [\"metrics\",\"host:port\"]", err)
	}
	started := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		statistics(n.reg, started).writeMetrics(w)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.end(fmt.Errorf("service metrics: %w", err))
		}
	}()
	n.sys.Logger().Info("metrics are served", "url", "http://"+l.Addr().String()+"/metrics")
	n.stop = append(n.stop, func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		server.Shutdown(ctx)
		server.Close()
		<-done
	})
	return nil
}

// writeMetrics writes the text form; the names are those of the metrics that
// package remote reports.
func (s nodeStats) writeMetrics(w io.Writer) {
	node := "node=" + strconv.Quote(string(s.Node))
	single := func(name, kind, help string, value any) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s{%s} %v\n", name, help, name, kind, name, node, value)
	}
	single("portmesh_uptime_seconds", "gauge", "time since the start", s.Uptime)
	single("portmesh_ports", "gauge", "ports and other actors", s.Processes)
	single("portmesh_goroutines", "gauge", "goroutines", s.Goroutines)
	single("portmesh_memory_bytes", "gauge", "memory from the system", s.Memory)
	single("portmesh_links", "gauge", "connections to other nodes", len(s.Links))
	for _, m := range []struct {
		name, kind, help string
		value            func(linkStatsJSON) int64
	}{
		{"portmesh_messages_sent_total", "counter", "messages accepted for a node", func(l linkStatsJSON) int64 { return l.MessagesSent }},
		{"portmesh_messages_received_total", "counter", "messages from a node", func(l linkStatsJSON) int64 { return l.MessagesReceived }},
		{"portmesh_bytes_sent_total", "counter", "bytes sent to a node", func(l linkStatsJSON) int64 { return l.BytesSent }},
		{"portmesh_bytes_received_total", "counter", "bytes from a node", func(l linkStatsJSON) int64 { return l.BytesReceived }},
		{"portmesh_pending_bytes", "gauge", "bytes that wait to be sent to a node", func(l linkStatsJSON) int64 { return l.PendingBytes }},
		{"portmesh_monitors", "gauge", "monitors that a node has on ports here", func(l linkStatsJSON) int64 { return l.Monitors }},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, l := range s.Links {
			fmt.Fprintf(w, "%s{%s,peer=%s} %d\n", m.name, node, strconv.Quote(string(l.Node)), m.value(l))
		}
	}
}
