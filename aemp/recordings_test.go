package aemp_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
)

// Every packet that a Perl node has sent in any recording is read, and is
// written by us as it was: byte for byte, except that maps have no order, and
// that the client that is no Perl node puts white space between.
func TestRecordedPackets(t *testing.T) {
	read := 0
	for _, name := range wiretest.Names(t, func(string) bool { return true }) {
		for _, c := range wiretest.Load(t, name) {
			for _, node := range []string{c.Dialler, c.Listener} {
				lines, stream := c.Handshake(node)
				if lines[2] == "" {
					continue // the connection was given up before
				}
				f := packets.Framing(t, strings.Split(lines[2], ";")[2])
				d, e := f.NewDecoder(aemp.Limits{}.WithDefaults()), f.NewEncoder()
				for len(bytes.TrimSpace(stream)) > 0 {
					n, err := d.Scan(stream)
					if err != nil || n == 0 {
						t.Fatalf("%s: %s: packet %.80q: %d, %v", name, node, stream, n, err)
					}
					packet := stream[:n]
					stream = stream[n:]
					port, m := decodePacket(t, d, packet)
					again, err := aemp.EncodeMessage(e, nil, port, m...)
					if err != nil {
						t.Fatalf("%s: %s: %v: %v", name, node, m, err)
					}
					same := bytes.Equal(again, packet)
					if !same && (node == "simple" || holdsMap([]any(m))) {
						if _, err := d.Scan(again); err != nil {
							t.Fatal(err)
						}
						samePort, sameMessage := decodePacket(t, d, again)
						same = samePort == port && reflect.DeepEqual(sameMessage, m)
					}
					if !same {
						t.Errorf("%s: %s: got packet %.200q, want %.200q", name, node, again, packet)
					}
					read++
				}
			}
		}
	}
	if read < 700 {
		t.Errorf("only %d packets were read", read)
	}
}

func decodePacket(t *testing.T, d aemp.Decoder, packet []byte) (string, aemp.Message) {
	t.Helper()
	d.Reset(packet)
	name, _, err := aemp.DecodePort(d)
	if err != nil {
		t.Fatal(err)
	}
	port := string(name)
	m, err := aemp.DecodeMessage(d)
	if err != nil {
		t.Fatal(err)
	}
	return port, m
}

func holdsMap(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		for _, elem := range v {
			if holdsMap(elem) {
				return true
			}
		}
	}
	return false
}
