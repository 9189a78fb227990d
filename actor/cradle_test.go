package actor_test

import (
	"fmt"
	"sync"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
)

// Ports that are made at the same time, while others are restarted, have each
// the setup that was given for it.
func TestPortsAtTheSameTime(t *testing.T) {
	sys := newSystem(t)
	const goroutines, each = 8, 300
	var ready sync.WaitGroup
	for g := range goroutines {
		ready.Add(1)
		go func() {
			defer ready.Done()
			for i := range each {
				id := fmt.Sprint(g, ".", i)
				got := make(chan string, 2)
				setup := func(c *actor.Context) error {
					got <- fmt.Sprint(id, c.Self())
					return nil
				}
				var port actor.PortID
				switch i % 3 {
				case 0:
					port = sys.Port(setup)
				case 1:
					port = sys.Port(setup, actor.Mailbox{Size: 1})
				default:
					port, _ = sys.NamedPort(id, setup)
				}
				restart(t, sys, port)
				for range 2 {
					if m, want := <-got, fmt.Sprint(id, port); m != want {
						t.Errorf("setup of %s ran for %s", m, want)
					}
				}
				if _, err := sys.NamedPort(port.Name(), nil); err == nil {
					t.Errorf("the name of %s was given twice", port)
				}
			}
		}()
	}
	ready.Wait()
}

// restart has protoactor-go restart a port.
func restart(t *testing.T, sys *actor.System, port actor.PortID) {
	process, ok := sys.Actors().ProcessRegistry.GetLocal(port.Name())
	if !ok {
		t.Errorf("%s is not there", port)
		return
	}
	process.SendSystemMessage(sys.PID(port), &proto.Restart{})
}

// A port that is restarted begins anew, under the same ID, and stays alive for
// its monitors. What it held has ended.
func TestRestartedPort(t *testing.T) {
	sys := newSystem(t)
	other, _ := collector(sys)
	told := make(chan int, 10)
	setups := make(chan int, 10)
	count := 0
	port := sys.Port(func(c *actor.Context) error {
		count++
		mine := count
		setups <- mine
		c.Monitor(other, func(actor.Reason) { told <- mine })
		c.Receive("which", func(c *actor.Context, m actor.Message) error { return c.Respond(mine, c.Self()) })
		return nil
	})
	died := monitored(sys, port)
	next(t, setups)
	for want := 2; want <= 3; want++ {
		restart(t, sys, port)
		if n := next(t, setups); n != want {
			t.Errorf("setup %d ran, want %d", n, want)
		}
		answer, err := sys.Call(t.Context(), port, "which")
		if err != nil {
			t.Fatal(err)
		}
		wantMessage(t, answer, want, port)
	}
	sys.Kill(other)
	if n := next(t, told); n != 3 || len(told) > 0 {
		t.Errorf("monitor %d fired and %d others, want only that of the last", n, len(told))
	}
	sys.Kill(port, "over")
	wantReason(t, next(t, died), "over")
}
