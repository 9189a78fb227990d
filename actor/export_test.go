package actor

import "github.com/portmesh/portmesh/aemp"

// GatewayOf returns a gateway to a system that is no node.
func GatewayOf(s *System) *Gateway { return &Gateway{s: s} }

// DecodeMessage is what the gateway reads messages with.
func DecodeMessage(d aemp.Decoder, packet []byte) (any, PortID, error) {
	return decodeMessage(d, packet, &noTags)
}

var noTags tagTable
