package command_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/portmesh/portmesh/cmd/aemp/command"
)

// A program can be the tool, with subcommands of its own: they are in the help,
// the manual and the completion at once.
func Example() {
	tool := command.New()
	tool.Commands = append(tool.Commands, &command.Command{
		Name:  "shout",
		Group: "Our own",
		Args:  "<word> [more...]",
		Flags: []command.Flag{{Name: "marks", Value: "n", Default: 1, Help: "how many exclamation marks"}},
		Short: "say it loudly",
		Run: func(ctx context.Context, c *command.Call) error {
			var words []string
			for i := range c.Args {
				words = append(words, strings.ToUpper(c.Text(i)))
			}
			text := strings.Join(words, " ") + strings.Repeat("!", c.Int("marks"))
			return c.Emit(map[string]any{"text": text}, text)
		},
	})
	tool.Stdout, tool.Stderr = os.Stdout, os.Stdout

	ctx := context.Background()
	tool.Run(ctx, []string{"shout", "--marks", "3", "good", "morning"})
	tool.Run(ctx, []string{"--json", "shout", "good night"})
	fmt.Println(tool.Run(ctx, []string{"shuot", "good", "day"}))
	// Output:
	// GOOD MORNING!!!
	// {"text":"GOOD NIGHT!"}
	// aemp: shuot: no such subcommand (did you mean shout?); see aemp help
	// 2
}
