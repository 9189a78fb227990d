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
	growing              // Portmesh with more and more of something
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
	each        = "bytes each"
	seconds     = "seconds"
	firing      = "fired"   // monitors, for each second
	writing     = "written" // keys, for each second
	calls       = "calls"   // of a monitor
	wire        = "wire"    // bytes sent for each key or node
	said        = "said"    // messages sent for each
)

var (
	remotePeers = []string{
		"portmesh msgpack", "portmesh cbor", "portmesh json",
		"portmesh msgpack untyped", "portmesh cbor untyped", "portmesh json untyped",
		"protoactor", "erlang", "protoactor tuned",
	}
	// Larger batches of protoactor-go do not fit gRPC's limit when messages are
	// large, and are lost: "tuned" is the last, to be left out.
	echoPeers  = []string{"portmesh msgpack", "portmesh cbor", "portmesh json", "protoactor", "erlang", "tcp"}
	localPeers = []string{"portmesh", "portmesh untyped", "protoactor", "erlang"}

	floodColumns = []column{
		{rate, "messages/s", false}, {cpu, "CPU us/message", true},
		{senderRSS, "sender RSS MB", true}, {receiverRSS, "receiver RSS MB", true},
	}
	echoColumns = []column{{rate, "round trips/s", false}, {p50, "p50 us", true}, {p99, "p99 us", true}}
)

// works are in the order in which they are measured.
var works = []work{
	{Name: "remote flood", Kind: flood, Remote: true, peers: remotePeers, columns: floodColumns, Count: 2_000_000, Size: 16},
	{Name: "remote flood of 1 KiB", Kind: flood, Remote: true, peers: remotePeers[:8], columns: floodColumns, Count: 500_000, Size: 1 << 10},
	{Name: "remote ping-pong, 1 in flight", Kind: pingPong, Remote: true, peers: echoPeers, columns: echoColumns,
		Size: 16, Pairs: 1, Flight: 1, Duration: 2 * time.Second},
	{Name: "remote ping-pong, 64 in flight", Kind: pingPong, Remote: true, peers: echoPeers[:5], columns: echoColumns,
		Size: 16, Pairs: 1, Flight: 64, Duration: 2 * time.Second},
	{Name: "local flood", Kind: flood, peers: localPeers, columns: floodColumns[:2], Count: 3_000_000, Size: 16},
	{Name: "local ping-pong, 1 pair", Kind: pingPong, peers: localPeers, columns: echoColumns[:1],
		Size: 16, Pairs: 1, Flight: 1, Duration: time.Second},
	{Name: "local ping-pong, 64 pairs", Kind: pingPong, peers: localPeers, columns: echoColumns[:1],
		Size: 16, Pairs: 64, Flight: 1, Duration: time.Second},
	{Name: "spawn", Kind: spawning, peers: localPeers,
		columns: []column{{rate, "actors/s", false}, {cpu, "CPU us/actor", true}, {perActor, "bytes/actor", true}}, Count: 500_000},

	{Name: "ports on each of 2 nodes", Kind: growing, peers: []string{"1", "10", "100"}, Count: 2_000_000,
		columns: []column{{rate, "messages/s", false}, {cpu, "CPU us/message", true}}},
	{Name: "meshed nodes", Kind: growing, peers: []string{"2", "4", "8"}, Count: 2_000_000,
		columns: []column{{rate, "messages/s", false}, {cpu, "CPU us/message", true}}},
	{Name: "round trips beside floods", Kind: growing, Duration: 2 * time.Second, columns: echoColumns,
		peers: []string{"0", "1 on the same link", "10 on the same link", "1 on another link", "10 on another link"}},
	{Name: "handshakes", Kind: growing, peers: []string{"500 HMAC", "500 TLS"},
		columns: []column{{rate, "handshakes/s", false}, {cpu, "CPU us", true}}},
	{Name: "mesh formation", Kind: growing, peers: []string{"10 nodes", "50 nodes", "200 nodes"},
		columns: []column{{seconds, "seconds", true}, {rate, "nodes/s", false}, {said, "messages/node", true}, {wire, "bytes sent/node", true}, {each, "bytes in memory/node", true}}},
	{Name: "mesh, its global node lost", Kind: growing, peers: []string{"10 nodes", "50 nodes", "200 nodes"},
		columns: []column{{seconds, "seconds", true}, {rate, "nodes/s", false}, {said, "messages/node", true}, {wire, "bytes sent/node", true}}},
	{Name: "monitors", Kind: growing, peers: []string{"1,000", "10,000", "100,000"},
		columns: []column{{rate, "set/s", false}, {firing, "fired/s", false}, {cpu, "CPU us/request", true}}},
	{Name: "registry writes", Kind: growing, peers: []string{"1,000", "10,000", "100,000"},
		columns: []column{{rate, "told/s", false}, {writing, "written/s", false}, {calls, "calls", true}, {cpu, "CPU us/key", true}}},
	{Name: "registry database", Kind: growing, peers: []string{"10,000 keys", "100,000 keys", "1,000,000 keys"},
		columns: []column{{seconds, "seconds", true}, {rate, "keys/s", false}, {wire, "bytes sent/key", true}, {each, "bytes in memory/key", true}, {cpu, "CPU us/key", true}}},
}

// scaled returns the work made smaller. What shows how cost grows does so in
// the sizes that it has, of which the larger ones are left out then.
func (w work) scaled(by float64) work {
	if w.Kind == growing && by < 1 {
		rows := len(w.peers) - 1
		if by < 0.1 {
			rows = 1
		}
		w.peers = w.peers[:rows]
	}
	w.Count = int(float64(w.Count) * by)
	w.Duration = time.Duration(float64(w.Duration) * by)
	return w
}

// isOurs tells whether a peer is Portmesh, which the ratios are about.
func isOurs(peer string) bool { return strings.HasPrefix(peer, "portmesh") }
