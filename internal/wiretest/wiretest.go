// Package wiretest gives tests the conversations that were recorded between
// real Perl nodes. See testdata/README.md for what is in them.
package wiretest

import (
	"bytes"
	"embed"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/*.jsonl
var files embed.FS

// Secret is the shared secret in all recordings; in those named wrong-secret
// the node beta has another.
const Secret = "geheim-for-tests-0123456789"

// A Read is what one side sent, as the recording proxy read it. Reads are not
// messages.
type Read struct {
	Time    float64 `json:"t"`    // seconds since the start
	Conn    int     `json:"conn"` // number of the connection
	From    string  `json:"from"` // node IDs
	To      string  `json:"to"`
	Dialled bool    `json:"dialled"` // From opened the connection
	Step    string  `json:"step"`    // what was going on
	EOF     bool    `json:"eof"`     // From closed its side
	Data    []byte  `json:"b64"`
}

// Names returns the names of the recordings whose names match, such as
// "2.01-two-nodes-json".
func Names(tb testing.TB, match func(string) bool) (names []string) {
	entries, err := files.ReadDir("testdata")
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".jsonl"); match(name) {
			names = append(names, name)
		}
	}
	return names
}

// Load returns the conversations of a recording, one for each connection.
func Load(tb testing.TB, name string) []*Conversation {
	tb.Helper()
	data, err := files.ReadFile("testdata/" + name + ".jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	var conversations []*Conversation
	for d := json.NewDecoder(bytes.NewReader(data)); d.More(); {
		var r Read
		if err := d.Decode(&r); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		i := slices.IndexFunc(conversations, func(c *Conversation) bool { return c.Conn == r.Conn })
		if i < 0 {
			i = len(conversations)
			conversations = append(conversations, &Conversation{Conn: r.Conn})
		}
		c := conversations[i]
		c.Reads = append(c.Reads, r)
		if r.Dialled {
			c.Dialler, c.Listener = r.From, r.To
		}
	}
	return conversations
}

// A Conversation is what was said on one connection.
type Conversation struct {
	Conn              int
	Dialler, Listener string
	Reads             []Read
}

// Peer returns the other node.
func (c *Conversation) Peer(node string) string {
	if node == c.Dialler {
		return c.Listener
	}
	return c.Dialler
}

// Stream returns all that a node sent.
func (c *Conversation) Stream(from string) []byte {
	var stream []byte
	for _, r := range c.Reads {
		if r.From == from {
			stream = append(stream, r.Data...)
		}
	}
	return stream
}

// Handshake splits off the lines of a node's handshake: greeting, nonce, and
// authentication, without their ends. Those that it never sent are empty.
func (c *Conversation) Handshake(from string) (lines [3]string, rest []byte) {
	rest = c.Stream(from)
	for i := range lines {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return lines, rest
		}
		lines[i], rest = string(line), after
	}
	return lines, rest
}

// Steps returns the data that a node sent behind its handshake, step by step,
// in order.
func (c *Conversation) Steps(from string) (steps []Step) {
	lines, _ := c.Handshake(from)
	skip := 0
	for _, line := range lines {
		skip += len(line) + 1
	}
	for _, r := range c.Reads {
		if r.From != from {
			continue
		}
		n := min(skip, len(r.Data))
		skip -= n
		data := r.Data[n:]
		if len(data) == 0 {
			continue
		}
		if len(steps) == 0 || steps[len(steps)-1].Name != r.Step {
			steps = append(steps, Step{Name: r.Step})
		}
		last := &steps[len(steps)-1]
		last.Data = append(last.Data, data...)
	}
	return steps
}

// A Step is what a node sent while one thing was going on. A step may begin
// with the end of the packet in which the one before it ended.
type Step struct {
	Name string
	Data []byte
}
