package remote_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
)

// The replay tests have the conversations that two Perl nodes were recorded in
// once more, with a node of ours in the place of one of them. The other one is
// played by the test, packet for packet, over a connection with a handshake of
// its own. internal/wiretest/testdata/COVERAGE.md tells what is compared.

// A recording is a conversation of alpha and beta, cut into packets.
type recording struct {
	name       string
	generation int
	greetings  map[string]*aemp.Greeting
	sends      map[string]string // by node, the framing that it sent
	steps      []recordedStep    // in order
	mesh       map[string]bool   // the names of generation 1's Global ports
}

// A recordedStep is what both said while one thing was going on, in the order
// in which it went past the recorder.
type recordedStep struct {
	name    string
	packets []packet
}

// A packet is a message as one node sent it to a port of the other.
type packet struct {
	from    string
	step    string
	port    string
	message actor.Message
	raw     []byte // of the recording
}

func (p packet) String() string { return fmt.Sprintf("%q %v", p.port, p.message) }

// tag returns the message's tag, or "".
func (p packet) tag() string {
	tag, _ := p.message.Tag()
	return tag
}

// replay runs a test for each recording of a topic, of which there must be as
// many as are given.
func replay(t *testing.T, topic string, count int, test func(*testing.T, *recording)) {
	names := wiretest.Names(t, func(name string) bool { return strings.Contains(name, topic) })
	if len(names) != count {
		t.Fatalf("got the recordings %q, want %d of %s", names, count, topic)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // if nothing comes, all wait for it at the same time
			test(t, loadRecording(t, name))
		})
	}
}

func loadRecording(t *testing.T, name string) *recording {
	t.Helper()
	conversations := wiretest.Load(t, name)
	if len(conversations) != 1 {
		t.Fatalf("%s has %d connections, want 1", name, len(conversations))
	}
	c := conversations[0]
	r := &recording{name: name, greetings: make(map[string]*aemp.Greeting), sends: make(map[string]string), mesh: make(map[string]bool)}
	splitters := make(map[string]*packets.Splitter)
	for _, node := range []string{c.Dialler, c.Listener} {
		lines, _ := c.Handshake(node)
		g, err := aemp.ParseGreeting(lines[0])
		if err != nil {
			t.Fatal(err)
		}
		r.greetings[node] = g
		r.sends[node] = strings.Split(lines[2], ";")[2]
		splitters[node] = packets.NewSplitter(t, r.sends[node])
		splitters[node].Skip = len(strings.Join(lines[:], "\n")) + 1
	}
	r.generation = r.greetings["alpha"].Generation()
	for _, read := range c.Reads {
		for _, p := range splitters[read.From].Split(t, read.Data) {
			r.add(packet{from: read.From, step: read.Step, port: p.Port, message: p.Message, raw: p.Raw})
		}
	}
	for node, s := range splitters {
		if len(bytes.TrimSpace(s.Rest)) > 0 { // which may stand behind JSON
			t.Fatalf("%s: %s ends within a packet", name, node)
		}
	}
	return r
}

// add takes the next packet. It belongs to the step in which it was complete.
func (r *recording) add(p packet) {
	if p.tag() == "AnyEvent::MP::_spawn" && p.message[2] == "AnyEvent::MP::Global::connect" {
		r.mesh[p.message[1].(string)] = true
	}
	if len(r.steps) == 0 || r.steps[len(r.steps)-1].name != p.step {
		r.steps = append(r.steps, recordedStep{name: p.step})
	}
	last := &r.steps[len(r.steps)-1]
	last.packets = append(last.packets, p)
}

// has reports whether there is such a step.
func (r *recording) has(step string) bool {
	return slices.ContainsFunc(r.steps, func(s recordedStep) bool { return s.name == step })
}

// packet returns the packet of that step, sender and tag.
func (r *recording) packet(t *testing.T, step, from, tag string) packet {
	t.Helper()
	for _, s := range r.steps {
		for _, p := range s.packets {
			if s.name == step && p.from == from && p.tag() == tag && !r.leftOut(p) {
				return p
			}
		}
	}
	t.Fatalf("%s: in step %s, %s sends no %q", r.name, step, from, tag)
	panic("not reached")
}

// everyKind returns what step snd sends behind the tag: as it arrives over that
// framing or, without one, as it is sent.
func everyKind(framing string) []any {
	half, large, huge := any(2.5), any(int64(1)<<32), any(1e100)
	if framing == "storable" { // has no numbers but those of 32 bits
		half, large, huge = "2.5", "4294967296", "1e+100"
	}
	return []any{
		int64(1), int64(-7), half, "two", "", nil,
		[]any{int64(3), []any{int64(4)}},
		map[string]any{"k": "v", "n": int64(5)},
		"umlaut äöü € 𝄞", large, huge, "ctl \t\n\x01 \" \\ /", strings.Repeat("x", 300),
	}
}

// large is what step snd-large sends behind the tag.
func large() []any {
	numbers := make([]any, 2000)
	for i := range numbers {
		numbers[i] = int64(i)
	}
	return []any{strings.Repeat("y", 70000), numbers}
}

// leftOut is what is passed over wherever packets are compared, on both sides.
var leftOut = []struct {
	what, why string
	is        func(*recording, packet) bool
}{
	{
		"the requests g_* of generation 2", "they form the mesh, which package registry serves",
		func(_ *recording, p packet) bool { return p.port == "" && strings.HasPrefix(p.tag(), "g_") },
	},
	{
		"keep-alives", "they say nothing; we send one where Perl sends none, to monitor a node port",
		func(_ *recording, p packet) bool {
			return p.port == "" && (len(p.message) == 0 || len(p.message) == 1 && p.message[0] == "")
		},
	},
	{
		"the Global ports of generation 1, and what is said to them", "they form the mesh, which package registry serves",
		func(r *recording, p packet) bool { return r.mesh[p.port] },
	},
	{
		"spawning and monitoring Global ports, and their deaths", "without package registry they do not exist: we say no_such_port",
		func(r *recording, p packet) bool {
			if p.port != "" || len(p.message) < 2 {
				return false
			}
			name, _ := p.message[1].(string)
			return r.mesh[name]
		},
	},
}

func (r *recording) leftOut(p packet) bool {
	for _, l := range leftOut {
		if l.is(r, p) {
			return true
		}
	}
	return false
}
