package main

import (
	"strings"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// newPeer returns the peer of that name; its further words are how it is
// set up.
func newPeer(name string, w bench.Work) (bench.Peer, error) {
	if w.Kind == bench.Growing {
		return newGrowth(name)
	}
	kind, setup, _ := strings.Cut(name, " ")
	switch kind {
	case "tcp":
		return tcp{}, nil
	case "protoactor":
		return bench.Actors{System: newProtoactor(setup, w.Remote)}, nil
	}
	s, err := newPortmesh(setup, w.Remote)
	return bench.Actors{System: s}, err
}
