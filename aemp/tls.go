package aemp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// NewTLSConfig returns what [Config.TLS] wants, from a PEM bundle that holds a
// private key, its certificate, and any further certificates of authorities to
// trust, in that order (section 2 of the protocol). A certificate that stands
// alone is its own authority: usually all nodes of a mesh hold the same
// self-signed one, such as [GenerateCertificate] makes.
//
// Both sides present a certificate and verify the other's. Host names are not
// checked, since what counts is membership of the mesh. TLS 1.2 or later is
// used.
func NewTLSConfig(bundle []byte) (*tls.Config, error) {
	cert, err := tls.X509KeyPair(bundle, bundle)
	if err != nil {
		return nil, fmt.Errorf("aemp: certificate bundle: %w", err)
	}
	trusted := x509.NewCertPool()
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("aemp: certificate bundle: %w", err)
		}
		trusted.AddCert(c)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       []tls.Certificate{cert},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // replaced by VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			return verifyPeer(state.PeerCertificates, trusted)
		},
		// Links are few and last long, so that resuming would save nothing.
		SessionTicketsDisabled: true,
	}, nil
}

// verifyPeer checks that the peer's certificates lead to one that is trusted.
// Which side is the client is a matter of chance, so that one rule serves both.
func verifyPeer(chain []*x509.Certificate, trusted *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the peer has no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	now := time.Now()
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         trusted,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	// The usual detail is the time of day, which would make each attempt a new
	// line of the log.
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		invalid.Detail = "it was valid until " + invalid.Cert.NotAfter.Format(time.RFC3339)
		if from := invalid.Cert.NotBefore; now.Before(from) {
			invalid.Detail = "it is valid from " + from.Format(time.RFC3339) + " on"
		}
		return invalid
	}
	return err
}

// checkTLS refuses a configuration by which TLS would let in whoever comes: the
// methods that begin with tls prove no more than TLS has verified before, be
// the peer its client or its server.
func checkTLS(c *tls.Config) error {
	if c == nil {
		return nil
	}
	const hint = "; see NewTLSConfig"
	own := c.VerifyConnection != nil || c.VerifyPeerCertificate != nil
	switch c.ClientAuth {
	case tls.RequireAndVerifyClientCert:
	case tls.RequireAnyClientCert:
		if !own {
			return errors.New("aemp: Config.TLS verifies no certificate of a client" + hint)
		}
	default:
		return errors.New("aemp: Config.TLS requires no certificate of a client" + hint)
	}
	if c.InsecureSkipVerify && !own {
		return errors.New("aemp: Config.TLS verifies no certificate of a server" + hint)
	}
	return nil
}

// A tlsConn is a TLS connection that does not wait when it is closed behind a
// failed write: [tls.Conn] would give the peer another five seconds to take a
// farewell, which the monitors on its node would have to wait for.
type tlsConn struct {
	*tls.Conn
	broken atomic.Bool // a write has failed
}

func (c *tlsConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

func (c *tlsConn) Close() error {
	if c.broken.Load() {
		return c.NetConn().Close()
	}
	return c.Conn.Close()
}
