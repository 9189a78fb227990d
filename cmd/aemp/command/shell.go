package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
)

func shellCommand() *Command {
	return &Command{
		Name:  "shell",
		Group: protocolGroup,
		Args:  "[node]",
		Flags: []Flag{seedsFlag},
		Short: "talk to nodes, line by line",
		Long: `Takes the subcommands that talk to nodes, one in each line, and a few more, from one
node of the mesh that lives as long as the shell:

  =              list the nodes
  =NODE          make this the current node
  !EXPRESSION    have the current node evaluate an expression
  mon PORT       tell when a port dies, without waiting for it
  unmon PORT     do not tell any more
  exit           leave; so does the end of the input

In a line, $SELF is the ID of a port that prints what it gets, and an ID that begins
with # is that of a port of the current node. Words may be 'quoted'; what begins
with [, { or " is JSON.

On a terminal, lines are edited as usual, the arrows find former lines, the tabulator
completes subcommands, IDs of nodes and of ports that have been seen, and families,
and ^C stops a subcommand.`,
		Examples: []string{"shell", "shell doomed", "echo 'cal doomed time' | aemp shell"},
		Run:      runShell,
	}
}

// A shell reads lines and runs subcommands in one session.
type shell struct {
	call    *Call
	tool    Tool // with the shell's own commands
	session *session
	out     io.Writer
	self    actor.PortID
	node    actor.NodeID // the current one
	input   lineReader
	failed  bool // a line has failed

	mu       sync.Mutex
	monitors map[actor.PortID]func()
}

func runShell(ctx context.Context, c *Call) error {
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	s.shared = true
	defer func() { s.shared = false }()

	sh := &shell{call: c, tool: *c.Tool, session: s, node: s.seed, monitors: make(map[actor.PortID]func())}
	if len(c.Args) > 0 {
		if sh.node, err = c.node(0); err != nil {
			return err
		}
	}
	s.seen = newSeen(sh.node)
	stop, err := s.reg.Monitor(familyAddresses, func(change registry.Change) {
		s.seen.setNodes(slices.Collect(maps.Keys(change.Content)))
	})
	if err != nil {
		return err
	}
	defer stop()
	// That the families are not known is no reason to keep the user waiting, or
	// to bother him.
	asking, done := context.WithTimeout(ctx, answerTime)
	var asked sync.WaitGroup
	asked.Go(func() {
		names, _ := s.families(asking)
		for _, name := range names {
			s.seen.remember(&s.seen.families, name)
		}
	})
	defer asked.Wait()
	defer done()
	leave, err := sh.begin(ctx)
	if err != nil {
		return err
	}
	defer leave()
	sh.tool.Stdout, sh.tool.Stderr = sh.out, sh.out
	sh.tool.Commands = sh.commands()
	sh.self = s.sys.Port(func(ctx *actor.Context) error {
		ctx.Default(func(_ *actor.Context, m actor.Message) error {
			sh.tell(map[string]any{"message": jsonValue(m)}, "message: "+elements(m))
			return nil
		})
		return nil
	})
	return sh.loop(ctx)
}

// A lineReader is where lines come from.
type lineReader interface {
	// readLine prompts for a line. At the end of the input, and when the
	// context ends, the error is [io.EOF].
	readLine(ctx context.Context, prompt string) (string, error)
	// during runs a subcommand, which the user may interrupt.
	during(ctx context.Context, run func(ctx context.Context))
}

// begin sets up the input and the output: with line editing if both are a
// terminal. The returned function undoes that.
func (sh *shell) begin(ctx context.Context) (leave func(), err error) {
	in, ok1 := sh.call.Stdin.(*os.File)
	out, ok2 := sh.call.Stdout.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(in.Fd())) || !isTerminal(out) {
		sh.out = &lockedWriter{w: sh.call.Output()}
		sh.input = newPlainLines(ctx, sh.call.Stdin)
		return func() {}, nil
	}
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	e := newEditor(ctx, in, out, sh.complete)
	sh.out, sh.input = e.terminal, e
	fmt.Fprintln(sh.out, `"help" lists the subcommands, "exit" leaves.`)
	return func() { term.Restore(int(in.Fd()), state) }, nil
}

// loop runs line by line.
func (sh *shell) loop(ctx context.Context) error {
	defer func() {
		sh.mu.Lock()
		stops := slices.Collect(maps.Values(sh.monitors))
		sh.mu.Unlock()
		for _, stop := range stops {
			stop()
		}
	}()
	for ctx.Err() == nil {
		line, err := sh.input.readLine(ctx, string(sh.node)+"> ")
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("input: %w", err)
		}
		line = strings.TrimSpace(line)
		if line == "exit" || line == "quit" {
			break
		}
		if line == "" {
			continue
		}
		sh.input.during(ctx, func(ctx context.Context) {
			if err := sh.run(ctx, line); err != nil && !errors.Is(err, context.Canceled) {
				sh.failed = true
				fmt.Fprintln(sh.out, sh.call.Paint(Red, "error: "+oneLine(err.Error())))
			}
		})
	}
	if _, scripted := sh.input.(*plainLines); scripted && sh.failed {
		return errors.New("not all lines have succeeded")
	}
	return nil
}

// run runs one line.
func (sh *shell) run(ctx context.Context, line string) error {
	switch {
	case line == "=":
		line = "nodes"
	case line[0] == '=':
		node := actor.NodeID(strings.TrimSpace(line[1:]))
		if err := node.Validate(); err != nil {
			return err
		}
		sh.node = node
		return nil
	case line[0] == '!':
		// The expression is one word, whatever it begins with.
		return sh.tool.run(ctx, sh.env(), []string{"eval", string(sh.node), quoteWord(strings.TrimSpace(line[1:]))})
	}
	words, err := splitWords(strings.ReplaceAll(line, "$SELF", string(sh.self)))
	if err != nil {
		return err
	}
	for i, word := range words {
		if i > 0 && strings.HasPrefix(word, "#") {
			words[i] = string(sh.node) + word
		}
	}
	sh.session.seen.look(words)
	return sh.tool.run(ctx, sh.env(), words)
}

// env is what a line sees: the flags with which the shell was called, and its
// session.
func (sh *shell) env() *Env {
	flags := maps.Clone(sh.call.Env.flags)
	flags["color"] = "never"
	if sh.call.Colors() {
		flags["color"] = "always"
	}
	return &Env{Tool: &sh.tool, flags: flags, output: &output{w: sh.out}, session: sh.session}
}

// tell prints what happens meanwhile.
func (sh *shell) tell(v any, text string) { sh.env().Emit(v, text) }

// commands are the subcommands that talk to nodes, and the shell's own.
func (sh *shell) commands() []*Command {
	commands := []*Command{
		{
			Name: "mon", Group: protocolGroup, Args: "<port>",
			Short: "tell when a port dies, or the connection to a node ends",
			Run:   func(_ context.Context, c *Call) error { return sh.monitor(c) },
		},
		{
			Name: "unmon", Group: protocolGroup, Args: "<port>",
			Short: "do not tell any more when a port dies",
			Run:   func(_ context.Context, c *Call) error { return sh.unmonitor(c) },
		},
	}
	for _, c := range sh.call.Tool.Commands {
		talks := slices.ContainsFunc(c.Flags, func(f Flag) bool { return f.Name == seedsFlag.Name })
		if c.Name == "help" || talks && c.Name != "shell" && c.Name != "mon" && c.Name != "top" {
			commands = append(commands, c)
		}
	}
	return commands
}

func (sh *shell) monitor(c *Call) error {
	port, err := c.port(0)
	if err != nil {
		return err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.monitors[port] != nil {
		return fmt.Errorf("%s is monitored already", port)
	}
	sh.monitors[port] = sh.session.sys.Monitor(port, func(reason actor.Reason) {
		sh.mu.Lock()
		delete(sh.monitors, port)
		sh.mu.Unlock()
		sh.tell(map[string]any{"port": port, "reason": jsonValue(reason)}, fmt.Sprintf("%s has died: %s", port, printableReason(reason)))
	})
	return nil
}

func (sh *shell) unmonitor(c *Call) error {
	port, err := c.port(0)
	if err != nil {
		return err
	}
	sh.mu.Lock()
	stop := sh.monitors[port]
	delete(sh.monitors, port)
	sh.mu.Unlock()
	if stop == nil {
		return fmt.Errorf("%s is not monitored", port)
	}
	stop()
	return nil
}

// complete returns what the start of a line may become.
func (sh *shell) complete(line string) (candidates []string) {
	if node, ok := strings.CutPrefix(line, "="); ok {
		sh.session.candidates("node", func(id, _ string) {
			if strings.HasPrefix(id, node) {
				candidates = append(candidates, id)
			}
		})
		return candidates
	}
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasSuffix(line, " ") {
		words = append(words, "")
	}
	for _, found := range sh.env().complete(words) {
		word, _, _ := strings.Cut(found, "\t")
		candidates = append(candidates, word)
	}
	slices.Sort(candidates)
	return slices.Compact(candidates)
}

// seen is what has been seen in a session, for completion. Its methods may be
// called by any goroutine.
type seen struct {
	mu       sync.Mutex
	nodes    map[string]bool
	ports    []string // the latest last
	families []string
}

// mostSeen bounds how many ports and families are remembered.
const mostSeen = 1000

func newSeen(node actor.NodeID) *seen { return &seen{nodes: map[string]bool{string(node): true}} }

func (s *seen) setNodes(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.nodes)
	for _, id := range ids {
		s.nodes[id] = true
	}
}

// look remembers the ports and the family of a line.
func (s *seen) look(words []string) {
	if len(words) > 2 && words[0] == "db" {
		s.remember(&s.families, words[2])
	}
	for _, word := range words {
		s.port(word)
	}
}

// value remembers the ports in a value.
func (s *seen) value(v any) {
	switch v := v.(type) {
	case string:
		s.port(v)
	case actor.PortID:
		s.port(string(v))
	case []any:
		for _, element := range v {
			s.value(element)
		}
	case map[string]any:
		for key, value := range v {
			s.port(key)
			s.value(value)
		}
	}
}

func (s *seen) port(text string) {
	port := actor.PortID(text)
	s.mu.Lock()
	known := s.nodes[string(port.Node())]
	s.mu.Unlock()
	if known && !port.IsNodePort() && port.Validate() == nil {
		s.remember(&s.ports, text)
	}
}

func (s *seen) remember(list *[]string, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(*list, text) {
		return
	}
	*list = append(*list, text)
	if len(*list) > mostSeen {
		*list = slices.Delete(*list, 0, 1)
	}
}

// candidates adds what a placeholder may stand for.
func (s *session) candidates(placeholder string, add func(word, description string)) {
	if s.seen == nil {
		return
	}
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	switch placeholder {
	case "family":
		for _, family := range s.seen.families {
			add(family, "family")
		}
	case "port", "node":
		for _, node := range slices.Sorted(maps.Keys(s.seen.nodes)) {
			add(node, "node")
		}
		if placeholder == "port" {
			for _, port := range s.seen.ports {
				add(port, "port")
			}
		}
	}
}
