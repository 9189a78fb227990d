package registry_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
)

// A recording is what Perl nodes said to each other, cut into packets.
type recording struct {
	name      string
	greetings map[string]*aemp.Greeting
	packets   []packet          // of all connections, in the order in which they went past the recorder
	dialler   map[int]string    // by connection
	addresses map[string]string // by node, where it listened, as nodes told each other
}

// A packet is a message as one node sent it to a port of another, or the end of
// what it sent.
type packet struct {
	conn     int
	from, to string
	step     string
	eof      bool
	port     string
	message  actor.Message
	raw      []byte // of the recording
	at       float64
}

func (p packet) String() string {
	if p.eof {
		return fmt.Sprintf("%s, %s to %s: end", p.step, p.from, p.to)
	}
	return fmt.Sprintf("%s, %s to %s: %q %v", p.step, p.from, p.to, p.port, p.message)
}

// tag returns the message's tag, or "".
func (p packet) tag() string {
	tag, _ := p.message.Tag()
	return tag
}

// text returns an argument of a request that is a string, or "".
func (p packet) text(arg int) string {
	if arg+1 >= len(p.message) {
		return ""
	}
	s, _ := p.message[arg+1].(string)
	return s
}

// loadRecording reads a recording. Connections that never came to packets are
// left out.
func loadRecording(t *testing.T, name string) *recording {
	t.Helper()
	r := &recording{
		name: name, greetings: make(map[string]*aemp.Greeting),
		dialler: make(map[int]string), addresses: make(map[string]string),
	}
	for _, c := range wiretest.Load(t, name) {
		splitters := make(map[string]*packets.Splitter)
		for _, node := range []string{c.Dialler, c.Listener} {
			lines, _ := c.Handshake(node)
			if lines[2] == "" {
				splitters = nil
				break
			}
			g, err := aemp.ParseGreeting(lines[0])
			if err != nil {
				t.Fatal(err)
			}
			r.greetings[node] = g
			splitters[node] = packets.NewSplitter(t, strings.Split(lines[2], ";")[2])
			splitters[node].Skip = len(strings.Join(lines[:], "\n")) + 1
		}
		if splitters == nil {
			continue
		}
		r.dialler[c.Conn] = c.Dialler
		for _, read := range c.Reads {
			for _, p := range splitters[read.From].Split(t, read.Data) {
				r.packets = append(r.packets, packet{
					conn: read.Conn, from: read.From, to: read.To, step: read.Step, at: read.Time,
					port: p.Port, message: p.Message, raw: p.Raw,
				})
			}
			if read.EOF {
				r.packets = append(r.packets, packet{conn: read.Conn, from: read.From, to: read.To, step: read.Step, eof: true, at: read.Time})
			}
		}
	}
	slices.SortStableFunc(r.packets, func(a, b packet) int { return cmp.Compare(a.at, b.at) })
	for _, p := range r.packets {
		if p.tag() == "g_slave" && len(p.message) == 2 {
			r.learnAddresses(t, p.message[1])
		} else if p.tag() == "addr" && len(p.message) == 2 {
			r.addresses[p.from] = p.message[1].([]any)[0].(string)
		} else if p.tag() == "g_set" {
			r.learnAddresses(t, p.message[1])
		} else if p.tag() == "g_found" && p.message[2] != nil {
			r.addresses[p.text(0)] = p.message[2].([]any)[0].(string)
		}
	}
	return r
}

func (r *recording) learnAddresses(t *testing.T, v any) {
	t.Helper()
	var families map[string]map[string]any
	if err := aemp.Convert(&families, v); err != nil {
		t.Fatal(err)
	}
	for node, list := range families["'l"] {
		r.addresses[node] = list.([]any)[0].(string)
	}
}
