package registry_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// Random operations on a mesh whose network is bad and whose nodes die: whenever
// it is whole again and has come to rest, all see what all have set, and every
// monitor has been told of that (see world.check). What a monitor is told must
// fit to what it was told before at any time.
//
// The order in which goroutines run is not part of a seed, so that a failure may
// need several runs to come again. To make its history shorter, leave out
// operations from its end:
//
//	go test ./registry -run TestRandom -random.seed=17 -count=20
//	go test ./registry -run TestRandom -random.seed=17 -random.ops=25 -count=20
//	go test ./registry -run TestRandom -random.time=5m -timeout 10m
var (
	randomTime = flag.Duration("random.time", 4*time.Second, "how long TestRandom goes on")
	randomSeed = flag.Uint64("random.seed", 0, "the only seed that TestRandom tries; 0 means random ones")
	randomOps  = flag.Int("random.ops", 120, "how many operations each run of TestRandom has")
)

func TestRandom(t *testing.T) {
	end := time.Now().Add(*randomTime)
	if testing.Short() {
		end = time.Now().Add(time.Second)
	}
	for seed := rand.Uint64N(1e6) + 1; ; seed++ {
		if *randomSeed != 0 {
			seed = *randomSeed
		}
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				r := randomWorld{world: w, rand: rand.New(rand.NewPCG(seed, 0)), seeds: make(map[actor.NodeID][]actor.NodeID)}
				r.run()
			})
		})
		if !ok || *randomSeed != 0 || time.Now().After(end) {
			return
		}
	}
}

// opsBetweenChecks is how many operations disturb a mesh before it comes to rest.
const opsBetweenChecks = 30

// The nodes of a random world, and its families. Those of the first list are the
// seeds of the others.
var (
	randomGlobals  = []actor.NodeID{"a", "d", "h"}
	randomNodes    = []actor.NodeID{"a", "d", "h", "b", "c", "e", "f", "g"}
	randomFamilies = []string{"fruit", "nuts"}
)

type randomWorld struct {
	*world
	rand    *rand.Rand
	seeds   map[actor.NodeID][]actor.NodeID
	history []string
	values  int
}

func one[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (r *randomWorld) run() {
	begun := time.Now()
	for n := range *randomOps {
		what := r.operation()
		r.history = append(r.history, fmt.Sprintf("%4d %8.3fs %s", n, time.Since(begun).Seconds(), what))
		if r.rand.IntN(3) == 0 {
			synctest.Wait()
		}
		if n%opsBetweenChecks == opsBetweenChecks-1 || n == *randomOps-1 {
			r.repair()
			r.settle()
			if wrong := r.check(); len(wrong) > 0 {
				r.t.Fatalf("%s\nhistory:\n%s", strings.Join(wrong, "\n"), strings.Join(r.history, "\n"))
			}
			r.history = append(r.history, fmt.Sprintf("     %8.3fs all is well", time.Since(begun).Seconds()))
		}
	}
}

// repair makes the mesh whole: all those run that are seeds of somebody.
func (r *randomWorld) repair() {
	r.mesh.Heal()
	needed := slices.Clone(randomGlobals)
	for len(needed) > 0 {
		id := needed[0]
		needed = needed[1:]
		if r.members[id] == nil {
			r.begin(id)
		}
		for _, seed := range r.seeds[id] {
			if r.members[seed] == nil && !slices.Contains(needed, seed) {
				needed = append(needed, seed)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.members)) {
		for _, seed := range r.seeds[id] {
			if r.members[seed] == nil {
				r.begin(seed)
			}
		}
	}
}

// begin starts a node. Global nodes have all global nodes as seeds, others at
// least one of them, or another node, which becomes global by that.
func (r *randomWorld) begin(id actor.NodeID) string {
	seeds := slices.Clone(randomGlobals)
	if !slices.Contains(randomGlobals, id) {
		r.rand.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
		seeds = seeds[:1+r.rand.IntN(len(seeds))]
		if id == "g" && r.rand.IntN(2) == 0 {
			seeds = []actor.NodeID{"b"}
		}
	}
	r.seeds[id] = seeds
	r.start(string(id), seeds...)
	return fmt.Sprintf("start %s with seeds %v", id, seeds)
}

// operation does something, and tells what.
func (r *randomWorld) operation() string {
	alive := slices.Sorted(maps.Keys(r.members))
	if len(alive) < 3 {
		return r.begin(one(r.rand, slices.DeleteFunc(slices.Clone(randomNodes), func(id actor.NodeID) bool { return r.members[id] != nil })))
	}
	id := one(r.rand, alive)
	m := r.members[id]
	family := one(r.rand, randomFamilies)
	other := one(r.rand, randomNodes)
	switch n := r.rand.IntN(100); {
	case n < 25:
		r.values++
		key := one(r.rand, []string{"1", "2", "3", string(id)})
		m.set(r.t, family, key, r.values)
		return fmt.Sprintf("%s sets %s.%s = %d", id, family, key, r.values)
	case n < 35:
		if len(m.local[family]) == 0 {
			return "nothing to delete"
		}
		key := one(r.rand, slices.Sorted(maps.Keys(m.local[family])))
		m.delete(r.t, family, key)
		return fmt.Sprintf("%s deletes %s.%s", id, family, key)
	case n < 42:
		sys := m.Node().System()
		if port, ok := m.ports[family]; ok {
			sys.Kill(port)
			delete(m.ports, family)
			return fmt.Sprintf("%s kills its port in %s", id, family)
		}
		port := newPort(r.t, m.Registry)
		if _, err := m.Register(family, port, "port"); err != nil {
			r.t.Fatal(err)
		}
		m.ports[family] = port
		return fmt.Sprintf("%s registers a port in %s", id, family)
	case n < 50:
		if m.watching[family] != nil {
			m.unwatch(family)
			return fmt.Sprintf("%s monitors %s no longer", id, family)
		}
		m.watch(r.t, family)
		return fmt.Sprintf("%s monitors %s", id, family)
	case n < 62:
		if r.members[other] == nil {
			return r.begin(other)
		}
		return "nothing to start"
	case n < 67:
		r.crash(id)
		return fmt.Sprintf("crash %s", id)
	case n < 70:
		r.stop(id)
		return fmt.Sprintf("stop %s", id)
	case n < 73:
		nodes := slices.Clone(randomNodes)
		r.rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		cut := 1 + r.rand.IntN(len(nodes)-1)
		r.mesh.Partition(nodes[:cut], nodes[cut:])
		return fmt.Sprintf("partition %v %v", nodes[:cut], nodes[cut:])
	case n < 77:
		r.mesh.Heal()
		return "heal"
	case n < 82:
		r.mesh.Cut(id, other)
		return fmt.Sprintf("cut %s %s", id, other)
	case n < 86:
		d := time.Duration(r.rand.IntN(1000)) * time.Millisecond
		r.mesh.Delay(id, other, d)
		return fmt.Sprintf("delay %s %s %v", id, other, d)
	default:
		d := time.Duration(r.rand.ExpFloat64() * float64(4*time.Second))
		time.Sleep(d)
		return fmt.Sprintf("sleep %v", d)
	}
}
