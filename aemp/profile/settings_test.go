package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// settings returns those of a profile in a text.
func settings(t *testing.T, text, profile string, env map[string]string) (*Settings, error) {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Settings(profile, func(name string) string { return env[name] })
}

const family = `{
	"secret": "s", "nodeid": "anon/", "seeds": ["a"], "binds": ["*"], "x": 1,
	"parent": "nobody",
	"profile": {
		"child": {"parent": "mother", "nodeid": "child", "seeds": null, "x": [2]},
		"mother": {"parent": "grandmother", "nodeid": "mother", "binds": ["4040", "*:*,[::1]:5"], "monitor_timeout": "2.5", "secure": 1},
		"grandmother": {"binds": [], "connect_interval": 0.25, "services": ["global", ["log", 1, {"a": 2}]], "framing_format": ["My::Own", "json"]}
	}
}`

func TestInheritance(t *testing.T) {
	s, err := settings(t, family, "child", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Settings{
		Profile: "child", NodeID: "child", Secret: "s", Binds: []string{"4040", "*:*", "[::1]:5"},
		Services: []Service{{Name: "global", Args: []any{}}, {"log", []any{json.Number("1"), map[string]any{"a": json.Number("2")}}}},
		Secure:   true, MonitorTimeout: 2500 * time.Millisecond, ConnectInterval: 250 * time.Millisecond,
		FramingFormat: []string{"My::Own", "json"},
		values:        s.values, origins: s.origins,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v\nwant\n%+v", s, want)
	}
	for key, origin := range map[string]string{
		"nodeid": `profile "child"`, "binds": `profile "mother"`, "services": `profile "grandmother"`, "secret": "defaults",
		"seeds": "", "x": `profile "child"`, "eval": "", "parent": "", "profile": "",
	} {
		if s.Origin(key) != origin || s.Has(key) != (origin != "") {
			t.Errorf("%s comes from %q, want %q", key, s.Origin(key), origin)
		}
	}
	if framings, err := s.Framings(); err != nil || len(framings) != 1 || framings[0].Name() != "json" {
		t.Errorf("framings %v, %v", framings, err)
	}
	if config, err := s.TLS(); config != nil || err != nil {
		t.Errorf("TLS %v, %v", config, err)
	}
	stranger, err := settings(t, family, "stranger", nil)
	if err != nil || stranger.NodeID != "anon/" || !slices.Equal(stranger.Seeds, []string{"a"}) {
		t.Errorf("a profile that does not exist: %+v, %v", stranger, err)
	}
}

// TestAdd: what the program says counts only where nothing else is said.
func TestAdd(t *testing.T) {
	s, err := settings(t, family, "child", nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range map[string]any{"nodeid": "program", "auth_accept": "a,b", "y": 1} {
		if err := s.Add(key, v, "program"); err != nil {
			t.Error(err)
		}
	}
	if s.NodeID != "child" || !slices.Equal(s.AuthAccept, []string{"a", "b"}) || s.Origin("y") != "program" || s.Origin("auth_accept") != "program" {
		t.Errorf("got %+v", s)
	}
	if err := s.Add("eval", []any{}, "program"); !errors.Is(err, ErrValue) {
		t.Errorf("got %v", err)
	}
	if s, err = settings(t, `{"x": [2, {"b": null}], "secret": "s"}`, "p", nil); err != nil {
		t.Fatal(err)
	}
	if want := "{\n   \"secret\" : \"s\",\n   \"x\" : [\n      2,\n      {\n         \"b\" : null\n      }\n   ]\n}\n"; string(s.Bytes()) != want {
		t.Errorf("got %s", s.Bytes())
	}
}

// TestPerlValues: what Perl's tool writes has the same meaning here.
func TestPerlValues(t *testing.T) {
	for value, want := range map[string]bool{`0`: false, `"0"`: false, `""`: false, `false`: false, `null`: false, `0.0`: false,
		`1`: true, `"1"`: true, `true`: true, `"false"`: true, `"0.0"`: true, `2`: true} {
		s, err := settings(t, `{"secure": `+value+`}`, "x", nil)
		if err != nil || s.Secure != want {
			t.Errorf("secure %s: got %v, %v", value, s, err)
		}
	}
	s, err := settings(t, `{"secret": 42, "nodeid": 7, "seeds": "a,b:5", "binds": 4040, "services": "one,two"}`, "x", nil)
	if err != nil || s.Secret != "42" || s.NodeID != "7" || !slices.Equal(s.Seeds, []string{"a", "b:5"}) || !slices.Equal(s.Binds, []string{"4040"}) || len(s.Services) != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
}

// TestWrongValues: the error names the key and where it stands, and wraps
// ErrValue.
func TestWrongValues(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"nodeid": ["x"]}`, `profile: defaults: nodeid: want a string, have a list`},
		{`{"profile": {"p": {"nodeid": "a#b"}}}`, `profile: profile "p": nodeid: invalid value: "a#b"`},
		{`{"secret": {"s": "hush"}}`, `defaults: secret: want a string, have something else`},
		{`{"seeds": {"a": 1}}`, `seeds: want a list, have an object`},
		{`{"seeds": [["a"]]}`, `seeds: want a list of strings, have a list`},
		{`{"monitor_timeout": "soon"}`, `monitor_timeout: want a positive number of seconds, have "soon"`},
		{`{"monitor_timeout": 0}`, `monitor_timeout: want a positive number of seconds, have 0`},
		{`{"monitor_timeout": "inf"}`, `have "inf"`},
		{`{"monitor_timeout": "0x10"}`, `have "0x10"`},
		{`{"connect_interval": 1e300}`, `have 1e300`},
		{`{"connect_interval": []}`, `have a list`},
		{`{"services": [[]]}`, `services: want the name of a service, have nothing`},
		{`{"services": [""]}`, `services: want the name of a service, have ""`},
		{`{"secure": []}`, `secure: want a switch, 1 or 0, have a list`},
		{`{"profile": {"p": {"parent": "q"}, "q": {"parent": "r"}, "r": {"parent": "q"}}}`, `profile "q" inherits from itself: p -> q -> r -> q`},
		{`{"profile": {"p": {"parent": "p"}}}`, `profile "p" inherits from itself: p -> p`},
		{`{"profile": {"p": {"parent": "nobody"}}}`, `profile "p": there is no profile "nobody", its parent`},
		{`{"profile": {"p": {"parent": 1}}}`, `profile "p": parent: want the name of a profile`},
	} {
		_, err := settings(t, test.text, "p", nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, ErrValue) {
			t.Errorf("%s: got %v, want %s", test.text, err, test.want)
		}
		if strings.Contains(test.want, "inherits") != errors.Is(err, ErrCycle) {
			t.Errorf("%s: is it a circle? %v", test.text, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	for text, want := range map[string]string{
		`{"version": 2}`:          "version 2 of the configuration is not known",
		`{"profile": []}`:         "want an object of profiles",
		`{"profile": {"p": "x"}}`: `profile "p": want an object`,
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	empty := filepath.Join(dir, "empty")
	for path, text := range map[string]string{secret: "from file\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := settings(t, family, "child", map[string]string{
		"PORTMESH_NODEID": "env", "PORTMESH_SECRET_FILE": secret, "PORTMESH_SEEDS": "s1, s2:5", "PORTMESH_BINDS": "[::1]:4040,*:1",
		"PORTMESH_SERVICES": `["global", ["log", 3]]`, "PORTMESH_SECURE": "off", "PORTMESH_MONITOR_TIMEOUT": "7", "PORTMESH_FRAMING_FORMAT": "cbor,json",
		"PORTMESH_CONNECT_INTERVAL": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.NodeID != "env" || s.Secret != "from file" || !slices.Equal(s.Seeds, []string{"s1", "s2:5"}) || !slices.Equal(s.Binds, []string{"[::1]:4040", "*:1"}) ||
		len(s.Services) != 2 || s.Services[1].Args[0] != json.Number("3") || s.Secure || s.MonitorTimeout != 7*time.Second || len(s.FramingFormat) != 2 || s.ConnectInterval != 250*time.Millisecond {
		t.Errorf("got %+v", s)
	}
	if s.Origin("secret") != "environment variable PORTMESH_SECRET_FILE" {
		t.Errorf("origin %q", s.Origin("secret"))
	}
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"PORTMESH_SECRET": "a", "PORTMESH_SECRET_FILE": secret}, "PORTMESH_SECRET and PORTMESH_SECRET_FILE are both set"},
		{map[string]string{"PORTMESH_SECRET_FILE": dir + "/none"}, "PORTMESH_SECRET_FILE: open"},
		{map[string]string{"PORTMESH_SECRET_FILE": empty}, "is empty"},
		{map[string]string{"PORTMESH_SECURE": "maybe"}, `environment variable PORTMESH_SECURE: secure: want on or off, have "maybe"`},
		{map[string]string{"PORTMESH_MONITOR_TIMEOUT": "x"}, `PORTMESH_MONITOR_TIMEOUT: monitor_timeout: want a positive number of seconds, have "x"`},
		{map[string]string{"PORTMESH_SEEDS": "a:b:c"}, `PORTMESH_SEEDS: seeds: address "a:b:c": want host:port`},
		{map[string]string{"PORTMESH_SERVICES": `["a",`}, `PORTMESH_SERVICES: character 6: want a value`},
		{map[string]string{"PORTMESH_CERT": "x"}, `PORTMESH_CERT: cert: `},
	} {
		if _, err := settings(t, family, "child", test.env); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %s", test.env, err, test.want)
		}
	}
}

// TestRead: the file and the profile that the environment names.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rc")
	t.Setenv("PORTMESH_PROFILE", "mother")
	t.Setenv(EnvFile, path)
	if s, err := Read("", "child"); err != nil || s.Profile != "mother" || s.NodeID != "" {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	if err := os.WriteFile(path, []byte(family), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Read("", "child"); err != nil || s.NodeID != "mother" {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := os.WriteFile(path, []byte("{\n x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read("", "child"); err == nil || err.Error() != `profile: `+path+`:2:2: want a key in double quotes, have 'x'` {
		t.Errorf("got %v", err)
	}
	if _, err := Read(path+"/below", "child"); err == nil {
		t.Error("a path through a file was read")
	}
	t.Setenv(EnvFile, "")
	t.Setenv("HOME", "")
	t.Setenv("APPDATA", "")
	if s, err := Read("", "child"); err != nil || s.Profile != "mother" {
		t.Errorf("without a home: %+v, %v", s, err)
	}
}

func TestPath(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{EnvFile: "/x/rc", "HOME": "/home/a"}, "/x/rc"},
		{map[string]string{"HOME": "/home/a", "APPDATA": "/data"}, "/home/a/.perl-anyevent-mp"},
		{map[string]string{"APPDATA": "/data"}, "/data/perl-anyevent-mp"},
		{nil, ""},
	} {
		if got := PathIn(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: got %q, want %q", test.env, got, test.want)
		}
	}
}

func TestNodeID(t *testing.T) {
	host := regexp.QuoteMeta(HostName())
	for pattern, want := range map[string]string{
		"plain":   `plain`,
		"anon/":   `anon/[0-9A-Za-z]{10}`,
		"%n":      host,
		"%n/%u/x": host + `/[0-9A-Za-z]{10}/x`,
		"50%":     `50%`,
	} {
		a, err := NodeID(pattern)
		if err != nil || !regexp.MustCompile(`^`+want+`$`).MatchString(string(a)) {
			t.Errorf("%s: got %q, %v", pattern, a, err)
		}
		if b, _ := NodeID(pattern); (a == b) != !strings.Contains(want, "{10}") {
			t.Errorf("%s: got %q twice", pattern, a)
		}
	}
	for _, bad := range []string{"", "a#b", "a;b", "a\nb"} {
		if id, err := NodeID(bad); !errors.Is(err, aemp.ErrInvalidID) {
			t.Errorf("%q: got %q, %v", bad, id, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	host := HostName()
	lookup := func(_ context.Context, name string) ([]string, error) {
		switch name {
		case host:
			return []string{"10.0.0.7", "fd00::7"}, nil
		case "two":
			return []string{"10.0.0.1", "10.0.0.2"}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	own := ownAddresses()
	var all []string
	for _, ip := range own {
		all = append(all, net.JoinHostPort(ip, "4040"))
	}
	for _, test := range []struct{ text, listen, seed string }{
		{"*", ":0", strings.Join(all, " ")},
		{"*:*", ":0", "!a seed needs a port"},
		{"*:4040", ":4040", strings.Join(all, " ")},
		{"4041", "10.0.0.7:4041 [fd00::7]:4041", host + ":4041"},
		{"two", "10.0.0.1:0 10.0.0.2:0", "two:4040"},
		{"two:*", "10.0.0.1:0 10.0.0.2:0", "!a seed needs a port"},
		{"two:5", "10.0.0.1:5 10.0.0.2:5", "two:5"},
		{"two:http", "10.0.0.1:http 10.0.0.2:http", "two:http"},
		{"unknown.example:5", `!no such host ("*:5" listens on all addresses)`, "unknown.example:5"},
		{"127.0.0.1", "127.0.0.1:0", "127.0.0.1:4040"},
		{"127.0.0.1:5", "127.0.0.1:5", "127.0.0.1:5"},
		{"::1", "[::1]:0", "[::1]:4040"},
		{"[::1]", "[::1]:0", "[::1]:4040"},
		{"[::1]:5", "[::1]:5", "[::1]:5"},
		{"[::1]:*", "[::1]:0", "!a seed needs a port"},
		{"[fe80::1%lo]:5", "[fe80::1%lo]:5", "[fe80::1%lo]:5"},
		{"", "!it is empty", "!it is empty"},
		{"a:b:c", "!IPv6 addresses need brackets", "!IPv6 addresses need brackets"},
		{"[::1", "!want [host]:port", "!want [host]:port"},
		{"[::1]5", "!want [host]:port", "!want [host]:port"},
		{"[two]:5", "!no IPv6 address between the brackets", "!no IPv6 address between the brackets"},
		{"two:", "!the port is missing", "!the port is missing"},
		{":5", "!want host:port", "!want host:port"},
		{"two:65536", "!no such port", "!no such port"},
		{"99999999999999999999", "!no such port", "!no such port"},
		{"a b:5", "!want host:port", "!want host:port"},
		{"http://two:5", "!want host:port", "!want host:port"},
	} {
		listen, err := listen(t.Context(), lookup, []string{test.text})
		check(t, "binds "+test.text, listen, err, test.listen)
		seeds, err := Seeds([]string{test.text})
		check(t, "seeds "+test.text, seeds, err, test.seed)
	}
	if list, err := Seeds([]string{"a", "a:4040", "b"}); err != nil || fmt.Sprint(list) != "[a:4040 b:4040]" {
		t.Errorf("got %v, %v", list, err)
	}
	if list, err := Listen(t.Context(), []string{"127.0.0.1:5", "*:6"}); err != nil || fmt.Sprint(list) != "[127.0.0.1:5 :6]" {
		t.Errorf("got %v, %v", list, err)
	}
	if list, err := Listen(t.Context(), nil); err != nil || list != nil {
		t.Errorf("got %v, %v", list, err)
	}
}

// check compares with words, or, behind an exclamation mark, with an error.
func check(t *testing.T, name string, got []string, err error, want string) {
	t.Helper()
	if text, isError := strings.CutPrefix(want, "!"); isError {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, %v, want the error %s", name, got, err, text)
		}
		return
	}
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("%s: got %v, %v, want %s", name, got, err, want)
	}
}
