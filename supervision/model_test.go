package supervision_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	sv "github.com/portmesh/portmesh/supervision"
)

// TestModel builds random trees and lets random children crash, end, be slow,
// fail to start and be killed, now one after another and now at the same
// moment. After the last crash the tree is complete, and each
// child runs exactly once.
func TestModel(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	forSeeds(t, rounds, runModel)
}

// forSeeds runs a test with that many seeds, until one fails, or with the one in
// the environment.
func forSeeds(t *testing.T, rounds int, run func(t *testing.T, seed uint64)) {
	base := uint64(time.Now().UnixNano())
	if text := os.Getenv("PORTMESH_TEST_SEED"); text != "" {
		var err error
		if base, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
		rounds = 1
	}
	for i := range rounds {
		seed := base + uint64(i)
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { run(t, seed) }) {
			t.Logf("to run it again: PORTMESH_TEST_SEED=%d", seed)
			return
		}
	}
}

type model struct {
	*world
	r    *rand.Rand
	live map[string]int // how many incarnations of each child there are, by its path
	at   map[string]actor.PortID
	all  map[string]sv.Child // the leaves
	fail map[string]int
}

func runModel(t *testing.T, seed uint64) {
	inBubble(t, func(w *world) {
		m := &model{world: w, r: rand.New(rand.NewPCG(seed, 1)), live: make(map[string]int), at: make(map[string]actor.PortID),
			all: make(map[string]sv.Child), fail: make(map[string]int)}
		s := w.start(m.spec("", 0))
		m.check("after the start")
		for step := range 3 + m.r.IntN(10) {
			for range 1 + m.r.IntN(5) {
				m.hurt()
			}
			switch m.r.IntN(3) {
			case 0:
				time.Sleep(time.Duration(m.r.IntN(3000)) * time.Millisecond)
			case 1:
				synctest.Wait()
			}
			if m.r.IntN(4) == 0 {
				m.settle()
				m.check(fmt.Sprint("step ", step))
			}
		}
		m.settle()
		m.check("at the end")
		w.stop(s)
		for path, n := range m.live {
			if n != 0 {
				t.Errorf("%s runs %d times after the supervisor has stopped", path, n)
			}
		}
	})
}

// settle waits until nothing is to be restarted any more.
func (m *model) settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

func (m *model) spec(path string, depth int) sv.Spec {
	spec := sv.Spec{Strategy: sv.Strategy(m.r.IntN(3)), Intensity: 1 << 20}
	for i := range 1 + m.r.IntN(4) {
		id := fmt.Sprint(i)
		below := strings.TrimPrefix(path+"/"+id, "/")
		c := sv.Child{ID: id}
		if depth < 2 && m.r.IntN(3) == 0 {
			c.Start = m.spec(below, depth+1)
		} else {
			c.Start = m.leaf(below)
			if m.r.IntN(3) == 0 {
				c.Backoff = sv.Backoff{Min: time.Duration(1 + m.r.IntN(1000)), Max: time.Second, Jitter: m.r.Float64()}
			}
			if m.r.IntN(3) == 0 {
				c.Name = "port-" + below // two of them cannot be
			}
			if m.r.IntN(4) == 0 {
				c.Shutdown = sv.Brutal
			}
			m.all[below] = c
		}
		spec.Children = append(spec.Children, c)
	}
	return spec
}

func (m *model) leaf(path string) sv.Starter {
	return sv.Actor{Props: proto.PropsFromProducer(func() proto.Actor { return &leaf{m: m, path: path} })}
}

// A leaf is one incarnation of a child.
type leaf struct {
	m    *model
	path string
	live bool
}

func (l *leaf) Receive(c proto.Context) {
	m := l.m
	switch msg := c.Message().(type) {
	case *proto.Started:
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.fail[l.path] > 0 {
			m.fail[l.path]--
			panic("not yet")
		}
		l.live = true
		if m.live[l.path]++; m.live[l.path] > 1 {
			m.t.Errorf("%s runs %d times", l.path, m.live[l.path])
		}
		m.at[l.path] = actor.PortOf(c.Self())
	case *proto.Stopped:
		m.mu.Lock()
		defer m.mu.Unlock()
		if l.live {
			m.live[l.path]--
		}
	case actor.Message:
		switch msg[0] {
		case "crash":
			panic("crashed")
		case "slow":
			time.Sleep(time.Second)
		}
	}
}

// hurt does something bad to a child.
func (m *model) hurt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	paths := slices.Sorted(maps.Keys(m.at))
	if len(paths) == 0 {
		return
	}
	path := paths[m.r.IntN(len(paths))]
	port := m.at[path]
	if m.r.IntN(3) == 0 {
		m.fail[path] += m.r.IntN(3)
	}
	if m.r.IntN(4) == 0 {
		m.sys.Send(port, "slow")
	}
	switch m.r.IntN(4) {
	case 0:
		m.sys.Kill(port)
	case 1:
		m.sys.Kill(port, "shutdown")
	default:
		m.sys.Send(port, "crash")
	}
}

func (m *model) check(when string) {
	m.t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.all {
		if m.live[path] != 1 {
			m.t.Errorf("%s: %s runs %d times, want once", when, path, m.live[path])
		}
	}
}
