package aemp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// NewTLSConfig returns what [Config.TLS] wants, from a PEM bundle that holds a
// private key, its certificate, and any further certificates of authorities to
// trust, in that order (section 2 of the protocol). A certificate that stands
// alone is its own authority: usually all nodes of a mesh hold the same
// self-signed one.
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
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("aemp: certificate bundle: %w", err)
		}
		trusted.AddCert(c)
	}
	// Which side is the client is a matter of chance, so one rule serves
	// both: the peer's chain must lead to what we trust.
	verify := func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the peer has no certificate")
		}
		intermediates := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots:         trusted,
			Intermediates: intermediates,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		return err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       []tls.Certificate{cert},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // replaced by VerifyConnection
		VerifyConnection:   verify,
	}, nil
}
