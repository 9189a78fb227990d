package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/portmesh/portmesh/aemp/profile"
)

// A configuration is the user's file, as the calls of one command line see it.
// They change the copy in memory; the file is changed once, at the end of the
// line or before the tool becomes a node.
type configuration struct {
	file  *profile.File
	edits []func(*profile.File) error // that the file does not have yet
}

// saveTime is how long the tool waits for another program that changes the file.
const saveTime = 10 * time.Second

// configPath returns the path of the configuration file.
func (e *Env) configPath() string {
	if path := e.value("config").(string); path != "" {
		return path
	}
	return profile.PathIn(e.Getenv)
}

// configFile returns the configuration, with what this command line has changed
// so far.
func (e *Env) configFile() (*profile.File, error) {
	if e.config.file == nil {
		file, err := profile.Load(e.configPath())
		if err != nil {
			return nil, configError(err)
		}
		e.config.file = file
	}
	return e.config.file, nil
}

// selected returns the name of the profile that the subcommands are about; an
// empty one means the defaults.
func (e *Env) selected() string { return e.value("profile").(string) }

// edit changes the section of the configuration that the subcommands are about.
// It is called once more when the file is changed, with what is then in there.
func (e *Env) edit(change func(s *profile.Section) error) error {
	name := e.selected()
	return e.editFile(func(f *profile.File) error {
		if name == "" {
			return change(f.Defaults())
		}
		return change(f.Create(name))
	})
}

func (e *Env) editFile(change func(f *profile.File) error) error {
	file, err := e.configFile()
	if err == nil {
		err = change(file)
	}
	if err != nil {
		return configError(err)
	}
	e.config.edits = append(e.config.edits, change)
	return nil
}

// save changes the file.
func (e *Env) save(ctx context.Context) error {
	if len(e.config.edits) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	err := profile.Update(ctx, e.configPath(), func(f *profile.File) error {
		for _, change := range e.config.edits {
			if err := change(f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return configError(err)
	}
	e.config = configuration{}
	return nil
}

// configError tells what to do about an error of the configuration.
func configError(err error) error {
	var file *fs.PathError
	var syntax *profile.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%w; correct it by hand, or take the backup %s~", err, syntax.Path)
	case errors.Is(err, profile.ErrValue):
		return Usagef("%w", err)
	case errors.As(err, &file):
		return fmt.Errorf("%w; nothing was changed, and --config names another file", err)
	}
	return err
}

// settings returns what is configured for a node with this profile.
func (e *Env) settings(name string) (*profile.Settings, error) {
	file, err := e.configFile()
	if err != nil {
		return nil, err
	}
	s, err := file.Settings(name, e.Getenv)
	if err != nil {
		return nil, configError(err)
	}
	return s, nil
}

// addPairs gives settings the values of arguments from index i on, a key before
// each, as far as they say nothing themselves.
func (c *Call) addPairs(s *profile.Settings, i int) error {
	for ; i < len(c.Args); i += 2 {
		name := c.Text(i)
		if i+1 == len(c.Args) {
			return Usagef("the value of %s is missing", name)
		}
		key, ok := profile.LookupKey(name)
		if !ok {
			return Usagef("%s is no key of the configuration; want one of %s", name, strings.Join(keyNames(), ", "))
		}
		v, err := keyValue(key, c.Args[i+1])
		if err == nil {
			err = s.Add(name, v, "command line")
		}
		if err != nil {
			return configError(err)
		}
	}
	return nil
}

func keyNames() []string {
	var names []string
	for _, key := range profile.Keys() {
		names = append(names, key.Name)
	}
	slices.Sort(names)
	return names
}

// keyValue makes the value of a key from an argument.
func keyValue(key profile.Key, arg any) (any, error) {
	switch arg := arg.(type) {
	case string:
		return key.Parse(arg)
	case json.Number:
		return key.Parse(arg.String())
	}
	return key.Check(arg)
}

// configCommands are those that change and show the configuration.
func configCommands() []*Command {
	return slices.Concat(
		keyCommands("nodeid"),
		secretCommands(),
		listCommands("seeds", "seed"),
		listCommands("binds", "bind"),
		serviceCommands(),
		profileCommands(),
		keyCommands("secure", "monitor_timeout", "connect_interval", "framing_format", "auth_offer", "auth_accept", "autocork", "nodelay", "eval"),
	)
}
