package aemp

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// CertificateConfig describes a certificate for [GenerateCertificate]. Every
// zero value means the default.
type CertificateConfig struct {
	// CommonName says what the certificate is for, to those who look at it.
	// Empty means "aemp".
	CommonName string
	// Validity is how long from now the certificate is valid. Zero means ten
	// years.
	Validity time.Duration
}

const (
	defaultCommonName = "aemp"
	defaultValidity   = 87660 * time.Hour // ten years, leap days included
	// clockSkew is how much slower the clocks of other nodes may be when they
	// use a new certificate.
	clockSkew = 24 * time.Hour
)

// GenerateCertificate makes a self-signed certificate and returns the bundle
// that [NewTLSConfig] takes, and the configuration key "cert" of Perl nodes:
// the private key, then the certificate, as PEM. All nodes of a mesh get the
// same bundle. Who holds it belongs to the mesh, so it is to be kept as a
// secret.
func GenerateCertificate(config CertificateConfig) ([]byte, error) {
	validity := cmp.Or(config.Validity, defaultValidity)
	if validity < 0 {
		return nil, errors.New("aemp: CertificateConfig.Validity is negative")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("aemp: generate certificate: %w", err)
	}
	now := time.Now()
	// It is its own authority, and serves either role: whether a node is the
	// client or the server of a connection is decided by chance.
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: cmp.Or(config.CommonName, defaultCommonName)},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("aemp: generate certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("aemp: generate certificate: %w", err)
	}
	var bundle bytes.Buffer
	for _, block := range []pem.Block{{Type: "PRIVATE KEY", Bytes: pkcs8}, {Type: "CERTIFICATE", Bytes: certificate}} {
		if err := pem.Encode(&bundle, &block); err != nil {
			return nil, fmt.Errorf("aemp: generate certificate: %w", err)
		}
	}
	return bundle.Bytes(), nil
}
