package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

const protocolGroup = "Talking to nodes"

// answerTime is how long protocol commands wait, as Perl's tool does.
const answerTime = 5 * time.Second

// seedsFlag is one of all commands that talk to nodes.
var seedsFlag = Flag{Name: "seeds", Value: "host:port,...", Default: "", Help: "where to enter the mesh, in the place of what is configured"}

// A session is the tool as a node of the mesh, as long as a subcommand needs it.
type session struct {
	sys  *actor.System
	reg  *registry.Registry
	node *remote.Node
	seed actor.NodeID // the first one that was connected

	// In a shell.
	shared bool // it outlives the subcommands
	seen   *seen
}

// join makes the tool a node, and waits until it is connected with a seed.
func (c *Call) join(ctx context.Context) (*session, error) {
	if c.session != nil {
		return c.session, nil
	}
	config, err := c.nodeConfig(ctx)
	if err != nil {
		return nil, err
	}
	if len(config.Seeds) == 0 {
		return nil, Usagef("no seed is known; name one with --seeds host:port, or once and for all with \"aemp addseed host:port\"")
	}
	s := &session{sys: actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))}
	events := make(chan any, 100)
	subscription := s.sys.Actors().EventStream.Subscribe(func(e any) {
		select {
		case events <- e:
		default: // nobody is interested any more
		}
	})
	defer s.sys.Actors().EventStream.Unsubscribe(subscription)
	if s.reg, err = registry.Start(ctx, s.sys, config, registry.Config{}); err != nil {
		return nil, err
	}
	s.node = s.reg.Node()
	if s.seed, err = firstSeed(ctx, config.Seeds, events); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// firstSeed waits for a connection with a seed. It does not wait for what cannot
// be: when all have failed it tells why.
func firstSeed(ctx context.Context, seeds []string, events <-chan any) (actor.NodeID, error) {
	timeout := time.NewTimer(answerTime)
	defer timeout.Stop()
	failed := make(map[string]error)
	for len(failed) < len(seeds) {
		select {
		case e := <-events:
			switch e := e.(type) {
			case remote.SeedUp:
				return e.Node, nil
			case remote.SeedFailed:
				failed[e.Address] = e.Err
			}
		case <-timeout.C:
			for _, seed := range seeds {
				if failed[seed] == nil {
					failed[seed] = fmt.Errorf("no answer within %v", answerTime)
				}
			}
		case <-ctx.Done():
			return "", fmt.Errorf("no seed answers (%s): %w", strings.Join(seeds, ", "), context.Cause(ctx))
		}
	}
	var texts []string
	hint := "is a node running there?"
	for _, seed := range seeds {
		err := failed[seed]
		text := err.Error()
		if !strings.Contains(text, seed) {
			text = seed + ": " + text
		}
		texts = append(texts, text)
		switch failure := (*aemp.HandshakeError)(nil); {
		case errors.Is(err, aemp.ErrTLS):
			hint = "the nodes of a mesh share one certificate (aemp setcert)"
		case errors.As(err, &failure) && failure.Phase == aemp.PhaseAuth:
			hint = "the nodes of a mesh share one secret (aemp setsecret)"
		}
	}
	return "", Unreachablef("no seed can be reached: %s; %s", strings.Join(texts, "; "), hint)
}

func (s *session) close() {
	if s.shared {
		return
	}
	s.reg.Close()
	s.sys.Actors().Shutdown()
}

// request asks a node port and waits for the answer.
func (s *session) request(ctx context.Context, node actor.NodeID, request ...any) (aemp.Message, error) {
	return s.call(ctx, node.NodePort(), request...)
}

// call sends a message and waits for the answer. The error says what is wrong
// with the port.
func (s *session) call(ctx context.Context, port actor.PortID, msg ...any) (aemp.Message, error) {
	answer, err := s.sys.Call(ctx, port, msg...)
	return answer, explain(err)
}

// reach makes sure that a node is there, and that it has got what was sent to it
// before: it is asked to send an empty message back.
func (s *session) reach(ctx context.Context, node actor.NodeID) error {
	_, err := s.request(ctx, node, "snd")
	return err
}

// knows reports whether a node knows a function that is called by a message to its
// node port. Perl nodes do not tell, but do not need to be asked either: they know
// all that they have loaded.
func (s *session) knows(ctx context.Context, node actor.NodeID, function string) (bool, error) {
	if err := s.reach(ctx, node); err != nil { // its greeting says what it is
		return false, err
	}
	if !s.isPortmesh(node) {
		return true, nil
	}
	answer, err := s.request(ctx, node, "can", function)
	if err != nil {
		return false, err
	}
	var known string
	return answer.Scan(&known) == nil && known == "1", nil
}

// isPortmesh reports whether a node is one of ours, and connected.
func (s *session) isPortmesh(node actor.NodeID) bool {
	g := s.node.Greeting(node)
	return g != nil && g.IsPortmesh()
}

// explain makes of the death of a port what the user wants to know.
func explain(err error) error {
	var death *actor.DeathError
	if !errors.As(err, &death) {
		return err
	}
	return deathError(death.Port, death.Reason)
}

// deathError says why nothing can be expected from a port.
func deathError(port actor.PortID, reason actor.Reason) error {
	switch reason.Kind() {
	case aemp.ReasonTransport:
		text := ""
		if len(reason) > 2 {
			text, _ = reason[2].(string)
		}
		return Unreachablef("node %s cannot be reached: %s; \"aemp nodes\" lists those that can", port.Node(), text)
	case aemp.ReasonNoSuchPort:
		return fmt.Errorf("there is no port %s; ports have new names each time their node is started", port)
	}
	return fmt.Errorf("port %s has died: %s", port, reason)
}

// joined makes the Run of a command that talks to what its first argument names:
// it reads that, as first says, and joins the mesh as long as run takes.
func joined[ID any](first func(c *Call, i int) (ID, error), run func(ctx context.Context, c *Call, s *session, id ID) error) func(context.Context, *Call) error {
	return func(ctx context.Context, c *Call) error {
		id, err := first(c, 0)
		if err != nil {
			return err
		}
		s, err := c.join(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		return run(ctx, c, s, id)
	}
}

// port reads an argument that is a port ID.
func (c *Call) port(i int) (actor.PortID, error) {
	port := actor.PortID(c.Text(i))
	if err := port.Validate(); err != nil {
		return "", Usagef("%w; want NODE#PORT, or NODE for the node itself", err)
	}
	return port, nil
}

// node reads an argument that is a node ID. As in Perl's tool it may be a port
// ID, which stands for its node.
func (c *Call) node(i int) (actor.NodeID, error) {
	port, err := c.port(i)
	return port.Node(), err
}
