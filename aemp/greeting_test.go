package aemp_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
)

func TestParseGreeting(t *testing.T) {
	got, err := aemp.ParseGreeting("aemp;1;a b/c%25;hmac_sha3_512,cleartext;cbor,json;tls=1.0;empty=;bare;provider=AE-2.01;mproto=1")
	if err != nil {
		t.Fatal(err)
	}
	want := &aemp.Greeting{
		Protocol: "aemp", Version: 1, Node: "a b/c%",
		Auths: []string{"hmac_sha3_512", "cleartext"}, Framings: []string{"cbor", "json"},
		Extra: map[string]string{"tls": "1.0", "empty": "", "bare": "", "provider": "AE-2.01", "mproto": "1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseGreetingErrors(t *testing.T) {
	for name, line := range map[string]string{
		"empty":            "",
		"garbage":          "GET / HTTP/1.1",
		"few fields":       "aemp;1;a;b",
		"other protocol":   "smtp;1;a;b;c",
		"bad extension":    "aemp-;1;a;b;c",
		"worse extension":  "aemp-a b;1;a;b;c",
		"version":          "aemp;one;a;b;c",
		"no node":          "aemp;1;;b;c",
		"port as node":     "aemp;1;a#b;b;c",
		"control in node":  "aemp;1;a\x01;b;c",
		"escaped ; inside": "aemp;1;a%3bb;b;c",
		"not UTF-8":        "aemp;1;a\xff;b;c",
		"long garbage":     strings.Repeat("x", 5000),
	} {
		if g, err := aemp.ParseGreeting(line); !errors.Is(err, aemp.ErrGreeting) {
			t.Errorf("%s: got %v, %v; want ErrGreeting", name, g, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("%s: the error text has %d bytes", name, len(err.Error()))
		}
	}
}

// Every greeting that was recorded is read, and says which generation it is of.
func TestRecordedGreetings(t *testing.T) {
	for _, name := range wiretest.Names(t, func(string) bool { return true }) {
		for _, c := range wiretest.Load(t, name) {
			for _, node := range []string{c.Dialler, c.Listener} {
				lines, _ := c.Handshake(node)
				if lines[0] == "" {
					continue // the connection was given up before
				}
				g, err := aemp.ParseGreeting(lines[0])
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				want := 1
				if strings.HasPrefix(name, "2.") && node != "simple" {
					want = 2
				}
				if string(g.Node) != node || g.Version != 1 || g.Generation() != want || g.TLS() {
					t.Errorf("%s: got %+v", name, g)
				}
				again, err := aemp.ParseGreeting(g.String())
				if err != nil || !reflect.DeepEqual(again, g) {
					t.Errorf("%s: written and read again: %+v, %v", name, again, err)
				}
			}
		}
	}
}

func FuzzParseGreeting(f *testing.F) {
	f.Add("aemp;1;ruth;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;provider=AE-0.8;timeout=12;peeraddr=10.0.0.1:37108")
	f.Add("aemp-dataconn;1;a%25b;;;dataconn_id=%3b;=;;x=y=z")
	f.Fuzz(func(t *testing.T, line string) {
		g, err := aemp.ParseGreeting(line)
		if err != nil {
			if !errors.Is(err, aemp.ErrGreeting) {
				t.Fatalf("unnamed error %v", err)
			}
			return
		}
		again, err := aemp.ParseGreeting(g.String())
		if err != nil {
			t.Fatalf("%q: what was read cannot be read again as %q: %v", line, g.String(), err)
		}
		if again.Node != g.Node || again.Generation() != g.Generation() || again.TLS() != g.TLS() {
			t.Fatalf("%q: read again as %+v", line, again)
		}
	})
}
