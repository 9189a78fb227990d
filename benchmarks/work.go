package main

import (
	"strings"
	"time"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// A work is what is measured, by which peers, and what is shown of it.
type work struct {
	bench.Work
	peers   []string
	columns []column
}

// A column is a measurement as tables show it.
type column struct {
	metric string
	title  string
	less   bool // is better
}

// The metrics besides those of package bench. Rates are per second, times in
// microseconds, sizes in bytes.
const (
	cpu         = "cpu"          // for each message, in all processes
	senderRSS   = "sender rss"   // at its peak
	receiverRSS = "receiver rss" // at its peak
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
		{bench.Rate, "messages/s", false}, {cpu, "CPU us/message", true},
		{senderRSS, "sender RSS MB", true}, {receiverRSS, "receiver RSS MB", true},
	}
	echoColumns = []column{{bench.Rate, "round trips/s", false}, {bench.P50, "p50 us", true}, {bench.P99, "p99 us", true}}
)

// works are in the order in which they are measured.
var works = []work{
	{
		Work:    bench.Work{Name: "remote flood", Kind: bench.Flood, Remote: true, Count: 2_000_000, Size: 16},
		peers:   remotePeers,
		columns: floodColumns,
	},
	{
		Work:    bench.Work{Name: "remote flood of 1 KiB", Kind: bench.Flood, Remote: true, Count: 500_000, Size: 1 << 10},
		peers:   remotePeers[:8],
		columns: floodColumns,
	},
	{
		Work:    bench.Work{Name: "remote ping-pong, 1 in flight", Kind: bench.PingPong, Remote: true, Size: 16, Pairs: 1, Flight: 1, Duration: 2 * time.Second},
		peers:   echoPeers,
		columns: echoColumns,
	},
	{
		Work:    bench.Work{Name: "remote ping-pong, 64 in flight", Kind: bench.PingPong, Remote: true, Size: 16, Pairs: 1, Flight: 64, Duration: 2 * time.Second},
		peers:   echoPeers[:5],
		columns: echoColumns,
	},
	{
		Work:    bench.Work{Name: "local flood", Kind: bench.Flood, Count: 3_000_000, Size: 16},
		peers:   localPeers,
		columns: floodColumns[:2],
	},
	{
		Work:    bench.Work{Name: "local ping-pong, 1 pair", Kind: bench.PingPong, Size: 16, Pairs: 1, Flight: 1, Duration: time.Second},
		peers:   localPeers,
		columns: echoColumns[:1],
	},
	{
		Work:    bench.Work{Name: "local ping-pong, 64 pairs", Kind: bench.PingPong, Size: 16, Pairs: 64, Flight: 1, Duration: time.Second},
		peers:   localPeers,
		columns: echoColumns[:1],
	},
	{
		Work:    bench.Work{Name: "spawn", Kind: bench.Spawning, Count: 500_000},
		peers:   localPeers,
		columns: []column{{bench.Rate, "actors/s", false}, {cpu, "CPU us/actor", true}, {bench.PerActor, "bytes/actor", true}},
	},

	{
		Work:    bench.Work{Name: "ports on each of 2 nodes", Kind: bench.Growing, Count: 2_000_000},
		peers:   []string{"1", "10", "100"},
		columns: []column{{bench.Rate, "messages/s", false}, {cpu, "CPU us/message", true}},
	},
	{
		Work:    bench.Work{Name: "meshed nodes", Kind: bench.Growing, Count: 2_000_000},
		peers:   []string{"2", "4", "8"},
		columns: []column{{bench.Rate, "messages/s", false}, {cpu, "CPU us/message", true}},
	},
	{
		Work:    bench.Work{Name: "round trips beside floods", Kind: bench.Growing, Duration: 2 * time.Second},
		peers:   []string{"0", "1 on the same link", "10 on the same link", "1 on another link", "10 on another link"},
		columns: echoColumns,
	},
	{
		Work:    bench.Work{Name: "handshakes", Kind: bench.Growing},
		peers:   []string{"500 HMAC", "500 TLS"},
		columns: []column{{bench.Rate, "handshakes/s", false}, {cpu, "CPU us", true}},
	},
	{
		Work:    bench.Work{Name: "mesh formation", Kind: bench.Growing},
		peers:   []string{"10 nodes", "50 nodes", "200 nodes"},
		columns: []column{{seconds, "seconds", true}, {bench.Rate, "nodes/s", false}, {said, "messages/node", true}, {wire, "bytes sent/node", true}, {each, "bytes in memory/node", true}},
	},
	{
		Work:    bench.Work{Name: "mesh, its global node lost", Kind: bench.Growing},
		peers:   []string{"10 nodes", "50 nodes", "200 nodes"},
		columns: []column{{seconds, "seconds", true}, {bench.Rate, "nodes/s", false}, {said, "messages/node", true}, {wire, "bytes sent/node", true}},
	},
	{
		Work:    bench.Work{Name: "monitors", Kind: bench.Growing},
		peers:   []string{"1,000", "10,000", "100,000"},
		columns: []column{{bench.Rate, "set/s", false}, {firing, "fired/s", false}, {cpu, "CPU us/request", true}},
	},
	{
		Work:    bench.Work{Name: "registry writes", Kind: bench.Growing},
		peers:   []string{"1,000", "10,000", "100,000"},
		columns: []column{{bench.Rate, "told/s", false}, {writing, "written/s", false}, {calls, "calls", true}, {cpu, "CPU us/key", true}},
	},
	{
		Work:    bench.Work{Name: "registry database", Kind: bench.Growing},
		peers:   []string{"10,000 keys", "100,000 keys", "1,000,000 keys"},
		columns: []column{{seconds, "seconds", true}, {bench.Rate, "keys/s", false}, {wire, "bytes sent/key", true}, {each, "bytes in memory/key", true}, {cpu, "CPU us/key", true}},
	},
}

// scaled returns the work made smaller. What shows how cost grows does so in
// the sizes that it has, of which the larger ones are left out then.
func (w work) scaled(by float64) work {
	if w.Kind == bench.Growing && by < 1 {
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
