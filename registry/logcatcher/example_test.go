package logcatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/registry/logcatcher"
	"github.com/portmesh/portmesh/remote"
)

// A node collects what the others log; here it prints the first record.
func Example() {
	ctx := context.Background()
	begin := func(id actor.NodeID, log slog.Handler, seeds ...string) *registry.Registry {
		handler := logcatcher.NewHandler(log)
		sys := actor.NewSystem(actor.WithLogger(slog.New(handler)))
		err := handler.Serve(sys)
		if err == nil {
			var reg *registry.Registry
			reg, err = registry.Start(ctx, sys, remote.Config{
				NodeID: id, Secret: "geheim", Listen: []string{"127.0.0.1:0"}, Seeds: seeds,
			}, registry.Config{})
			if err == nil {
				return reg
			}
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
		return nil
	}
	collector := begin("collector", nil)
	defer collector.Close()
	worker := begin("worker", nil, collector.Node().Addresses()...)
	defer worker.Close()

	got := make(printer, 1)
	stop, err := logcatcher.Collect(collector, slog.LevelWarn, got)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	log := worker.Node().System().Logger()
	for !log.Enabled(ctx, slog.LevelWarn) { // until the collector has asked
		if err := worker.Node().Connect(ctx, "collector"); err != nil {
			fmt.Println(err)
			return
		}
	}
	log.Warn("disk is nearly full", "percent", 97)
	fmt.Println(<-got)
	// Output: WARN disk is nearly full percent=97 node=worker
}

// A printer is a handler that makes lines of records.
type printer chan string

func (p printer) Enabled(_ context.Context, level slog.Level) bool { return true }
func (p printer) WithAttrs([]slog.Attr) slog.Handler               { return p }
func (p printer) WithGroup(string) slog.Handler                    { return p }

func (p printer) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	select {
	case p <- line:
	default:
	}
	return nil
}
