package main

import (
	"strings"
	"time"
)

// A work is what is measured: the same for all its peers.
type work struct {
	peers   []string
	columns []column

	Name     string
	Kind     kind
	Remote   bool          // between two processes
	Count    int           // messages of a flood, actors to spawn
	Size     int           // bytes of text in a message
	Flight   int           // messages on their way at once, one for each pair
	Pairs    int           // of actors
	Duration time.Duration // of a ping-pong
}

type kind int

const (
	flood    kind = iota // from one actor to another, as fast as it will
	pingPong             // there and back
	spawning             // actors that do nothing
)

// A column is a measurement as tables show it.
type column struct {
	metric string
	title  string
	less   bool // is better
}

// The metrics of a measurement. Rates are per second, times in microseconds,
// sizes in bytes.
const (
	rate        = "rate"
	messages    = "messages" // how many there were
	p50         = "p50"
	p99         = "p99"
	cpu         = "cpu"          // for each message, in all processes
	senderRSS   = "sender rss"   // at its peak
	receiverRSS = "receiver rss" // at its peak
	perActor    = "bytes"
)

var (
	remotePeers = []string{
		"portmesh msgpack", "portmesh cbor", "portmesh json",
		"portmesh msgpack untyped", "portmesh cbor untyped", "portmesh json untyped",
		"protoactor", "protoactor tuned",
	}
	// Larger batches of protoactor-go do not fit gRPC's limit when messages are
	// large, and are lost: "tuned" is the last, to be left out.
	echoPeers  = []string{"portmesh msgpack", "portmesh cbor", "portmesh json", "protoactor", "tcp"}
	localPeers = []string{"portmesh", "portmesh untyped", "protoactor"}

	floodColumns = []column{
		{rate, "messages/s", false}, {cpu, "CPU us/message", true},
		{senderRSS, "sender RSS MB", true}, {receiverRSS, "receiver RSS MB", true},
	}
	echoColumns = []column{{rate, "round trips/s", false}, {p50, "p50 us", true}, {p99, "p99 us", true}}
)

// works are in the order in which they are measured.
var works = []work{
	{Name: "remote flood", Kind: flood, Remote: true, peers: remotePeers, columns: floodColumns, Count: 2_000_000, Size: 16},
	{Name: "remote flood of 1 KiB", Kind: flood, Remote: true, peers: remotePeers[:7], columns: floodColumns, Count: 500_000, Size: 1 << 10},
	{Name: "remote ping-pong, 1 in flight", Kind: pingPong, Remote: true, peers: echoPeers, columns: echoColumns,
		Size: 16, Pairs: 1, Flight: 1, Duration: 2 * time.Second},
	{Name: "remote ping-pong, 64 in flight", Kind: pingPong, Remote: true, peers: echoPeers[:4], columns: echoColumns,
		Size: 16, Pairs: 1, Flight: 64, Duration: 2 * time.Second},
	{Name: "local flood", Kind: flood, peers: localPeers, columns: floodColumns[:2], Count: 3_000_000, Size: 16},
	{Name: "local ping-pong, 1 pair", Kind: pingPong, peers: localPeers, columns: echoColumns[:1],
		Size: 16, Pairs: 1, Flight: 1, Duration: time.Second},
	{Name: "local ping-pong, 64 pairs", Kind: pingPong, peers: localPeers, columns: echoColumns[:1],
		Size: 16, Pairs: 64, Flight: 1, Duration: time.Second},
	{Name: "spawn", Kind: spawning, peers: localPeers,
		columns: []column{{rate, "actors/s", false}, {perActor, "bytes/actor", true}}, Count: 500_000},
}

// scaled returns the work made smaller.
func (w work) scaled(by float64) work {
	w.Count = int(float64(w.Count) * by)
	w.Duration = time.Duration(float64(w.Duration) * by)
	return w
}

// isOurs tells whether a peer is Portmesh, which the ratios are about.
func isOurs(peer string) bool { return strings.HasPrefix(peer, "portmesh") }
