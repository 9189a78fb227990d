package aemp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
)

func config(id aemp.NodeID) aemp.Config { return aemp.Config{NodeID: id, Secret: wiretest.Secret} }

// shake does both sides of a handshake over a pipe.
func shake(t *testing.T, a, b aemp.Config) (*aemp.Conn, *aemp.Conn, error, error) {
	t.Helper()
	an, bn := net.Pipe()
	return shakeOver(t, an, bn, a, b)
}

func shakeOver(t *testing.T, an, bn net.Conn, a, b aemp.Config) (ac, bc *aemp.Conn, aerr, berr error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		bc, berr = aemp.Handshake(t.Context(), bn, b)
	}()
	ac, aerr = aemp.Handshake(t.Context(), an, a)
	<-done
	t.Cleanup(func() {
		if ac != nil {
			ac.Close()
		}
		if bc != nil {
			bc.Close()
		}
	})
	return ac, bc, aerr, berr
}

func TestHandshake(t *testing.T) {
	gen1 := func(c aemp.Config) aemp.Config { // as a Perl node of generation 1
		c.Auths = []string{"tls_md6_64_256", "hmac_md6_64_256", "tls_anon", "cleartext"}
		c.Framings = []aemp.Framing{aemp.JSON}
		c.Extra = map[string]string{"mproto": "", "gproto": "", "provider": "AE-1.30"}
		return c
	}
	jsonFirst := func(c aemp.Config) aemp.Config {
		c.Framings = []aemp.Framing{aemp.JSON, aemp.CBOR}
		return c
	}
	cborFirst := func(c aemp.Config) aemp.Config {
		c.Framings = []aemp.Framing{aemp.CBOR, aemp.JSON}
		return c
	}
	same := func(c aemp.Config) aemp.Config { return c }
	tests := []struct {
		name         string
		a, b         func(aemp.Config) aemp.Config
		aSend, bSend string // framings
		bGeneration  int
	}{
		{"equals", same, same, aemp.DefaultFramings()[0].Name(), aemp.DefaultFramings()[0].Name(), 2},
		{"generation 1", same, gen1, "json", "json", 1},
		{"each gets what it likes", cborFirst, jsonFirst, "json", "cbor", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b, aerr, berr := shake(t, test.a(config("a")), test.b(config("b")))
			if aerr != nil || berr != nil {
				t.Fatal(aerr, berr)
			}
			aSend, aReceive := a.Framings()
			bSend, bReceive := b.Framings()
			if aSend.Name() != test.aSend || bReceive.Name() != test.aSend || bSend.Name() != test.bSend || aReceive.Name() != test.bSend {
				t.Errorf("a sends %s, b receives %s; b sends %s, a receives %s", aSend.Name(), bReceive.Name(), bSend.Name(), aReceive.Name())
			}
			if a.Remote().Node != "b" || b.Remote().Node != "a" || a.Local().Node != "a" || a.Remote().Generation() != test.bGeneration {
				t.Errorf("a is told %+v", a.Remote())
			}
			exchange(t, a, b)
			exchange(t, b, a)
		})
	}
}

// exchange sends a message and expects it on the other side.
func exchange(t *testing.T, from, to *aemp.Conn) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- from.Send("port", "tag", 1, "zwei", nil) }()
	port, m, err := to.Receive()
	if err != nil || port != "port" || m.String() != `["tag", 1, "zwei", null]` {
		t.Fatalf("received %q, %v, %v", port, m, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// With the greeting and the nonce of a recorded Perl node, and its peer's bytes
// as input, we say byte for byte what it said.
func TestReplayHandshakes(t *testing.T) {
	replayed := 0
	for _, name := range wiretest.Names(t, func(n string) bool {
		return !strings.Contains(n, "wrong-secret")
	}) {
		for _, c := range wiretest.Load(t, name) {
			for _, node := range []string{c.Dialler, c.Listener} {
				own, _ := c.Handshake(node)
				theirs, data := c.Handshake(c.Peer(node))
				if node == "simple" || own[2] == "" || theirs[2] == "" {
					continue // the simple client sends cleartext, which we never do
				}
				cfg := config(aemp.NodeID(node))
				cfg.Nonce = func() string { return own[1] }
				cfg.Auths = strings.Split(strings.Split(own[0], ";")[3], ",")
				cfg.Framings = nil
				for _, f := range strings.Split(strings.Split(own[0], ";")[4], ",") {
					cfg.Framings = append(cfg.Framings, packets.Framing(t, f))
				}
				nc := &script{input: io.MultiReader(strings.NewReader(strings.Join(theirs[:], "\n")+"\n"), bytes.NewReader(data))}
				conn, err := aemp.Handshake(t.Context(), nc, aemp.WithGreetingLine(cfg, own[0]))
				if err != nil {
					t.Errorf("%s, connection %d, as %s: %v", name, c.Conn, node, err)
					continue
				}
				if got, want := nc.output.String(), strings.Join(own[:], "\n")+"\n"; got != want {
					t.Errorf("%s, connection %d, as %s:\n got %q\nwant %q", name, c.Conn, node, got, want)
				}
				if len(data) > 0 {
					if _, _, err := conn.Receive(); err != nil {
						t.Errorf("%s, connection %d, as %s: first message: %v", name, c.Conn, node, err)
					}
				}
				replayed++
			}
		}
	}
	if replayed < 20 {
		t.Errorf("only %d handshakes were replayed", replayed)
	}
}

// A script is a connection whose other side says what it says, whatever it
// hears.
type script struct {
	net.Conn
	input  io.Reader
	output bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.input.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.output.Write(p) }
func (s *script) Close() error                { return nil }
func (s *script) SetDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr        { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4040} }

// With another secret, the handshake fails on both sides as it did in the
// recordings.
func TestReplayWrongSecret(t *testing.T) {
	for _, name := range wiretest.Names(t, func(n string) bool { return strings.Contains(n, "wrong-secret") }) {
		for _, c := range wiretest.Load(t, name) {
			own, _ := c.Handshake("alpha")
			theirs, _ := c.Handshake("beta")
			cfg := config("alpha")
			cfg.Nonce = func() string { return own[1] }
			nc := &script{input: strings.NewReader(strings.Join(theirs[:], "\n") + "\n")}
			_, err := aemp.Handshake(t.Context(), nc, aemp.WithGreetingLine(cfg, own[0]))
			var failed *aemp.HandshakeError
			if !errors.Is(err, aemp.ErrAuth) || !errors.As(err, &failed) || failed.Peer != "beta" || failed.Phase != aemp.PhaseAuth {
				t.Errorf("%s: got error %v, want ErrAuth", name, err)
			}
			if !strings.HasSuffix(nc.output.String(), own[2]+"\n") {
				t.Errorf("%s: our authentication line is not the recorded one", name)
			}
		}
	}
}

func TestHandshakeErrors(t *testing.T) {
	const nonce = "a nonce\n"
	greeting := func(fields string) string { return "aemp;1;peer;" + fields + "\n" + nonce }
	good := greeting("hmac_sha3_512,hmac_md6_64_256;cbor,json")
	clear := "cleartext;" + hex.EncodeToString([]byte(wiretest.Secret))
	tests := []struct {
		name  string
		input string
		want  error
		phase aemp.Phase
	}{
		{"silence", "", io.EOF, aemp.PhaseGreeting},
		{"cut in the greeting", "aemp;1;pe", io.ErrUnexpectedEOF, aemp.PhaseGreeting},
		{"cut before the nonce", "aemp;1;peer;hmac_sha3_512;json\n", io.EOF, aemp.PhaseNonce},
		{"cut before authentication", good, io.EOF, aemp.PhaseAuth},
		{"garbage", "\x16\x03\x01\x02\x00\x01\n", aemp.ErrGreeting, aemp.PhaseGreeting},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", aemp.ErrGreeting, aemp.PhaseGreeting},
		{"version", "aemp;2;peer;hmac_sha3_512;json\n", aemp.ErrVersion, aemp.PhaseNonce},
		{"mproto", "aemp;1;peer;hmac_sha3_512;json;mproto=2\n", aemp.ErrVersion, aemp.PhaseNonce},
		{"gproto", "aemp;1;peer;hmac_sha3_512;json;mproto=1;gproto=3.1\n", aemp.ErrVersion, aemp.PhaseNonce},
		{"extension", "aemp-fax;1;peer;hmac_sha3_512;json\n", aemp.ErrGreeting, aemp.PhaseNonce},
		{"our own ID", "aemp;1;me;hmac_sha3_512;json\n" + nonce, aemp.ErrSelf, aemp.PhaseNonce},
		{"no common authentication", greeting("rot13,cleartext,tls_sha3_512;json"), aemp.ErrNoAuth, aemp.PhaseAuth},
		{"no common framing", greeting("hmac_sha3_512;xml,protobuf"), aemp.ErrNoFraming, aemp.PhaseAuth},
		{"no framing at all", greeting("hmac_sha3_512;"), aemp.ErrNoFraming, aemp.PhaseAuth},
		{"wrong secret", good + "cleartext;00;json\n", aemp.ErrAuth, aemp.PhaseAuth},
		{"no secret", good + "hmac_sha3_512;;json\n", aemp.ErrAuth, aemp.PhaseAuth},
		{"tls without TLS", good + "tls_anon;;json\n", aemp.ErrAuthMethod, aemp.PhaseAuth},
		{"unknown method", good + "none;;json\n", aemp.ErrAuthMethod, aemp.PhaseAuth},
		{"short line", good + "cleartext\n", aemp.ErrAuth, aemp.PhaseAuth},
		{"empty line", good + "\n", aemp.ErrAuth, aemp.PhaseAuth},
		{"framing not offered", good + clear + ";xml\n", aemp.ErrNoFraming, aemp.PhaseAuth},
		{"long greeting", strings.Repeat("x", 4096), aemp.ErrLineTooLong, aemp.PhaseGreeting},
		{"long nonce", "aemp;1;peer;hmac_sha3_512;json\n" + strings.Repeat("x", 1<<20), aemp.ErrLineTooLong, aemp.PhaseNonce},
		{"long authentication", good + strings.Repeat("x", 4096), aemp.ErrLineTooLong, aemp.PhaseAuth},
		{"longest greeting", "aemp;1;peer;hmac_sha3_512;json;x=" + strings.Repeat("x", 4095-33) + "\n", io.EOF, aemp.PhaseNonce},
	}
	for _, test := range tests {
		for _, pieces := range []string{"at once", "byte by byte"} {
			t.Run(test.name+" "+pieces, func(t *testing.T) {
				var input io.Reader = strings.NewReader(test.input)
				if pieces == "byte by byte" {
					input = iotest.OneByteReader(input)
				}
				_, err := aemp.Handshake(t.Context(), &script{input: input}, config("me"))
				var failed *aemp.HandshakeError
				if !errors.As(err, &failed) || !errors.Is(err, test.want) {
					t.Fatalf("got error %v, want %v", err, test.want)
				}
				if failed.Phase != test.phase {
					t.Errorf("got phase %v in %v, want %v", failed.Phase, err, test.phase)
				}
			})
		}
	}
}

func TestEcho(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go io.Copy(theirs, theirs)
	if _, err := aemp.Handshake(t.Context(), ours, config("me")); !errors.Is(err, aemp.ErrEcho) {
		t.Errorf("got error %v, want ErrEcho", err)
	}
}

func TestSelf(t *testing.T) {
	_, _, aerr, berr := shake(t, config("me"), config("me"))
	// The one that finds out first closes the connection on the other.
	if !errors.Is(aerr, aemp.ErrSelf) && !errors.Is(berr, aemp.ErrSelf) || aerr == nil || berr == nil {
		t.Errorf("got errors %v and %v, want ErrSelf", aerr, berr)
	}
}

// Whoever dials a node that is connected already learns which one it is, however
// soon that refuses.
func TestRefusedPeerLearnsWhoRefused(t *testing.T) {
	for range 50 {
		refusing := config("b")
		refusing.Admit = func(*aemp.Greeting) (func(context.Context) error, error) { return nil, aemp.ErrConnected }
		_, _, aerr, berr := shake(t, config("a"), refusing)
		if failed := new(aemp.HandshakeError); !errors.As(aerr, &failed) || failed.Peer != "b" || !errors.Is(berr, aemp.ErrConnected) {
			t.Fatalf("got errors %v and %v, want one that names b and ErrConnected", aerr, berr)
		}
	}
}

// A peer that stops talking costs no more than the handshake timeout, wherever
// it stops.
func TestHandshakeTimeout(t *testing.T) {
	full := "aemp;1;peer;hmac_sha3_512;json\nnonce\ncleartext;" + hex.EncodeToString([]byte(wiretest.Secret)) + ";json"
	for n := 0; n <= len(full); n += 7 {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go io.Copy(io.Discard, theirs)
			go io.WriteString(theirs, full[:n])
			start := time.Now()
			cfg := config("me")
			cfg.HandshakeTimeout = 5 * time.Second
			_, err := aemp.Handshake(t.Context(), ours, cfg)
			var failed *aemp.HandshakeError
			if !errors.As(err, &failed) || !failed.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got error %v, want a timeout", err)
			}
			if took := time.Since(start); took != cfg.HandshakeTimeout {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// The same for a peer that does not even read.
func TestHandshakeTimeoutWithoutReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		_, err := aemp.Handshake(t.Context(), ours, config("me"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want a timeout", err)
		}
	})
}

func TestHandshakeCanceled(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more")
	go func() {
		bufio.NewReader(theirs).ReadString('\n')
		cancel(why)
	}()
	if _, err := aemp.Handshake(ctx, ours, config("me")); !errors.Is(err, why) {
		t.Errorf("got error %v, want %v", err, why)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]aemp.Config{
		"no ID":     {Secret: "x"},
		"bad ID":    {NodeID: "a#b", Secret: "x"},
		"no secret": {NodeID: "a"},
		"timeout":   {NodeID: "a", Secret: "x", HandshakeTimeout: -1},
		"size":      {NodeID: "a", Secret: "x", Limits: aemp.Limits{MessageSize: -1}},
		"depth":     {NodeID: "a", Secret: "x", Limits: aemp.Limits{Depth: -1}},
	} {
		ours, theirs := net.Pipe()
		if _, err := aemp.Handshake(t.Context(), ours, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: the connection is left open: %v", name, err)
		}
	}
}

// The simplest client sends three lines and its first message blind, knowing
// nothing of this package.
func TestBlindClient(t *testing.T) {
	for _, eol := range []string{"\n", "\r\n"} {
		for _, auths := range []string{"hmac_md6_64_256", "hmac_sha3_512"} {
			ours, theirs := net.Pipe()
			answer := make(chan string, 1)
			go func() {
				r := bufio.NewReader(theirs)
				go io.WriteString(theirs, strings.Join([]string{
					"aemp;1;simple;" + auths + ";json", "some-nonce",
					"cleartext;" + hex.EncodeToString([]byte(wiretest.Secret)) + ";json", ` ["port", "hello"]`,
				}, eol)+eol)
				for range 3 {
					r.ReadString('\n')
				}
				line, _ := r.ReadString(']')
				answer <- line
			}()
			conn, err := aemp.Handshake(t.Context(), ours, config("me"))
			if err != nil {
				t.Fatal(err)
			}
			port, m, err := conn.Receive()
			if err != nil || port != "port" || m.String() != `["hello"]` {
				t.Errorf("received %q %v, %v", port, m, err)
			}
			conn.Send("here", "hello", "yourself")
			if got := <-answer; got != `["here","hello","yourself"]` {
				t.Errorf("the client received %s", got)
			}
			conn.Close()
			theirs.Close()
		}
	}
}

func TestAdmit(t *testing.T) {
	a, b := config("a"), config("b")
	a.Admit = func(g *aemp.Greeting) (func(context.Context) error, error) {
		return nil, fmt.Errorf("%s: %w", g.Node, aemp.ErrConnected)
	}
	_, _, err, _ := shake(t, a, b)
	if !errors.Is(err, aemp.ErrConnected) {
		t.Errorf("got error %v, want ErrConnected", err)
	}

	var order []string
	a.Admit = func(*aemp.Greeting) (func(context.Context) error, error) {
		order = append(order, "greeted")
		return func(context.Context) error { order = append(order, "proved"); return nil }, nil
	}
	if _, _, aerr, berr := shake(t, a, b); aerr != nil || berr != nil {
		t.Error(aerr, berr)
	}
	if got := strings.Join(order, " "); got != "greeted proved" {
		t.Errorf("got %s", got)
	}
	// Who does not prove itself is not asked to wait for.
	b.Secret = "another"
	a.Admit = func(*aemp.Greeting) (func(context.Context) error, error) {
		return func(context.Context) error { t.Error("a stranger was admitted"); return nil }, nil
	}
	if _, _, err, _ := shake(t, a, b); !errors.Is(err, aemp.ErrAuth) {
		t.Errorf("got error %v, want ErrAuth", err)
	}
}

// Who is refused because there is nothing in common learns from our greeting what
// we have, even if it comes to read it late.
func TestRefusedPeerGetsGreeting(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  error
	}{
		"authentication": {"aemp;1;b;tls_anon;json\nnonce\n", aemp.ErrNoAuth},
		"framing":        {"aemp;1;b;hmac_sha3_512;smoke\nnonce\n", aemp.ErrNoFraming},
		"version":        {"aemp;2;b;hmac_sha3_512;json\n", aemp.ErrVersion},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			result := make(chan error, 1)
			go func() {
				_, err := aemp.Handshake(t.Context(), ours, aemp.Config{NodeID: "a", Secret: "s"})
				result <- err
			}()
			if _, err := io.WriteString(theirs, test.lines); err != nil {
				t.Fatal(err)
			}
			greeting, err := bufio.NewReader(theirs).ReadString('\n')
			if err != nil || !strings.HasPrefix(greeting, "aemp;1;a;") {
				t.Errorf("got %q, %v", greeting, err)
			}
			io.Copy(io.Discard, theirs)
			if err := <-result; !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
