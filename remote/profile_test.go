package remote_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/aemp/profile"
	"github.com/portmesh/portmesh/remote"
)

// writeProfiles writes a configuration file.
func writeProfiles(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rc")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProfile starts two nodes that know nothing but the name of a profile; one
// finds the other by the environment.
func TestProfile(t *testing.T) {
	path := writeProfiles(t, `{
		"secret": "from the file", "nodeid": "anon/",
		"profile": { "server": {"nodeid": "server", "binds": ["127.0.0.1"], "auth_accept": ["hmac_sha3_512"]} },
	}`)
	sys := actor.NewSystem()
	defer sys.Actors().Shutdown()
	server, err := remote.Start(t.Context(), sys, remote.Config{Profile: "server", ProfileFile: path})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if server.ID() != "server" || len(server.Addresses()) != 1 || !strings.HasPrefix(server.Addresses()[0], "127.0.0.1:") {
		t.Errorf("node %s listens on %s", server.ID(), server.Addresses())
	}

	t.Setenv(profile.EnvFile, path)
	t.Setenv("PORTMESH_SEEDS", server.Addresses()[0])
	other := actor.NewSystem()
	defer other.Actors().Shutdown()
	client, err := remote.Start(t.Context(), other, remote.Config{Profile: "client", Listen: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if id := string(client.ID()); !strings.HasPrefix(id, "anon/") || len(id) != len("anon/")+10 || len(client.Addresses()) != 0 {
		t.Errorf("node %s listens on %s", id, client.Addresses())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Connect(ctx, "server"); err != nil {
		t.Error(err)
	}
}

const precedence = `{
	"nodeid": "file", "secret": "file", "binds": ["*:1"], "seeds": ["file"], "framing_format": ["json"], "auth_accept": ["hmac_sha3_512"],
	"monitor_timeout": 11, "connect_interval": 12, "secure": 0
}`

// TestPrecedence: the file over the program, the program over the file, and the
// environment over the file.
func TestPrecedence(t *testing.T) {
	file := writeProfiles(t, precedence)
	own := remote.Config{
		Profile: "x", ProfileFile: file,
		NodeID: "own", Secret: "own", Listen: []string{":2"}, Seeds: []string{"own:1"}, Framings: []aemp.Framing{aemp.CBOR},
		Auths: []string{"hmac_md6_64_256"}, MonitorTimeout: time.Second, ConnectInterval: time.Second, Secure: true,
	}
	get := func(t *testing.T, c remote.Config) remote.Config {
		t.Helper()
		merged, err := c.WithProfile(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if merged.Profile != "" || merged.ProfileFile != "" {
			t.Errorf("it would be read again")
		}
		return merged
	}
	same := func(a, b remote.Config) bool {
		return a.NodeID == b.NodeID && a.Secret == b.Secret && slices.Equal(a.Listen, b.Listen) && slices.Equal(a.Seeds, b.Seeds) &&
			slices.Equal(a.Framings, b.Framings) && slices.Equal(a.Auths, b.Auths) && a.MonitorTimeout == b.MonitorTimeout &&
			a.ConnectInterval == b.ConnectInterval && a.Secure == b.Secure
	}
	fromFile := remote.Config{
		NodeID: "file", Secret: "file", Listen: []string{":1"}, Seeds: []string{"file:4040"}, Framings: []aemp.Framing{aemp.JSON},
		Auths: []string{"hmac_sha3_512"}, MonitorTimeout: 11 * time.Second, ConnectInterval: 12 * time.Second,
	}
	if got := get(t, own); !same(got, fromFile) {
		t.Errorf("file over program: got\n%+v\nwant\n%+v", got, fromFile)
	}
	reverse := own
	reverse.Override = true
	if got := get(t, reverse); !same(got, own) {
		t.Errorf("program over file: got\n%+v\nwant\n%+v", got, own)
	}
	if got := get(t, remote.Config{Profile: "x", ProfileFile: file, Override: true}); !same(got, fromFile) {
		t.Errorf("nothing over file: got\n%+v\nwant\n%+v", got, fromFile)
	}
	empty := own
	empty.ProfileFile = writeProfiles(t, "{}")
	if got := get(t, empty); !same(got, own) {
		t.Errorf("an empty file: got\n%+v\nwant\n%+v", got, own)
	}
	t.Setenv("PORTMESH_NODEID", "env")
	if got := get(t, own); got.NodeID != "env" || got.Secret != "file" {
		t.Errorf("environment over file: got\n%+v", got)
	}
}

// TestProfileDefaults: what a node is when nobody says anything.
func TestProfileDefaults(t *testing.T) {
	empty := writeProfiles(t, "")
	got, err := remote.Config{Profile: "worker", ProfileFile: empty}.WithProfile(t.Context())
	if err != nil || !strings.HasPrefix(string(got.NodeID), "worker/") || !slices.Equal(got.Listen, []string{":0"}) || got.Seeds != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = remote.Config{Profile: "worker", ProfileFile: empty, Listen: []string{}}.WithProfile(t.Context())
	if err != nil || len(got.Listen) != 0 {
		t.Errorf("not to listen: got %+v, %v", got, err)
	}
	none := writeProfiles(t, `{"binds": []}`)
	got, err = remote.Config{Profile: "worker", ProfileFile: none, Listen: []string{":5"}}.WithProfile(t.Context())
	if err != nil || len(got.Listen) != 0 {
		t.Errorf("the file says not to listen: got %+v, %v", got, err)
	}
}

func TestProfileCertificate(t *testing.T) {
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	path := writeProfiles(t, "{}")
	err = profile.Update(t.Context(), path, func(f *profile.File) error { return f.Create("x").Set("cert", string(bundle)) })
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Config{Profile: "x", ProfileFile: path}.WithProfile(t.Context())
	if err != nil || got.TLS == nil {
		t.Errorf("TLS %v, %v", got.TLS, err)
	}
}

// TestProfileErrors: a node does not start with a configuration that it does not
// understand.
func TestProfileErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                            ":1:2: want a key in double quotes",
		`{"binds": ["a:b:c"]}`:         `remote: profile: binds: address "a:b:c"`,
		`{"seeds": ["*:*"]}`:           `remote: profile: seeds: address "*:*": a seed needs a port`,
		`{"cert": "x"}`:                `remote: profile: defaults: cert:`,
		`{"framing_format": ["mine"]}`: `remote: profile: defaults: framing_format: none of ["mine"] is known`,
		`{"nodeid": "a#b"}`:            `remote: profile: `,
	} {
		sys := actor.NewSystem()
		_, err := remote.Start(t.Context(), sys, remote.Config{Profile: "x", ProfileFile: writeProfiles(t, text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		sys.Actors().Shutdown()
	}
	_, err := remote.Config{Profile: "a#b", ProfileFile: writeProfiles(t, "{}")}.WithProfile(t.Context())
	if !errors.Is(err, aemp.ErrInvalidID) {
		t.Errorf("a profile whose name is no node ID: %v", err)
	}
}
