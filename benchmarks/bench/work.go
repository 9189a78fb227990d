// Package bench has what the programs that are measured share: the works, done on
// any runtime of actors, and how a process is told which one to do.
package bench

import "time"

// A Work is what is measured: the same for all peers.
type Work struct {
	Name     string
	Kind     Kind
	Remote   bool          // between two processes
	Count    int           // messages of a flood, actors to spawn
	Size     int           // bytes of text in a message
	Flight   int           // messages on their way at once, one for each pair
	Pairs    int           // of actors
	Duration time.Duration // of a ping-pong
}

// A Kind is what there is to do.
type Kind int

// The kinds of works.
const (
	Flood    Kind = iota // from one actor to another, as fast as it will
	PingPong             // there and back
	Spawning             // actors that do nothing
	Growing              // Portmesh with more and more of something
)

// A Measurement has the metrics of one round.
type Measurement map[string]float64

// The metrics that a peer measures itself. Rates are per second, times in
// microseconds, sizes in bytes.
const (
	Rate     = "rate"
	Messages = "messages" // how many there were
	P50      = "p50"
	P99      = "p99"
	PerActor = "bytes"
)

// Item is the tag of messages, where the runtime has tags.
const Item = "item"
