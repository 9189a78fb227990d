package main

import "strings"

// A peer does works, in processes of its own.
type peer interface {
	// serve is the one side of a work between processes. It calls ready with
	// what the other side needs to reach it, returns, and then serves for as
	// long as the process lives.
	serve(w work, ready func(address string)) error
	// drive is the other side, or both if there is no server.
	drive(w work, server string) (measurement, error)
}

// newPeer returns the peer of that name; its further words are how it is
// set up.
func newPeer(name string, w work) (peer, error) {
	if w.Kind == growing {
		return newGrowth(name)
	}
	kind, setup, _ := strings.Cut(name, " ")
	switch kind {
	case "tcp":
		return tcp{}, nil
	case "protoactor":
		return actors{newProtoactor(setup, w.Remote)}, nil
	}
	s, err := newPortmesh(setup, w.Remote)
	return actors{s}, err
}
