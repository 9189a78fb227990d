package command

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp/profile"
	"github.com/portmesh/portmesh/registry/logcatcher"
)

// A service is something that a node is to run.
type service struct {
	name     string
	function string // that makes its port; empty for the built-in services
	start    func(n *runner) error
}

// add takes a service of the configuration.
func (n *runner) add(s profile.Service) error {
	built := service{name: s.Name}
	text := func(i int, fallback string) string {
		if i < len(s.Args) {
			return argText(s.Args[i])
		}
		return fallback
	}
	switch s.Name {
	case "global", "AnyEvent::MP::Global::", "AnyEvent::MP::Global":
		n.global = true
		return nil
	case "logcatcher", "AnyEvent::MP::LogCatcher::catch":
		level, err := logLevel(text(0, "info"))
		if err != nil {
			return Usagef("service %s: %w", s.Name, err)
		}
		built.start = func(n *runner) error { return n.collect(level) }
	case "metrics":
		address := text(0, "127.0.0.1:9464")
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Usagef("service metrics: %w; want host:port", err)
		}
		built.start = func(n *runner) error { return n.serveMetrics(address) }
	default:
		built.function = s.Name
		args := make([]any, len(s.Args))
		for i, arg := range s.Args {
			args[i] = messageValue(arg)
		}
		built.start = func(n *runner) error {
			n.spawn(s.Name, args)
			return nil
		}
	}
	n.services = append(n.services, built)
	return nil
}

// logLevel reads a level by its name, or by the number that Perl programs of
// generation 2 give it.
func logLevel(text string) (slog.Level, error) {
	if number, err := strconv.Atoi(text); err == nil {
		return logcatcher.PerlLevel(number), nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("level %q: want debug, info, warn or error, or a number from 1 to 9", text)
	}
	return level, nil
}

// collect is the service logcatcher: the logs of all nodes become part of ours.
func (n *runner) collect(level slog.Level) error {
	stop, err := logcatcher.Collect(n.reg, level, n.handler)
	if err != nil {
		return err
	}
	n.stop = append(n.stop, stop)
	return nil
}

// spawn makes a port of a function of the program. If the port dies of a failure
// the node ends.
func (n *runner) spawn(function string, args []any) {
	port := n.sys.Spawn(n.reg.Node().ID(), function, args...)
	stop := n.sys.Monitor(port, func(reason actor.Reason) {
		if !reason.Normal() {
			n.end(fmt.Errorf("service %s has died: %s", function, reason))
		}
	})
	n.stop = append(n.stop, func() {
		stop()
		gone := make(chan bool)
		n.sys.Monitor(port, func(actor.Reason) { close(gone) })
		n.sys.Kill(port)
		select {
		case <-gone:
		case <-time.After(stopTime): // it does not come to the end of a message
		}
	})
}

// stopTime is how long a service may take to stop.
const stopTime = 5 * time.Second
