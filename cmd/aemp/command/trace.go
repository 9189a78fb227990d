package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// traceTime is how long Perl's tool gives a trace.
const traceTime = 3 * answerTime

func traceCommand() *Command {
	return &Command{
		Name:  "trace",
		Group: protocolGroup,
		Args:  "[node]",
		Flags: []Flag{
			seedsFlag,
			{Name: "dot", Default: false, Help: "print a graph for Graphviz: aemp trace --dot | dot -Tsvg"},
			{Name: "links", Default: false, Help: "print each node and those that it is connected with, as Perl's tool does"},
		},
		Short: "show which nodes are connected with each other",
		Long: `Asks a node, or else the first seed, with which nodes it is connected, then asks
those, and so on. Printed is a tree, in which each node stands under the one that
is closest to the first; behind it stand the other nodes that it is connected with.
The tool's own node is left out. Nodes of both generations are asked, each in its
own way.`,
		Examples: []string{"trace", "trace doomed --dot"},
		Timeout:  traceTime,
		Run:      trace,
	}
}

// A topology is what a trace has found, in the order in which it was found.
type topology []*traced

// A traced is a node that was asked for its neighbours.
type traced struct {
	Node       actor.NodeID   `json:"node"`
	Generation int            `json:"generation,omitempty"`
	Provider   string         `json:"provider,omitempty"`
	Links      []actor.NodeID `json:"links"`
	Error      string         `json:"error,omitempty"`

	children []*traced // those that were found here
}

func trace(ctx context.Context, c *Call) error {
	var first actor.NodeID
	if len(c.Args) > 0 {
		var err error
		if first, err = c.node(0); err != nil {
			return err
		}
	}
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	nodes, err := s.trace(ctx, cmp.Or(first, s.seed))
	if err != nil {
		return err
	}
	switch {
	case c.JSON():
		for _, n := range nodes {
			if err := c.Emit(n, ""); err != nil {
				return err
			}
		}
	case c.Bool("dot"):
		c.Printf("%s", nodes.dot())
	case c.Bool("links"):
		for _, n := range nodes {
			c.Printf("%s\n", strings.Join(append([]string{printableText(string(n.Node))}, texts(n.Links)...), " "))
		}
	default:
		nodes.tree(nodes[0], "", "", func(line string) { c.Printf("%s\n", line) })
	}
	return nil
}

// trace asks a node, and whatever is connected with it. That the first cannot be
// asked is an error; that others cannot is noted.
func (s *session) trace(ctx context.Context, first actor.NodeID) (topology, error) {
	root := &traced{Node: first}
	found := topology{root}
	seen := map[actor.NodeID]bool{first: true, s.node.ID(): true}
	for level := found; len(level) > 0; {
		// Those of one distance are asked all at once.
		done := make(chan error, len(level))
		for _, n := range level {
			go func() { done <- s.neighboursOf(ctx, n) }()
		}
		for range level {
			if err := <-done; err != nil && len(found) == 1 {
				return nil, err
			}
		}
		var next topology
		for _, n := range level {
			for _, id := range n.Links {
				if !seen[id] {
					seen[id] = true
					child := &traced{Node: id}
					n.children = append(n.children, child)
					next = append(next, child)
				}
			}
		}
		found = append(found, next...)
		level = next
	}
	return found, nil
}

// neighboursOf fills in what a node says of itself.
func (s *session) neighboursOf(ctx context.Context, n *traced) error {
	n.Links = []actor.NodeID{}
	up, err := s.upNodes(ctx, n.Node)
	if err != nil {
		n.Error = oneLine(err.Error())
		return err
	}
	n.Generation = s.generation(n.Node)
	if g := s.node.Greeting(n.Node); g != nil {
		n.Provider = g.Extra["provider"]
	}
	n.Links = slices.DeleteFunc(up, func(id actor.NodeID) bool { return id == s.node.ID() || id == n.Node })
	return nil
}

// upNodes asks a node with which nodes it is connected (section 10 of the
// protocol), in the words of its generation. The answer is in order.
func (s *session) upNodes(ctx context.Context, node actor.NodeID) ([]actor.NodeID, error) {
	// Its greeting says which that is.
	if err := s.reach(ctx, node); err != nil {
		return nil, err
	}
	var answer aemp.Message
	var err error
	if s.generation(node) == 1 {
		answer, err = s.request(ctx, node, "up_nodes")
	} else {
		answer, err = s.eval(ctx, node, "AnyEvent::MP::Kernel::up_nodes")
	}
	if err != nil {
		return nil, err
	}
	var up []actor.NodeID
	if err := aemp.Convert(&up, []any(answer)); err != nil {
		return nil, fmt.Errorf("node %s: the nodes that it is connected with: %w", node, err)
	}
	slices.Sort(up)
	return slices.Compact(up), nil
}

// tree prints a node and what is below it.
func (t topology) tree(n *traced, prefix, below string, print func(string)) {
	line := prefix + printableText(string(n.Node))
	if n.Error != "" {
		line += " (" + n.Error + ")"
	}
	// What the tree does not show.
	var also []actor.NodeID
	for _, id := range n.Links {
		other := t.find(id)
		if other != nil && !slices.Contains(n.children, other) && !slices.Contains(other.children, n) {
			also = append(also, id)
		}
	}
	if len(also) > 0 {
		line += "  -- " + strings.Join(texts(also), " ")
	}
	print(line)
	for i, child := range n.children {
		if i < len(n.children)-1 {
			t.tree(child, below+"├── ", below+"│   ", print)
		} else {
			t.tree(child, below+"└── ", below+"    ", print)
		}
	}
}

func (t topology) find(id actor.NodeID) *traced {
	for _, n := range t {
		if n.Node == id {
			return n
		}
	}
	return nil
}

// dot returns a graph in the language of Graphviz. A connection of which both
// sides tell is one line.
func (t topology) dot() string {
	var b strings.Builder
	b.WriteString("graph mesh {\n")
	for _, n := range t {
		label := string(n.Node)
		if n.Provider != "" {
			label += "\n" + n.Provider
		}
		style := ""
		if n.Error != "" {
			style = ", style=dashed"
		}
		fmt.Fprintf(&b, "\t%s [label=%s%s];\n", strconv.Quote(string(n.Node)), strconv.Quote(label), style)
	}
	drawn := make(map[[2]actor.NodeID]bool)
	for _, n := range t {
		for _, id := range n.Links {
			ends := [2]actor.NodeID{min(n.Node, id), max(n.Node, id)}
			if !drawn[ends] {
				drawn[ends] = true
				fmt.Fprintf(&b, "\t%s -- %s;\n", strconv.Quote(string(ends[0])), strconv.Quote(string(ends[1])))
			}
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func texts(ids []actor.NodeID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = printableText(string(id))
	}
	return out
}
