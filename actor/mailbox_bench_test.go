package actor_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// The mailboxes and dispatchers that are compared: protoactor-go's and ours.
var (
	mailboxes = []struct {
		name     string
		producer func() proto.MailboxProducer
	}{
		{"proto", func() proto.MailboxProducer { return proto.Unbounded() }},
		{"ours", func() proto.MailboxProducer { return actor.Mailbox{}.Producer() }},
		{"bounded", func() proto.MailboxProducer { return actor.Mailbox{Size: 1 << 30}.Producer() }},
	}
	dispatchers = []struct {
		name string
		make func() proto.Dispatcher
	}{
		{"proto", func() proto.Dispatcher { return proto.NewDefaultDispatcher(300) }},
		{"ours", func() proto.Dispatcher { return actor.NewDispatcher(0) }},
	}
)

// quietSystem returns a protoactor-go system that does not log.
func quietSystem() *proto.ActorSystem {
	return actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler))).Actors()
}

// benchmark runs b with each mailbox on each dispatcher.
func benchmark(b *testing.B, run func(b *testing.B, root *proto.RootContext, opts ...proto.PropsOption)) {
	for _, m := range mailboxes {
		for _, d := range dispatchers {
			b.Run("mailbox="+m.name+"/dispatcher="+d.name, func(b *testing.B) {
				b.ReportAllocs()
				run(b, quietSystem().Root, proto.WithMailbox(m.producer()), proto.WithDispatcher(d.make()))
			})
		}
	}
}

// A ball is what the players send to each other. It goes there and back rounds
// times.
type ball struct {
	from   *proto.PID
	rounds int
	done   *sync.WaitGroup
}

// player returns the ball to whoever it came from.
func player(c proto.Context) {
	if b, ok := c.Message().(*ball); ok {
		to := b.from
		b.from = c.Self()
		if b.rounds--; b.rounds < 0 {
			b.done.Done()
			return
		}
		c.Send(to, b)
	}
}

// One operation is a message there and one back, for each pair.
func BenchmarkPingPong(b *testing.B) {
	for _, pairs := range []int{1, 64} {
		b.Run(fmt.Sprintf("pairs=%d", pairs), func(b *testing.B) {
			benchmark(b, func(b *testing.B, root *proto.RootContext, opts ...proto.PropsOption) {
				props := proto.PropsFromFunc(player, opts...)
				var done sync.WaitGroup
				for i := range pairs {
					rounds := b.N / pairs
					if i < b.N%pairs {
						rounds++
					}
					done.Add(1)
					left, right := root.Spawn(props), root.Spawn(props)
					defer root.Stop(left)
					defer root.Stop(right)
					root.Send(left, &ball{from: right, rounds: 2 * rounds, done: &done})
				}
				done.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "roundtrips/s")
			})
		})
	}
}

// One operation is one message, of many that are sent without waiting.
func BenchmarkFlood(b *testing.B) {
	for _, senders := range []int{1, 2} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			benchmark(b, func(b *testing.B, root *proto.RootContext, opts ...proto.PropsOption) {
				var done sync.WaitGroup
				left := b.N
				done.Add(1)
				pid := root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
					if _, ok := c.Message().(actor.Message); ok {
						if left--; left == 0 {
							done.Done()
						}
					}
				}, opts...))
				defer root.Stop(pid)
				var msg any = actor.Message{"a"}
				for i := range senders {
					go func() {
						n := b.N / senders
						if i < b.N%senders {
							n++
						}
						for range n {
							root.Send(pid, msg)
						}
					}()
				}
				done.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		})
	}
}

// One operation makes an idle actor; what it holds is reported beside.
func BenchmarkSpawn(b *testing.B) {
	benchmark(b, func(b *testing.B, root *proto.RootContext, opts ...proto.PropsOption) {
		props := proto.PropsFromFunc(func(proto.Context) {}, opts...)
		before := inUse()
		pids := make([]*proto.PID, 0, 1024)
		for b.Loop() {
			pids = append(pids, root.Spawn(props))
		}
		for _, pid := range pids {
			root.RequestFuture(pid, &proto.Touch{}, -1).Wait()
		}
		b.ReportMetric(float64(inUse()-before)/float64(len(pids)), "bytes/actor")
		for _, pid := range pids {
			root.Stop(pid)
		}
	})
}

// inUse returns the memory in use, but for garbage and for the stacks of
// goroutines, which no idle actor has.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
