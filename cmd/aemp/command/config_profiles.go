package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/aemp/profile"
)

const profileGroup = "Configuration: profiles"

// profileCommands are about profiles as a whole.
func profileCommands() []*Command {
	return []*Command{
		{
			Name:  "profile",
			Group: profileGroup,
			Args:  "<profile>",
			Short: "make what follows be about this profile, not about the defaults for all",
			Long: `The profile is created if there is none of that name. A program that has this profile,
which is up to the program (aemp run takes its name), gets what is set there,
then what is set in the profile's parent, and so on, and then the defaults.`,
			Examples: []string{`profile server nodeid anon/ seeds doomed,10.0.0.2:5000 binds "*:*"`},
			Run: func(_ context.Context, c *Call) error {
				name := c.Text(0)
				if name == "" {
					return Usagef("want a name")
				}
				c.Env.flags["profile"] = name
				return c.edit(func(*profile.Section) error { return nil })
			},
		},
		{
			Name:    "setparent",
			Aliases: []string{"parent"},
			Group:   profileGroup,
			Args:    "<profile>",
			Short:   "set parent: the profile that this one inherits from",
			Long: `It is for profiles: say which one gets a parent. The parent may be made later, but
must be there when the profile is used.`,
			Examples: []string{"profile doomed setparent server"},
			Run: func(_ context.Context, c *Call) error {
				name, parent := c.selected(), c.Text(0)
				if name == "" {
					return Usagef("the defaults have no parent; to give a profile one: aemp profile NAME setparent %s", parent)
				}
				return c.editFile(func(f *profile.File) error {
					if err := f.Create(name).Set("parent", parent); err != nil {
						return err
					}
					if _, err := f.Settings(name, nil); errors.Is(err, profile.ErrCycle) {
						return err
					}
					return nil
				})
			},
		},
		deleteKey("parent", profileGroup),
		{
			Name:  "delprofile",
			Group: profileGroup,
			Args:  "<profile>",
			Short: "delete a profile, if there is one of that name",
			Run: func(_ context.Context, c *Call) error {
				name := c.Text(0)
				return c.editFile(func(f *profile.File) error { f.Delete(name); return nil })
			},
		},
		{
			Name:  "profiles",
			Group: profileGroup,
			Short: "list the profiles, with their parents",
			Run: func(_ context.Context, c *Call) error {
				file, err := c.configFile()
				if err != nil {
					return err
				}
				for _, name := range file.Profiles() {
					parent, _ := file.Profile(name).Get("parent")
					text := name
					if parent != nil {
						text = fmt.Sprintf("%s (%v)", name, parent)
					}
					if err := c.Emit(map[string]any{"profile": name, "parent": parent}, text); err != nil {
						return err
					}
				}
				return nil
			},
		},
		{
			Name:  "showprofile",
			Group: profileGroup,
			Args:  "<profile>",
			Short: "print what is set in a profile itself, also what is secret",
			Run: func(_ context.Context, c *Call) error {
				file, err := c.configFile()
				if err != nil {
					return err
				}
				s := file.Profile(c.Text(0))
				if s == nil {
					return fmt.Errorf("there is no profile %q; aemp profiles lists them", c.Text(0))
				}
				return c.Emit(s, strings.TrimSuffix(string(s.Bytes()), "\n"))
			},
		},
		{
			Name:  "showconfig",
			Group: profileGroup,
			Args:  "[profile] [key-value...]",
			Flags: []Flag{{Name: "origins", Default: false, Help: "print where each value comes from, and not the values"}},
			Short: "print what a node with this profile gets, also what is secret",
			Long: `That is what is set in the profile, inherited by it, and set by environment variables
(PORTMESH_NODEID and so on). Keys and values that are given as arguments count as
what the program says: they are used where nothing else is said. What is built in
comes last. Without a profile it is what PORTMESH_PROFILE names, or the one of the host's name.`,
			Examples: []string{"showconfig server", "showconfig server monitor_timeout 10", "showconfig --origins server"},
			Run:      showConfig,
		},
	}
}

// builtIn returns what a node is when nobody says anything, as far as it can be
// said in the configuration.
func builtIn(name string) map[string]any {
	var framings []string
	for _, f := range aemp.DefaultFramings() {
		framings = append(framings, f.Name())
	}
	return map[string]any{
		"nodeid":           name + "/",
		"binds":            []string{"*"},
		"monitor_timeout":  30,
		"connect_interval": 2,
		"framing_format":   framings,
	}
}

func showConfig(_ context.Context, c *Call) error {
	s, err := c.settings(cmp.Or(c.Text(0), c.selected(), c.Getenv(profile.EnvProfile), profile.HostName()))
	if err != nil {
		return err
	}
	if err := c.addPairs(s, 1); err != nil {
		return err
	}
	for key, v := range builtIn(s.Profile) {
		if err := s.Add(key, v, "built in"); err != nil {
			return configError(err)
		}
	}
	if !c.Bool("origins") {
		return c.Emit(s.Values(), strings.TrimSuffix(string(s.Bytes()), "\n"))
	}
	keys := slices.Sorted(maps.Keys(s.Values()))
	if c.JSON() {
		origins := make(map[string]string)
		for _, key := range keys {
			origins[key] = s.Origin(key)
		}
		return c.Emit(origins, "")
	}
	table(c.Output(), func(row func(left, right string)) {
		for _, key := range keys {
			row(key, s.Origin(key))
		}
	})
	return nil
}
