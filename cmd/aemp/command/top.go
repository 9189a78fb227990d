package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/portmesh/portmesh/actor"
)

func topCommand() *Command {
	return &Command{
		Name:  "top",
		Group: debugGroup,
		Args:  "[node...]",
		Flags: []Flag{
			seedsFlag,
			{Name: "interval", Value: "duration", Default: 2 * time.Second, Help: "from one look to the next"},
			{Name: "count", Value: "n", Default: 0, Help: "how many looks to take; 0 means without end"},
		},
		Short: "show what the nodes are doing, again and again",
		Long: `Asks all nodes of the mesh, or those that are named, how they are, and prints a line
for each: the time of a message there and back, and of those that "aemp run" runs how
many ports they have, the connections, the memory, the messages that come and go in
each second, the bytes that wait to be sent, and the monitors of others on their
ports. On a terminal each look takes the place of the one before; ^C ends it.`,
		Examples: []string{"top", "top --count 1 doomed", "--json top --interval 10s"},
		Run:      top,
	}
}

// A look is what is known of a node at a time.
type look struct {
	Node  actor.NodeID `json:"node"`
	Error string       `json:"error,omitempty"`
	RTT   float64      `json:"rtt_ms,omitempty"`
	Stats *nodeStats   `json:"stats,omitempty"` // nil if the node has none
	In    float64      `json:"messages_in_per_second"`
	Out   float64      `json:"messages_out_per_second"`

	at time.Time
}

func top(ctx context.Context, c *Call) error {
	var named []actor.NodeID
	for i := range c.Args {
		node, err := c.node(i)
		if err != nil {
			return err
		}
		named = append(named, node)
	}
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	before := make(map[actor.NodeID]look)
	for n := 1; ; n++ {
		looks, err := s.lookAround(ctx, named, before)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.show(looks); err != nil {
			return err
		}
		if !c.again(ctx, n) {
			return nil
		}
	}
}

// lookAround asks the nodes, all at once. What was seen before says how fast
// counters grow.
func (s *session) lookAround(ctx context.Context, named []actor.NodeID, before map[actor.NodeID]look) ([]look, error) {
	nodes := named
	if len(nodes) == 0 {
		asked, cancel := context.WithTimeout(ctx, answerTime)
		list, err := s.directory(asked)
		cancel()
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			nodes = append(nodes, e.Node)
		}
	}
	found := make(chan look, len(nodes))
	for _, node := range nodes {
		go func() { found <- s.look(ctx, node) }()
	}
	looks := make([]look, 0, len(nodes))
	for range nodes {
		l := <-found
		l.rates(before[l.Node])
		before[l.Node] = l
		looks = append(looks, l)
	}
	slices.SortFunc(looks, func(a, b look) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return looks, nil
}

var errLook = errors.New("no answer in time")

func (s *session) look(ctx context.Context, node actor.NodeID) look {
	l := look{Node: node}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errLook)
	defer cancel()
	// The first time may be that of making a connection.
	err := s.reach(ctx, node)
	start := time.Now()
	if err == nil {
		err = s.reach(ctx, node)
	}
	if err != nil {
		l.Error = oneLine(err.Error())
		return l
	}
	l.at = time.Now()
	l.RTT = milliseconds(l.at.Sub(start))
	if known, err := s.knows(ctx, node, functionStats); err != nil || !known || !s.isPortmesh(node) {
		return l
	}
	m, err := s.request(ctx, node, functionStats)
	if err == nil {
		var stats nodeStats
		stats, err = parseStats(m)
		l.Stats = &stats
	}
	if err != nil {
		l.Error, l.Stats = oneLine(err.Error()), nil
	}
	return l
}

// rates fills in how fast the counters have grown since.
func (l *look) rates(before look) {
	if l.Stats == nil || before.Stats == nil || !l.at.After(before.at) {
		return
	}
	was := make(map[actor.NodeID]linkStatsJSON)
	for _, link := range before.Stats.Links {
		was[link.Node] = link
	}
	seconds := l.at.Sub(before.at).Seconds()
	for _, link := range l.Stats.Links {
		// A connection that is new has begun at zero.
		old := was[link.Node]
		if old.MessagesReceived > link.MessagesReceived || old.MessagesSent > link.MessagesSent {
			old = linkStatsJSON{}
		}
		l.In += float64(link.MessagesReceived-old.MessagesReceived) / seconds
		l.Out += float64(link.MessagesSent-old.MessagesSent) / seconds
	}
}

// show prints a look at all nodes.
func (c *Call) show(looks []look) error {
	if c.JSON() {
		for _, l := range looks {
			if err := c.Emit(l, ""); err != nil {
				return err
			}
		}
		return nil
	}
	var page strings.Builder
	columns := tabwriter.NewWriter(&page, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(columns, "UP\tPORTS\tLINKS\tMEMORY\tIN/S\tOUT/S\tPENDING\tMONITORS\tRTT MS\t  NODE")
	for _, l := range looks {
		name := "  " + printableText(string(l.Node))
		switch {
		case l.Error != "":
			fmt.Fprintf(columns, "\t\t\t\t\t\t\t\t-\t%s (%s)\n", name, l.Error)
		case l.Stats == nil:
			fmt.Fprintf(columns, "\t\t\t\t\t\t\t\t%.3f\t%s\n", l.RTT, name)
		default:
			var pending, monitors int64
			for _, link := range l.Stats.Links {
				pending += link.PendingBytes
				monitors += link.Monitors
			}
			up := (time.Duration(l.Stats.Uptime) * time.Second).String()
			fmt.Fprintf(columns, "%s\t%d\t%d\t%s\t%.0f\t%.0f\t%s\t%d\t%.3f\t%s\n", up, l.Stats.Processes, len(l.Stats.Links),
				bytesText(l.Stats.Memory), l.In, l.Out, bytesText(pending), monitors, l.RTT, name)
		}
	}
	columns.Flush()
	text := page.String()
	if isTerminal(c.Stdout) {
		text = "\x1b[H\x1b[2J" + text // the cursor to the corner, and the screen cleared
	}
	_, err := fmt.Fprint(c.Output(), text)
	return err
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	const units = "kMGT"
	if n < 1000 {
		return fmt.Sprint(n)
	}
	v, unit := float64(n)/1000, 0
	for v >= 1000 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.1f%c", v, units[unit])
}
