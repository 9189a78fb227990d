package docs_test

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

// The table of who talks to whom, and the two rotations of operations.md.
func TestWhoTalksToWhom(t *testing.T) {
	bundle := func() string {
		b, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	certificate := func(bundle string) string { return bundle[strings.Index(bundle, "-----BEGIN CERTIFICATE"):] }
	old, next := bundle(), bundle()
	type node struct{ bundle, secret string }
	for name, test := range map[string]struct {
		a, b             node
		talk, encryption bool
	}{
		"same secret":                      {node{"", "s"}, node{"", "s"}, true, false},
		"different secrets":                {node{"", "s"}, node{"", "t"}, false, false},
		"same certificate":                 {node{old, ""}, node{old, ""}, true, true},
		"different certificates":           {node{old, ""}, node{next, ""}, false, false},
		"certificate and secret":           {node{old, ""}, node{"", "s"}, false, false},
		"both and secret":                  {node{old, "s"}, node{"", "s"}, true, false},
		"both and another secret":          {node{old, "s"}, node{"", "t"}, false, false},
		"both and certificate":             {node{old, "s"}, node{old, ""}, true, true},
		"both, with different secrets":     {node{old, "s"}, node{old, "t"}, true, true},
		"both, different certificates":     {node{old, "s"}, node{next, "s"}, false, false},
		"new certificate, before step 1":   {node{old, ""}, node{old + certificate(next), ""}, true, true},
		"new certificate, between 1 and 2": {node{old + certificate(next), ""}, node{next + certificate(old), ""}, true, true},
		"new certificate, between 2 and 3": {node{next + certificate(old), ""}, node{next, ""}, true, true},
		"new certificate, at the end":      {node{old, ""}, node{next, ""}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			config := func(id aemp.NodeID, n node) aemp.Config {
				c := aemp.Config{NodeID: id, Secret: n.secret}
				if n.bundle != "" {
					var err error
					if c.TLS, err = aemp.NewTLSConfig([]byte(n.bundle)); err != nil {
						t.Fatal(err)
					}
				}
				return c
			}
			left, right := net.Pipe()
			results := make(chan *aemp.Conn, 1)
			go func() {
				conn, _ := aemp.Handshake(context.Background(), right, config("b", test.b))
				results <- conn
			}()
			a, err := aemp.Handshake(t.Context(), left, config("a", test.a))
			b := <-results
			left.Close()
			right.Close()
			if talk := a != nil && b != nil; talk != test.talk || talk && a.TLS() != test.encryption {
				t.Errorf("talk: %v, %v; want %v, encrypted: %v", talk, err, test.talk, test.encryption)
			}
		})
	}
}

// The lines of the log, the metrics and the errors that operations.md names are
// in the sources.
func TestOperationsNamesWhatThereIs(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{"../actor", "../aemp", "../remote", "../registry"} {
		for _, file := range goFiles(t, dir) {
			if !strings.HasSuffix(file, "_test.go") {
				sources.WriteString(read(t, file))
			}
		}
	}
	page := read(t, "operations.md")
	names := regexp.MustCompile("`(portmesh\\.[a-z.]+)`").FindAllStringSubmatch(page, -1)
	_, alerts, _ := strings.Cut(page, "| line | what it means |")
	alerts, _, _ = strings.Cut(alerts, "\n## ")
	names = append(names, regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(alerts, -1)...)
	for _, text := range []string{
		"authentication failed: the secrets differ", "are the secrets the same?", "no common authentication method", "TLS handshake failed",
		"refusing to talk to myself", "not an AEMP greeting", "no address is known", "node cannot be reached", "peer is silent", "peer does not read",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("operations.md does not speak of %q", text)
		}
		names = append(names, []string{"", text})
	}
	if len(names) < 20 {
		t.Errorf("only %d names were found", len(names))
	}
	for _, m := range names {
		if !strings.Contains(sources.String(), m[1]) {
			t.Errorf("%q is not in the sources", m[1])
		}
	}
}
