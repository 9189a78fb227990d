package command

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/aemp/profile"
	"github.com/portmesh/portmesh/internal/tap"
)

const debugGroup = "Looking inside"

// shown is how much of a message is printed, unless all of it is wanted.
const shown = 400

var fullFlag = Flag{Name: "full", Default: false, Help: "print messages whole, however long they are"}

// proxyCommands show conversations between nodes.
func proxyCommands() []*Command {
	return []*Command{
		{
			Name:  "proxy",
			Group: debugGroup,
			Args:  "<listen-host:port> <target-host:port>",
			Short: "stand between two nodes and show what they say",
			Long: `Forwards connections unchanged to the node that listens at the target, and
prints each line of the handshake and each message in both directions: the
time in seconds since the start, the number of the connection, who speaks to
whom, and what.

To see what a node says to others, give it the address of the proxy as its seed.
Nodes that learn the node's own address from the mesh still go there directly.

No secret is needed, except for connections with TLS: those can be read only
with the key and certificate that the mesh shares, which are those of the
configuration, or in a file (--cert). Without them, such connections are forwarded,
and it is said that they are encrypted.

A recording (--record) is a file that "aemp decode" prints. It holds all that
was said, and is for your eyes only.`,
			Flags: []Flag{
				{Name: "record", Value: "file", Default: "", Help: "write a recording, too"},
				{Name: "cert", Value: "file", Default: "", Help: "key and certificate of the mesh (PEM), to read what is encrypted"},
				fullFlag,
			},
			Examples: []string{"proxy :4041 doomed:4040", "proxy --record talk.jsonl 127.0.0.1:4041 127.0.0.1:4040"},
			Run:      proxy,
		},
		{
			Name:  "decode",
			Group: debugGroup,
			Args:  "<file>",
			Short: "print a recording of \"aemp proxy\"",
			Long: `Prints what the proxy has printed while it recorded. The file "-" is standard
input. A recording has one JSON object in each line, with the keys t (seconds),
conn (number of the connection), dialled (true for what the side sent that
opened the connection), eof, and b64 (the bytes in base64).`,
			Flags:    []Flag{fullFlag},
			Examples: []string{"decode talk.jsonl", "--json decode talk.jsonl"},
			Run:      decode,
		},
	}
}

func proxy(ctx context.Context, c *Call) error {
	p := &tap.Proxy{Target: c.Text(1)}
	if _, _, err := net.SplitHostPort(p.Target); err != nil {
		return Usagef("the target %q is not host:port", p.Target)
	}
	var err error
	if p.TLS, err = c.certificate(); err != nil {
		return err
	}
	record := func(tap.Read) error { return nil }
	if name := c.String("record"); name != "" {
		// It may hold the secret.
		f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		defer f.Close()
		lines := json.NewEncoder(f)
		record = func(r tap.Read) error { return lines.Encode(r) }
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Text(0))
	if err != nil {
		return fmt.Errorf("%w; choose another address to listen on", err)
	}
	fmt.Fprintf(c.Stderr, "listening on %s for %s\n", l.Addr(), p.Target)

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var d tap.Decoder
	p.Record = func(r tap.Read) {
		err := record(r)
		for _, e := range d.Read(r) {
			err = errors.Join(err, c.event(e))
		}
		if err != nil {
			fail(fmt.Errorf("the recording cannot be written: %w", err))
		}
	}
	if err := p.Serve(ctx, l); err != nil {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// certificate returns what encrypted connections are read with: the bundle in a
// file, or the one that is configured, or nil.
func (c *Call) certificate() (*tls.Config, error) {
	name := c.String("cert")
	if name == "" {
		s, err := c.settings(cmp.Or(c.selected(), c.Getenv(profile.EnvProfile), toolProfile))
		if err != nil {
			return nil, err
		}
		config, err := s.TLS()
		if err != nil {
			return nil, configError(err)
		}
		return config, nil
	}
	bundle, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("--cert: %w", err)
	}
	config, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		return nil, fmt.Errorf("--cert %s: %w (want key and certificate, as PEM)", name, err)
	}
	return config, nil
}

// event prints an event.
func (c *Call) event(e tap.Event) error {
	limit := shown
	if c.Bool("full") {
		limit = 0
	}
	v := map[string]any{"time": e.Time, "conn": e.Conn, "from": e.From, "to": e.To, "event": string(e.Kind)}
	for key, text := range map[string]string{"text": e.Text, "framing": e.Framing, "port": e.Port} {
		if text != "" {
			v[key] = text
		}
	}
	if e.Kind == tap.Message || e.Kind == tap.Request {
		v["message"] = jsonValue(e.Message)
	}
	if e.Size > 0 {
		v["size"] = e.Size
	}
	text := e.Format(limit)
	switch e.Kind {
	case tap.Problem:
		text = c.Paint(Red, text)
	case tap.Greeting, tap.Nonce, tap.Auth, tap.TLS, tap.KeepAlive, tap.Closed:
		text = c.Paint(Dim, text)
	}
	return c.Emit(v, text)
}

func decode(ctx context.Context, c *Call) error {
	in := c.Stdin
	if name := c.Text(0); name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	lines := json.NewDecoder(bufio.NewReader(in))
	var d tap.Decoder
	for n := 1; ctx.Err() == nil; n++ {
		var r tap.Read
		if err := lines.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: entry %d is not that of a recording: %w", c.Text(0), n, err)
		}
		for _, e := range d.Read(r) {
			if err := c.event(e); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
