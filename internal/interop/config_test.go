package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/portmesh/portmesh/cmd/aemp/command"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
)

// changes are command lines of both tools that change the configuration.
var changes = [][]string{
	{"setsecret", "geheim", "setnodeid", "node"},
	{"profile", "server", "nodeid", "server/", "seeds", "a:1,b:2", "binds", `["*:*","[::1]:4040"]`},
	{"profile", "server", "addseed", "c:3", "addseed", "a:1", "delseed", "b:2"},
	{"profile", "server", "addservice", "My::service", "addservice", `["My::func",1,{"k":null,"ä":"€"}]`, "addservice", "My::service"},
	{"profile", "server", "delservice", "My::service", "addbind", "4041", "delbind", "*:*"},
	{"profile", "base", "monitor_timeout", "12", "framing_format", `["json"]`, "setautocork", "1"},
	{"profile", "server", "setparent", "base", "connect_interval", `"3"`},
	{"profile", "child", "setparent", "server", "delsecret", "delbinds"},
	{"profile", "gone", "setnodelay", "0", "setauth_offer", `["hmac_sha3_512"]`},
	{"delprofile", "gone", "delnodeid"},
	{"profile", "server", "delparent", "delconnect_interval", "delseeds"},
}

// Perl's tool and ours share a file. Whichever of them makes a change, the file
// holds the same.
func TestInteropConfiguration(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) {
			var results []string
			for first := range 2 {
				rc := filepath.Join(t.TempDir(), "rc")
				for i, args := range changes {
					if (i+first)%2 == 0 {
						changeByPerl(t, perl, rc, args)
					} else {
						changeByGo(t, rc, args)
					}
				}
				text, err := os.ReadFile(rc)
				if err != nil {
					t.Fatal(err)
				}
				var config any
				if err := json.Unmarshal(text, &config); err != nil {
					t.Fatalf("%v: %s", err, text)
				}
				results = append(results, fmt.Sprint(config)) // 12 is "12": Perl does not tell them apart
			}
			if results[0] != results[1] {
				t.Errorf("one order gives\n%s\nthe other\n%s", results[0], results[1])
			}
		})
	}
}

func changeByPerl(t *testing.T, perl perltest.Perl, rc string, args []string) {
	t.Helper()
	cmd := perl.Tool(t, "{}", args...)
	cmd.Env = append(cmd.Env, "PERL_ANYEVENT_MP_RC="+rc)
	if p := proctest.StartCommand(t, cmd); p.Wait() != nil {
		t.Errorf("Perl: %v: %s", args, p.Output())
	}
}

func changeByGo(t *testing.T, rc string, args []string) {
	t.Helper()
	tool := command.New()
	var out bytes.Buffer
	tool.Getenv = func(name string) string { return map[string]string{"PERL_ANYEVENT_MP_RC": rc}[name] }
	tool.Stdin, tool.Stdout, tool.Stderr = &bytes.Buffer{}, &out, &out
	if code := tool.Run(t.Context(), args); code != command.ExitOK {
		t.Errorf("ours: %v: %s", args, out.String())
	}
}
