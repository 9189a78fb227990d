package aemp

import (
	"errors"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/wiretest"
)

// Every authentication line that was recorded is one that we would have
// written, and is verified; with another secret it is not.
func TestRecordedAuthLines(t *testing.T) {
	checked := 0
	for _, name := range wiretest.Names(t, func(string) bool { return true }) {
		for _, c := range wiretest.Load(t, name) {
			for _, node := range []string{c.Dialler, c.Listener} {
				if strings.Contains(name, "wrong-secret") && node == "beta" {
					continue // its secret is not known
				}
				sent, _ := c.Handshake(node)
				seen, _ := c.Handshake(c.Peer(node))
				if sent[2] == "" {
					continue // the handshake was given up before
				}
				a, err := parseAuthLine(sent[2])
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				own, peer := lines{seen[0], seen[1]}, lines{sent[0], sent[1]}
				if got := authData(a.method, []byte(wiretest.Secret), peer, own); got != a.data {
					t.Errorf("%s: %s computed %s, we %s", name, node, a.data, got)
				}
				if err := a.verify(defaultAuths, []byte(wiretest.Secret), false, peer, own); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if err := a.verify(defaultAuths, []byte("another"), false, peer, own); !errors.Is(err, ErrAuth) {
					t.Errorf("%s: wrong secret: %v", name, err)
				}
				if a.method != authCleartext {
					if err := a.verify(defaultAuths, []byte(wiretest.Secret), false, own, peer); !errors.Is(err, ErrAuth) {
						t.Errorf("%s: exchanged lines: %v", name, err)
					}
				}
				checked++
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d lines were checked", checked)
	}
}

func TestVerify(t *testing.T) {
	own, peer := lines{"own", "1"}, lines{"peer", "2"}
	secret := []byte("geheim")
	good := func(method string) authLine { return authLine{method, authData(method, secret, peer, own), "json"} }
	tests := []struct {
		name     string
		line     authLine
		accepted []string
		secret   []byte
		tls      bool
		want     error
	}{
		{"hmac sha3", good(authHMACSHA3), defaultAuths, secret, false, nil},
		{"hmac md6", good(authHMACMD6), defaultAuths, secret, false, nil},
		{"hmac in upper case", authLine{authHMACMD6, strings.ToUpper(good(authHMACMD6).data), "json"}, defaultAuths, secret, false, nil},
		{"cleartext", authLine{authCleartext, "67656865696d", "json"}, defaultAuths, secret, false, nil},
		{"cleartext wrong", authLine{authCleartext, "67656865696e", "json"}, defaultAuths, secret, false, ErrAuth},
		{"empty data", authLine{authHMACSHA3, "", "json"}, defaultAuths, secret, false, ErrAuth},
		{"tls sha3", good(authTLSSHA3), defaultAuths, nil, true, nil},
		{"tls md6", good(authTLSMD6), defaultAuths, nil, true, nil},
		{"tls anon", authLine{authTLSAnon, "", "json"}, defaultAuths, nil, true, nil},
		{"tls anon with data", authLine{authTLSAnon, "00", "json"}, defaultAuths, nil, true, ErrAuth},
		{"tls sha3 without TLS", good(authTLSSHA3), defaultAuths, secret, false, ErrAuthMethod},
		{"tls md6 without TLS", good(authTLSMD6), defaultAuths, secret, false, ErrAuthMethod},
		{"tls anon without TLS", authLine{authTLSAnon, "", "json"}, defaultAuths, secret, false, ErrAuthMethod},
		{"hmac without secret", authLine{authHMACSHA3, authData(authHMACSHA3, nil, peer, own), "json"}, defaultAuths, nil, true, ErrAuthMethod},
		{"cleartext without secret", authLine{authCleartext, "", "json"}, defaultAuths, nil, true, ErrAuthMethod},
		{"not accepted", good(authHMACMD6), []string{authHMACSHA3}, secret, false, ErrAuthMethod},
		{"unknown", authLine{"rot13", "", "json"}, defaultAuths, secret, false, ErrAuthMethod},
		{"unknown but listed", authLine{"rot13", "", "json"}, []string{"rot13"}, secret, false, ErrAuthMethod},
	}
	for _, test := range tests {
		if err := test.line.verify(test.accepted, test.secret, test.tls, peer, own); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestChooseAuth(t *testing.T) {
	gen1 := []string{authTLSMD6, authHMACMD6, authTLSAnon, authCleartext}
	gen2 := []string{authTLSSHA3, authHMACSHA3, authTLSAnon, authCleartext}
	tests := []struct {
		accepted    []string
		tls, secret bool
		want        string
	}{
		{gen1, false, true, authHMACMD6},
		{gen2, false, true, authHMACSHA3},
		{gen1, true, true, authTLSMD6},
		{gen2, true, false, authTLSSHA3},
		{defaultAuths, false, true, authHMACSHA3},
		{[]string{authTLSAnon, authCleartext}, true, true, ""},
		{[]string{authTLSSHA3}, false, true, ""},
		{gen2, false, false, ""},
		{nil, true, true, ""},
	}
	for _, test := range tests {
		got, err := chooseAuth(test.accepted, test.tls, test.secret)
		if got != test.want || (test.want == "") != errors.Is(err, ErrNoAuth) {
			t.Errorf("%v, TLS %v, secret %v: got %q, %v; want %q", test.accepted, test.tls, test.secret, got, err, test.want)
		}
	}
}

func FuzzAuthLine(f *testing.F) {
	f.Add("hmac_sha3_512;1dc5;json")
	f.Add("cleartext;67656865696d;json;key=value")
	f.Add("tls_anon;;cbor")
	f.Fuzz(func(t *testing.T, line string) {
		a, err := parseAuthLine(line)
		if err != nil {
			return
		}
		own, peer := lines{"own", "1"}, lines{"peer", "2"}
		if err := a.verify(defaultAuths, []byte("a secret nobody guesses"), false, peer, own); err == nil {
			t.Fatalf("%q was accepted", line)
		} else if !errors.Is(err, ErrAuth) && !errors.Is(err, ErrAuthMethod) {
			t.Fatalf("unnamed error %v", err)
		}
	})
}
