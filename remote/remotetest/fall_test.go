package remotetest_test

import (
	"strings"
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/remote"
	"github.com/portmesh/portmesh/remote/remotetest"
)

// A slowProcess takes a while to take a message.
type slowProcess struct{ taken *record }

func (p slowProcess) SendUserMessage(*proto.PID, any) {
	time.Sleep(time.Second)
	p.taken.add("fired")
}

func (slowProcess) SendSystemMessage(*proto.PID, any) {}
func (slowProcess) Stop(*proto.PID)                   {}

// When a peer is given up for two reasons at the same moment (the connection
// attempt ends, and so does the patience of a sender), life must not go on
// before all monitors have fired.
func TestGivenUpTwice(t *testing.T) {
	for range 20 {
		inBubble(t, func(t *testing.T, mesh *remotetest.Mesh) {
			a := mesh.Start("a", remotetest.WithConfig(func(c *remote.Config) { c.PendingBytes = 1000 }))
			b := mesh.Start("b")
			port, in := newInbox(b)
			fired := &record{}
			a.System().Actors().ProcessRegistry.Add(slowProcess{fired}, "slow")
			mesh.Partition(group{"a"}, group{"b"})
			a.System().MonitorMessage(port, "a#slow")
			a.System().Send(port, strings.Repeat("x", 2000))
			go a.System().Send(port, "waits for room")
			time.Sleep(30*time.Second + 10*time.Millisecond)
			mesh.Heal()
			a.System().Send(port, "later")
			time.Sleep(10 * time.Second)
			messages, at := in.take()
			if _, when := fired.take(); len(when) != 1 || len(at) == 0 || at[0].Before(when[0]) {
				t.Errorf("got messages %.30q at %v, and the monitor fired at %v", messages, at, when)
			}
		})
	}
}
