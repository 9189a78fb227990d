// Package logcatcher carries log records from node to node: those of every node
// to one that collects them. It is Perl's AnyEvent::MP::LogCatcher, of both
// generations, and works with Perl nodes in both directions.
//
// A node that lets others collect its records logs through a [Handler]:
//
//	handler := logcatcher.NewHandler(slog.NewTextHandler(os.Stderr, nil))
//	sys := actor.NewSystem(actor.WithLogger(slog.New(handler)))
//	err := handler.Serve(sys)
//	...
//	reg, err := registry.Start(ctx, sys, ...)
//
// A node that collects says where the records of the others go:
//
//	stop, err := logcatcher.Collect(reg, slog.LevelInfo, handler)
//
// A record that is collected has the attribute "node", and is not passed on to
// those who collect from the collector.
//
// # Promises
//
// Logging never waits for the network. Records are lost when they come faster than
// they can be sent, when a connection breaks, and between the start of a node and
// the request of the collector; how many were lost to haste is told by a record.
//
// # Levels
//
// The two generations of Perl number their levels differently, and slog's are
// in between:
//
//	slog            generation 2     generation 1
//	                1 fatal          0 always        (received as Error+12, Error)
//	Error+8         2 alert          1 error
//	Error+4         3 critical       1
//	Error           4 error          1 error
//	Warn            5 warn           2 warning       (3, 4: Warn)
//	Info+2          6 note           5               (6: Info+2)
//	Info            7 info           7 connectivity, services
//	Debug           8 debug          8 debug
//	Debug-4         9 trace          9 trace
//
// What is between two levels of slog counts as the lower one. Nothing is sent as
// fatal, which would end a Perl program.
package logcatcher
