package conformance

import (
	"testing"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

// A request that is forwarded over several nodes reaches the last of them as
// it was sent, with the reply port once.
func TestForwardAcrossNodesKeepsTheMessage(t *testing.T) {
	w := twoNodes(t)
	got := make(chan actor.Message, 1)
	target := w.near.spawn(func(c proto.Context) {
		if m, ok := c.Message().(actor.Message); ok {
			got <- m
			c.Respond(msg("done"))
		}
	})
	proxy := w.far.spawn(func(c proto.Context) {
		if tag(c) != "" {
			c.Forward(target)
		}
	})
	f := w.near.RequestFuture(proxy, msg("job", 1), patience)
	wantResult(t, f, "done")
	if got, want := next(t, got), msg("job", 1, actor.PortOf(f.PID())); got.String() != want.String() {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Headers have no form on the wire. The message arrives, and a warning tells.
func TestHeadersAcrossNodes(t *testing.T) {
	w := twoNodes(t)
	sign := func(next proto.SenderFunc) proto.SenderFunc {
		return func(c proto.SenderContext, target *proto.PID, e *proto.MessageEnvelope) {
			e.SetHeader("signed", "by me")
			next(c, target, e)
		}
	}
	pid, d := w.far.recorder()
	proto.NewRootContext(w.near.ActorSystem(), nil, sign).Send(pid, msg("hello"))
	d.want("Started", `["hello"]`)
	w.near.wantWarning("message headers are not sent")
}

// A desk is a process of its own kind, as the routers of protoactor-go are: it
// knows of watchers although no actor stands behind its address.
type desk struct {
	s       *side
	watcher chan *proto.PID
}

func (desk) SendUserMessage(*proto.PID, any) {}

func (k desk) SendSystemMessage(_ *proto.PID, m any) {
	if watch, ok := m.(*proto.Watch); ok {
		k.watcher <- watch.Watcher
	}
}

func (k desk) Stop(pid *proto.PID) {
	var watcher *proto.PID
	select {
	case watcher = <-k.watcher:
	case <-time.After(patience):
		return
	}
	k.s.sys.Actors().ProcessRegistry.Remove(pid)
	if process, ok := k.s.sys.Actors().ProcessRegistry.Get(watcher); ok {
		process.SendSystemMessage(watcher, &proto.Terminated{Who: pid})
	}
}

// Processes that are no actors can be watched like actors.
func TestWatchProcess(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		pid, _ := w.far.sys.Actors().ProcessRegistry.Add(desk{w.far, make(chan *proto.PID, 10)}, "desk")
		w.near.tell(t, w.near.watcher(d), "watch", address(pid))
		w.settleBoth(t)
		w.near.Stop(address(pid))
		d.want("Terminated desk: Stopped")
	})
}

// A process that takes its time to stop does not hold up what comes from the
// node that stops it.
func TestSlowStopHoldsUpNobody(t *testing.T) {
	w := twoNodes(t)
	k := desk{w.far, make(chan *proto.PID)} // it stops when it is watched
	pid, _ := w.far.sys.Actors().ProcessRegistry.Add(k, "desk")
	w.near.Stop(address(pid))
	w.settleBoth(t)
	k.watcher <- proto.NewPID("far", "nobody") // now it stops
}

// An actor that is older than its node is answered like any other.
func TestActorFromBeforeTheNode(t *testing.T) {
	far, near := newSide(t), newSide(t)
	far.start(remote.Config{NodeID: "far", Listen: []string{"127.0.0.1:0"}})
	server := far.spawn(echo)
	d := newDiary(t)
	early := near.spawn(func(c proto.Context) {
		switch tag(c) {
		case "go":
			c.Request(server, msg("hello"))
		case "echo":
			d.Receive(c)
		}
	})
	near.start(remote.Config{NodeID: "near", Seeds: far.node.Addresses()})
	if err := near.node.Connect(t.Context(), "far"); err != nil {
		t.Fatal(err)
	}
	near.Send(early, msg("go"))
	d.want(`["echo", "hello"]`)
}

// An address stays good when the node is closed and started anew.
func TestSecondStart(t *testing.T) {
	w := twoNodes(t)
	server := w.far.spawn(echo)
	wantResult(t, w.near.RequestFuture(server, msg("hello"), patience), "echo", "hello")
	w.near.node.Close()
	w.near.start(remote.Config{NodeID: "near", Seeds: w.far.node.Addresses()})
	if err := w.near.node.Connect(t.Context(), "far"); err != nil {
		t.Fatal(err)
	}
	wantResult(t, w.near.RequestFuture(address(server), msg("new"), patience), "echo", "new")
	wantResult(t, w.near.RequestFuture(server, msg("used before"), patience), "echo", "used before")
}
