package command_test

import (
	"context"
	"os"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/cmd/aemp/command"
)

// A program that has the tool in it: its nodes know functions in Go, which the
// configuration can name as services and other nodes can spawn.
func Example_functions() {
	tool := command.New()
	tool.Functions = func(sys *actor.System) error {
		return sys.Register("MyApp::greeter", func(c *actor.Context, args actor.Message) error {
			var greeting string
			if err := args.Scan(&greeting); err != nil {
				return err
			}
			c.Receive("greet", func(c *actor.Context, m actor.Message) error { return c.Respond(greeting, m[0]) })
			return nil
		})
	}

	// A program would call tool.Run(ctx, os.Args[1:]). This one ends as soon as
	// the node is ready.
	ctx, cancel := context.WithCancel(context.Background())
	tool.Stdout = untilReady{cancel}
	tool.Getenv = func(name string) string {
		return map[string]string{"PORTMESH_SECRET": "geheim", "PERL_ANYEVENT_MP_RC": os.DevNull}[name]
	}
	tool.Run(ctx, []string{"run", "--log", "error", "nodeid", "greeter", "binds", "[]", "services", `[["MyApp::greeter","hello"]]`})
	// Output: node greeter is ready
}

// untilReady ends a program when it writes its first line.
type untilReady struct{ cancel context.CancelFunc }

func (u untilReady) Write(p []byte) (int, error) {
	u.cancel()
	return os.Stdout.Write(p)
}
