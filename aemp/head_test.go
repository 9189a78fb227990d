package aemp_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

var allFramings = []aemp.Framing{aemp.JSON, aemp.CBOR, aemp.MessagePack, aemp.Storable}

// However packets began before, each is what an encoder that knows of none writes.
func TestBeginMessage(t *testing.T) {
	ports := []string{"p", "q", "", "a \"quoted\" port", "\xff\xfe", strings.Repeat("long", 100)}
	tags := []string{"item", "tag", "ä\n", ""}
	for _, f := range allFramings {
		e := f.NewEncoder()
		random := rand.New(rand.NewPCG(1, 2))
		var port, tag string
		n := 2
		for i := range 2000 {
			if random.IntN(3) == 0 {
				port, tag, n = ports[random.IntN(len(ports))], tags[random.IntN(len(tags))], 2+random.IntN(20)
			}
			if random.IntN(20) == 0 { // a packet that is given up
				e.Begin(nil, 3)
				e.Array(1)
			}
			write := func(e aemp.Encoder, dst []byte) []byte {
				aemp.BeginMessage(e, dst, n, port, tag)
				for i := range n - 2 {
					e.Int(int64(i))
				}
				out, err := e.End()
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			got, want := write(e, []byte("before")), write(f.NewEncoder(), []byte("before"))
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: packet %d to %q with %q: got %q, want %q", f.Name(), i, port, tag, got, want)
			}
		}
	}
}

// headPackets are packets that begin alike, and some that do not.
func headPackets(t testing.TB, f aemp.Framing) (packets [][]byte) {
	add := func(port string, m ...any) {
		packet, err := aemp.EncodeMessage(f.NewEncoder(), nil, port, m...)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
	}
	for i := range 3 {
		add("port", "tag", i, strings.Repeat("x", 10*i))
		add("port", "tag", []any{i, map[string]any{"key": i}}, nil)
		add("port", "tag")
		add("port", "tags", 1, 2)
		add("port", "ta", "g", 2)
		add("port")
		add("port", 1, 2, 3)
		add("wörter", "tag\n", i, 1.5)
	}
	list := make([]any, 100)
	list[0] = "tag"
	add("port", list...)
	add("port", list...)
	switch f {
	case aemp.JSON:
		for _, text := range []string{
			`["port","tag",1]`, ` ["port","tag",2]`, `["port","tag" ,3]`, `["port","tag" ,4]`, "[\"port\"\n,\"tag\" ]",
			`["port","tag"]`, `["port","tag",{"tag":["port"]}]`, `["port","tag",5]`, `["po\u0072t","tag",6]`, `["po\u0072t","tag",7]`,
		} {
			packets = append(packets, []byte(text))
		}
	case aemp.CBOR:
		for _, text := range []string{
			"\x9f\x64port\x63tag\x01\xff", "\x9f\x64port\x63tag\xff", // of no definite length
			"\x83\x64port\xd8\x1c\x63tag\xd8\x1d\x00", "\x83\x64port\xd8\x1c\x63tag\x07", // shared values
			"\xd9\x01\x00\x84\x64port\x63tag\x64text\xd8\x19\x00", "\xd9\x01\x00\x84\x64port\x63tag\x64more\xd8\x19\x01", // references to strings
			"\x83\x64port\x7f\x63tag\xff\x01", "\x83\x64port\x7f\x63tag\xff\x02", // strings in pieces
			"\x83\x64port\x43tag\x01", "\x83\x64port\x43tag\x02",
		} {
			packets = append(packets, []byte(text))
		}
	}
	return packets
}

// What is behind a head that was passed over is what reading all of the packet
// gives; and heads are passed over.
func TestHeadSkip(t *testing.T) {
	for _, f := range allFramings {
		packets := headPackets(t, f)
		for round := range 2 { // each behind itself as well
			var h aemp.Head
			var head string // of the packet that h is of
			skipped := 0
			d := f.NewDecoder(aemp.Limits{}.WithDefaults())
			for i := 0; i < len(packets)*(round+1); i++ {
				packet := packets[i/(round+1)]
				if n, err := d.Scan(packet); err != nil || n != len(packet) {
					t.Fatalf("%s: %q: %d, %v", f.Name(), packet, n, err)
				}
				want := readAll(f, packet)
				d.Reset(packet)
				if h.Skip(d, packet) {
					skipped++
					got := append([]any{want[0], want[1]}, rest(d)...)
					if d.Err() != nil || !reflect.DeepEqual(got, want) || head != fmt.Sprint(want[:2]) {
						t.Fatalf("%s: %q: got %v behind %s, want %v (%v)", f.Name(), packet, got, head, want, d.Err())
					}
					continue
				}
				h.Clear()
				if isString(d.Kind()) {
					d.Bytes()
					if isString(d.Kind()) {
						d.Bytes()
						h.Set(d, packet, 2)
						head = fmt.Sprint(want[:2])
					}
				}
			}
			if skips := f != aemp.Storable && round > 0; skips && skipped < len(packets)/2 {
				t.Errorf("%s: only %d heads of %d packets were known", f.Name(), skipped, 2*len(packets))
			}
		}
	}
}

func isString(k aemp.Kind) bool { return k == aemp.Text || k == aemp.Octets }

func readAll(f aemp.Framing, packet []byte) []any {
	d := f.NewDecoder(aemp.Limits{}.WithDefaults())
	d.Scan(packet)
	d.Reset(packet)
	return rest(d)
}

func rest(d aemp.Decoder) (values []any) {
	for d.Kind() != aemp.End {
		values = append(values, aemp.DecodeValue(d))
	}
	return values
}

// Passing over a head and reading it come to the same, whatever is behind it; and what
// was not scanned does no harm.
func FuzzHead(f *testing.F) {
	for i, framing := range allFramings {
		packets := headPackets(f, framing)
		for at, packet := range packets {
			f.Add(uint8(i), packet, packets[(at+1)%len(packets)])
			f.Add(uint8(i), packet, packet)
		}
	}
	f.Fuzz(func(t *testing.T, framing uint8, first, second []byte) {
		d := allFramings[int(framing)%len(allFramings)].NewDecoder(aemp.Limits{MessageSize: 1 << 16}.WithDefaults())
		if n, err := d.Scan(first); err != nil || n != len(first) {
			return
		}
		d.Reset(first)
		var head []any
		for range 2 {
			if !isString(d.Kind()) {
				return
			}
			head = append(head, aemp.DecodeValue(d))
		}
		var h aemp.Head
		h.Set(d, first, 2)
		n, err := d.Scan(second)
		d.Reset(second)
		read := fmt.Sprint(rest(d), d.Err())
		d.Reset(second)
		if !h.Skip(d, second) {
			return
		}
		skipped := fmt.Sprint(append(head, rest(d)...), d.Err())
		if scanned := err == nil && n == len(second); scanned && skipped != read {
			t.Errorf("%q behind the head of %q: got %s, want %s", second, first, skipped, read)
		}
	})
}
