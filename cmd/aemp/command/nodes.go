package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// nodesCommands tell which nodes there are, and how far away.
func nodesCommands() []*Command {
	return []*Command{
		{
			Name:  "nodes",
			Group: protocolGroup,
			Flags: []Flag{seedsFlag},
			Short: "list the nodes of the mesh",
			Long: `Lists the nodes that listen, with their addresses, as the global nodes know
them. A node that is called global keeps the database. Nodes that do not listen
are seen by "aemp trace". A mesh of generation 1 has no such list: there, the
nodes are listed that the first seed is connected with.`,
			Timeout: answerTime,
			Run:     nodes,
		},
		{
			Name:  "ping",
			Group: protocolGroup,
			Args:  "<node>",
			Flags: []Flag{
				seedsFlag,
				{Name: "count", Value: "n", Default: 5, Help: "how often; 0 means without end"},
				{Name: "interval", Value: "duration", Default: time.Second, Help: "from one to the next"},
				{Name: "wait", Value: "duration", Default: answerTime, Help: "how long to wait for an answer"},
			},
			Short: "measure the time that a message takes to a node and back",
			Long: `Asks the node to send a message back, again and again, and prints how long that
takes, from one program to the other; at the end, or when it is interrupted, the
least, the mean and the largest time, and the standard deviation. An answer that
does not come in time is an error.`,
			Examples: []string{"ping doomed", "ping --count 1000 --interval 0 doomed"},
			Run:      joined((*Call).node, ping),
		},
	}
}

func nodes(ctx context.Context, c *Call) error {
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.directory(ctx)
	if err != nil {
		return err
	}
	if c.JSON() {
		for _, n := range list {
			if err := c.Emit(n, ""); err != nil {
				return err
			}
		}
		return nil
	}
	columns := tabwriter.NewWriter(c.Output(), 0, 0, 2, ' ', 0)
	for _, n := range list {
		role := ""
		if n.Global {
			role = "global"
		}
		line := fmt.Sprintf("%s\t%s\t%s", printableText(string(n.Node)), role, printableText(strings.Join(n.Addresses, " ")))
		fmt.Fprintln(columns, strings.TrimRight(line, "\t"))
	}
	return columns.Flush()
}

// An entry of the directory of nodes.
type entry struct {
	Node      actor.NodeID `json:"node"`
	Global    bool         `json:"global"`
	Addresses []string     `json:"addresses"`
}

// Names of the families in which the mesh keeps its nodes (section 6 of the
// protocol).
const (
	familyAddresses = "'l"
	familyGlobals   = "'g"
)

// directory returns the nodes of the mesh, but for the tool itself.
func (s *session) directory(ctx context.Context) ([]entry, error) {
	if s.generation(s.seed) == 1 {
		return s.neighbours(ctx)
	}
	addresses, err := s.reg.Family(ctx, familyAddresses)
	if err != nil {
		return nil, err
	}
	globals, err := s.reg.Family(ctx, familyGlobals)
	if err != nil {
		return nil, err
	}
	list := []entry{}
	for id, value := range addresses {
		if actor.NodeID(id) == s.node.ID() {
			continue
		}
		e := entry{Node: actor.NodeID(id), Addresses: []string{}}
		_, e.Global = globals[id]
		if err := aemp.Convert(&e.Addresses, value); err != nil {
			e.Addresses = []string{}
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.Node, b.Node) })
	return list, nil
}

// neighbours is the directory of a mesh of generation 1.
func (s *session) neighbours(ctx context.Context) ([]entry, error) {
	up, err := s.upNodes(ctx, s.seed)
	if err != nil {
		return nil, err
	}
	list := []entry{}
	for _, id := range append(up, s.seed) {
		if id != s.node.ID() {
			list = append(list, entry{Node: id, Addresses: []string{}})
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.Node, b.Node) })
	return slices.CompactFunc(list, func(a, b entry) bool { return a.Node == b.Node }), nil
}

// generation tells which one a node belongs to that has answered.
func (s *session) generation(node actor.NodeID) int {
	if g := s.node.Greeting(node); g != nil {
		return g.Generation()
	}
	return 2
}

var errNoAnswer = errors.New("no answer in time (--wait gives it more)")

func ping(ctx context.Context, c *Call, s *session, node actor.NodeID) error {
	once := func() (time.Duration, error) {
		one, cancel := context.WithTimeoutCause(ctx, c.Duration("wait"), errNoAnswer)
		defer cancel()
		start := time.Now()
		err := s.reach(one, node)
		return time.Since(start), err
	}
	// This makes the connection, whose time is not that of a message.
	if _, err := once(); errors.Is(err, errNoAnswer) {
		return Unreachablef("node %s: %w", node, err)
	} else if err != nil {
		return err
	}
	var times []time.Duration
	defer func() { c.summary(node, times) }()
	for n := 1; ; n++ {
		d, err := once()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errNoAnswer) {
			return Unreachablef("node %s: %w", node, err)
		}
		if err != nil {
			return err
		}
		times = append(times, d)
		if err := c.Emit(map[string]any{"node": node, "seq": n, "ms": milliseconds(d)}, fmt.Sprintf("answer from %s: seq=%d time=%.3f ms", node, n, milliseconds(d))); err != nil {
			return err
		}
		if !c.again(ctx, n) {
			return nil
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// summary prints the statistics of a ping.
func (c *Call) summary(node actor.NodeID, times []time.Duration) {
	if len(times) == 0 {
		return
	}
	var sum, squares float64
	for _, d := range times {
		ms := milliseconds(d)
		sum += ms
		squares += ms * ms
	}
	n := float64(len(times))
	mean := sum / n
	deviation := math.Sqrt(max(squares/n-mean*mean, 0))
	least, most := milliseconds(slices.Min(times)), milliseconds(slices.Max(times))
	c.Emit(map[string]any{"node": node, "answers": len(times), "min_ms": least, "mean_ms": mean, "max_ms": most, "deviation_ms": deviation},
		fmt.Sprintf("%d answers from %s: min/mean/max/deviation = %.3f/%.3f/%.3f/%.3f ms", len(times), node, least, mean, most, deviation))
}
