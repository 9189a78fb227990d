package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/aemp/profile"
)

// configTool is the tool with a configuration file of this text; an empty text
// means that there is no file.
func configTool(t *testing.T, text string) (tool *Tool, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rc")
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return toolWith(t, map[string]string{profile.EnvFile: path}), path
}

// content returns the file as one line: without blanks and the version.
func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	s := strings.NewReplacer(" : ", ":", "\n", "", "   ", "").Replace(string(text))
	return strings.NewReplacer(`,"version":1}`, "}", `{"version":1,`, "{", `{"version":1}`, "{}").Replace(s)
}

// TestConfig runs each of the subcommands and looks at the file after it.
func TestConfig(t *testing.T) {
	for _, test := range []struct {
		before string
		line   string // of words, unless it begins with [
		want   string
	}{
		{``, `setnodeid anon/`, `{"nodeid":"anon/"}`},
		{`{"nodeid":"x"}`, `nodeid %n/db`, `{"nodeid":"%n/db"}`},
		{`{"nodeid":"x","y":1}`, `delnodeid`, `{"y":1}`},
		{``, `setsecret 12`, `{"secret":"12"}`},
		{``, `["secret",12]`, `{"secret":"12"}`},
		{``, `secret "[x"`, `{"secret":"[x"}`},
		{`{"secret":"x"}`, `delsecret`, `{}`},
		{`{"cert":"x"}`, `delcert`, `{}`},
		{``, `setseeds doomed,10.0.0.2:5000`, `{"seeds":["doomed","10.0.0.2:5000"]}`},
		{``, `seeds ["[::1]:1","b"]`, `{"seeds":["[::1]:1","b"]}`},
		{`{"seeds":["a"]}`, `["seeds",""]`, `{"seeds":[]}`},
		{`{"seeds":["a"]}`, `delseeds`, `{}`},
		{`{"seeds":["a","b"]}`, `addseed c addseed a`, `{"seeds":["b","c","a"]}`},
		{`{"seeds":"a,b"}`, `addseed c`, `{"seeds":["a","b","c"]}`},
		{``, `addseed a:5`, `{"seeds":["a:5"]}`},
		{`{"seeds":["a","b"]}`, `delseed a delseed nobody`, `{"seeds":["b"]}`},
		{`{"seeds":["a"]}`, `delseed a`, `{"seeds":[]}`},
		{``, `setbinds *`, `{"binds":["*"]}`},
		{``, `binds *:*,4040,*:4041`, `{"binds":["*:*","4040","*:4041"]}`},
		{``, `binds "[::1]:4040"`, `{"binds":["[::1]:4040"]}`},
		{``, `binds [::1]:4040 addbind [fe80::1%lo]:* addbind [::2]`, `{"binds":["[::1]:4040","[fe80::1%lo]:*","[::2]"]}`},
		{`{"binds":["*"]}`, `delbinds`, `{}`},
		{`{"binds":["*"]}`, `addbind host:1 delbind *`, `{"binds":["host:1"]}`},
		{``, `setservices a::,b`, `{"services":["a::","b"]}`},
		{``, `services [["mymod::myfun",1,{"b":2,"a":1e30}],"x"]`, `{"services":[["mymod::myfun",1,{"a":1e30,"b":2}],"x"]}`},
		{`{"services":["a"]}`, `delservices`, `{}`},
		{`{"services":["a"]}`, `addservice a addservice ["b",1]`, `{"services":["a","a",["b",1]]}`},
		{`{"services":"a,b"}`, `addservice c`, `{"services":["a","b","c"]}`},
		{`{"services":["a",["b",1],"a"]}`, `delservice ["b",1] delservice a delservice c`, `{"services":["a"]}`},
		{``, `setmonitor_timeout 30`, `{"monitor_timeout":30}`},
		{``, `monitor_timeout 1.50`, `{"monitor_timeout":1.50}`},
		{``, `["monitor_timeout",2]`, `{"monitor_timeout":2}`},
		{`{"monitor_timeout":1}`, `delmonitor_timeout`, `{}`},
		{``, `connect_interval 2`, `{"connect_interval":2}`},
		{``, `framing_format ["My::Own","json"]`, `{"framing_format":["My::Own","json"]}`},
		{``, `framing_format cbor,json`, `{"framing_format":["cbor","json"]}`},
		{``, `auth_offer tls_sha3_512 auth_accept cleartext`, `{"auth_offer":["tls_sha3_512"],"auth_accept":["cleartext"]}`},
		{``, `secure on nodelay 0 autocork false`, `{"secure":1,"nodelay":0,"autocork":0}`},
		{``, `seteval 1+1`, `{"eval":"1+1"}`},
		{`{"eval":"1"}`, `deleval`, `{}`},
		{`{"x":[1,null,{"b":1.10,"a":2}]}`, `secret s`, `{"x":[1,null,{"b":1.10,"a":2}],"secret":"s"}`},
		{``, `profile a`, `{"profile":{"a":{}}}`},
		{``, `secret s profile a secret t nodeid n profile b nodeid m`, `{"secret":"s","profile":{"a":{"secret":"t","nodeid":"n"},"b":{"nodeid":"m"}}}`},
		{``, `--profile a secret s`, `{"profile":{"a":{"secret":"s"}}}`},
		{``, `profile a setparent b profile b parent c`, `{"profile":{"a":{"parent":"b"},"b":{"parent":"c"}}}`},
		{`{"profile":{"a":{"parent":"b"}}}`, `profile a delparent`, `{"profile":{"a":{}}}`},
		{`{"profile":{"a":{},"b":{}}}`, `delprofile a delprofile nobody`, `{"profile":{"b":{}}}`},
		{`{"profile":{"a":{"seeds":["x"]}},"seeds":["y"]}`, `profile a addseed z`, `{"profile":{"a":{"seeds":["x","z"]}},"seeds":["y"]}`},
	} {
		t.Run(test.line, func(t *testing.T) {
			tool, path := configTool(t, test.before)
			words := strings.Split(test.line, " ")
			got := runTool(t, tool, words...)
			if got.code != ExitOK || got.out != "" {
				t.Errorf("got %+v", got)
			}
			if after := content(t, path); after != test.want {
				t.Errorf("the file is %s, want %s", after, test.want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if test.before != "" {
				if backup, err := os.ReadFile(path + "~"); err != nil || string(backup) != test.before {
					t.Errorf("the backup is %s, %v", backup, err)
				}
			}
		})
	}
}

// TestAllKeys: each key can be set and deleted.
func TestAllKeys(t *testing.T) {
	tool := New()
	for _, key := range profile.Keys() {
		for _, name := range []string{"set" + key.Name, key.Name, "del" + key.Name} {
			if c := tool.lookup(name); c == nil || key.Name == "eval" && name == "eval" && c.Group != protocolGroup {
				t.Errorf("there is no subcommand %s", name)
			}
		}
	}
}

func TestGenerate(t *testing.T) {
	tool, path := configTool(t, "")
	if got := runTool(t, tool, "gensecret", "gencert", "profile", "a", "gensecret"); got != (result{}) {
		t.Errorf("got %+v", got)
	}
	f, err := profile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := f.Defaults().Get("secret")
	other, _ := f.Profile("a").Get("secret")
	if s, ok := one.(string); !ok || len(s) < 40 || one == other {
		t.Errorf("secrets %v and %v", one, other)
	}
	settings, err := f.Settings("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := settings.TLS(); config == nil || err != nil {
		t.Errorf("certificate: %v", err)
	}
}

func TestSetCert(t *testing.T) {
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	tool, path := configTool(t, "")
	if got := runTool(t, tool, "cert", file); got != (result{}) {
		t.Errorf("got %+v", got)
	}
	f, err := profile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := f.Defaults().Get("cert"); v != string(bundle) {
		t.Errorf("got %v", v)
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runTool(t, tool, "setcert", file); got.code != ExitUsage || !strings.Contains(got.errors, "want a private key and its certificate in PEM") {
		t.Errorf("got %+v", got)
	}
	if got := runTool(t, tool, "setcert", file+"none"); got.code != ExitFailed || !strings.Contains(got.errors, "no such file") {
		t.Errorf("got %+v", got)
	}
}

// TestStandardInput: what is secret need not be on the command line.
func TestStandardInput(t *testing.T) {
	tool, path := configTool(t, "")
	tool.Stdin = strings.NewReader("hush hush\nand more\n")
	if got := runTool(t, tool, "secret", "-"); got != (result{}) || content(t, path) != `{"secret":"hush hush"}` {
		t.Errorf("got %+v, %s", got, content(t, path))
	}
	tool.Stdin = strings.NewReader("\n")
	if got := runTool(t, tool, "secret", "-"); got.code != ExitUsage || !strings.Contains(got.errors, "standard input is empty") {
		t.Errorf("got %+v", got)
	}
	tool.Stdin = strings.NewReader("no certificate")
	if got := runTool(t, tool, "cert", "-"); got.code != ExitUsage || !strings.Contains(got.errors, "want a private key") {
		t.Errorf("got %+v", got)
	}
}

const exampleConfig = `{"secret":"s","seeds":["a"],"version":1,"profile":{"p":{"parent":"q","nodeid":"n","x":[1]},"q":{"secure":1}}}`

// TestShow: what is printed, byte for byte.
func TestShow(t *testing.T) {
	_, full := configTool(t, `{"binds":[],"connect_interval":1,"monitor_timeout":2,"framing_format":["json"],"profile":{"p":{"nodeid":"n","x":{}}}}`)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"showprofile", "p"}, "{\n   \"parent\" : \"q\",\n   \"nodeid\" : \"n\",\n   \"x\" : [\n      1\n   ]\n}\n"},
		{[]string{"--json", "showprofile", "p"}, `{"nodeid":"n","parent":"q","x":[1]}` + "\n"},
		{[]string{"profiles"}, "p (q)\nq\n"},
		{[]string{"profiles", "--json"}, `{"parent":"q","profile":"p"}` + "\n" + `{"parent":null,"profile":"q"}` + "\n"},
		{[]string{"--config", full, "showconfig", "p"}, "{\n   \"binds\" : [],\n   \"connect_interval\" : 1,\n   \"framing_format\" : [\n      \"json\"\n   ],\n   \"monitor_timeout\" : 2,\n   \"nodeid\" : \"n\",\n   \"x\" : {}\n}\n"},
		{[]string{"profile", "q", "showconfig", "--json"}, `{"binds":["*"],"connect_interval":2,"framing_format":["msgpack","cbor","json","storable"],"monitor_timeout":30,"nodeid":"q/","secret":"s","secure":1,"seeds":["a"]}` + "\n"},
		{[]string{"--json", "showconfig", "q", "nodeid", "m", "seeds", "b", "binds", `[]`, "connect_interval", "1"}, `{"binds":[],"connect_interval":1,"framing_format":["msgpack","cbor","json","storable"],"monitor_timeout":30,"nodeid":"m","secret":"s","secure":1,"seeds":["a"]}` + "\n"},
		{[]string{"showconfig", "--origins", "p", "binds", "*"}, `  binds             command line
  connect_interval  built in
  framing_format    built in
  monitor_timeout   built in
  nodeid            profile "p"
  secret            defaults
  secure            profile "q"
  seeds             defaults
  x                 profile "p"
`},
		{[]string{"--json", "--config", full, "showconfig", "--origins", "p"}, `{"binds":"defaults","connect_interval":"defaults","framing_format":"defaults","monitor_timeout":"defaults","nodeid":"profile \"p\"","x":"profile \"p\""}` + "\n"},
		// Changes are seen before they are saved.
		{[]string{"profile", "new", "nodeid", "m", "--json", "showprofile", "new", "delprofile", "new"}, `{"nodeid":"m"}` + "\n"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			tool, _ := configTool(t, exampleConfig)
			if got := runTool(t, tool, test.args...); got.code != ExitOK || got.out != test.want {
				t.Errorf("got %+v, want\n%s", got, test.want)
			}
		})
	}
}

// TestConfigMistakes: one line that tells what to do, and the file as it was.
func TestConfigMistakes(t *testing.T) {
	for _, test := range []struct {
		before string
		line   string
		code   int
		want   string
	}{
		{exampleConfig, `secret t setnodeid a#b`, ExitUsage, `aemp: setnodeid: nodeid: invalid value: "a#b":`},
		{exampleConfig, `secret t binds a:b:c`, ExitUsage, `binds: address "a:b:c": want host:port; IPv6 addresses need brackets before a port`},
		{exampleConfig, `secret t addseed a:99999`, ExitUsage, `there is no such port`},
		{exampleConfig, `["addseed",""]`, ExitUsage, `want an address, host:port`},
		{exampleConfig, `secret t monitor_timeout soon`, ExitUsage, `monitor_timeout: want a positive number of seconds, have "soon"`},
		{exampleConfig, `secret t secure perhaps`, ExitUsage, `secure: want on or off, have "perhaps"`},
		{exampleConfig, `secret t secret {"a":1}`, ExitUsage, `secret: want a string, have something else`},
		{exampleConfig, `services {"a":1}`, ExitUsage, `services: want a list, have an object`},
		{exampleConfig, `addservice []`, ExitUsage, `services: want the name of a service`},
		{exampleConfig, `setparent p`, ExitUsage, `the defaults have no parent; to give a profile one: aemp profile NAME setparent p`},
		{exampleConfig, `profile q setparent p`, ExitUsage, `profile "q" inherits from itself: q -> p -> q`},
		{exampleConfig, `profile q setparent q`, ExitUsage, `profile "q" inherits from itself: q -> q`},
		{exampleConfig, `secret t profil q`, ExitUsage, `no such subcommand (did you mean profile?)`},
		{exampleConfig, `secret t showprofile nobody`, ExitFailed, `there is no profile "nobody"; aemp profiles lists them`},
		{exampleConfig, `showconfig p nodeid`, ExitUsage, `the value of nodeid is missing`},
		{exampleConfig, `showconfig p colour red`, ExitUsage, `colour is no key of the configuration; want one of auth_accept,`},
		{exampleConfig, `showconfig p monitor_timeout x`, ExitUsage, `monitor_timeout: want a positive number`},
		{`{"profile":{"p":{"parent":"gone"}}}`, `showconfig p`, ExitUsage, `profile "p": there is no profile "gone", its parent`},
		{"{\n\"secret\" \"s\"}", `secret t`, ExitFailed, `:2:10: want a colon behind the key "secret", have '"'; correct it by hand, or take the backup`},
		{`{"version":2}`, `secret t`, ExitFailed, `version 2 of the configuration is not known`},
		{`{"seeds":{}}`, `addseed a`, ExitUsage, `seeds: want a list, have an object`},
		{exampleConfig, `--config /none/rc secret t`, ExitFailed, `nothing was changed, and --config names another file`},
		{exampleConfig, `--config /dev/null/rc secret t`, ExitFailed, `not a directory; nothing was changed`},
	} {
		t.Run(test.line, func(t *testing.T) {
			tool, path := configTool(t, test.before)
			got := runTool(t, tool, strings.Split(test.line, " ")...)
			if got.code != test.code || !strings.Contains(got.errors, test.want) || got.out != "" {
				t.Errorf("got %+v, want %d, %s", got, test.code, test.want)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != test.before {
				t.Errorf("the file is %s, %v", after, err)
			}
			if _, err := os.Stat(path + "~"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a backup of nothing: %v", err)
			}
		})
	}
}

// TestShowConfigProfile: without a name it is what a program would take.
func TestShowConfigProfile(t *testing.T) {
	_, path := configTool(t, exampleConfig)
	tool := toolWith(t, map[string]string{profile.EnvFile: path, profile.EnvProfile: "q", "PORTMESH_SEEDS": "b,c"})
	if got := runTool(t, tool, "--json", "showconfig"); !strings.HasSuffix(got.out, `"nodeid":"q/","secret":"s","secure":1,"seeds":["b","c"]}`+"\n") {
		t.Errorf("got %+v", got)
	}
	if got := runTool(t, tool, "showconfig", "--origins", "p"); !strings.Contains(got.out, "seeds             environment variable PORTMESH_SEEDS\n") {
		t.Errorf("got %+v", got)
	}
}

func TestNoHome(t *testing.T) {
	tool := New()
	tool.Getenv = func(string) string { return "" }
	if got := runTool(t, tool, "secret", "s"); got.code != ExitFailed || !strings.Contains(got.errors, "neither PERL_ANYEVENT_MP_RC nor HOME is set") {
		t.Errorf("got %+v", got)
	}
}

// TestReadOnlyHome runs the tool as somebody who cannot write there.
func TestReadOnlyHome(t *testing.T) {
	home := t.TempDir()
	if os.Geteuid() == 0 {
		home = "/proc/self" // where not even root can make files
	} else if err := os.Chmod(home, 0o500); err != nil {
		t.Fatal(err)
	}
	tool := New()
	tool.Getenv = func(name string) string {
		if name == "HOME" {
			return home
		}
		return ""
	}
	got := runTool(t, tool, "secret", "s")
	if got.code != ExitFailed || !strings.Contains(got.errors, filepath.Join(home, ".perl-anyevent-mp")) || !strings.Contains(got.errors, "nothing was changed") {
		t.Errorf("got %+v", got)
	}
}

// TestFullDisk: the kernel refuses to write a single byte.
func TestFullDisk(t *testing.T) {
	_, path := configTool(t, exampleConfig)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `trap "" XFSZ; ulimit -f 0; exec "$0" gensecret`, os.Args[0])
	cmd.Env = append(os.Environ(), "PORTMESH_TEST_AEMP=1", profile.EnvFile+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != ExitFailed || !strings.Contains(stderr.String(), "file too large; nothing was changed") {
		t.Errorf("got %v, %s", err, &stderr)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if text, _ := os.ReadFile(path); string(text) != exampleConfig || len(entries) != 1 {
		t.Errorf("the file is %s, beside it are %v, %v", text, entries, err)
	}
}

// TestConcurrentTools: two tools that change the file at once both do.
func TestConcurrentTools(t *testing.T) {
	_, path := configTool(t, `{"secret":"s"}`)
	var tools sync.WaitGroup
	for i := range 8 {
		tools.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "addseed", fmt.Sprint("host", i), "profile", fmt.Sprint("p", i), "gensecret")
			cmd.Env = append(os.Environ(), "PORTMESH_TEST_AEMP=1", profile.EnvFile+"="+path)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v %s", err, out)
			}
		})
	}
	tools.Wait()
	f, err := profile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	seeds, _ := f.Defaults().Get("seeds")
	if len(seeds.([]any)) != 8 || len(f.Profiles()) != 8 {
		t.Errorf("seeds %v, profiles %v", seeds, f.Profiles())
	}
}

// TestConfigCompletion: names and addresses that the file knows.
func TestConfigCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"profile ":                   "p q",
		"secret x profile q parent ": "p q",
		"delseed ":                   "a b:1",
		"--profile p delseed b":      "b:1",
		"setcert ":                   ":file",
	} {
		tool, _ := configTool(t, `{"seeds":["a"],"profile":{"p":{"seeds":["a","b:1"]},"q":{}}}`)
		got := runTool(t, tool, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		var words []string
		for l := range strings.Lines(got.out) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			words = append(words, word)
		}
		if strings.Join(words, " ") != want {
			t.Errorf("%s: got %q, want %q", line, words, want)
		}
	}
	tool, _ := configTool(t, `{broken`)
	if got := runTool(t, tool, "__complete", "profile", ""); got != (result{}) {
		t.Errorf("a broken file: %+v", got)
	}
}

// TestNodeConfig: the tool's node has the mesh of the configuration, but is
// itself.
func TestNodeConfig(t *testing.T) {
	const file = `{"secret":"s","nodeid":"server","binds":["*:4040"],"seeds":["a"],
		"profile":{"lab":{"secret":"lab","nodeid":"lab","seeds":["b:1"]},"mine":{"parent":"aemp"}%s}}`
	for _, test := range []struct {
		args []string
		env  map[string]string
		aemp string
		want string // node ID, secret, listen, seeds
	}{
		{nil, nil, "", "aemp/* s [:0] [a:4040]"},
		{nil, nil, `,"aemp":{"nodeid":"me","binds":["127.0.0.1:5"]}`, "me s [127.0.0.1:5] [a:4040]"},
		{[]string{"--profile", "lab"}, nil, "", "aemp/* lab [:0] [b:1]"},
		{[]string{"profile", "lab"}, nil, "", "aemp/* lab [:0] [b:1]"},
		{nil, map[string]string{"PORTMESH_PROFILE": "lab", "PORTMESH_NODEID": "server", "PORTMESH_BINDS": "*:4040"}, "", "aemp/* lab [:0] [b:1]"},
		{[]string{"--profile", "aemp"}, map[string]string{"PORTMESH_PROFILE": "lab", "PORTMESH_SECRET": "env"}, "", "aemp/* env [:0] [a:4040]"},
		{[]string{"seeds", "new"}, nil, "", "aemp/* s [:0] [new:4040]"},
	} {
		_, path := configTool(t, fmt.Sprintf(file, test.aemp))
		env := map[string]string{profile.EnvFile: path}
		for name, v := range test.env {
			env[name] = v
		}
		tool := toolWith(t, env)
		tool.Commands = append(tool.Commands, &Command{Name: "tell", Group: "Test", Short: "tell", Flags: []Flag{seedsFlag}, Run: func(ctx context.Context, c *Call) error {
			config, err := c.nodeConfig(ctx)
			if err != nil {
				return err
			}
			id := string(config.NodeID)
			if strings.HasPrefix(id, "aemp/") && len(id) > 10 {
				id = "aemp/*"
			}
			c.Printf("%s %s %v %v", id, config.Secret, config.Listen, config.Seeds)
			return nil
		}})
		if got := runTool(t, tool, append(test.args, "tell")...); got.out != test.want {
			t.Errorf("%v %v: got %+v, want %s", test.args, test.env, got, test.want)
		}
		if got := runTool(t, tool, append(test.args, "tell", "--seeds", "x,y:1")...); !strings.HasSuffix(got.out, "[x:4040 y:1]") {
			t.Errorf("--seeds: got %+v", got)
		}
		// What was changed before has been saved, since nodes may read it.
		if len(test.args) == 2 && test.args[0] == "seeds" && !strings.Contains(content(t, path), `"seeds":["new"]`) {
			t.Errorf("the file is %s", content(t, path))
		}
	}
	tool, _ := configTool(t, `{"seeds":["a"]}`)
	if got := runTool(t, tool, "snd", "x#y", "z"); got.code != ExitUsage || !strings.Contains(got.errors, "no secret is known") {
		t.Errorf("got %+v", got)
	}
}

// TestConfigToMesh: one command line configures the tool from nothing and talks to
// a node.
func TestConfigToMesh(t *testing.T) {
	node := startNode(t, "a")
	tool, path := configTool(t, "")
	for _, args := range [][]string{{"secret", testSecret, "seeds", node.address, "cal", "a", "time"}, {"cal", "a", "time"}} {
		if got := runTool(t, tool, args...); got.code != ExitOK || len(got.out) < len("1234567890") {
			t.Errorf("%q: got %+v", args, got)
		}
	}
	if want := fmt.Sprintf(`{"secret":%q,"seeds":[%q]}`, testSecret, node.address); content(t, path) != want {
		t.Errorf("the file is %s, want %s", content(t, path), want)
	}
	// What has been set stays, although the node cannot be asked.
	if got := runTool(t, tool, "profile", "b", "secret", "wrong", "cal", "a", "time"); got.code != ExitUnreachable {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(content(t, path), `"b":{"secret":"wrong"}`) {
		t.Errorf("the file is %s", content(t, path))
	}
}

// TestPerlReads: what the tool has written, Perl's programs read.
func TestPerlReads(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "perl", "-MJSON::XS", "-e", "1").CombinedOutput(); err != nil {
		t.Skipf("perl with JSON::XS is not installed: %v %s", err, out)
	}
	tool, path := configTool(t, "# by hand\n{}")
	runTool(t, tool, "secret", "s\u20ac", "secure", "off", "binds", "*:4040", "profile", "p", "services", `[["f",1.5]]`, "monitor_timeout", "5")
	out, err := exec.CommandContext(t.Context(), "perl", "-MJSON::XS", "-e",
		`local $/; open my $f, "<:raw", shift or die; my $c = JSON::XS->new->utf8->relaxed->decode(scalar <$f>);
		 print $c->{secure} ? "on" : "off", " ", $c->{profile}{p}{monitor_timeout} + 1, " "; print JSON::XS->new->utf8->canonical->encode($c)`, path).CombinedOutput()
	const want = `off 6 {"binds":["*:4040"],"profile":{"p":{"monitor_timeout":5,"services":[["f",1.5]]}},"secret":"s€","secure":0,"version":1}`
	if err != nil || string(out) != want {
		t.Errorf("got %s, %v, want %s", out, err, want)
	}
	if !json.Valid(out[6:]) {
		t.Error("not JSON")
	}
}
