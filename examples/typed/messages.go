package main

import (
	"time"

	"github.com/portmesh/portmesh/actor"
)

// A reading is what a sensor has measured. Its exported fields, in order, are the
// elements of the message behind the tag.
type reading struct {
	Sensor  string
	At      time.Time
	Celsius float64
	Notes   []string `aemp:"rest"` // all further elements
}

// A query asks a station for what it knows of a sensor. The last field of a
// message, if it is a port ID, is where answers go.
type query struct {
	Sensor string
	Reply  actor.PortID
}

// A summary answers a query. Structs, slices and maps may be fields too.
type summary struct {
	Sensor string
	Count  int
	Range  bounds
	Notes  map[string]int // how often each note was made
}

// Bounds is a list of two numbers where it is part of a message.
type bounds struct{ Lowest, Highest float64 }

// A stationConfig is what a station is spawned with. From the first optional
// field on, arguments may be missing.
type stationConfig struct {
	Name string
	Keep time.Duration `aemp:"optional"` // what is older is forgotten; zero keeps all; on the wire in seconds
}

// Bind says by which tags these are known, once for the whole program.
var (
	_ = actor.Bind[reading]("reading")
	_ = actor.Bind[query]("query")
	_ = actor.Bind[summary]("summary")
)
