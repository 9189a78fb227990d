package remote_test

import (
	"context"
	"log/slog"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

func TestStats(t *testing.T) {
	m := newMesh(t)
	a, b := m.start("a"), m.start("b")
	port, got := b.collector()
	self, back := a.collector()
	a.monitored(port)
	for range 10 {
		a.sys.Send(port, "x")
		next(t, got)
	}
	b.sys.Send(self, "answer")
	next(t, back)
	stats := a.Stats()
	if len(stats) != 1 {
		t.Fatalf("got %+v", stats)
	}
	s := stats[0]
	if s.Node != "b" || s.MessagesSent != 11 || s.MessagesReceived != 1 || s.BytesSent == 0 || s.BytesReceived == 0 || s.PendingBytes != 0 || s.Monitors != 0 {
		t.Errorf("a: got %+v", s)
	}
	if s := b.Stats()[0]; s.Node != "a" || s.Monitors != 1 || s.MessagesReceived != 11 {
		t.Errorf("b: got %+v", s)
	}
}

// What has gone over links is reported by the meter provider of the system, and
// stays when the links are gone.
func TestMetrics(t *testing.T) {
	reader := sdk.NewManualReader()
	sys := actor.NewSystem(
		actor.WithLogger(slog.New(slog.DiscardHandler)),
		actor.WithProtoOptions(proto.WithMetricProviders(sdk.NewMeterProvider(sdk.WithReader(reader)))),
	)
	mesh := newMesh(t)
	b := mesh.start("b")
	node, err := remote.Start(t.Context(), sys, remote.Config{NodeID: "measured", Secret: secret, Resolve: mesh.resolve})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	value := func(name string) int64 {
		var data metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &data); err != nil {
			t.Fatal(err)
		}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name != name {
					continue
				}
				switch d := m.Data.(type) {
				case metricdata.Sum[int64]:
					return d.DataPoints[0].Value
				case metricdata.Gauge[int64]:
					return d.DataPoints[0].Value
				}
			}
		}
		t.Fatalf("there is no metric %q", name)
		return 0
	}
	port, got := b.collector()
	for range 5 {
		sys.Send(port, "x")
		next(t, got)
	}
	if links, sent := value("portmesh.links"), value("portmesh.messages.sent"); links != 1 || sent != 5 {
		t.Errorf("got %d links and %d messages, want 1 and 5", links, sent)
	}
	died := make(chan actor.Reason, 1)
	sys.Monitor("b", func(r actor.Reason) { died <- r })
	b.Close()
	next(t, died)
	if links, made, bytes := value("portmesh.links"), value("portmesh.links.made"), value("portmesh.bytes.sent"); links != 0 || made != 1 || bytes == 0 {
		t.Errorf("got %d links, %d made, %d bytes", links, made, bytes)
	}
}
