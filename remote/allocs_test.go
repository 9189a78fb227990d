//go:build !race

// The race detector allocates as well; "make allocs" runs these tests without.

package remote_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

// On the whole way from a program to a handler on another node, a message costs
// few allocations, over both nodes together, whatever the size of the flood. How
// long it takes is not asserted; see docs/performance.md.
func TestAllocsPerMessage(t *testing.T) {
	text := strings.Repeat("x", 16)
	// The numbers are large enough not to be among the small ones for which Go
	// allocates nothing.
	const first, count = 1 << 20, 20_000
	for _, framing := range []aemp.Framing{aemp.MessagePack, aemp.CBOR, aemp.JSON} {
		tests := []struct {
			name string
			send func(sys *actor.System, to actor.PortID, n int64) error
			most float64
		}{
			// The receiver makes the message and its string; the sender made it too.
			{"typed", func(sys *actor.System, to actor.PortID, n int64) error { return sys.Send(to, &parcel{n, text}) }, 3},
			// The sender makes a box for each of the two arguments. The receiver
			// makes the same, and the list.
			{"list", func(sys *actor.System, to actor.PortID, n int64) error { return sys.Send(to, "letter", n, text) }, 5},
		}
		for _, tt := range tests {
			t.Run(framing.Name()+"/"+tt.name, func(t *testing.T) {
				m := newMesh(t)
				only := func(c *remote.Config) { c.Framings = []aemp.Framing{framing} }
				a, b := m.start("a", only), m.start("b", only)
				done := make(chan bool)
				arrived := func(n int64) error {
					if n == first+count-1 {
						done <- true
					}
					return nil
				}
				port := b.sys.Port(func(c *actor.Context) error {
					actor.On(c, func(_ *actor.Context, p parcel) error { return arrived(p.N) })
					c.Receive("letter", func(_ *actor.Context, m actor.Message) error {
						var n int64
						var text string
						if err := m.Scan(&n, &text); err != nil {
							return err
						}
						return arrived(n)
					})
					return nil
				})
				flood := func() {
					for n := range int64(count) {
						if err := tt.send(a.sys, port, first+n); err != nil {
							t.Fatal(err)
						}
					}
					<-done
				}
				flood() // buffers grow
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				flood()
				runtime.ReadMemStats(&after)
				each := float64(after.Mallocs-before.Mallocs) / count
				t.Logf("%.2f allocations, %.0f bytes", each, float64(after.TotalAlloc-before.TotalAlloc)/count)
				// Batches, timers and growing mailboxes take some, too.
				if each > tt.most+0.5 {
					t.Errorf("%.2f allocations for each message, want %v", each, tt.most)
				}
			})
		}
	}
}
