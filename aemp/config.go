package aemp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Version is the version of Portmesh, as its greeting tells it.
const Version = "0.1.0"

const providerName = "Portmesh"

// Config says who we are and what we accept. NodeID and one of Secret and TLS
// are needed; every other zero value means the default. A Config may serve any
// number of handshakes at once, and must not be changed meanwhile.
type Config struct {
	// NodeID is what we call ourselves. It must be unique in the mesh.
	NodeID NodeID
	// Secret is what all nodes of the mesh share. It never goes over the wire.
	Secret string
	// TLS is for both roles, since it is decided by chance which side is the
	// client; see [NewTLSConfig]. Nil means no TLS.
	TLS *tls.Config
	// Framings are the framings offered and sent, best first. Nil means
	// [DefaultFramings].
	Framings []Framing
	// Auths are the authentication methods accepted, best first. Nil means
	// all: tls_sha3_512, hmac_sha3_512, tls_md6_64_256, hmac_md6_64_256,
	// tls_anon, cleartext.
	Auths []string
	// Protocol is the word that the greeting begins with. Empty means "aemp";
	// "aemp-dataconn" asks the peer for a data connection, which has the ID in
	// Extra["dataconn_id"] (section 8 of the protocol).
	Protocol string
	// Extensions are the other words with which a peer may greet us, such as
	// "aemp-dataconn", for something else than an exchange of messages.
	Extensions []string
	// Extra holds further KEY=VALUE pairs of the greeting. They may replace
	// the usual ones; an empty value removes one.
	Extra map[string]string
	// HandshakeTimeout bounds the whole handshake. Zero means 30 seconds.
	HandshakeTimeout time.Duration
	// Limits bound what the peer may send.
	Limits Limits
	// Nonce returns the nonce of a connection: a line without CR and LF that
	// nobody can predict. Nil means 66 random octets in base64.
	Nonce func() string
	// Admit is called with the peer's greeting and may refuse the peer, who
	// sees a closed connection. If it returns a function, we do not prove
	// ourselves before the peer has, and before that function has returned,
	// which may wait and may refuse the peer too. At most one of two peers may
	// do that. A nil Admit admits all.
	Admit func(peer *Greeting) (proved func(context.Context) error, err error)

	greetingLine string // replaces the line in tests that replay a recording
}

// DefaultFramings returns what a connection offers when nothing is configured:
// msgpack, cbor, json and storable. The fastest come first, so that the peers
// of each kind find their best: nodes of ours the first, Perl nodes of
// generation 2 the second, those of generation 1 the third.
func DefaultFramings() []Framing { return []Framing{MessagePack, CBOR, JSON, Storable} }

// DefaultHandshakeTimeout bounds a handshake when nothing is configured. Perl
// nodes allow as much (their monitor timeout).
const DefaultHandshakeTimeout = 30 * time.Second

// Validate returns an error that names the field that is wrong, or nil.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns a copy of c that is complete, or the error that Validate
// returns.
func (c Config) withDefaults() (Config, error) {
	if err := c.NodeID.Validate(); err != nil {
		return c, fmt.Errorf("aemp: Config.NodeID: %w", err)
	}
	if c.Secret == "" && c.TLS == nil {
		return c, errors.New("aemp: Config: neither Secret nor TLS is set")
	}
	if err := checkTLS(c.TLS); err != nil {
		return c, err
	}
	if c.HandshakeTimeout < 0 || c.Limits.MessageSize < 0 || c.Limits.Depth < 0 {
		return c, errors.New("aemp: Config.HandshakeTimeout or Config.Limits is negative")
	}
	if c.Framings == nil {
		c.Framings = DefaultFramings()
	}
	if c.Protocol == "" {
		c.Protocol = protocolName
	}
	if c.Auths == nil {
		c.Auths = defaultAuths
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.Nonce == nil {
		c.Nonce = randomNonce
	}
	c.Limits = c.Limits.WithDefaults()
	return c, nil
}

func randomNonce() string {
	var octets [66]byte
	rand.Read(octets[:])
	return base64.StdEncoding.EncodeToString(octets[:])
}

// greeting returns what we send to the peer at that address.
func (c *Config) greeting(peerAddr string) *Greeting {
	extra := map[string]string{
		keyProvider: providerName + "-" + Version,
		keyPeerAddr: peerAddr,
		keyMesh:     "1",
		keyGlobal:   "1",
	}
	if c.TLS != nil {
		extra[keyTLS] = "1.0"
	}
	maps.Copy(extra, c.Extra)
	maps.DeleteFunc(extra, func(_, value string) bool { return value == "" })
	g := &Greeting{
		Protocol: c.Protocol,
		Version:  protocolVersion,
		Node:     c.NodeID,
		Auths:    c.Auths,
		Extra:    extra,
	}
	for _, f := range c.Framings {
		g.Framings = append(g.Framings, f.Name())
	}
	return g
}

// framing returns the framing of that name, or nil.
func (c *Config) framing(name string) Framing {
	i := slices.IndexFunc(c.Framings, func(f Framing) bool { return f.Name() == name })
	if i < 0 {
		return nil
	}
	return c.Framings[i]
}
