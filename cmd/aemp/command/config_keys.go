package command

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/aemp/profile"
)

const (
	identityGroup = "Configuration: node ID, secret, certificate"
	detailsGroup  = "Configuration: details"
)

// mustKey returns a key that is known to be known.
func mustKey(name string) profile.Key {
	key, ok := profile.LookupKey(name)
	if !ok {
		panic("command: no key is called " + name)
	}
	return key
}

// valuePlaceholders tell what the values of a kind of key are.
var valuePlaceholders = map[profile.Kind]string{
	profile.Seconds:  "seconds",
	profile.Switch:   "switch",
	profile.Names:    "name,...",
	profile.Address:  "host:port,...",
	profile.Services: "service,...",
}

// standardInput is the argument that stands for what is read from there.
const standardInput = "-"

// keyLong says more of some keys.
var keyLong = map[string]string{
	"nodeid": `In a node ID, %n stands for the name of the host, and %u for something random; so does
what follows a slash at its end, which is for profiles that many processes share:
"anon/". Without a node ID, a node takes the name of its profile and something
random.`,
	"secret": `Whoever knows the secret belongs to the mesh. It is kept in the configuration
file, which only its owner can read. If it is -, it is read from standard input,
so that nobody sees it on the command line.`,
	"monitor_timeout": `It is in seconds: so long messages wait for a connection to their node, and the
monitors on the node with them.`,
	"connect_interval": `It is in seconds.`,
	"framing_format": `The best comes first. Perl programs may know others than Portmesh does (msgpack, cbor,
json, storable); of those, each program takes what it knows.`,
	"auth_accept": `The best comes first: tls_sha3_512, hmac_sha3_512, tls_md6_64_256, hmac_md6_64_256,
tls_anon, cleartext. Without auth_accept, it is all of them.`,
	"seeds": `Seeds are addresses at which nodes can be expected that run for long; through them a
node finds all others. Without a port, it is 4040. A number is a port of this
host. It does no harm if a node is its own seed.

A profile with seeds of its own does not inherit others.`,
	"binds": `A node listens on these addresses. * is every address of this host, *:4040 the same
with this port, 4040 the addresses of this host's name, and without a port, or
with *, it is a free one. IPv6 addresses need brackets before a port: [::1]:4040.
Without binds, it is *. An empty list means not to listen.

A profile with binds of its own does not inherit others.`,
	"services": `Services are run by nodes that aemp run starts, or perl's aemp: names of modules
(with :: at the end) or functions in Perl, names that aemp run knows in Go. One
with arguments is a list: '[["mymod::myfun", 1, 2]]'.

A profile with services of its own does not inherit others.`,
	"eval": `Only Perl programs do this. There is no alias without "set", since that is another
subcommand.`,
}

// setKey is the subcommand that sets a key.
func setKey(name, group string) *Command {
	key := mustKey(name)
	placeholder, ok := valuePlaceholders[key.Kind]
	if !ok {
		placeholder = name
	}
	c := &Command{
		Name:    "set" + name,
		Aliases: []string{name},
		Group:   group,
		Args:    "<" + placeholder + ">",
		Short:   "set " + name + ": " + key.Help,
		Long:    keyLong[name],
		Run: func(_ context.Context, c *Call) error {
			v, err := keyValue(key, c.Args[0])
			if name == "secret" && v == standardInput {
				v, err = c.readLine()
			}
			if err != nil {
				return configError(err)
			}
			return c.edit(func(s *profile.Section) error { return s.Set(name, v) })
		},
	}
	if name == "eval" {
		c.Aliases = nil
	}
	return c
}

// deleteKey is the subcommand that deletes a key.
func deleteKey(name, group string) *Command {
	return &Command{
		Name:  "del" + name,
		Group: group,
		Short: "remove " + name + ", so that it is inherited, or the default",
		Run: func(_ context.Context, c *Call) error {
			return c.edit(func(s *profile.Section) error { s.Delete(name); return nil })
		},
	}
}

// keyCommands are those to set and to delete keys.
func keyCommands(names ...string) []*Command {
	var commands []*Command
	for _, name := range names {
		group := detailsGroup
		if name == "nodeid" {
			group = identityGroup
		}
		commands = append(commands, setKey(name, group), deleteKey(name, group))
	}
	return commands
}

// secretCommands are about what the nodes of a mesh share.
func secretCommands() []*Command {
	return []*Command{
		{
			Name:  "gensecret",
			Group: identityGroup,
			Short: "set secret to something random",
			Long: `The secret is not printed; showprofile and showconfig do that. All nodes of the mesh
need the same one.`,
			Run: func(_ context.Context, c *Call) error {
				secret := rand.Text() + rand.Text() // 256 bits
				return c.edit(func(s *profile.Section) error { return s.Set("secret", secret) })
			},
		},
		setKey("secret", identityGroup),
		deleteKey("secret", identityGroup),
		{
			Name:  "gencert",
			Group: identityGroup,
			Short: "set cert to a new certificate and its key, valid for ten years",
			Long: `All nodes of the mesh need the same certificate. With it they encrypt everything,
and talk to no others.`,
			Run: func(_ context.Context, c *Call) error {
				bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
				if err != nil {
					return err
				}
				return c.edit(func(s *profile.Section) error { return s.Set("cert", string(bundle)) })
			},
		},
		{
			Name:    "setcert",
			Aliases: []string{"cert"},
			Group:   identityGroup,
			Args:    "<file>",
			Short:   "set cert: the certificate that all nodes of the mesh share, with its key",
			Long: `The file holds the private key, its certificate, and any further certificates that
are to be trusted, in PEM. What it holds is copied. - means standard input.`,
			Run: func(_ context.Context, c *Call) error {
				bundle, err := c.readFile(c.Text(0))
				if err != nil {
					return err
				}
				if _, err := mustKey("cert").Check(string(bundle)); err != nil {
					return Usagef("%s: %w; want a private key and its certificate in PEM", c.Text(0), err)
				}
				return c.edit(func(s *profile.Section) error { return s.Set("cert", string(bundle)) })
			},
		},
		deleteKey("cert", identityGroup),
	}
}

// readFile reads a file, or standard input.
func (c *Call) readFile(path string) ([]byte, error) {
	if path == standardInput {
		return io.ReadAll(c.Stdin)
	}
	return os.ReadFile(path)
}

// readLine reads the first line of standard input.
func (c *Call) readLine() (string, error) {
	scanner := bufio.NewScanner(c.Stdin)
	if !scanner.Scan() || scanner.Text() == "" {
		return "", fmt.Errorf("standard input is empty: %w", errors.Join(scanner.Err(), profile.ErrValue))
	}
	return scanner.Text(), nil
}

// groupOf returns the heading for a list: "Configuration: seeds".
func groupOf(list string) string { return "Configuration: " + list }

// listCommands are those for a list of addresses.
func listCommands(list, one string) []*Command {
	key := mustKey(list)
	group := groupOf(list)
	change := func(change func(have, addresses []string) []string) func(context.Context, *Call) error {
		return func(_ context.Context, c *Call) error {
			v, err := keyValue(key, c.Args[0])
			if err != nil {
				return configError(err)
			}
			addresses := v.([]string) // as Parse and Check return it
			if len(addresses) == 0 {
				return Usagef("want an address, host:port")
			}
			return c.edit(func(s *profile.Section) error {
				have, err := sectionList(s, key)
				if err != nil {
					return err
				}
				return s.Set(list, change(have, addresses))
			})
		}
	}
	return []*Command{
		setKey(list, group),
		deleteKey(list, group),
		{
			Name:  "add" + one,
			Group: group,
			Args:  "<host:port>",
			Short: "add an address to " + list,
			Run: func(ctx context.Context, c *Call) error {
				return change(func(have, addresses []string) []string { return append(without(have, addresses), addresses...) })(ctx, c)
			},
		},
		{
			Name:  "del" + one,
			Group: group,
			Args:  "<" + one + ">",
			Short: "remove an address from " + list + ", as it is written there",
			Run:   change(without),
		},
	}
}

// sectionList returns the list of a section itself.
func sectionList(s *profile.Section, key profile.Key) ([]string, error) {
	v, ok := s.Get(key.Name)
	if !ok || v == nil {
		return nil, nil
	}
	checked, err := key.Check(v)
	if err != nil {
		return nil, err
	}
	return checked.([]string), nil
}

// without returns the list without some elements.
func without(list, remove []string) []string {
	rest := []string{}
	for _, s := range list {
		if !strings.Contains("\x00"+strings.Join(remove, "\x00")+"\x00", "\x00"+s+"\x00") {
			rest = append(rest, s)
		}
	}
	return rest
}

// serviceCommands are those for services, which may be lists.
func serviceCommands() []*Command {
	key := mustKey("services")
	change := func(change func(have, services []any) []any) func(context.Context, *Call) error {
		return func(_ context.Context, c *Call) error {
			// One service: a name, or a list of a name and arguments.
			services := []any{c.Args[0]}
			if _, err := key.Check(services); err != nil {
				return configError(err)
			}
			return c.edit(func(s *profile.Section) error {
				have, _ := s.Get("services")
				if have == nil {
					have = []any{}
				}
				list, ok := have.([]any)
				if !ok {
					checked, err := key.Check(have)
					if err != nil {
						return err
					}
					for _, name := range checked.([]string) {
						list = append(list, name)
					}
				}
				return s.Set("services", change(list, services))
			})
		}
	}
	group := groupOf("services")
	return []*Command{
		setKey("services", group),
		deleteKey("services", group),
		{
			Name:     "addservice",
			Group:    group,
			Args:     "<service>",
			Short:    "add a service to services, once more if it is there",
			Examples: []string{"profile server addservice global", `addservice '["mymod::myfun", 1, 2]'`},
			Run:      change(func(have, services []any) []any { return append(have, services...) }),
		},
		{
			Name:  "delservice",
			Group: group,
			Args:  "<service>",
			Short: "remove a service from services, once if it is there more often",
			Run: change(func(have, services []any) []any {
				for i := range have {
					if fmt.Sprint(have[i]) == fmt.Sprint(services[0]) {
						return append(have[:i:i], have[i+1:]...)
					}
				}
				return have
			}),
		},
	}
}
