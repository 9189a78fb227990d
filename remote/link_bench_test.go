package remote_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// A parcel is the message of benchmarks.
type parcel struct {
	N    int64
	Text string
}

var _ = actor.Bind[parcel]("parcel")

// benchmarkLinks runs b over links of several kinds between two nodes of this
// process.
func benchmarkLinks(b *testing.B, run func(b *testing.B, from, to *actor.System)) {
	for _, f := range []aemp.Framing{aemp.MessagePack, aemp.CBOR, aemp.JSON, aemp.Storable} {
		for _, encrypted := range []bool{false, true} {
			b.Run(fmt.Sprintf("framing=%s/tls=%v", f.Name(), encrypted), func(b *testing.B) {
				m := newMesh(b)
				change := []func(*remote.Config){func(c *remote.Config) { c.Framings = []aemp.Framing{f} }}
				if encrypted {
					change = append(change, withTLS(b, certificate(b)))
				}
				from, to := m.start("a", change...), m.start("b", change...)
				from.connect(b, to)
				b.ReportAllocs()
				run(b, from.sys, to.sys)
			})
		}
	}
}

// One operation is one message, of many that are sent without waiting.
func BenchmarkLinkFlood(b *testing.B) {
	text := strings.Repeat("x", 16)
	benchmarkLinks(b, func(b *testing.B, from, to *actor.System) {
		done := make(chan bool)
		port := to.Port(func(c *actor.Context) error {
			actor.On(c, func(_ *actor.Context, p parcel) error {
				if p.N == int64(b.N)-1 {
					done <- true
				}
				return nil
			})
			return nil
		})
		b.ResetTimer()
		for n := range int64(b.N) {
			if err := from.Send(port, &parcel{n, text}); err != nil {
				b.Fatal(err)
			}
		}
		<-done
	})
}

// One operation is one message there and one back.
func BenchmarkLinkRoundTrip(b *testing.B) {
	text := strings.Repeat("x", 16)
	benchmarkLinks(b, func(b *testing.B, from, to *actor.System) {
		done := make(chan bool)
		var there, here actor.PortID
		here = from.Port(func(c *actor.Context) error {
			actor.On(c, func(c *actor.Context, p parcel) error {
				if p.N == 0 {
					done <- true
					return nil
				}
				return c.Send(there, &parcel{p.N - 1, text})
			})
			return nil
		})
		there = to.Port(func(c *actor.Context) error {
			actor.On(c, func(c *actor.Context, p parcel) error { return c.Send(here, &p) })
			return nil
		})
		b.ResetTimer()
		if err := from.Send(there, &parcel{int64(b.N) - 1, text}); err != nil {
			b.Fatal(err)
		}
		<-done
	})
}
