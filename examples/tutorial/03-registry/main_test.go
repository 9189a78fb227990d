package main

import (
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestRoomsAreFound(t *testing.T) {
	kitchen := proctest.Start(t, "-listen", "127.0.0.1:0", "-seed", "127.0.0.1:1", "room", "kitchen")
	_, seed, _ := strings.Cut(kitchen.Expect("kitchen listens at "), " at ")
	garden := proctest.Start(t, "-listen", "127.0.0.1:0", "-seed", seed, "room", "garden")
	garden.Expect("garden listens at ")
	// It takes a moment until the whole mesh knows of a new room.
	for deadline := time.Now().Add(20 * time.Second); ; {
		out, err := proctest.Run(t, "-seed", seed, "say", "hello")
		if err != nil || !strings.Contains(out, `kitchen answers: ["heard", 5]`) {
			t.Fatalf("got %q, %v", out, err)
		}
		if strings.Contains(out, `garden answers: ["heard", 5]`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the garden is not found")
		}
	}
	kitchen.Expect("heard: hello")
	garden.Expect("heard: hello")
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"shout"}, {"say"}, {"room"}, {"room", "5", "6"}} {
		if out, err := proctest.Run(t, args...); err == nil || !strings.Contains(out, "usage:") {
			t.Errorf("%q: got %q, %v", args, out, err)
		}
	}
}
