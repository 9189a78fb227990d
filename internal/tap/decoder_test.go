package tap_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/tap"
	"github.com/portmesh/portmesh/internal/wiretest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// reads returns what a recording between Perl nodes holds, in the order of
// arrival.
func reads(t *testing.T, name string) (all []tap.Read) {
	t.Helper()
	for _, c := range wiretest.Load(t, name) {
		for _, r := range c.Reads {
			all = append(all, tap.Read{Time: r.Time, Conn: r.Conn, Dialled: r.Dialled, EOF: r.EOF, Data: r.Data})
		}
	}
	return all
}

func decode(reads []tap.Read) (events []tap.Event) {
	var d tap.Decoder
	for _, r := range reads {
		events = append(events, d.Read(r)...)
	}
	return events
}

// What is printed of conversations between Perl nodes, in all framings. The
// golden files are to be read: they are the specification of the output.
func TestGoldenRecordings(t *testing.T) {
	for _, name := range []string{
		"1.30-two-nodes-storable", "2.01-two-nodes-json", "2.01-two-nodes-cbor", "2.01-framings-mixed",
		"2.01-wrong-secret-json", "2.01-simple-client-json", "2.01-crossing-json",
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, e := range decode(reads(t, name)) {
				fmt.Fprintln(&b, e.Format(120))
			}
			golden(t, name+".txt", b.String())
		})
	}
}

// golden compares with a golden file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(data), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) || line != want[i] {
			t.Fatalf("%s:%d: got\n%s\nwant\n%s", path, i+1, line, strings.Join(want[i:min(i+1, len(want))], "\n"))
		}
	}
}

// Every byte of every recording is decoded, also when it comes one by one.
func TestAllRecordings(t *testing.T) {
	for _, name := range wiretest.Names(t, func(string) bool { return true }) {
		whole := reads(t, name)
		var single []tap.Read
		for _, r := range whole {
			for i := range r.Data {
				piece := r
				piece.Data = r.Data[i : i+1]
				single = append(single, piece)
			}
			if len(r.Data) == 0 {
				single = append(single, r)
			}
		}
		want, got := decode(whole), decode(single)
		for i, e := range want {
			if e.Kind == tap.Problem {
				t.Errorf("%s: %s", name, e)
			}
			if i >= len(got) || got[i].String() != e.String() {
				t.Fatalf("%s: event %d: got %v, want %v", name, i, got[i:min(i+1, len(got))], e)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: got %d events byte by byte, want %d", name, len(got), len(want))
		}
	}
}

const (
	greetA = "aemp;1;a;hmac_sha3_512;json;mproto=1\n"
	greetB = "aemp;1;b;hmac_sha3_512;json;mproto=1\n"
	proved = "hmac_sha3_512;00;json\n"
)

func TestDecoder(t *testing.T) {
	from := func(dialled bool, data string) tap.Read {
		return tap.Read{Conn: 7, Dialled: dialled, Data: []byte(data)}
	}
	for _, test := range []struct {
		name  string
		reads []tap.Read
		want  []string
	}{
		{"keep-alives", []tap.Read{
			from(true, greetA+"x\n"+proved+`[] ["",""] ["",""]`), from(false, greetB+"y\n"+proved),
		}, []string{
			"a -> listener greeting", "a -> listener nonce x", "a -> listener auth hmac_sha3_512, sends json",
			"a -> listener keepalive", "a -> listener keepalive", "a -> listener keepalive",
			"b -> a greeting", "b -> a nonce y", "b -> a auth hmac_sha3_512, sends json",
		}},
		{"the secret is not shown", []tap.Read{
			from(true, greetA+"x\ncleartext;736563726574;json\n"),
		}, []string{"a -> listener greeting", "a -> listener nonce x", "a -> listener auth cleartext, sends json"}},
		{"not a greeting", []tap.Read{
			from(true, "GET / HTTP/1.1\n"), from(true, "Host: a\n"), {Conn: 7, Dialled: true, EOF: true},
		}, []string{
			`dialler -> listener problem not an AEMP greeting: 1 fields, want at least 5: "GET / HTTP/1.1"; the rest is not shown`,
			"dialler -> listener closed",
		}},
		{"a long line", []tap.Read{
			from(true, strings.Repeat("x", 5000)),
		}, []string{"dialler -> listener problem the line is longer than 4096 bytes; the rest is not shown"}},
		{"not a packet", []tap.Read{
			from(true, greetA+"x\n"+proved+`["",{]`), from(true, `["","time"]`),
		}, []string{
			"a -> listener greeting", "a -> listener nonce x", "a -> listener auth hmac_sha3_512, sends json",
			`a -> listener problem json packet: malformed packet: want '}', found ']' at byte 5; the rest is not shown`,
		}},
		{"an unknown framing", []tap.Read{
			from(true, greetA+"x\nhmac_sha3_512;00;yaml\n..."),
		}, []string{
			"a -> listener greeting", "a -> listener nonce x", "a -> listener auth hmac_sha3_512, sends yaml",
			"a -> listener problem packets in the framing yaml cannot be decoded; the rest is not shown",
		}},
		{"encrypted", []tap.Read{
			from(true, "aemp;1;a;tls_sha3_512;json;tls=1.0\nx\n"), from(true, "\x16\x03"),
			from(false, "aemp;1;b;tls_sha3_512;json;tls=1.0\ny\n\x16\x03"), from(true, "more"),
			{Conn: 7, EOF: true}, {Conn: 7, Dialled: true, Error: "connection reset"},
		}, []string{
			"a -> listener greeting", "a -> listener nonce x", "b -> a greeting", "b -> a nonce y",
			"b -> a tls encrypted: to see what is inside, give the proxy the certificate of the mesh",
			"b -> a closed", "a -> b closed connection reset",
		}},
		{"a data connection", []tap.Read{
			from(true, "aemp-dataconn;1;a;hmac_sha3_512;json;dataconn_id=9\nx\n"+proved+"raw bytes"),
			from(false, greetB+"y\n"+proved), from(false, "and back"),
		}, []string{
			"a -> listener greeting", "a -> listener nonce x", "a -> listener auth hmac_sha3_512, sends json", "a -> listener data 9 bytes",
			"b -> a greeting", "b -> a nonce y", "b -> a auth hmac_sha3_512, sends json", "b -> a data 8 bytes",
		}},
		{"what harms a terminal", []tap.Read{
			from(true, "aemp;1;a;x;json;k=\x1b[2J\nx\n"+proved+`["\u001b[2J","\u001b"]`),
		}, []string{
			`a -> listener greeting "aemp;1;a;x;json;k=\x1b[2J"`, "a -> listener nonce x", "a -> listener auth hmac_sha3_512, sends json",
			`a -> listener message "\x1b[2J" ["\x1b"]`,
		}},
		{"lost, and cut off", []tap.Read{
			from(true, greetA+"x\n"+proved+`["p"`), {Conn: 7, Dialled: true, EOF: true}, from(false, greetB), {Conn: 7, Lost: true}, {Conn: 7, EOF: true},
		}, []string{
			"a -> listener greeting", "a -> listener nonce x", "a -> listener auth hmac_sha3_512, sends json",
			"a -> listener closed in the middle of a packet, after 4 bytes of it",
			"b -> a greeting", "b -> a problem the recorder could not keep up; the rest is not shown", "b -> a closed",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, e := range decode(test.reads) {
				line := strings.Join(strings.Fields(e.String())[2:], " ")
				if e.Kind == tap.Greeting && !strings.Contains(line, `"`) {
					line = line[:strings.Index(line, "greeting")+len("greeting")]
				}
				got = append(got, line)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(test.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte(greetA+"x\n"+proved+`["p","q"]`), []byte(greetB+"y\nhmac_sha3_512;00;cbor\n\x82\x40\x41a"), true)
	f.Add([]byte("aemp;1;a;x;json;tls=1.0\nx\n..."), []byte("aemp;1;b;x;storable;tls=1.0\ny\nm;;storable\n"), false)
	f.Fuzz(func(t *testing.T, a, b []byte, first bool) {
		var d tap.Decoder
		for _, r := range []tap.Read{
			{Conn: 1, Dialled: first, Data: a}, {Conn: 1, Dialled: !first, Data: b, TLS: true},
			{Conn: 1, Dialled: first, Data: b, TLS: true}, {Conn: 1, EOF: true}, {Conn: 1, Dialled: true, Error: "x"},
		} {
			for _, e := range d.Read(r) {
				if strings.ContainsAny(e.Format(80), "\x1b\n") {
					t.Errorf("%q", e.Format(80))
				}
			}
		}
	})
}
