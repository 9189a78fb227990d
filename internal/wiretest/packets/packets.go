// Package packets finds the packets in recorded conversations. It stands apart
// from wiretest because the tests inside of package aemp use that one.
package packets

import (
	"slices"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

// A Packet is a message to a port, with the bytes that it came in.
type Packet struct {
	Port    string
	Message aemp.Message
	Raw     []byte
}

// A Splitter finds the packets in what one node sent.
type Splitter struct {
	// Skip is how many bytes of the handshake are still to come.
	Skip int
	// Rest is the beginning of a packet that is not complete.
	Rest []byte

	d aemp.Decoder
}

// NewSplitter returns a splitter of what is sent in the framing of that name.
func NewSplitter(tb testing.TB, framing string) *Splitter {
	tb.Helper()
	return &Splitter{d: Framing(tb, framing).NewDecoder(aemp.Limits{})}
}

// Split returns the packets that are complete with that data.
func (s *Splitter) Split(tb testing.TB, data []byte) (packets []Packet) {
	tb.Helper()
	n := min(s.Skip, len(data))
	s.Skip -= n
	s.Rest = append(s.Rest, data[n:]...)
	for len(s.Rest) > 0 {
		n, err := s.d.Scan(s.Rest)
		if err != nil {
			tb.Fatal(err)
		}
		if n == 0 {
			break
		}
		p := Packet{Raw: slices.Clone(s.Rest[:n])}
		s.Rest = s.Rest[n:]
		s.d.Reset(p.Raw)
		name, _, err := aemp.DecodePort(s.d)
		if err != nil {
			tb.Fatal(err)
		}
		p.Port = string(name)
		if p.Message, err = aemp.DecodeMessage(s.d); err != nil {
			tb.Fatal(err)
		}
		packets = append(packets, p)
	}
	return packets
}

// Framing returns the framing of that name.
func Framing(tb testing.TB, name string) aemp.Framing {
	tb.Helper()
	for _, f := range aemp.DefaultFramings() {
		if f.Name() == name {
			return f
		}
	}
	tb.Fatalf("no framing %q", name)
	return nil
}
