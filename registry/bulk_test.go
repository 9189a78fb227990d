package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// noLoss fails the test when the node loses a connection, until the returned
// function is called.
func noLoss(t *testing.T, r *registry.Registry) (end func()) {
	t.Helper()
	events := r.Node().System().Actors().EventStream
	subscription := events.Subscribe(func(event any) {
		if down, ok := event.(remote.NodeDown); ok {
			t.Errorf("%s lost %s: %v", r.Node().ID(), down.Node, down.Reason)
		}
	})
	return func() { events.Unsubscribe(subscription) }
}

// waitForSize waits until a family has so many keys, as a node sees it.
func waitForSize(t *testing.T, r *registry.Registry, family string, want int) {
	t.Helper()
	sizes := make(chan int, 1)
	stop, err := r.Monitor(family, func(c registry.Change) {
		if len(c.Content) == want {
			select {
			case sizes <- want:
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	select {
	case <-sizes:
	case <-time.After(2 * patience):
		content, err := r.Family(t.Context(), family)
		t.Fatalf("%s sees %d keys in %s (%v), want %d", r.Node().ID(), len(content), family, err, want)
	}
}

// A database that is much larger than what may wait for a peer is told as a whole
// to a master and among global nodes, and key by key by a node that writes as fast
// as it can: no connection is given up for it.
func TestBulk(t *testing.T) {
	const keys = 12000
	text := strings.Repeat("x", 1024)
	fill := func(r *registry.Registry, family string) {
		for i := range keys {
			set(t, r, family, fmt.Sprint(i), text)
		}
	}
	seed := freeAddress(t)
	slave := start(t, "slave", nil, seed)
	fill(slave, "before")
	watch := func(name string) { // requests that come right behind the database
		stop, err := slave.Monitor(name, func(registry.Change) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	for _, name := range []string{"a", "b", "c", "before"} {
		watch(name)
	}
	global := start(t, "global", func(c *remote.Config) { c.Listen = []string{seed} })
	defer noLoss(t, global)()
	waitForSize(t, global, "before", keys)
	other := start(t, "other", nil, seed)
	defer noLoss(t, other)()
	waitForSize(t, other, "before", keys)
	fill(slave, "after")
	waitForSize(t, other, "after", keys)
	second := startWith(t, "second", registry.Config{Global: true}, seed)
	waitForSize(t, second, "before", keys)
	fill(global, "later")
	waitForSize(t, second, "later", keys)
	waitForSize(t, slave, "later", keys)
}
