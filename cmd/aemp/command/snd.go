package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// sndCommands are the protocol commands of Perl's tool.
func sndCommands() []*Command {
	flags := []Flag{seedsFlag}
	return []*Command{
		{
			Name:  "snd",
			Group: protocolGroup,
			Args:  "<port> [arg...]",
			Flags: flags,
			Short: "send a message to a port",
			Long: `Sends the arguments as a message, and makes sure that it has arrived. That the
port does not exist is an error.

A node ID in the place of a port ID means the node itself, whose messages are
requests, such as the names of functions to be called there.`,
			Examples: []string{`snd doomed#4fJx2ba hello 1 '{"key":[1,2]}'`, "snd doomed AnyEvent::Watchdog::restart 1"},
			Timeout:  answerTime,
			Run:      joined((*Call).port, snd),
		},
		{
			Name:  "mon",
			Group: protocolGroup,
			Args:  "<port>",
			Flags: flags,
			Short: "wait until a port is killed, and print the reason",
			Long: `Waits until the port dies, or the connection to its node ends, and prints the
reason: its elements with blanks between them, or "normal". A node ID in the
place of a port ID means to wait for the connection to that node to end.`,
			Examples: []string{"mon doomed#4fJx2ba", "mon doomed"},
			Run:      joined((*Call).port, mon),
		},
		{
			Name:  "cal",
			Group: protocolGroup,
			Args:  "<port> [arg...]",
			Flags: flags,
			Short: "send a message with a reply port, and print the answer",
			Long: `Sends the arguments and, as the last element, the ID of a new port, and prints
the first message that comes to that port: as JSON, its elements with commas
between them.`,
			Examples: []string{"cal doomed time", "cal worker#q4Fa status"},
			Timeout:  answerTime,
			Run:      joined((*Call).port, cal),
		},
		{
			Name:  "spawn",
			Group: protocolGroup,
			Args:  "<node> <function> [arg...]",
			Flags: flags,
			Short: "make a port by a function of a node, and print its ID",
			Long: `Has the node call a function that makes a port: in Perl any, in Go one that is
registered. That there is no such function is an error; what the function does wrong
later shows when it is monitored.`,
			Examples: []string{"spawn doomed MyApp::worker 1 2"},
			Timeout:  answerTime,
			Run:      joined((*Call).node, spawn),
		},
		{
			Name:  "kil",
			Group: protocolGroup,
			Args:  "<port> [reason...]",
			Flags: flags,
			Short: "kill a port",
			Long: `Kills a port with a reason, of which those hear that monitor it. Without a reason the
death is normal. That the port does not exist is an error.`,
			Examples: []string{"kil doomed#4fJx2ba", "kil doomed#4fJx2ba maintenance"},
			Timeout:  answerTime,
			Run:      kil,
		},
		{
			Name:  "eval",
			Group: protocolGroup,
			Args:  "<node> <expression...>",
			Flags: flags,
			Short: "have a Perl node evaluate an expression",
			Long: `Joins the expressions with blanks, has the node evaluate them, and prints the
results as cal does. Perl nodes do so unless they are configured not to. Nodes of
Portmesh never do, except for a few questions of which they know the answers.
The tool itself cannot run Perl code.`,
			Examples: []string{"eval doomed '$$'", "eval doomed AnyEvent::MP::Kernel::up_nodes"},
			Timeout:  answerTime,
			Run:      joined((*Call).node, eval),
		},
	}
}

func snd(ctx context.Context, c *Call, s *session, port actor.PortID) error {
	died, err := s.ask(ctx, port, func(self *actor.Context) error { return self.Send(port, c.Message(1)...) })
	if err != nil {
		return err
	}
	if died.Kind() == aemp.ReasonNoSuchPort { // what else it dies of comes after the message
		return deathError(port, died)
	}
	return c.Emit(map[string]any{"port": port, "sent": true}, "message sent successfully")
}

func mon(ctx context.Context, c *Call, s *session, port actor.PortID) error {
	died := make(chan actor.Reason, 1)
	s.sys.Monitor(port, func(reason actor.Reason) { died <- reason })
	reachable, cancel := context.WithTimeoutCause(ctx, answerTime, &timeoutError{answerTime})
	defer cancel()
	if err := s.reach(reachable, port.Node()); err != nil {
		return err
	}
	select {
	case reason := <-died:
		return c.Emit(map[string]any{"port": port, "reason": jsonValue(reason)}, printableReason(reason))
	case <-ctx.Done():
		return fmt.Errorf("port %s is alive: %w", port, context.Cause(ctx))
	}
}

// printableReason makes a reason a line.
func printableReason(r actor.Reason) string { return oneLine(r.String()) }

func cal(ctx context.Context, c *Call, s *session, port actor.PortID) error {
	answer, err := s.call(ctx, port, c.Message(1)...)
	if err != nil {
		return err
	}
	return c.Emit(jsonValue(answer), elements(answer))
}

func eval(ctx context.Context, c *Call, s *session, node actor.NodeID) error {
	var words []string
	for i := range c.Args[1:] {
		words = append(words, c.Text(i+1))
	}
	result, err := s.eval(ctx, node, strings.Join(words, " "))
	if err != nil {
		return err
	}
	return c.Emit(jsonValue(result), elements(result))
}

func spawn(ctx context.Context, c *Call, s *session, node actor.NodeID) error {
	port := s.sys.Spawn(node, c.Text(1), c.Message(2)...)
	died, err := s.alive(ctx, port)
	if err != nil {
		return err
	}
	if died != nil {
		return fmt.Errorf("function %s of node %s has made no port: %s", c.Text(1), node, printableReason(died))
	}
	return c.Emit(port, string(port))
}

func kil(ctx context.Context, c *Call) error {
	port, err := c.port(0)
	if err != nil {
		return err
	}
	if port.IsNodePort() {
		return Usagef("a node cannot be killed")
	}
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	died, err := s.alive(ctx, port)
	if err != nil {
		return err
	}
	if died != nil {
		return deathError(port, died)
	}
	s.sys.Kill(port, c.Message(1)...)
	if err := s.reach(ctx, port.Node()); err != nil {
		return err
	}
	return c.Emit(map[string]any{"port": port, "killed": true}, "")
}

// alive finds out whether a port lives. Otherwise it returns the reason of its
// death, which is not nil.
func (s *session) alive(ctx context.Context, port actor.PortID) (died actor.Reason, err error) {
	return s.ask(ctx, port, func(*actor.Context) error { return nil })
}

// ask monitors a port, calls send, and waits until the port's node has dealt with
// what was sent. If the port is dead by then it returns the reason, which is not
// nil. The error is that of send, or tells that the node cannot be reached.
func (s *session) ask(ctx context.Context, port actor.PortID, send func(self *actor.Context) error) (died actor.Reason, err error) {
	heard, failed := make(chan actor.Reason, 2), make(chan error, 1)
	// A port hears what happens in the order in which it happens: the echo of
	// the node comes behind the news of a death.
	self := s.sys.Port(func(self *actor.Context) error {
		self.Monitor(port, func(reason actor.Reason) {
			if reason == nil {
				reason = actor.Reason{}
			}
			heard <- reason
		})
		self.Default(func(*actor.Context, actor.Message) error {
			heard <- nil
			return nil
		})
		err := send(self)
		if err == nil {
			err = self.Send(port.Node().NodePort(), "snd", self.Self(), "echo")
		}
		if err != nil {
			failed <- err
		}
		return nil
	})
	defer s.sys.Kill(self)
	select {
	case reason := <-heard:
		if reason.Kind() == aemp.ReasonTransport {
			return nil, deathError(port, reason)
		}
		return reason, nil
	case err := <-failed:
		return nil, err
	case <-ctx.Done():
		return nil, fmt.Errorf("node %s does not answer: %w", port.Node(), context.Cause(ctx))
	}
}

// eval has a node evaluate an expression.
func (s *session) eval(ctx context.Context, node actor.NodeID, code string) (aemp.Message, error) {
	answer, err := s.request(ctx, node, "eval", code)
	if err != nil {
		return nil, err
	}
	var failure string
	if err := answer.Scan(&failure); err != nil {
		return nil, fmt.Errorf("%s: the answer %v begins with no error text", node, answer)
	}
	if failure != "" {
		return nil, fmt.Errorf("%s: %s", node, strings.TrimSpace(failure))
	}
	return answer[1:], nil
}

// elements is a message as JSON without the brackets, as Perl's tool prints it.
func elements(m aemp.Message) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(jsonValue(m)); err != nil {
		return m.String()
	}
	text := strings.TrimSuffix(b.String(), "\n")
	return strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
}
