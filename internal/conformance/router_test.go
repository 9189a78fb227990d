package conformance

import (
	"fmt"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/router"

	"github.com/portmesh/portmesh/actor"
)

// An order goes to the same worker as all orders of its customer.
type order struct{ Customer string }

func (o *order) Hash() string { return o.Customer }

var _ = actor.Bind[order]("conformance order")

// worker notes what it is asked, and answers with its own address.
func worker(d *diary) proto.ReceiveFunc {
	return func(c proto.Context) {
		switch content(c).(type) {
		case *order, actor.Message:
			d.note("job")
			c.Respond(msg(actor.PortOf(c.Self())))
		}
	}
}

// TestRouters routes six jobs over three workers, which are in a pool of the
// router at the far side, or a group of far workers with a router at the near.
func TestRouters(t *testing.T) {
	tests := []struct {
		name  string
		pool  func(size int, options ...proto.PropsOption) *proto.Props
		group func(routees ...*proto.PID) *proto.Props
		want  func(answers map[string]int) bool
	}{
		{"round robin", router.NewRoundRobinPool, router.NewRoundRobinGroup, func(a map[string]int) bool {
			for _, n := range a {
				if n != 2 {
					return false
				}
			}
			return len(a) == 3
		}},
		{"random", router.NewRandomPool, router.NewRandomGroup, func(a map[string]int) bool { return len(a) >= 1 && len(a) <= 3 }},
		{"consistent hash", router.NewConsistentHashPool, router.NewConsistentHashGroup, func(a map[string]int) bool { return len(a) == 1 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				d := newDiary(t)
				var routees []*proto.PID
				for range 3 {
					routees = append(routees, w.far.spawn(worker(d)))
				}
				for kind, pid := range map[string]*proto.PID{
					"pool":  address(w.far.Spawn(test.pool(3, proto.WithFunc(worker(d))))),
					"group": w.near.Spawn(test.group(routees...)),
				} {
					answers := make(map[string]int)
					for range 6 {
						result, err := w.near.RequestFuture(pid, &order{"Eve"}, patience).Result()
						if err != nil {
							t.Fatal(err)
						}
						answers[describe(result)]++
					}
					if !test.want(answers) {
						t.Errorf("%s: got answers %v", kind, answers)
					}
				}
			})
		})
	}
}

func TestBroadcastRouters(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		d := newDiary(t)
		var routees []*proto.PID
		for range 3 {
			routees = append(routees, w.far.spawn(worker(d)))
		}
		for _, pid := range []*proto.PID{
			address(w.far.Spawn(router.NewBroadcastPool(3, proto.WithFunc(worker(d))))),
			w.near.Spawn(router.NewBroadcastGroup(routees...)),
		} {
			client, answers := w.near.recorder()
			answers.want("Started")
			w.near.RequestWithCustomSender(pid, msg("job"), client)
			d.want("job", "job", "job")
			for range 3 {
				next(t, answers.entries)
			}
		}
	})
}

// A router ends with its routees, and its watchers are told.
func TestRouterEnds(t *testing.T) {
	for name, end := range map[string]func(w world, pid *proto.PID){
		"Stop":   func(w world, pid *proto.PID) { w.near.Stop(pid) },
		"Poison": func(w world, pid *proto.PID) { w.near.Poison(pid) },
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w world) {
				d, routees := newDiary(t), newDiary(t)
				pid := address(w.far.Spawn(router.NewRoundRobinPool(2, proto.WithFunc(routees.Receive))))
				routees.want("Started", "Started")
				w.near.tell(t, w.near.watcher(d), "watch", pid)
				w.settleBoth(t)
				end(w, pid)
				routees.wantAnyOrder("Stopping", "Stopping", "Stopped", "Stopped")
				d.want(fmt.Sprintf("Terminated %s: Stopped", pid.Id))
			})
		})
	}
}
