package aemp

import (
	"crypto/hmac"
	"crypto/sha3"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/portmesh/portmesh/aemp/internal/md6"
)

// The authentication methods (section 2 of the protocol). The tls methods
// count only within verified TLS.
const (
	authHMACSHA3  = "hmac_sha3_512"   // generation 2, shared secret
	authHMACMD6   = "hmac_md6_64_256" // generation 1, shared secret
	authTLSSHA3   = "tls_sha3_512"    // generation 2, certificate
	authTLSMD6    = "tls_md6_64_256"  // generation 1, certificate
	authTLSAnon   = "tls_anon"        // certificate; accepted, never sent
	authCleartext = "cleartext"       // shared secret; accepted, never sent
)

// defaultAuths is what we accept, best first. A peer takes the first that it
// can send, so that each generation finds its own.
var defaultAuths = []string{authTLSSHA3, authHMACSHA3, authTLSMD6, authHMACMD6, authTLSAnon, authCleartext}

// chooseAuth takes the first method of the peer's list that we are willing to
// send.
func chooseAuth(accepted []string, tls, secret bool) (string, error) {
	for _, method := range accepted {
		switch method {
		case authTLSSHA3, authTLSMD6:
			if tls {
				return method, nil
			}
		case authHMACSHA3, authHMACMD6:
			if secret {
				return method, nil
			}
		}
	}
	if !secret && !tls {
		return "", fmt.Errorf("%w: there is neither a shared secret nor TLS (peer accepts %s)",
			ErrNoAuth, quoteLine(strings.Join(accepted, ",")))
	}
	return "", fmt.Errorf("%w: peer accepts %s", ErrNoAuth, quoteLine(strings.Join(accepted, ",")))
}

// lines are the two greeting lines of one side, as sent, without their ends.
type lines struct{ greeting, nonce string }

// authText is what a side proves to have seen: its own lines first, for every
// method.
func authText(sender, receiver lines) []byte {
	return []byte(sender.greeting + "\n" + sender.nonce + "\n" + receiver.greeting + "\n" + receiver.nonce + "\n")
}

// authData computes the data of the sender's authentication line.
func authData(method string, secret []byte, sender, receiver lines) string {
	text := authText(sender, receiver)
	switch method {
	case authHMACSHA3:
		return hexMAC(func() hash.Hash { return sha3.New512() }, secret, text)
	case authHMACMD6:
		// Real nodes call their HMAC with key and data exchanged; the wire
		// has been that way ever since.
		data := md6.Sum256(secret)
		return hexMAC(md6.New, text, data[:])
	case authTLSSHA3:
		sum := sha3.Sum512(text)
		return hex.EncodeToString(sum[:])
	case authTLSMD6:
		sum := md6.Sum256(text)
		return hex.EncodeToString(sum[:])
	case authCleartext:
		return hex.EncodeToString(secret)
	}
	return ""
}

func hexMAC(newHash func() hash.Hash, key, data []byte) string {
	mac := hmac.New(newHash, key)
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}

// An authLine is the third and last line of a handshake.
type authLine struct{ method, data, framing string }

func (a authLine) String() string { return a.method + ";" + a.data + ";" + a.framing }

func parseAuthLine(line string) (authLine, error) {
	fields := strings.Split(line, ";")
	if len(fields) < 3 {
		return authLine{}, fmt.Errorf("%w: authentication line has %d fields, want 3", ErrAuth, len(fields))
	}
	return authLine{fields[0], fields[1], fields[2]}, nil
}

// verify checks the peer's line. Both sides of the comparison have the same
// length for every method but cleartext, where the length of the secret is
// all that time could tell.
func (a authLine) verify(accepted []string, secret []byte, tls bool, peer, own lines) error {
	if !slices.Contains(accepted, a.method) {
		return fmt.Errorf("%w: %s", ErrAuthMethod, quoteLine(a.method))
	}
	switch a.method {
	case authTLSSHA3, authTLSMD6, authTLSAnon:
		if !tls {
			return fmt.Errorf("%w: %s without TLS", ErrAuthMethod, a.method)
		}
	case authHMACSHA3, authHMACMD6, authCleartext:
		if len(secret) == 0 {
			return fmt.Errorf("%w: %s, but there is no shared secret", ErrAuthMethod, a.method)
		}
	default:
		return fmt.Errorf("%w: %s", ErrAuthMethod, quoteLine(a.method))
	}
	want := authData(a.method, secret, peer, own)
	if subtle.ConstantTimeCompare([]byte(strings.ToLower(a.data)), []byte(want)) != 1 {
		return ErrAuth
	}
	return nil
}
