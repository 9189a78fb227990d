package aemp_test

import (
	"math"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

// A packet has the same length whether it comes at once, which may go a short way, or
// in pieces; what is not all of it is none; and it says the same.
func TestScanAtOnceAndInPieces(t *testing.T) {
	var packets [][]byte
	for _, f := range []aemp.Framing{aemp.CBOR, aemp.MessagePack} {
		packets = packets[:0]
		for _, length := range []int{0, 1, 15, 23, 24, 31, 32, 255, 256, 300, 65535, 65536} {
			text, octets := strings.Repeat("x", length), []byte(strings.Repeat("\xff", length))
			for _, m := range [][]any{{"tag", text, 1}, {"tag", octets}, {text}, {"tag", -1, 1.5, nil, true, int64(math.MaxInt64), text, octets}, {"tag", []any{text}}} {
				packet, err := aemp.EncodeMessage(f.NewEncoder(), nil, "port", m...)
				if err != nil {
					t.Fatal(err)
				}
				packets = append(packets, packet)
			}
		}
		for _, packet := range packets {
			stream := append(packet[:len(packet):len(packet)], packets[0]...)
			atOnce, pieces := f.NewDecoder(aemp.Limits{}.WithDefaults()), f.NewDecoder(aemp.Limits{}.WithDefaults())
			if n, err := atOnce.Scan(stream); n != len(packet) || err != nil {
				t.Fatalf("%s: %.60q: %d bytes (%v), want %d", f.Name(), packet, n, err, len(packet))
			}
			for i := range len(packet) {
				if i > 400 && i < len(packet)-10 {
					continue
				}
				if n, err := f.NewDecoder(aemp.Limits{}.WithDefaults()).Scan(packet[:i]); n != 0 || err != nil {
					t.Fatalf("%s: %.60q: the first %d bytes are a packet of %d (%v)", f.Name(), packet, i, n, err)
				}
				if n, err := pieces.Scan(packet[:i]); n != 0 || err != nil {
					t.Fatalf("%s: %.60q: behind %d bytes, a packet of %d (%v)", f.Name(), packet, i, n, err)
				}
			}
			if n, err := pieces.Scan(stream); n != len(packet) || err != nil {
				t.Fatalf("%s: %.60q in pieces: %d bytes (%v), want %d", f.Name(), packet, n, err, len(packet))
			}
			small := f.NewDecoder(aemp.Limits{MessageSize: len(packet) - 1, Depth: 10})
			if n, err := small.Scan(packet); n != 0 || err == nil {
				t.Fatalf("%s: %.60q: the limit does not hold", f.Name(), packet)
			}
		}
	}
}
