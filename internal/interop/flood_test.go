package interop_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// A reading is what the floods are made of.
type reading struct {
	N    int64
	Text string
}

var _ = actor.Bind[reading]("reading")

// A flood of messages from a Perl node to ours, and from ours to a Perl node: how
// fast it goes, and how much processor time a message costs on either side, in
// microseconds. Each side sends and receives in the way that is usual there.
//
//	PORTMESH_PERL=... go test -run '^$' -bench Flood -benchtime 300000x ./internal/interop
func BenchmarkFloodFromPerl(b *testing.B) { flood(b, (*flooded).fromPerl) }
func BenchmarkFloodToPerl(b *testing.B)   { flood(b, (*flooded).toPerl) }

func flood(b *testing.B, run func(*flooded, *testing.B)) {
	for _, perl := range perltest.All(b) {
		framings := []string{"json", "cbor"}
		if perl.Generation() == 1 {
			framings = framings[:1]
		}
		for _, framing := range framings {
			// Perl writes each message by itself, unless it is told to gather them.
			for _, autocork := range []string{"0", "1"} {
				b.Run(fmt.Sprintf("%s/%s/autocork=%s", perl.Name(), framing, autocork), func(b *testing.B) {
					run(startFlooded(b, perl, framing, autocork), b)
				})
			}
		}
	}
}

// flooded is a Perl node with a node of ours for it to talk to.
type flooded struct {
	sys *actor.System
}

func startFlooded(b *testing.B, perl perltest.Perl, framing, autocork string) *flooded {
	sys := actor.NewSystem()
	r, err := registry.Start(b.Context(), sys, remote.Config{NodeID: "go", Secret: secret, Listen: []string{"127.0.0.1:0"}}, registry.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	proctest.StartCommand(b, perl.Command("testdata/flood.pl", r.Node().Addresses()[0], secret, framing, autocork))
	if err := r.Node().Connect(b.Context(), "perl"); err != nil {
		b.Fatal(err)
	}
	return &flooded{sys}
}

func (f *flooded) fromPerl(b *testing.B) {
	done := make(chan struct{})
	left := int64(b.N)
	port := f.sys.Port(func(c *actor.Context) error {
		actor.On(c, func(_ *actor.Context, r reading) error {
			if r.N != left {
				return fmt.Errorf("out of order: got %d, want %d", r.N, left)
			}
			if left--; left == 0 {
				close(done)
			}
			return nil
		})
		return nil
	})
	f.measure(b, func() {
		f.sys.Spawn("perl", "Flood::out", port, b.N)
		f.wait(b, port, done)
	})
}

func (f *flooded) toPerl(b *testing.B) {
	done := make(chan struct{})
	self := f.sys.Port(func(c *actor.Context) error {
		c.Receive("done", func(*actor.Context, actor.Message) error { close(done); return nil })
		return nil
	})
	f.measure(b, func() {
		sink := f.sys.Spawn("perl", "Flood::in", self, b.N)
		for n := b.N; n > 0; n-- {
			if err := f.sys.Send(sink, &reading{int64(n), "sixteen bytes..."}); err != nil {
				b.Fatal(err)
			}
		}
		f.wait(b, sink, done)
	})
}

func (f *flooded) wait(b *testing.B, port actor.PortID, done <-chan struct{}) {
	died := make(chan actor.Reason, 1)
	stop := f.sys.Monitor(port, func(r actor.Reason) { died <- r })
	defer stop()
	select {
	case <-done:
	case r := <-died:
		b.Fatalf("%s died: %v", port, r)
	}
}

// measure runs the flood and reports what it cost.
func (f *flooded) measure(b *testing.B, run func()) {
	ours, theirs, begin := usage(b), f.usage(b), time.Now()
	b.ResetTimer()
	run()
	b.StopTimer()
	took := time.Since(begin)
	theirs = f.usage(b) - theirs
	ours = usage(b) - ours
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(b.N) }
	b.ReportMetric(float64(b.N)/took.Seconds(), "msgs/s")
	b.ReportMetric(each(ours), "µs-Go/msg")
	b.ReportMetric(each(theirs), "µs-Perl/msg")
	b.ReportMetric(float64(theirs)/float64(ours), "Perl/Go")
}

// usage returns the processor time that this process has used.
func usage(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// usage returns the processor time that the Perl process has used.
func (f *flooded) usage(b *testing.B) time.Duration {
	answer, err := f.sys.Call(b.Context(), "perl", "eval", "my @t = times; 0 + $t[0] + $t[1]")
	if err != nil {
		b.Fatal(err)
	}
	var problem string
	var seconds float64
	if err := answer.Scan(&problem, &seconds); err != nil || problem != "" {
		b.Fatal(problem, err)
	}
	return time.Duration(seconds * float64(time.Second))
}
