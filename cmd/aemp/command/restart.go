package command

import (
	"context"
	"fmt"

	"github.com/portmesh/portmesh/actor"
)

// functionRestart is the function by which a node is restarted; Perl's watchdog
// has it.
const functionRestart = "AnyEvent::Watchdog::Util::restart"

// perlRestart is what Perl's tool has nodes evaluate for that.
const perlRestart = "my $w; $w = AE::idle sub { undef $w; use AnyEvent::Watchdog::Util ();AnyEvent::Watchdog::Util::restart}; ()"

func restartCommand() *Command {
	return &Command{
		Name:  "restart",
		Group: nodeGroup,
		Args:  "<node>",
		Flags: []Flag{seedsFlag},
		Short: "restart a node",
		Long: `Restarts a node that "aemp run" runs, Perl's or this one: it closes its connections
and begins anew, with what the configuration then says and the program that then
is installed.`,
		Examples: []string{"restart doomed"},
		Timeout:  answerTime,
		Run:      joined((*Call).node, restartNode),
	}
}

func restartNode(ctx context.Context, c *Call, s *session, node actor.NodeID) error {
	known, err := s.knows(ctx, node, functionRestart)
	if err != nil {
		return err
	}
	if !s.isPortmesh(node) {
		if _, err := s.eval(ctx, node, perlRestart); err != nil {
			return fmt.Errorf("%w; is it run by aemp run?", err)
		}
		return c.Emit(map[string]any{"node": node, "restart": true}, "")
	}
	if !known {
		return fmt.Errorf("node %s cannot be restarted from afar, since it is not run by aemp run", node)
	}
	if err := s.sys.Send(node.NodePort(), functionRestart); err != nil {
		return err
	}
	// Its answer is either that or its end.
	if _, err := s.sys.Call(ctx, node.NodePort(), "snd"); err != nil && ctx.Err() != nil {
		return err
	}
	return c.Emit(map[string]any{"node": node, "restart": true}, "")
}
