package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/registry"
)

const databaseGroup = "The database of the mesh"

// Functions by which a node can be told to change its part of the database; Perl
// nodes of generation 2 have them.
const (
	functionSet    = "AnyEvent::MP::Kernel::db_set"
	functionDelete = "AnyEvent::MP::Kernel::db_del"
)

// dbCommands read and change the distributed database.
func dbCommands() []*Command {
	on := Flag{Name: "on", Value: "node", Default: "", Help: "the node that holds the entry (the first seed)"}
	return []*Command{
		{
			Name:  "db get",
			Group: databaseGroup,
			Args:  "<family> [key]",
			Flags: []Flag{seedsFlag},
			Short: "print the entries of a family, or the value of a key",
			Long: `Prints each key of the family and its value, as JSON, or only the value of a key.
That the key does not exist is an error.`,
			Examples: []string{"db get workers", "db get settings color"},
			Timeout:  answerTime,
			Run:      dbGet,
		},
		{
			Name:     "db keys",
			Group:    databaseGroup,
			Args:     "<family>",
			Flags:    []Flag{seedsFlag},
			Short:    "print the keys of a family",
			Examples: []string{"db keys workers"},
			Timeout:  answerTime,
			Run:      dbKeys,
		},
		{
			Name:  "db families",
			Group: databaseGroup,
			Flags: []Flag{seedsFlag},
			Short: "print the names of the families",
			Long: `Asks the first seed, which is a global node and so knows all families. Perl nodes answer
if they evaluate.`,
			Timeout: answerTime,
			Run:     dbFamilies,
		},
		{
			Name:  "db watch",
			Group: databaseGroup,
			Args:  "<family>",
			Flags: []Flag{seedsFlag},
			Short: "print the entries of a family, and then each change",
			Long: `Prints "+ key value" for what is there or is added, "~ key value" for a new
value, and "- key" for what is deleted, until it is interrupted.`,
			Examples: []string{"db watch workers"},
			Run:      dbWatch,
		},
		{
			Name:  "db set",
			Group: databaseGroup,
			Args:  "<family> <key> [value]",
			Flags: []Flag{
				seedsFlag, on,
				{Name: "hold", Default: false, Help: "hold the entry here, until interrupted"},
			},
			Short: "set an entry of a family",
			Long: `Each entry of the database is held by a node, and goes away with it. This has a
node hold the entry: Perl nodes of generation 2 do so, and those that "aemp run"
runs. With --hold the tool itself holds it, until it is interrupted. Without a
value it is null.`,
			Examples: []string{"db set settings color blue", `db set --on doomed limits cpu '{"soft":3}'`},
			Timeout:  0,
			Run:      dbSet,
		},
		{
			Name:  "db del",
			Group: databaseGroup,
			Args:  "<family> <key>",
			Flags: []Flag{seedsFlag, on},
			Short: "delete an entry of a family",
			Long: `Deletes an entry that a node holds (see db set). What another node holds under the
same key stays.`,
			Examples: []string{"db del settings color"},
			Timeout:  answerTime,
			Run:      dbDelete,
		},
	}
}

func dbGet(ctx context.Context, c *Call) error {
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	content, err := s.reg.Family(ctx, c.Text(0))
	if err != nil {
		return familyError(err)
	}
	if len(c.Args) > 1 {
		value, ok := content[c.Text(1)]
		if !ok {
			return fmt.Errorf("family %s has no key %q", c.Text(0), c.Text(1))
		}
		return c.Emit(jsonValue(value), elements(aemp.Message{value}))
	}
	if c.JSON() {
		return c.Emit(jsonValue(content), "")
	}
	for _, key := range slices.Sorted(maps.Keys(content)) {
		c.Printf("%s %s\n", printableText(key), elements(aemp.Message{content[key]}))
	}
	return nil
}

func dbKeys(ctx context.Context, c *Call) error {
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	keys, err := s.reg.Keys(ctx, c.Text(0))
	if err != nil {
		return familyError(err)
	}
	slices.Sort(keys)
	if c.JSON() {
		return c.Emit(append([]string{}, keys...), "")
	}
	for _, key := range keys {
		c.Printf("%s\n", printableText(key))
	}
	return nil
}

// questionFamilies is how a global node of either program is asked for the names
// of all families.
const questionFamilies = "keys %AnyEvent::MP::Kernel::GLOBAL_DB"

func dbFamilies(ctx context.Context, c *Call) error {
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	names, err := s.families(ctx)
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Emit(names, "")
	}
	for _, name := range names {
		c.Printf("%s\n", printableText(name))
	}
	return nil
}

// families asks for the names of the families, but for those of the mesh itself.
func (s *session) families(ctx context.Context) ([]string, error) {
	answer, err := s.eval(ctx, s.seed, questionFamilies)
	if err != nil {
		return nil, err
	}
	names := []string{}
	if err := aemp.Convert(&names, []any(answer)); err != nil {
		return nil, fmt.Errorf("node %s: names of families: %w", s.seed, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == familyAddresses || name == familyGlobals })
	slices.Sort(names)
	return names, nil
}

// familyError says what the registry could not do.
func familyError(err error) error {
	switch {
	case errors.Is(err, registry.ErrFamily):
		return Usagef("%w: want a letter, then letters, digits, _ and :", err)
	case errors.Is(err, registry.ErrNoMaster):
		return Unreachablef("%w; meshes of generation 1 have no database", err)
	}
	return err
}

func dbWatch(ctx context.Context, c *Call) error {
	s, err := c.join(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	for change, err := range s.reg.Changes(ctx, c.Text(0)) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return familyError(err)
		}
		if err := c.change(change); err != nil {
			return err
		}
	}
	return nil
}

// change prints a change of a family.
func (c *Call) change(change registry.Change) error {
	if c.JSON() {
		added, changed := make(map[string]any), make(map[string]any)
		for _, key := range change.Added {
			added[key] = jsonValue(change.Content[key])
		}
		for _, key := range change.Changed {
			changed[key] = jsonValue(change.Content[key])
		}
		return c.Emit(map[string]any{"added": added, "changed": changed, "deleted": append([]string{}, change.Deleted...)}, "")
	}
	for _, lines := range []struct {
		sign  string
		color Color
		keys  []string
	}{{"-", Red, change.Deleted}, {"~", Yellow, change.Changed}, {"+", Green, change.Added}} {
		slices.Sort(lines.keys)
		for _, key := range lines.keys {
			text := lines.sign + " " + printableText(key)
			if lines.sign != "-" {
				text += " " + elements(aemp.Message{change.Content[key]})
			}
			if err := c.Emit(nil, c.Paint(lines.color, text)); err != nil {
				return err
			}
		}
	}
	return nil
}

func dbSet(ctx context.Context, c *Call) error {
	family, key := c.Text(0), c.Text(1)
	var value any
	if len(c.Args) > 2 {
		value = c.Message(2)[0]
	}
	if c.Bool("hold") {
		s, err := c.join(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		if _, err := s.reg.Set(family, key, value); err != nil {
			return familyError(err)
		}
		if err := s.settled(ctx, family, holds(key, value)); err != nil {
			return err
		}
		if err := c.Emit(map[string]any{"family": family, "key": key, "node": s.node.ID()}, "held until interrupted"); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	holder, err := c.tellHolder(ctx, functionSet, holds(key, value), family, key, value)
	if errors.Is(err, context.DeadlineExceeded) && holder != "" {
		return fmt.Errorf("key %q of family %s does not have the value: another node than %s holds it, too, with its own; delete that with db del --on", key, family, holder)
	}
	return err
}

func dbDelete(ctx context.Context, c *Call) error {
	family, key := c.Text(0), c.Text(1)
	gone := func(content map[string]any) bool {
		_, ok := content[key]
		return !ok
	}
	holder, err := c.tellHolder(ctx, functionDelete, gone, family, key)
	if errors.Is(err, context.DeadlineExceeded) && holder != "" {
		return fmt.Errorf("key %q of family %s is still there: another node than %s holds it; name it with --on", key, family, holder)
	}
	return err
}

// holds reports whether a family has an entry.
func holds(key string, value any) func(map[string]any) bool {
	return func(content map[string]any) bool {
		v, ok := content[key]
		return ok && elements(aemp.Message{v}) == elements(aemp.Message{value})
	}
}

// tellHolder has a node change its part of the database, and waits until the
// family is as it should be. With a time-out for which it waited, it returns the
// node that was told.
func (c *Call) tellHolder(ctx context.Context, function string, done func(map[string]any) bool, args ...any) (actor.NodeID, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, &timeoutError{answerTime})
	defer cancel()
	s, err := c.join(ctx)
	if err != nil {
		return "", err
	}
	defer s.close()
	holder := s.seed
	if on := c.String("on"); on != "" {
		if holder = actor.NodeID(on); holder.Validate() != nil {
			return "", Usagef("--on: %w", holder.Validate())
		}
	}
	family := args[0].(string)
	if _, err := s.reg.Keys(ctx, family); err != nil { // the name is wrong, or there is no database
		return "", familyError(err)
	}
	known, err := s.knows(ctx, holder, function)
	if err != nil {
		return "", err
	}
	if !known {
		return "", fmt.Errorf("node %s does not let others change its entries; name another with --on, or use db set --hold", holder)
	}
	if err := s.sys.Send(holder.NodePort(), append([]any{function}, args...)...); err != nil {
		return "", err
	}
	if err := s.settled(ctx, family, done); err != nil {
		return holder, err
	}
	return holder, c.Emit(map[string]any{"family": family, "key": args[1], "node": holder}, "")
}

// settled waits until a family is as it should be.
func (s *session) settled(ctx context.Context, family string, done func(map[string]any) bool) error {
	for change, err := range s.reg.Changes(ctx, family) {
		if err != nil {
			return familyError(err)
		}
		if done(change.Content) {
			return nil
		}
	}
	return context.Cause(ctx)
}
