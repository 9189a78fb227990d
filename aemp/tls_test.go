package aemp_test

import (
	"bufio"
	"context"
	"crypto/sha3"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/aemp/internal/md6"
	"github.com/portmesh/portmesh/internal/wiretest"
)

// The side whose nonce is smaller is the TLS client, whoever has dialled.
const (
	clientNonce = "0: the smaller one"
	serverNonce = "1: the larger one"
)

// A tlsRole says which of two nodes is the TLS client, by their nonces.
type tlsRole struct{ name, a, b string }

var roles = []tlsRole{
	{"a is the TLS client", clientNonce, serverNonce},
	{"b is the TLS client", serverNonce, clientNonce},
}

func (r tlsRole) nodes(a, b *tls.Config) (aemp.Config, aemp.Config) {
	return tlsNode("a", r.a, a), tlsNode("b", r.b, b)
}

func tlsNode(id aemp.NodeID, nonce string, cfg *tls.Config) aemp.Config {
	return aemp.Config{NodeID: id, TLS: cfg, Nonce: func() string { return nonce }}
}

var versions = []struct {
	name string
	max  uint16
}{{"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

// withVersion is a node that goes no further than a version of TLS.
func withVersion(cfg *tls.Config, version uint16) *tls.Config {
	cfg = cfg.Clone()
	cfg.MaxVersion = version
	return cfg
}

func TestTLSHandshake(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	transports := []struct {
		name string
		pair func(*testing.T) (net.Conn, net.Conn)
	}{
		{"pipe", func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() }},
		{"TCP", tcpPair},
		{"byte by byte", func(*testing.T) (net.Conn, net.Conn) {
			a, b := net.Pipe()
			return slowReader{a, iotest.OneByteReader(a)}, slowReader{b, iotest.OneByteReader(b)}
		}},
	}
	tests := []struct {
		name   string
		auths  []string // that b accepts, nil for all
		secret string
	}{
		{"all methods", nil, ""},
		{"only tls_sha3_512", []string{"tls_sha3_512"}, ""},
		{"only tls_md6_64_256", []string{"tls_md6_64_256"}, ""},
		{"with a secret too", nil, wiretest.Secret},
		{"with a secret too, which b insists on", []string{"hmac_sha3_512"}, wiretest.Secret},
	}
	for _, transport := range transports {
		for _, role := range roles {
			for _, version := range versions {
				for _, test := range tests {
					t.Run(strings.Join([]string{transport.name, role.name, version.name, test.name}, ", "), func(t *testing.T) {
						a, b := role.nodes(mesh, withVersion(mesh, version.max))
						a.Secret, b.Secret, b.Auths = test.secret, test.secret, test.auths
						an, bn := transport.pair(t)
						ac, bc, aerr, berr := shakeTLS(t, an, bn, a, b)
						if aerr != nil || berr != nil {
							t.Fatal(aerr, berr)
						}
						for _, c := range []*aemp.Conn{ac, bc} {
							state := c.NetConn().(interface{ ConnectionState() tls.ConnectionState }).ConnectionState()
							if !c.TLS() || state.Version != version.max || len(state.PeerCertificates) == 0 {
								t.Errorf("%s: TLS %v, version %s, %d certificates of the peer; want version %s", c.Local().Node,
									c.TLS(), tls.VersionName(state.Version), len(state.PeerCertificates), tls.VersionName(version.max))
							}
						}
						exchange(t, ac, bc)
						exchange(t, bc, ac)
						closed := make(chan error, 1)
						go func() { closed <- ac.CloseWrite() }()
						if _, _, err := bc.Receive(); err != io.EOF {
							t.Errorf("behind the end: got error %v, want EOF", err)
						}
						if err := <-closed; err != nil {
							t.Errorf("CloseWrite: %v", err)
						}
						exchange(t, bc, ac) // the other direction is still open
					})
				}
			}
		}
	}
}

// shakeTLS does both sides of a handshake. When the test ends, the connections
// below TLS are closed first, so that no farewell waits for somebody to read it.
func shakeTLS(t *testing.T, an, bn net.Conn, a, b aemp.Config) (ac, bc *aemp.Conn, aerr, berr error) {
	t.Helper()
	ac, bc, aerr, berr = shakeOver(t, an, bn, a, b)
	t.Cleanup(func() { an.Close(); bn.Close() })
	return ac, bc, aerr, berr
}

func shakePipe(t *testing.T, a, b aemp.Config) (ac, bc *aemp.Conn, aerr, berr error) {
	t.Helper()
	an, bn := net.Pipe()
	return shakeTLS(t, an, bn, a, b)
}

// tcpPair returns two ends of a connection over loopback.
func tcpPair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// The system accepts the connection before we do.
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

type slowReader struct {
	net.Conn
	r io.Reader
}

func (c slowReader) Read(p []byte) (int, error) { return c.r.Read(p) }

// A tlsPeer plays the other side of a handshake by hand.
type tlsPeer struct {
	t         *testing.T
	nc        net.Conn
	r         *bufio.Reader
	own, node [2]string // the greeting and the nonce of each side
	result    chan handshakeResult
}

type handshakeResult struct {
	conn *aemp.Conn
	err  error
}

// play begins a handshake with a node, and reads its greeting.
func play(t *testing.T, node aemp.Config) *tlsPeer {
	t.Helper()
	ours, theirs := net.Pipe()
	p := &tlsPeer{t: t, nc: theirs, r: bufio.NewReader(theirs), result: make(chan handshakeResult, 1)}
	go func() {
		conn, err := aemp.Handshake(t.Context(), ours, node)
		p.result <- handshakeResult{conn, err}
	}()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	p.node = [2]string{p.hear(), p.hear()}
	return p
}

// greeting sets what the peer greets with, and returns it as it is sent.
func (p *tlsPeer) greeting(auths, keys, nonce string) string {
	p.own = [2]string{"aemp;1;peer;" + auths + ";json" + keys, nonce}
	return p.own[0] + "\n" + p.own[1] + "\n"
}

func (p *tlsPeer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.nc, text); err != nil {
		p.t.Fatalf("the node does not hear %q: %v", text, err)
	}
}

func (p *tlsPeer) hear() string {
	p.t.Helper()
	line, err := p.r.ReadString('\n')
	if err != nil {
		p.t.Fatalf("got %q from the node, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// startTLS goes over to TLS, behind a text that goes out with its first bytes.
func (p *tlsPeer) startTLS(cfg *tls.Config, text string) {
	p.t.Helper()
	nc := &prefixed{Conn: p.nc, r: p.r, prefix: text}
	tc := tls.Server(nc, cfg)
	if p.own[1] < p.node[1] {
		tc = tls.Client(nc, cfg)
	} else if text != "" { // the server waits for the client
		nc.flush()
	}
	if err := tc.Handshake(); err != nil {
		p.t.Fatalf("TLS handshake with the node: %v", err)
	}
	p.nc, p.r = tc, bufio.NewReader(tc)
}

// A prefixed connection sends a text together with what is written first.
type prefixed struct {
	net.Conn
	r      io.Reader
	prefix string
}

func (c *prefixed) Read(p []byte) (int, error) { return c.r.Read(p) }

func (c *prefixed) Write(p []byte) (int, error) {
	n, err := io.WriteString(c.Conn, c.prefix+string(p))
	n = max(0, n-len(c.prefix))
	c.prefix = ""
	return n, err
}

func (c *prefixed) flush() { c.Write(nil) }

// text is what the sender of an authentication line has to prove: its own lines
// first, for every method.
func text(sender, receiver [2]string) []byte {
	return []byte(strings.Join([]string{sender[0], sender[1], receiver[0], receiver[1], ""}, "\n"))
}

func tlsSHA3(sender, receiver [2]string) string {
	sum := sha3.Sum512(text(sender, receiver))
	return "tls_sha3_512;" + hex.EncodeToString(sum[:]) + ";json"
}

func tlsMD6(sender, receiver [2]string) string {
	sum := md6.Sum256(text(sender, receiver))
	return "tls_md6_64_256;" + hex.EncodeToString(sum[:]) + ";json"
}

// Both methods byte by byte, in both roles. The first TLS bytes of the peer
// come in one piece with its nonce, and its first messages in one piece with
// its authentication line.
func TestTLSByHand(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	for _, role := range roles {
		for _, version := range versions {
			for method, line := range map[string]func(sender, receiver [2]string) string{
				"tls_sha3_512": tlsSHA3, "tls_md6_64_256": tlsMD6,
			} {
				t.Run(strings.Join([]string{role.name, version.name, method}, ", "), func(t *testing.T) {
					p := play(t, tlsNode("a", role.a, mesh))
					if !strings.Contains(p.node[0]+";", ";tls=1.0;") || p.node[1] != role.a {
						t.Fatalf("the node greets with %q", p.node)
					}
					p.startTLS(withVersion(mesh, version.max), p.greeting(method, ";tls=1.0", role.b))
					if got, want := p.hear(), line(p.node, p.own); got != want {
						t.Errorf("authentication line\n got %s\nwant %s", got, want)
					}
					p.say(line(p.own, p.node) + "\n" + `["port","hello"]["port",` + ` "again"]`)
					got := <-p.result
					if got.err != nil {
						t.Fatal(got.err)
					}
					for _, want := range []string{`["hello"]`, `["again"]`} {
						if port, m, err := got.conn.Receive(); err != nil || port != "port" || m.String() != want {
							t.Errorf("received %q, %v, %v; want %s", port, m, err, want)
						}
					}
				})
			}
		}
	}
}

// What authentication lines are good for within TLS, and without.
func TestTLSAuthMethods(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	clear := "cleartext;" + hex.EncodeToString([]byte(wiretest.Secret)) + ";json"
	is := func(line string) func(_, _ [2]string) string { return func(_, _ [2]string) string { return line } }
	swapped := func(sender, receiver [2]string) string { return tlsSHA3(receiver, sender) }
	tests := []struct {
		name   string
		tls    bool
		secret string
		auths  []string // that the node accepts, nil for all
		line   func(sender, receiver [2]string) string
		want   error
	}{
		{"anonymous in TLS", true, "", nil, is("tls_anon;;json"), nil},
		{"anonymous, with data", true, "", nil, is("tls_anon;00;json"), aemp.ErrAuth},
		{"anonymous, but not accepted", true, "", []string{"tls_sha3_512"}, is("tls_anon;;json"), aemp.ErrAuthMethod},
		{"anonymous without TLS", false, wiretest.Secret, nil, is("tls_anon;;json"), aemp.ErrAuthMethod},
		{"sha3 without TLS", false, wiretest.Secret, nil, tlsSHA3, aemp.ErrAuthMethod},
		{"md6 without TLS", false, wiretest.Secret, nil, tlsMD6, aemp.ErrAuthMethod},
		{"sha3, with the lines of the receiver first", true, "", nil, swapped, aemp.ErrAuth},
		{"sha3, without data", true, "", nil, is("tls_sha3_512;;json"), aemp.ErrAuth},
		{"secret in TLS", true, wiretest.Secret, nil, is(clear), nil},
		{"wrong secret in TLS", true, "another", nil, is(clear), aemp.ErrAuth},
		{"secret in TLS, where there is none", true, "", nil, is(clear), aemp.ErrAuthMethod},
		{"empty secret in TLS, where there is none", true, "", nil, is("cleartext;;json"), aemp.ErrAuthMethod},
		{"too long", true, "", nil, is("tls_anon;;" + strings.Repeat("x", 5000)), aemp.ErrLineTooLong},
		{"secret without TLS", false, wiretest.Secret, nil, is(clear), nil},
	}
	for _, test := range tests {
		for _, role := range roles {
			t.Run(test.name+", "+role.name, func(t *testing.T) {
				node := tlsNode("a", role.a, mesh)
				node.Secret, node.Auths = test.secret, test.auths
				p := play(t, node)
				if test.tls {
					p.say(p.greeting("tls_sha3_512", ";tls=1.0", role.b))
					p.startTLS(mesh, "")
				} else {
					p.say(p.greeting("hmac_sha3_512", "", role.b))
				}
				p.hear()
				io.WriteString(p.nc, test.line(p.own, p.node)+"\n") // which the node need not take whole
				got := <-p.result
				if !errors.Is(got.err, test.want) || (got.err == nil) != (got.conn != nil) {
					t.Fatalf("got error %v, want %v", got.err, test.want)
				}
				if got.conn != nil && got.conn.TLS() != test.tls {
					t.Errorf("got TLS %v, want %v", got.conn.TLS(), test.tls)
				}
			})
		}
	}
}

// What the greetings say decides about TLS.
func TestTLSOrNot(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	const secret = wiretest.Secret
	key := func(value string) map[string]string { return map[string]string{"tls": value} }
	tests := []struct {
		name               string
		a, b               aemp.Config
		tls                bool
		wantErrA, wantErrB error
	}{
		{"both", aemp.Config{TLS: mesh}, aemp.Config{TLS: mesh}, true, nil, nil},
		{"a later minor version", aemp.Config{TLS: mesh}, aemp.Config{TLS: mesh, Extra: key("1.7")}, true, nil, nil},
		{"one, and both have the secret", aemp.Config{TLS: mesh, Secret: secret}, aemp.Config{Secret: secret}, false, nil, nil},
		{"one, and both have the secret, but one wants TLS methods",
			aemp.Config{TLS: mesh, Secret: secret, Auths: []string{"tls_sha3_512", "tls_anon"}}, aemp.Config{Secret: secret},
			false, io.EOF, aemp.ErrNoAuth},
		{"one, and it has no secret", aemp.Config{TLS: mesh}, aemp.Config{Secret: secret}, false, aemp.ErrNoAuth, io.EOF},
		{"one, and the secrets differ", aemp.Config{TLS: mesh, Secret: secret}, aemp.Config{Secret: "another"}, false, aemp.ErrAuth, aemp.ErrAuth},
		{"both, but one does not say so", aemp.Config{TLS: mesh, Secret: secret}, aemp.Config{TLS: mesh, Secret: secret, Extra: key("")}, false, nil, nil},
		{"both, but one has another version", aemp.Config{TLS: mesh, Secret: secret}, aemp.Config{TLS: mesh, Secret: secret, Extra: key("2.0")}, false, nil, nil},
		{"both have other certificates, but the same secret",
			aemp.Config{TLS: mesh, Secret: secret}, aemp.Config{TLS: tlsConfig(t, generated(t)), Secret: secret}, true, aemp.ErrTLS, aemp.ErrTLS},
	}
	for _, test := range tests {
		for _, role := range roles {
			t.Run(test.name+", "+role.name, func(t *testing.T) {
				a, b := test.a, test.b
				a.NodeID, a.Nonce = "a", func() string { return role.a }
				b.NodeID, b.Nonce = "b", func() string { return role.b }
				ac, bc, aerr, berr := shakePipe(t, a, b)
				if test.wantErrA == nil && test.wantErrB == nil {
					if aerr != nil || berr != nil {
						t.Fatal(aerr, berr)
					}
					if ac.TLS() != test.tls || bc.TLS() != test.tls {
						t.Errorf("got TLS %v and %v, want %v", ac.TLS(), bc.TLS(), test.tls)
					}
					exchange(t, ac, bc)
					return
				}
				wantRefusal(t, aerr, test.wantErrA)
				wantRefusal(t, berr, test.wantErrB)
			})
		}
	}
}

// wantRefusal expects a handshake error for a cause. Of two that have one, the
// first to find it closes the connection, of which the other hears the end.
func wantRefusal(t *testing.T, err, want error) {
	t.Helper()
	var failed *aemp.HandshakeError
	if !errors.As(err, &failed) || !errors.Is(err, want) && !isEnd(err) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) }

// A certificate that is not good is refused, and both sides learn why in words
// that can be acted on: the one that verifies names the cause, the other one
// that it was refused.
func TestBadCertificates(t *testing.T) {
	root, other, forged := newAuthority(t, "root", nil), newAuthority(t, "other", nil), newAuthority(t, "root", nil)
	good := root.issue(t, "a", nil)
	member := &authority{} // of the mesh, but no authority
	member.cert, member.key, member.pem = sign(t, root, &x509.Certificate{KeyUsage: x509.KeyUsageCertSign})
	trusting := func(bundle []byte) []byte { return append(bundle, root.pem...) }
	tests := []struct {
		name   string
		bundle []byte
		cause  string
	}{
		{"expired", root.issue(t, "b", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }), "certificate has expired"},
		{"not yet valid", root.issue(t, "b", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), "not yet valid"},
		{"of another authority", trusting(other.issue(t, "b", nil)), "unknown authority"},
		{"of an authority with the same name", trusting(forged.issue(t, "b", nil)), "unknown authority"},
		{"signed by a member", trusting(member.issue(t, "b", nil)), "cannot sign"},
		{"its own authority", trusting(generated(t)), "unknown authority"},
	}
	for _, test := range tests {
		for _, role := range roles {
			for _, version := range versions {
				t.Run(strings.Join([]string{test.name, role.name, version.name}, ", "), func(t *testing.T) {
					a, b := role.nodes(withVersion(tlsConfig(t, good), version.max), tlsConfig(t, test.bundle))
					a.Secret, b.Secret = wiretest.Secret, wiretest.Secret // TLS is mandatory all the same
					ac, bc, aerr, berr := shakePipe(t, a, b)
					if ac != nil || bc != nil {
						t.Error("there is a connection")
					}
					wantTLSError(t, "the side that verifies", aerr, test.cause)
					wantTLSError(t, "the other side", berr, "remote error: tls: bad certificate")
				})
			}
		}
	}
}

// The text of a refusal is the same each time, so that it is logged once.
func TestRefusalHasNoTimeOfDay(t *testing.T) {
	root := newAuthority(t, "root", nil)
	until := time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)
	from := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	expired := root.issue(t, "b", func(c *x509.Certificate) { c.NotAfter = until })
	early := root.issue(t, "b", func(c *x509.Certificate) { c.NotBefore = from })
	for want, bundle := range map[string][]byte{
		"it was valid until 1999-12-31T00:00:00Z":  expired,
		"it is valid from 2100-01-01T00:00:00Z on": early,
	} {
		a, b := roles[0].nodes(tlsConfig(t, root.issue(t, "a", nil)), tlsConfig(t, bundle))
		_, _, err, _ := shakePipe(t, a, b)
		wantTLSError(t, "the side that verifies", err, want)
		if invalid := (x509.CertificateInvalidError{}); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
			t.Errorf("error %v does not wrap that of package x509", err)
		}
		if strings.Contains(err.Error(), "current time") {
			t.Errorf("error %v tells the time", err)
		}
	}
}

func TestNoCertificate(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	none := mesh.Clone()
	none.Certificates = nil
	for _, version := range versions {
		t.Run("TLS client, "+version.name, func(t *testing.T) {
			a, b := roles[1].nodes(withVersion(mesh, version.max), none)
			_, _, aerr, berr := shakePipe(t, a, b)
			wantTLSError(t, "the server", aerr, "client didn't provide a certificate")
			wantTLSError(t, "the client", berr, "remote error: tls: ")
		})
		t.Run("TLS server, "+version.name, func(t *testing.T) {
			a, b := roles[0].nodes(withVersion(mesh, version.max), none)
			_, _, aerr, berr := shakePipe(t, a, b)
			wantTLSError(t, "the client", aerr, "remote error: tls: ")
			wantTLSError(t, "the server", berr, "no certificates configured")
		})
	}
}

func wantTLSError(t *testing.T, who string, err error, cause string) {
	t.Helper()
	var failed *aemp.HandshakeError
	if !errors.As(err, &failed) || !errors.Is(err, aemp.ErrTLS) || !strings.Contains(err.Error(), cause) {
		t.Errorf("%s: got error %v, want one of TLS with %q", who, err, cause)
	}
	if failed != nil && failed.Timeout() {
		t.Errorf("%s: %v counts as timeout", who, err)
	}
}

// A peer that speaks no TLS where it said it would.
func TestTLSGarbage(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	for _, role := range roles {
		for name, input := range map[string]string{
			"authentication line":    "hmac_sha3_512;" + strings.Repeat("0", 128) + ";json\n",
			"alert":                  "\x15\x03\x01\x00\x02\x02\x28",
			"end":                    "",
			"end in a TLS record":    "\x16\x03\x01\x02\x00\x01",
			"record without content": "\x16\x03\x01\x00\x00",
		} {
			t.Run(name+", "+role.name, func(t *testing.T) {
				p := play(t, tlsNode("a", role.a, mesh))
				p.say(p.greeting("tls_sha3_512", ";tls=1.0", role.b))
				go io.Copy(io.Discard, p.r)
				io.WriteString(p.nc, input) // which the node need not take whole
				p.nc.Close()
				wantTLSError(t, "the node", (<-p.result).err, "")
			})
		}
	}
}

// A peer that closes the connection without a word, as Perl nodes do, leaves us
// to guess why.
func TestClosedWithoutAWord(t *testing.T) {
	const hint = "the peer closed the connection; "
	mesh := tlsConfig(t, generated(t))
	tests := []struct {
		name  string
		node  aemp.Config
		peer  string // the end of its greeting
		phase aemp.Phase
		hint  string
	}{
		{"certificate", aemp.Config{TLS: mesh}, "tls_sha3_512;json;tls=1.0", aemp.PhaseTLS, hint + "does it trust our certificate?"},
		{
			"certificate, before the secret", aemp.Config{TLS: mesh, Secret: wiretest.Secret},
			"hmac_sha3_512;json;tls=1.0", aemp.PhaseTLS, hint + "does it trust our certificate?",
		},
		{"secret", aemp.Config{Secret: wiretest.Secret}, "hmac_sha3_512;json", aemp.PhaseAuth, hint + "are the secrets the same?"},
	}
	for _, test := range tests {
		for name, end := range map[string]error{"EOF": io.EOF, "reset": syscall.ECONNRESET} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				greeting := strings.NewReader("aemp;1;peer;" + test.peer + "\nnonce\n")
				test.node.NodeID = "a"
				_, err := aemp.Handshake(t.Context(), &script{input: io.MultiReader(greeting, iotest.ErrReader(end))}, test.node)
				var failed *aemp.HandshakeError
				if !errors.As(err, &failed) || failed.Phase != test.phase || !errors.Is(err, end) || !strings.Contains(err.Error(), test.hint) {
					t.Errorf("got error %v, want %v with %q", err, end, test.hint)
				}
				if got, want := errors.Is(err, aemp.ErrTLS), test.phase == aemp.PhaseTLS; got != want {
					t.Errorf("error %v: is ErrTLS: got %v, want %v", err, got, want)
				}
			})
		}
	}
	t.Run("certificate behind TLS", func(t *testing.T) { // TLS 1.3 lets the client wait for it
		p := play(t, tlsNode("a", clientNonce, mesh))
		p.say(p.greeting("tls_sha3_512", ";tls=1.0", serverNonce))
		below := p.nc
		p.startTLS(mesh, "")
		p.hear()
		below.Close()
		if err := (<-p.result).err; !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), hint+"does it trust our certificate?") {
			t.Errorf("got error %v", err)
		}
	})
}

// Bytes that somebody has put between those of the peer.
func TestTLSTampered(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	for _, role := range roles {
		t.Run(role.name, func(t *testing.T) {
			p := play(t, tlsNode("a", role.a, mesh))
			p.say(p.greeting("tls_sha3_512", ";tls=1.0", role.b))
			below := p.nc
			p.startTLS(mesh, "")
			p.hear()
			go io.Copy(io.Discard, below) // the alert
			io.WriteString(below, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 0x20))
			wantTLSError(t, "the node", (<-p.result).err, "bad record MAC")
		})
	}
}

// Somebody between two nodes who takes TLS out of the greetings cannot get
// anything but a failure, since each side proves what it has sent and seen.
func TestDowngrade(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	strip := func(line string) string { return strings.Replace(line, ";tls=1.0", "", 1) }
	keep := func(line string) string { return line }
	tests := []struct {
		name     string
		toA, toB func(string) string
		secret   string
		// What either side may say; at least one has to find it out itself.
		wantA, wantB error
	}{
		{"towards a, no secret", strip, keep, "", aemp.ErrNoAuth, aemp.ErrTLS},
		{"towards b, no secret", keep, strip, "", aemp.ErrTLS, aemp.ErrNoAuth},
		{"towards both, no secret", strip, strip, "", aemp.ErrNoAuth, aemp.ErrNoAuth},
		{"towards a, secret", strip, keep, wiretest.Secret, nil, aemp.ErrTLS},
		{"towards b, secret", keep, strip, wiretest.Secret, aemp.ErrTLS, nil},
		{"towards both, secret", strip, strip, wiretest.Secret, aemp.ErrAuth, aemp.ErrAuth},
	}
	for _, test := range tests {
		for _, role := range roles {
			t.Run(test.name+", "+role.name, func(t *testing.T) {
				a, b := role.nodes(mesh, mesh)
				a.Secret, b.Secret = test.secret, test.secret
				an, bn := inTheMiddle(t, test.toA, test.toB)
				ac, bc, aerr, berr := shakeTLS(t, an, bn, a, b)
				if ac != nil || bc != nil {
					t.Error("there is a connection")
				}
				named := false
				for _, side := range []struct {
					name      string
					err, want error
				}{{"a", aerr, test.wantA}, {"b", berr, test.wantB}} {
					var failed *aemp.HandshakeError
					if !errors.As(side.err, &failed) {
						t.Errorf("%s: got error %v, want a handshake error", side.name, side.err)
					}
					named = named || side.want != nil && errors.Is(side.err, side.want)
				}
				if !named {
					t.Errorf("got errors %v and %v, want %v or %v", aerr, berr, test.wantA, test.wantB)
				}
			})
		}
	}
	t.Run("nothing changed", func(t *testing.T) { // the one in the middle does its part
		a, b := roles[0].nodes(mesh, mesh)
		an, bn := inTheMiddle(t, keep, keep)
		ac, bc, aerr, berr := shakeTLS(t, an, bn, a, b)
		if aerr != nil || berr != nil {
			t.Fatal(aerr, berr)
		}
		exchange(t, ac, bc)
		ac.Close()
		bc.Close()
	})
}

// inTheMiddle returns the ends of two connections between which somebody
// changes the first line in each direction.
func inTheMiddle(t *testing.T, toA, toB func(string) string) (a, b net.Conn) {
	a, nearA := net.Pipe()
	b, nearB := net.Pipe()
	var relays sync.WaitGroup
	relay := func(to, from net.Conn, change func(string) string) {
		defer to.Close()
		defer from.Close()
		r := bufio.NewReader(from)
		line, err := r.ReadString('\n')
		if err == nil {
			io.WriteString(to, change(line))
			io.Copy(to, r)
		}
	}
	relays.Go(func() { relay(nearA, nearB, toA) })
	relays.Go(func() { relay(nearB, nearA, toB) })
	t.Cleanup(relays.Wait)
	return a, b
}

// A frailConn fails at a call of Read or Write, and ever after.
type frailConn struct {
	net.Conn
	left atomic.Int64 // calls before that
	fail func() error
}

func (c *frailConn) Read(p []byte) (int, error) {
	if c.left.Add(-1) < 0 {
		return 0, c.fail()
	}
	return c.Conn.Read(p)
}

func (c *frailConn) Write(p []byte) (int, error) {
	if c.left.Add(-1) < 0 {
		return 0, c.fail()
	}
	return c.Conn.Write(p)
}

// failed reports whether there was such a call.
func (c *frailConn) failed() bool { return c.left.Load() < 0 }

// stepwise does a TLS handshake over and over, with the connection of b failing
// one step later each time, until it does not fail any more. Each run is in a
// bubble of its own, which also finds goroutines that are left.
func stepwise(t *testing.T, fail func(frail *frailConn), run func(t *testing.T, a, b aemp.Config, an net.Conn, bn *frailConn)) {
	root := newAuthority(t, "root", nil)
	for _, role := range roles {
		for _, version := range versions {
			t.Run(role.name+", "+version.name, func(t *testing.T) {
				a, b := role.nodes(tlsConfig(t, root.issue(t, "a", nil)), withVersion(tlsConfig(t, root.issue(t, "b", nil)), version.max))
				failed, n := true, 0
				for ; failed && !t.Failed(); n++ {
					synctest.Test(t, func(t *testing.T) {
						an, bn := net.Pipe()
						frail := &frailConn{Conn: bn}
						frail.left.Store(int64(n))
						fail(frail)
						run(t, a, b, an, frail)
						failed = frail.failed()
						if t.Failed() {
							t.Logf("with a failure after %d steps", n)
						}
					})
				}
				if n < 8 {
					t.Errorf("got %d steps, want at least 8", n)
				}
			})
		}
	}
}

var errTorn = errors.New("the cable is torn")

func TestTLSBreaksAtEachStep(t *testing.T) {
	tear := func(frail *frailConn) {
		frail.fail = func() error {
			frail.Close()
			return errTorn
		}
	}
	stepwise(t, tear, func(t *testing.T, a, b aemp.Config, an net.Conn, bn *frailConn) {
		ac, bc, aerr, berr := shakeTLS(t, an, bn, a, b)
		for _, side := range []struct {
			conn *aemp.Conn
			err  error
		}{{ac, aerr}, {bc, berr}} {
			var failed *aemp.HandshakeError
			if side.err != nil && !errors.As(side.err, &failed) || (side.err == nil) != (side.conn != nil) {
				t.Errorf("got connection %v and error %v, want one or the other", side.conn, side.err)
			}
			if failed != nil && failed.Phase == aemp.PhaseTLS && !errors.Is(side.err, aemp.ErrTLS) {
				t.Errorf("got error %v in the phase of TLS, want ErrTLS", side.err)
			}
		}
		if bn.failed() && berr == nil {
			t.Error("b did not notice")
		}
	})
}

// A peer that says nothing more costs no more than the handshake timeout.
func TestTLSStallsAtEachStep(t *testing.T) {
	phases := make(map[aemp.Phase]bool)
	var stalled chan struct{}
	stall := func(frail *frailConn) {
		stalled = make(chan struct{})
		frail.fail = func() error {
			<-stalled
			return errTorn
		}
	}
	stepwise(t, stall, func(t *testing.T, a, b aemp.Config, an net.Conn, bn *frailConn) {
		a.HandshakeTimeout, b.HandshakeTimeout = 5*time.Second, time.Hour
		other := make(chan *aemp.Conn, 1)
		go func() {
			bc, _ := aemp.Handshake(t.Context(), bn, b)
			other <- bc
		}()
		start := time.Now()
		ac, err := aemp.Handshake(t.Context(), an, a)
		took := time.Since(start)
		close(stalled)
		bc := <-other
		if ac != nil {
			ac.Close()
		}
		if bc != nil {
			bc.Close()
		}
		if err == nil {
			return
		}
		var failed *aemp.HandshakeError
		if !errors.As(err, &failed) || !failed.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got error %v, want a timeout", err)
		}
		if took != a.HandshakeTimeout {
			t.Errorf("it took %v (%v), want %v", took, err, a.HandshakeTimeout)
		}
		phases[failed.Phase] = true
	})
	for _, phase := range []aemp.Phase{aemp.PhaseGreeting, aemp.PhaseTLS, aemp.PhaseAuth} {
		if !phases[phase] {
			t.Errorf("the peer never stalled in the phase of %s", phase)
		}
	}
}

// Who cancels a handshake finds the reason given, whatever was going on.
func TestTLSCanceled(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	why := errors.New("no more")
	for range 20 { // since it is a race by nature
		for _, role := range roles {
			ours, theirs := net.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				go io.Copy(io.Discard, theirs)
				io.WriteString(theirs, "aemp;1;peer;tls_sha3_512;json;tls=1.0\n"+role.b+"\n")
				cancel(why)
			}()
			_, err := aemp.Handshake(ctx, ours, tlsNode("a", role.a, mesh))
			if !errors.Is(err, why) {
				t.Errorf("got error %v, want %v", err, why)
			}
			theirs.Close()
		}
	}
}

// Closing says farewell to a peer that reads, but does not wait for one that
// has shown that it does not.
func TestTLSClose(t *testing.T) {
	root := newAuthority(t, "root", nil)
	a, b := roles[0].nodes(tlsConfig(t, root.issue(t, "a", nil)), tlsConfig(t, root.issue(t, "b", nil)))
	t.Run("peer reads", func(t *testing.T) {
		an, bn := net.Pipe()
		counted := &frailConn{Conn: an}
		counted.left.Store(1000)
		ac, bc, aerr, berr := shakeTLS(t, counted, bn, a, b)
		if aerr != nil || berr != nil {
			t.Fatal(aerr, berr)
		}
		before := counted.left.Load()
		closed := make(chan error, 1)
		go func() { closed <- ac.Close() }()
		if _, _, err := bc.Receive(); err != io.EOF {
			t.Errorf("got error %v, want EOF", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		if wrote := before - counted.left.Load(); wrote != 1 {
			t.Errorf("Close wrote %d times, want once", wrote)
		}
	})
	t.Run("peer does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ac, bc, aerr, berr := shakePipe(t, a, b)
			if aerr != nil || berr != nil {
				t.Fatal(aerr, berr)
			}
			ac.NetConn().SetDeadline(time.Now().Add(time.Second))
			var timeout net.Error
			if err := ac.Send("port", "hello"); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("Send: got error %v, want a timeout", err)
			}
			start := time.Now()
			ac.Close()
			if took := time.Since(start); took != 0 {
				t.Errorf("Close took %v", took)
			}
			bc.NetConn().SetDeadline(time.Now())
		})
	})
}

// A configuration that lets strangers in is a mistake of the program.
func TestTLSConfigErrors(t *testing.T) {
	mesh := tlsConfig(t, generated(t))
	change := func(f func(*tls.Config)) *tls.Config {
		cfg := mesh.Clone()
		f(cfg)
		return cfg
	}
	tests := []struct {
		name string
		cfg  *tls.Config
		want string // empty: nothing is wrong
	}{
		{"as made", mesh, ""},
		{"empty", &tls.Config{}, "certificate of a client"},
		{"no certificate of clients wanted", change(func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }), "certificate of a client"},
		{"only if there is one", change(func(c *tls.Config) { c.ClientAuth = tls.VerifyClientCertIfGiven }), "certificate of a client"},
		{"clients not verified", change(func(c *tls.Config) { c.VerifyConnection = nil }), "certificate of a client"},
		{"servers not verified", change(func(c *tls.Config) {
			c.VerifyConnection = nil
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}), "certificate of a server"},
		{"verified by package tls", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, ""},
		{"verified by the program", change(func(c *tls.Config) {
			c.VerifyConnection = nil
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		}), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			theirs.Close()
			node := tlsNode("a", clientNonce, test.cfg)
			node.Secret = wiretest.Secret // which makes it no better
			_, err := aemp.Handshake(t.Context(), ours, node)
			var failed *aemp.HandshakeError
			switch {
			case test.want == "" && !errors.As(err, &failed):
				t.Errorf("got error %v, want a failed handshake", err)
			case test.want != "" && (errors.As(err, &failed) || !strings.Contains(err.Error(), "Config.TLS") || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want one about Config.TLS and a %s", err, test.want)
			}
			if _, err := ours.Write([]byte("x")); err != io.ErrClosedPipe {
				t.Errorf("the connection is left open: %v", err)
			}
		})
	}
}
