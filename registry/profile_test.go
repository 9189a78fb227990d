package registry_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// TestProfile: nodes that know nothing but the names of their profiles find each
// other, and the bridge of one has the secret as well.
func TestProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rc")
	if err := os.WriteFile(path, []byte(`{"secret":"s","binds":["127.0.0.1"],"profile":{"seed":{"nodeid":"seed"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	sys := actor.NewSystem()
	seed, err := registry.Start(t.Context(), sys, remote.Config{Profile: "seed", ProfileFile: path}, registry.Config{Global: true, Bridge: []string{"shared"}})
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	other := actor.NewSystem()
	slave, err := registry.Start(t.Context(), other, remote.Config{Profile: "slave", ProfileFile: path, Seeds: seed.Node().Addresses()}, registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	if _, err := seed.Set("names", "key", "value"); err != nil {
		t.Fatal(err)
	}
	if family, err := slave.Family(t.Context(), "names"); err != nil || family["key"] != "value" {
		t.Errorf("got %v, %v", family, err)
	}

	if err := os.WriteFile(path, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	third := actor.NewSystem()
	for range 2 { // a failure leaves nothing behind
		if _, err := registry.Start(t.Context(), third, remote.Config{Profile: "x", ProfileFile: path}, registry.Config{}); err == nil {
			t.Error("started with a broken file")
		}
	}
	if err := os.WriteFile(path, []byte(`{"secret":"s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := registry.Start(t.Context(), third, remote.Config{Profile: "x", ProfileFile: path, Listen: []string{}}, registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}
