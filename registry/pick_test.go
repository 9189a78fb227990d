package registry

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

func membersOf(ports ...string) *members {
	m := &members{content: make(map[string]any)}
	for _, port := range ports {
		m.content[port] = nil
	}
	return m
}

// names returns some port IDs as they are in a mesh.
func names(n int) []string {
	var ports []string
	for i := range n {
		ports = append(ports, fmt.Sprintf("node%d#5f3k%d", i%5, i))
	}
	return ports
}

// owners tells for some keys whom they belong to.
func owners(m *members, keys int) []actor.PortID {
	var ports []actor.PortID
	for i := range keys {
		port, _ := first(m.forKey(fmt.Sprint("key", i)))
		ports = append(ports, port)
	}
	return ports
}

// A member that goes takes only its own keys with it, and they are spread over
// the others; one that comes takes its share from all.
func TestForKeyMovesNoMoreThanItMust(t *testing.T) {
	const keys, n = 20000, 10
	all := names(n)
	before := owners(membersOf(all...), keys)
	for gone := range all {
		after := owners(membersOf(slices.Delete(slices.Clone(all), gone, gone+1)...), keys)
		heirs := make(map[actor.PortID]int)
		for i := range keys {
			lost := before[i] == actor.PortID(all[gone])
			if lost {
				heirs[after[i]]++
			}
			if moved := before[i] != after[i]; moved != lost {
				t.Fatalf("without %s, key %d belongs to %s, before to %s", all[gone], i, after[i], before[i])
			}
		}
		// Of about 2000 keys, each of the 9 gets about 222, with a deviation of 14.
		for _, port := range all {
			if h := heirs[actor.PortID(port)]; port != all[gone] && math.Abs(float64(h)-keys/n/(n-1)) > 5*15 {
				t.Errorf("of the keys of %s, %s gets %d", all[gone], port, h)
			}
		}
	}
}

func TestForKeySpreadsEvenly(t *testing.T) {
	const keys = 100000
	for _, n := range []int{1, 2, 3, 10, 100} {
		share := make(map[actor.PortID]int)
		for _, port := range owners(membersOf(names(n)...), keys) {
			share[port]++
		}
		for _, port := range names(n) {
			mean := float64(keys) / float64(n)
			if got := float64(share[actor.PortID(port)]); math.Abs(got-mean) > 5*math.Sqrt(mean) {
				t.Errorf("of %d members, %s has %v keys, want about %v", n, port, got, mean)
			}
		}
	}
}

// Nodes of other versions have to agree.
func TestForKeyStaysTheSame(t *testing.T) {
	m := membersOf("a#1", "a#2", "b#1", "größe#x")
	var got []actor.PortID
	for _, key := range []string{"", "a", "b", "cat", "größe", "\x00", "4711"} {
		got = append(got, m.forKey(key)...)
	}
	if want := `[größe#x a#1 a#2 a#1 a#1 größe#x b#1]`; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPickOfNone(t *testing.T) {
	for _, m := range []*members{membersOf(), membersOf("no;port", "", "#")} {
		if m.at(3) != nil || m.random() != nil || m.forKey("x") != nil || len(m.list()) > 0 {
			t.Errorf("somebody was picked from %v", m.content)
		}
	}
}

func TestAtAndRandomReachAll(t *testing.T) {
	m := membersOf("c#1", "a#1", "b#1")
	var got []actor.PortID
	for i := range 6 {
		got = append(got, m.at(uint64(i))...)
	}
	if want := []actor.PortID{"a#1", "b#1", "c#1", "a#1", "b#1", "c#1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	seen := make(map[actor.PortID]int)
	for range 3000 {
		port, _ := first(m.random())
		seen[port]++
	}
	for _, port := range m.list() {
		if n := seen[port]; n < 800 || n > 1200 { // 7 deviations
			t.Errorf("%s was picked %d times of 3000", port, n)
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	m := membersOf(names(100)...)
	m.list()
	if n := testing.AllocsPerRun(100, func() {
		m.forKey("some key")
		m.random()
		m.at(7)
	}); n != 0 {
		t.Errorf("picking allocates %v times", n)
	}
}

func BenchmarkForKey(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := membersOf(names(n)...)
			b.ReportAllocs()
			for b.Loop() {
				m.forKey("some key of a usual length")
			}
		})
	}
}
