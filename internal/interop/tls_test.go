package interop_test

import (
	"encoding/json"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// Perl nodes and ours share the certificate of a mesh, whichever tool has made
// it, and talk by TLS, whichever side has opened the connection.
func TestInteropTLS(t *testing.T) {
	perltest.With(t, "Net::SSLeay")
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name()+" ours", func(t *testing.T) {
			bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
			if err != nil {
				t.Fatal(err)
			}
			interopTLS(t, perl, bundle)
		})
		t.Run(perl.Name()+" Perl's", func(t *testing.T) {
			interopTLS(t, perl, perlCertificate(t, perl))
		})
	}
}

// perlCertificate has Perl's tool make a certificate.
func perlCertificate(t *testing.T, perl perltest.Perl) []byte {
	p := proctest.StartCommand(t, perl.Tool(t, "{}", "gencert", "showconfig", "any"))
	if err := p.Wait(); err != nil {
		t.Skipf("NOT RUN: %s does not make certificates here: %s", perl.Name(), p.Output())
	}
	var config struct{ Cert string }
	if err := json.Unmarshal([]byte(p.Output()), &config); err != nil || config.Cert == "" {
		t.Fatalf("got %q, %v", p.Output(), err)
	}
	return []byte(config.Cert)
}

func interopTLS(t *testing.T, perl perltest.Perl, bundle []byte) {
	certificate, err := aemp.NewTLSConfig(bundle)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]string{"cert": string(bundle)})
	if err != nil {
		t.Fatal(err)
	}
	hello := func(n goNode, perl actor.NodeID) {
		t.Helper()
		if err := n.Node().Connect(t.Context(), perl); err != nil {
			t.Fatal(err)
		}
		if got := n.eval(t, perl, "6 * 7").String(); got != "[42]" {
			t.Errorf("got %s", got)
		}
		// Certificates are what the two know each other by, and not the secret.
		code := "my ($t) = map $_->{transport}, grep $_->{id} eq '" + string(n.Node().ID()) + "', values %AnyEvent::MP::Kernel::NODE; !!$t->{tls}"
		if got := n.eval(t, perl, code).String(); got != `["1"]` && got != "[true]" {
			t.Errorf("the connection is not one of TLS: got %s", got)
		}
	}
	seed := startWith(t, remote.Config{NodeID: "seed", TLS: certificate}, registry.Config{})
	node := startPerlWith(t, perl, string(config), "perl", seed.address())
	hello(seed, "perl")
	hello(startWith(t, remote.Config{NodeID: "go", TLS: certificate, Seeds: []string{node.address}}, registry.Config{}), "perl")
}
