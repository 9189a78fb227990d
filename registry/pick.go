package registry

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/portmesh/portmesh/actor"
)

// members are the ports of a group at one moment, sorted. The list is made when
// it is first asked for, so that a group which changes often costs nothing where
// nobody picks from it.
type members struct {
	content map[string]any // never changed

	once   sync.Once
	ports  []actor.PortID
	hashes []uint64 // of the ports
}

// list returns the ports. Keys that are no port IDs are left out.
func (m *members) list() []actor.PortID {
	m.once.Do(func() {
		m.ports = make([]actor.PortID, 0, len(m.content))
		for key := range m.content {
			if port := actor.PortID(key); port.Validate() == nil {
				m.ports = append(m.ports, port)
			}
		}
		slices.Sort(m.ports)
		m.hashes = make([]uint64, len(m.ports))
		for i, port := range m.ports {
			m.hashes[i] = hash(string(port))
		}
	})
	return m.ports
}

// one returns a list of the i-th member, without allocating.
func (m *members) one(i int) []actor.PortID { return m.list()[i : i+1 : i+1] }

// at returns a list of one member, for numbers that count up, or nil.
func (m *members) at(n uint64) []actor.PortID {
	if len(m.list()) == 0 {
		return nil
	}
	return m.one(int(n % uint64(len(m.ports))))
}

// random returns a list of one member, or nil.
func (m *members) random() []actor.PortID {
	if len(m.list()) == 0 {
		return nil
	}
	return m.one(rand.IntN(len(m.ports)))
}

// forKey returns a list of the member that a key belongs to, or nil: the one
// with the highest score of the two together (rendezvous hashing). So a member
// that goes leaves the keys of the others where they are, and one that comes
// takes its share from all alike.
func (m *members) forKey(key string) []actor.PortID {
	if len(m.list()) == 0 {
		return nil
	}
	h := hash(key)
	best := 0
	for i := range m.hashes {
		if mix(m.hashes[i]^h) > mix(m.hashes[best]^h) {
			best = i
		}
	}
	return m.one(best)
}

// hash is FNV-1a of 64 bits, mixed. All nodes have to agree on it, of whatever
// version and machine they are.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads each bit over all of them; it is the end of SplitMix64.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
