package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestDemonstration(t *testing.T) {
	out, err := proctest.Run(t)
	got := regexp.MustCompile(`(?m)^   (connected to first; encrypted: true|refused: aemp: handshake with first \(TLS\)|refused: aemp: handshake)`).FindAllString(out, -1)
	// Who has no certificate is refused sooner or later, as chance will have it.
	connected, refused, byTLS := "   connected to first; encrypted: true", "   refused: aemp: handshake", "   refused: aemp: handshake with first (TLS)"
	want := []string{connected, byTLS, refused, connected, connected, connected, byTLS}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %q, want %q in\n%s", err, got, want, out)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mesh.pem")
	if out, err := proctest.Run(t, "-write", file); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := aemp.NewTLSConfig(bundle); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
	// Never over another one: that would be the end of the mesh that uses it.
	if out, err := proctest.Run(t, "-write", file); err == nil || !strings.Contains(out, "file exists") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestBadArguments(t *testing.T) {
	out, err := proctest.Run(t, "nonsense")
	if err == nil || !strings.Contains(out, `unexpected argument "nonsense"`) {
		t.Errorf("got %v\n%s", err, out)
	}
}
