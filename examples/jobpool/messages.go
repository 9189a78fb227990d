package main

import "github.com/portmesh/portmesh/actor"

// workers is the family of the registry in which all workers are.
const workers = "jobpool:workers"

// What the dispatcher and the workers say to each other.
type (
	// A task is a job that a worker is to do.
	task struct {
		Job    int
		Number uint64 // to be taken apart into its prime factors
		Reply  actor.PortID
	}
	// A result is a job that was done.
	result struct {
		Job     int
		Factors []uint64
		Worker  actor.PortID
	}
)

var (
	_ = actor.Bind[task]("task")
	_ = actor.Bind[result]("result")
)
