package aemp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

func TestGenerateCertificate(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name     string
		config   aemp.CertificateConfig
		common   string
		validity time.Duration
	}{
		{"by default", aemp.CertificateConfig{}, "aemp", 3652*day + 12*time.Hour},
		{"as told", aemp.CertificateConfig{CommonName: "mesh of the test", Validity: 2 * time.Hour}, "mesh of the test", 2 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := time.Now()
			bundle, err := aemp.GenerateCertificate(test.config)
			if err != nil {
				t.Fatal(err)
			}
			keyBlock, rest := pem.Decode(bundle)
			certBlock, rest := pem.Decode(rest)
			if keyBlock == nil || keyBlock.Type != "PRIVATE KEY" || certBlock == nil || certBlock.Type != "CERTIFICATE" || len(rest) > 0 {
				t.Fatalf("got %s\nwant a private key, a certificate, and nothing else", bundle)
			}
			key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := x509.ParseCertificate(certBlock.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if public := key.(crypto.Signer).Public().(*ecdsa.PublicKey); !public.Equal(cert.PublicKey) {
				t.Error("the key is not that of the certificate")
			}
			if cert.Subject.CommonName != test.common {
				t.Errorf("got common name %q, want %q", cert.Subject.CommonName, test.common)
			}
			// Certificates know whole seconds.
			end := before.Add(test.validity).Truncate(time.Second)
			if cert.NotAfter.Before(end) || cert.NotAfter.After(end.Add(time.Minute)) {
				t.Errorf("it is valid until %v, want %v", cert.NotAfter, end)
			}
			own := x509.NewCertPool()
			own.AddCert(cert)
			for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
				// A slow clock is no reason to refuse a new certificate.
				for _, now := range []time.Time{before, before.Add(-23 * time.Hour), end.Add(-time.Second)} {
					opts := x509.VerifyOptions{Roots: own, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}
					if _, err := cert.Verify(opts); err != nil {
						t.Errorf("usage %v at %v: %v", usage, now, err)
					}
				}
			}
			if err := cert.CheckSignatureFrom(cert); err != nil {
				t.Errorf("it is not its own authority: %v", err)
			}
		})
	}
}

func TestGeneratedCertificatesDiffer(t *testing.T) {
	a, b := generated(t), generated(t)
	if bytes.Equal(a, b) {
		t.Error("two bundles are the same")
	}
}

func TestGenerateCertificateError(t *testing.T) {
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{Validity: -time.Second})
	if err == nil || !strings.Contains(err.Error(), "Validity") || bundle != nil {
		t.Errorf("got %q, error %v; want an error about Validity", bundle, err)
	}
}

// The library below the TLS of Perl nodes reads the bundle as they do: the same
// file as key, certificate and authority, for both roles.
func TestOpenSSLReadsBundle(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT RUN: there is no openssl; the bundle was not tried with it")
	}
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, generated(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"pkey", "-in", file, "-noout", "-check"},
		{"verify", "-CAfile", file, "-purpose", "sslserver", file},
		{"verify", "-CAfile", file, "-purpose", "sslclient", file},
		{"verify", "-CAfile", file, "-x509_strict", file},
	} {
		if out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
			t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Nodes of a mesh can have certificates of their own, as long as an authority
// that all trust has signed them, if only by way of others.
func TestSeparateAuthority(t *testing.T) {
	root, other := newAuthority(t, "root", nil), newAuthority(t, "other root", nil)
	middle := newAuthority(t, "middle", root)
	tests := []struct {
		name string
		a, b []byte
	}{
		{"one authority", root.issue(t, "a", nil), root.issue(t, "b", nil)},
		{"one node below an intermediate", middle.issue(t, "a", nil), root.issue(t, "b", nil)},
		{"both below it", middle.issue(t, "a", nil), middle.issue(t, "b", nil)},
		{"two meshes that trust each other",
			append(root.issue(t, "a", nil), other.pem...), append(other.issue(t, "b", nil), root.pem...)},
	}
	for _, test := range tests {
		for _, role := range roles {
			t.Run(test.name+", "+role.name, func(t *testing.T) {
				a, b := role.nodes(tlsConfig(t, test.a), tlsConfig(t, test.b))
				ac, bc, aerr, berr := shakePipe(t, a, b)
				if aerr != nil || berr != nil {
					t.Fatal(aerr, berr)
				}
				exchange(t, ac, bc)
				exchange(t, bc, ac)
			})
		}
	}
}

func TestBundleErrors(t *testing.T) {
	bundle := generated(t)
	at := bytes.Index(bundle, []byte("-----BEGIN CERTIFICATE-----"))
	key, cert := string(bundle[:at]), string(bundle[at:])
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("broken")}))
	tests := []struct {
		name, bundle string
	}{
		{"empty", ""},
		{"no PEM", "geheim"},
		{"no key", cert},
		{"no certificate", key},
		{"key of another certificate", string(generated(t)[:at]) + cert},
		{"broken certificate", key + broken},
		{"broken authority", key + cert + broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := aemp.NewTLSConfig([]byte(test.bundle))
			if err == nil || cfg != nil || !strings.HasPrefix(err.Error(), "aemp: certificate bundle: ") {
				t.Errorf("got error %v, want one about the bundle", err)
			}
		})
	}
	// What else a file may hold does no harm, nor does the order.
	for name, fine := range map[string]string{
		"comments":          "# key\n" + key + "\n# certificate\n" + cert + "\n# end\n",
		"certificate first": cert + key,
	} {
		if _, err := aemp.NewTLSConfig([]byte(fine)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// generated returns a bundle as a program would make it.
func generated(t *testing.T) []byte {
	t.Helper()
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func tlsConfig(t *testing.T, bundle []byte) *tls.Config {
	t.Helper()
	cfg, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// An authority signs certificates in tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte // the certificate and those above it
}

// newAuthority makes an authority below another one, or one that is its own.
func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem = sign(t, parent, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if parent != nil {
		a.pem = append(a.pem, parent.pem...)
	}
	return a
}

// issue returns the bundle of a node, whose certificate may be changed before
// it is signed.
func (a *authority) issue(t *testing.T, name string, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature}
	if change != nil {
		change(template)
	}
	_, key, cert := sign(t, a, template)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	bundle := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return append(append(bundle, cert...), a.pem...)
}

// sign makes a certificate. Unless the template says otherwise it is valid from
// long ago until long from now, so that clocks of tests may stand anywhere.
func sign(t *testing.T, by *authority, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.BasicConstraintsValid = true
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Date(2190, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
