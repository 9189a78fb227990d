package docs_test

import (
	"crypto/hmac"
	"crypto/sha3"
	"encoding/hex"
	"hash"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
)

var blocks = regexp.MustCompile("(?ms)^```(wire|handshake|bytes) ?(\\S*)\n(.*?)\n```$")

// said returns what each node has said to each other in a recording, by
// "from > to".
func said(t *testing.T, recording string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, c := range wiretest.Load(t, recording) {
		for _, r := range c.Reads {
			all[r.From+" > "+r.To] += string(r.Data)
		}
	}
	return all
}

// The lines of conversation in protocol.md are from the recordings.
func TestProtocolQuotesRecordings(t *testing.T) {
	found := 0
	for _, m := range blocks.FindAllStringSubmatch(read(t, "protocol.md"), -1) {
		if m[1] != "wire" {
			continue
		}
		all := said(t, m[2])
		for line := range strings.Lines(m[3]) {
			who, what, _ := strings.Cut(strings.TrimSpace(line), "  ")
			if what == "" || !strings.Contains(all[who], what) {
				t.Errorf("%s: %s never said %s", m[2], who, what)
			}
			found++
		}
	}
	if found < 30 {
		t.Errorf("only %d lines were checked", found)
	}
}

// The handshakes in protocol.md are from the recordings, and the digests of
// generation 2 are as the page says. (Those of generation 1 take MD6, which is
// internal to package aemp and tested there, with the same recordings.)
func TestProtocolHandshakes(t *testing.T) {
	found := 0
	for _, m := range blocks.FindAllStringSubmatch(read(t, "protocol.md"), -1) {
		if m[1] != "handshake" {
			continue
		}
		found++
		lines := make(map[string][]string)
		for line := range strings.Lines(m[3]) {
			who, what, _ := strings.Cut(strings.TrimSpace(line), " ")
			lines[who] = append(lines[who], strings.TrimSpace(what))
		}
		alpha, beta := lines["alpha"], lines["beta"]
		if len(alpha) != 3 || len(beta) != 3 {
			t.Fatalf("%s: got %q", m[2], lines)
		}
		all := said(t, m[2])
		for direction, own := range map[string][]string{"alpha > beta": alpha, "beta > alpha": beta} {
			if whole := strings.Join(own, "\n") + "\n"; !strings.HasPrefix(all[direction], whole) {
				t.Errorf("%s: %s did not say\n%s", m[2], direction, whole)
			}
		}
		for _, side := range []struct{ own, peer []string }{{alpha, beta}, {beta, alpha}} {
			if !strings.HasPrefix(side.own[2], "hmac_sha3_512;") {
				continue
			}
			mac := hmac.New(func() hash.Hash { return sha3.New512() }, []byte(wiretest.Secret))
			mac.Write([]byte(side.own[0] + "\n" + side.own[1] + "\n" + side.peer[0] + "\n" + side.peer[1] + "\n"))
			if got, want := side.own[2], "hmac_sha3_512;"+hex.EncodeToString(mac.Sum(nil))+";json"; got != want {
				t.Errorf("%s: got %s, want %s", m[2], got, want)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d handshakes were checked", found)
	}
}

// The bytes of the example of section 3.
func TestProtocolFramings(t *testing.T) {
	found := 0
	for _, m := range blocks.FindAllStringSubmatch(read(t, "protocol.md"), -1) {
		if m[1] != "bytes" {
			continue
		}
		framings := make(map[string]aemp.Framing)
		for _, f := range aemp.DefaultFramings() {
			framings[f.Name()] = f
		}
		for line := range strings.Lines(m[3]) {
			found++
			name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
			packet, err := aemp.EncodeMessage(framings[name].NewEncoder(), nil, "x", "tag", 1, -7, 2.5, nil, []any{3}, map[string]any{"k": "v"})
			if err != nil {
				t.Fatal(err)
			}
			got := hex.EncodeToString(packet)
			if name == "json" {
				got = string(packet)
			}
			if got != strings.TrimSpace(want) {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
	}
	if found != 4 {
		t.Errorf("%d framings were checked", found)
	}
}

// Every word that the code says to other nodes is explained.
func TestProtocolIsComplete(t *testing.T) {
	page := read(t, "protocol.md")
	words := regexp.MustCompile(`(?m)^\s*(?:(?:request|tag|key|auth|reason|function|[Pp]rotocol|Reason)\w*\s*=\s*)?"([a-zA-Z_:]\w*(?:::\w+)*(?:-\w+)?)"(?:\s*//|:\s|$)`)
	found := 0
	for _, file := range []string{"../actor/nodeport.go", "../actor/spawn.go", "../remote/request.go", "../remote/dataconn.go", "../registry/protocol.go", "../registry/gossip.go", "../actor/eval.go", "../aemp/auth.go", "../aemp/greeting.go"} {
		_, code, _ := strings.Cut(read(t, file), "\n)\n") // behind the imports
		for _, m := range words.FindAllStringSubmatch(code, -1) {
			found++
			if !strings.Contains(page, "`"+m[1]+"`") && !strings.Contains(page, `"`+m[1]+`"`) {
				t.Errorf("%s: %q is not explained in protocol.md", filepath.Base(file), m[1])
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d words were found", found)
	}
}
