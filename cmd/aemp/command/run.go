package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp/profile"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/registry/logcatcher"
	"github.com/portmesh/portmesh/remote"
)

const nodeGroup = "Running a node"

// runCommand runs a node.
func runCommand() *Command {
	return &Command{
		Name:  "run",
		Group: nodeGroup,
		Args:  "[profile-or-key...]",
		Flags: []Flag{
			{Name: "log", Value: "level", Default: "info", Help: "what is logged: debug, info, warn or error"},
			{Name: "watchdog", Default: false, Help: "start the node anew when it crashes or hangs"},
		},
		Short: "run a node, with the services of its profile",
		Long: `Runs a node until it gets SIGTERM or SIGINT. The first argument is the name of a
profile (otherwise that of this host); behind it stand keys and values for what
the configuration leaves open, as for showconfig.

When the node listens and its services run, a line is printed that says so, and
systemd is told if it has started the node (Type=notify, WatchdogSec). Logs go to
standard error, and to whichever node collects them.

Services are:
  global                      keep the database of the mesh
  logcatcher [level]          collect the logs of all nodes (info)
  metrics [host:port]         serve statistics for Prometheus (127.0.0.1:9464)
  function [argument...]      a function in Go, which makes a port
They also answer to the names that they have in Perl: AnyEvent::MP::Global::,
AnyEvent::MP::LogCatcher::catch. Functions are those of a program in Go that has
this tool in it; modules in Perl are for Perl's aemp. The node ends if a function makes
no port. A port that dies of a failure is made anew, but not more than 3 times in 10
seconds.

Other nodes can have the node hold entries of the database (db set), ask for its
statistics (top), and restart it (restart). A node whose configuration says
"secure" does none of that. SIGHUP restarts the node, too.`,
		Examples: []string{"run server", "run nodeid mynode2 binds *:4041", `run services '[["logcatcher","debug"],"global"]'`},
		Run:      run,
	}
}

func run(ctx context.Context, c *Call) error {
	if err := c.save(ctx); err != nil {
		return err
	}
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.String("log"))); err != nil {
		return Usagef("--log: want debug, info, warn or error, have %q", c.String("log"))
	}
	if c.Bool("watchdog") && !isWatched() {
		return watch(ctx, c.Stderr)
	}
	name, pairs := c.selected(), 0
	if len(c.Args)%2 == 1 {
		name, pairs = c.Text(0), 1
	}
	s, err := c.settings(cmp.Or(name, c.Getenv(profile.EnvProfile), profile.HostName()))
	if err != nil {
		return err
	}
	if err := c.addPairs(s, pairs); err != nil {
		return err
	}
	config, err := remote.Config{}.WithSettings(ctx, s)
	if err != nil {
		return configError(err)
	}
	if config.Secret == "" && config.TLS == nil {
		return Usagef("profile %s has neither a secret nor a certificate; make one with \"aemp gensecret\"", s.Profile)
	}
	n := &runner{call: c, config: config, handler: logcatcher.NewHandler(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: level}))}
	for _, service := range s.Services {
		if err := n.add(service); err != nil {
			return err
		}
	}
	err = n.run(ctx)
	if errors.Is(err, errRestart) {
		return restart()
	}
	return err
}

// errRestart is the cause of an end after which the node begins anew.
var errRestart = errors.New("restart")

// A runner is a node that is run with services.
type runner struct {
	call     *Call
	config   remote.Config
	handler  *logcatcher.Handler
	global   bool
	services []service

	sys  *actor.System
	reg  *registry.Registry
	end  context.CancelCauseFunc
	stop []func()
}

// run runs the node until the context ends, a service fails, or it is to be
// restarted.
func (n *runner) run(ctx context.Context) error {
	ctx, n.end = context.WithCancelCause(ctx)
	defer n.end(nil)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	n.sys = actor.NewSystem(actor.WithLogger(slog.New(n.handler)))
	if err := n.handler.Serve(n.sys); err != nil {
		return err
	}
	defer n.sys.Actors().Shutdown()
	if register := n.call.Functions; register != nil {
		if err := register(n.sys); err != nil {
			return err
		}
	}
	if err := n.known(ctx); err != nil {
		return err
	}
	var err error
	if n.reg, err = registry.Start(ctx, n.sys, n.config, registry.Config{Global: n.global}); err != nil {
		return err
	}
	defer n.reg.Close()
	if err := n.serve(); err != nil {
		return err
	}
	defer func() {
		for _, stop := range slices.Backward(n.stop) {
			stop()
		}
	}()
	for _, s := range n.services {
		if s.start == nil {
			continue
		}
		if err := s.start(n); err != nil {
			return fmt.Errorf("service %s: %w", s.name, err)
		}
	}
	if err := n.supervise(ctx); err != nil {
		return err
	}
	node := n.reg.Node()
	text := fmt.Sprintf("node %s is ready", node.ID())
	if addresses := node.Addresses(); len(addresses) > 0 {
		text += ", listening on " + strings.Join(addresses, " ")
	}
	if err := n.call.Emit(map[string]any{"ready": true, "node": node.ID(), "addresses": append([]string{}, node.Addresses()...)}, text); err != nil {
		return err
	}
	beat := n.heartbeat(ctx, text)
	defer beat()
	select {
	case <-ctx.Done():
	case <-hangup:
		return errRestart
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// serve answers what every node that is run answers.
func (n *runner) serve() error {
	restartLater := func(from actor.NodeID) (actor.Message, error) {
		n.sys.Logger().Warn("restart", "by", from)
		n.end(errRestart)
		return nil, nil
	}
	n.sys.HandleEval(perlRestart, restartLater)
	return errors.Join(
		serveDatabase(n.reg),
		serveStats(n.reg),
		n.sys.RegisterCall(functionRestart, func(from actor.NodeID, _ actor.Message) error {
			_, err := restartLater(from)
			return err
		}),
	)
}

// known checks that each service is a function of this program, while nothing
// has been started.
func (n *runner) known(ctx context.Context) error {
	for _, s := range n.services {
		if s.function == "" {
			continue
		}
		answer, err := n.sys.Call(ctx, n.sys.Node().NodePort(), "can", s.function)
		if err != nil {
			return err
		}
		if known := ""; answer.Scan(&known) != nil || known == "" {
			return Usagef("service %s is not known here; this program knows global, logcatcher, metrics, and the functions in Go that it was built with", s.name)
		}
	}
	return nil
}
