package actor

import (
	"sync"

	"github.com/portmesh/portmesh/aemp"
)

// GatewayOf returns a gateway to a system that is no node.
func GatewayOf(s *System) *Gateway { return &Gateway{s: s} }

// DecodeMessage is what the gateway reads messages with.
func DecodeMessage(d aemp.Decoder, packet []byte) (any, PortID, error) {
	decoding.Lock()
	defer decoding.Unlock()
	return decoding.decode(d, packet)
}

var decoding = struct {
	sync.Mutex
	Delivery
}{Delivery: Delivery{s: new(System)}}
