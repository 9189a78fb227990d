package supervision_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	sv "github.com/portmesh/portmesh/supervision"
)

// TestRemoteModel lets children on three nodes crash, and their nodes crash,
// come back, be cut off for a moment and be parted for long, in random order.
// There is never more than one of a child, since the times are chosen as they
// should be; and when the network is whole again, there is one.
func TestRemoteModel(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 12
	}
	forSeeds(t, rounds, runRemoteModel)
}

func runRemoteModel(t *testing.T, seed uint64) {
	onPlanet(t, func(p *planet) {
		r := rand.New(rand.NewPCG(seed, 2))
		ids := []actor.NodeID{"b", "c", "d"}
		p.nodes(ids...)
		spec := sv.Spec{Strategy: sv.Strategy(r.IntN(3)), Intensity: 1 << 20}
		for i := range 1 + r.IntN(5) {
			start := sv.Remote{Function: "Test::worker", Args: []any{fmt.Sprint("w", i)}, Orphan: time.Minute}
			if r.IntN(3) == 0 {
				start.Node = ids[r.IntN(3)]
			} else {
				start.Nodes = func(context.Context) ([]actor.NodeID, error) { return ids, nil }
			}
			c := sv.Child{ID: fmt.Sprint("w", i), Start: start, Lost: sv.Lost{Wait: 2 * time.Minute}}
			if r.IntN(2) == 0 {
				c.Backoff = sv.Backoff{Min: time.Second, Max: 10 * time.Second, Jitter: 0.5}
			}
			if r.IntN(4) == 0 {
				c.Name = c.ID
			}
			spec.Children = append(spec.Children, c)
		}
		s := p.start(spec)
		for range 5 + r.IntN(20) {
			id := ids[r.IntN(3)]
			switch r.IntN(6) {
			case 0:
				p.crashNode(id)
				if r.IntN(2) == 0 {
					time.Sleep(time.Duration(r.IntN(200)) * time.Second)
				}
				p.nodes(id)
			case 1:
				p.mesh.Cut("a", id)
			case 2:
				p.mesh.Partition(apart("a"), apart(id))
			case 3:
				p.mesh.Heal()
			default:
				p.crash(spec.Children[r.IntN(len(spec.Children))].ID)
			}
			if r.IntN(2) == 0 {
				time.Sleep(time.Duration(r.IntN(200_000)) * time.Millisecond)
			}
		}
		p.mesh.Heal()
		time.Sleep(20 * time.Minute)
		p.take()
		p.mu.Lock()
		for _, c := range spec.Children {
			if p.live[c.ID] != 1 || p.most[c.ID] != 1 {
				t.Errorf("there are %d of %s, and there were %d at once", p.live[c.ID], c.ID, p.most[c.ID])
			}
		}
		p.mu.Unlock()
		p.stop(s)
		p.take()
		for id, n := range p.live {
			if n != 0 {
				t.Errorf("there are %d of %s after the end", n, id)
			}
		}
	})
}
