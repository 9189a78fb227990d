package command

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/portmesh/portmesh/aemp/profile"
	"github.com/portmesh/portmesh/registry/logcatcher"
	"github.com/portmesh/portmesh/supervision"
)

// A service is something that a node is to run.
type service struct {
	name     string
	start    func(n *runner) error // of a built-in service
	function string                // that makes the port of another
	args     []any
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
		for _, arg := range s.Args {
			built.args = append(built.args, messageValue(arg))
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

// A function that fails is called anew, but not forever: the node ends when it
// has failed more often than this in that time.
const (
	serviceIntensity = 3
	servicePeriod    = 10 * time.Second
)

// supervise makes ports of the functions of the program that are services, under
// a supervisor.
func (n *runner) supervise(ctx context.Context) error {
	spec := supervision.Spec{Strategy: supervision.OneForOne, Intensity: serviceIntensity, Period: servicePeriod}
	for i, s := range n.services {
		if s.function != "" {
			spec.Children = append(spec.Children, supervision.Child{
				ID:      fmt.Sprintf("%d %s", i+1, strings.ReplaceAll(s.name, "/", "_")),
				Start:   supervision.Remote{Node: n.reg.Node().ID(), Function: s.function, Args: s.args},
				Restart: supervision.Transient,
			})
		}
	}
	if len(spec.Children) == 0 {
		return nil
	}
	sup, err := supervision.Start(ctx, n.sys, spec)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-sup.Done()
		if err := sup.Err(); err != nil {
			n.end(fmt.Errorf("the services have failed too often: %w", err))
		}
	}()
	n.stop = append(n.stop, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*stopTime)
		defer cancel()
		if err := sup.Stop(ctx); err != nil && ctx.Err() != nil {
			sup.Kill()
		}
		<-ended
	})
	return nil
}

// stopTime is how long a service may take to stop.
const stopTime = 5 * time.Second
