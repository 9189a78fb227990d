package aemp_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

type storableVector struct {
	What   string `json:"what"`
	Framed string `json:"storable_framed"`
	Image  string `json:"storable_nfreeze"`
	Size   int    `json:"storable_framed_length"`
	SHA3   string `json:"storable_framed_sha3_512"`
}

type storableVectorFile struct {
	Values     []storableVector `json:"values"`
	BERLengths [][2]any         `json:"ber_lengths"`
}

func readStorableVectors(t testing.TB) (v storableVectorFile) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

var everyByte = func() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()

func intsFromTo(from, to int64) (list []any) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

// storableReceived tells what is received of each vector. Where the value is
// not an array, it is put into one.
var storableReceived = map[string][]any{
	"empty array":                                      {},
	"empty hash":                                       {map[string]any{}},
	"array of undef":                                   {nil},
	"array with a hole":                                {nil, nil, int64(1)},
	"small integers":                                   {int64(0), int64(1), int64(-1), int64(127), int64(128), int64(-128), int64(-129), int64(255), int64(256)},
	"32-bit integers":                                  {int64(math.MaxInt32), int64(math.MinInt32), "2147483648", "-2147483649", "4294967295", "4294967296"},
	"53-bit and 64-bit integers":                       {"9007199254740992", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "18446744073709551615"},
	"doubles":                                          {"0.5", "-2.5", "10000000000.5", "0.1", "0.333333333333333", "1e+100", "1e-100", int64(3), "1000000000000000", "1e+16", "1.5e+300", int64(0)},
	"infinities and NaN":                               {"Inf", "-Inf", "NaN"},
	"plain strings":                                    {"", "a", "hello world", "12", "1.5"},
	"binary string, all 256 bytes":                     {everyByte},
	"latin-1 byte string":                              {[]byte("caf\xe9")},
	"the same string with the UTF-8 flag":              {"café"},
	"wide characters":                                  {"€ 𝄞"},
	"ASCII with the UTF-8 flag":                        {"ascii"},
	"string of 255 bytes":                              {strings.Repeat("x", 255)},
	"string of 256 bytes":                              {strings.Repeat("x", 256)},
	"string of 70000 bytes":                            {strings.Repeat("y", 70000)},
	"UTF-8 string of 300 characters":                   {strings.Repeat("é€", 150)},
	"nested arrays":                                    {[]any{}, []any{[]any{int64(1)}, []any{int64(2), []any{int64(3)}}}, int64(4)},
	"nested hashes":                                    {map[string]any{"a": map[string]any{"b": map[string]any{"c": []any{}}}}},
	"hash with a wide key":                             {map[string]any{"€": int64(1)}},
	"hash with a latin-1 byte key":                     {map[string]any{"café": int64(1)}},
	"hash with an empty key":                           {map[string]any{"": int64(1)}},
	"hash with an undef value":                         {map[string]any{"k": nil}},
	"array of hashes":                                  {map[string]any{"n": int64(1)}, map[string]any{"n": int64(2)}},
	"300 integers":                                     intsFromTo(0, 299),
	"the same array twice":                             {[]any{int64(1), int64(2)}, []any{int64(1), int64(2)}},
	"the same hash twice":                              {map[string]any{"k": int64(1)}, map[string]any{"k": int64(1)}},
	"reference to a scalar":                            {"x"},
	"reference to a reference":                         {int64(5)},
	"the same scalar reference twice":                  {"shared string", "shared string"},
	"blessed hash":                                     {map[string]any{"x": int64(1)}},
	"blessed array":                                    {[]any{int64(1), int64(2)}},
	"two objects of a class":                           {[]any{int64(1)}, []any{int64(2)}},
	"object with a long class name":                    {[]any{}},
	"JSON booleans":                                    {true, false},
	"Perl's own booleans":                              {"1", ""},
	"number used as a string, string used as a number": {int64(42), "17"},
	"a message: spawn":                                 {"", "AnyEvent::MP::_spawn", "XIldThnzEKc", "Peer::echo", "beta#oiRvS2bF4b", "via", int64(1)},
	"a message: g_slave":                               {"", "g_slave", map[string]any{"'l": map[string]any{"beta": []any{"127.0.0.1:4040"}}}},
	"a message: kil0":                                  {"", "kil0", "port", "die", "told to die"},
	"a message with one element":                       {"port"},
	"the empty message":                                {},
	"hash of 20 keys":                                  {twentyKeys()},
}

// storableSent tells what is to be sent for Perl to receive the vector, where
// that is not what is received of it.
var storableSent = map[string][]any{
	"32-bit integers":              {int32(math.MaxInt32), int32(math.MinInt32), int64(2147483648), int64(-2147483649), uint32(4294967295), int64(4294967296)},
	"53-bit and 64-bit integers":   {int64(9007199254740992), int64(-9007199254740993), int64(math.MaxInt64), int64(math.MinInt64), uint64(math.MaxUint64)},
	"doubles":                      {0.5, -2.5, 10000000000.5, 0.1, 0.333333333333333, 1e100, 1e-100, 3.0, 1e15, 1e16, 1.5e300, math.Copysign(0, -1)},
	"infinities and NaN":           {math.Inf(1), math.Inf(-1), math.NaN()},
	"hash with a latin-1 byte key": {map[string]any{"caf\xe9": 1}},
	"Perl's own booleans":          {true, false},
}

// storableNeverSent are the vectors that no message of ours looks like.
var storableNeverSent = map[string]bool{
	"array with a hole":               true,
	"ASCII with the UTF-8 flag":       true,
	"the same array twice":            true,
	"the same hash twice":             true,
	"reference to a scalar":           true,
	"reference to a reference":        true,
	"the same scalar reference twice": true,
	"blessed hash":                    true,
	"blessed array":                   true,
	"two objects of a class":          true,
	"object with a long class name":   true,
	"JSON booleans":                   true,
}

func twentyKeys() map[string]any {
	m := map[string]any{}
	for i := range int64(20) {
		m[fmt.Sprintf("key%02d", i+1)] = i + 1
	}
	return m
}

func TestStorableVectors(t *testing.T) {
	for _, v := range readStorableVectors(t).Values {
		t.Run(v.What, func(t *testing.T) {
			if v.What == "a cycle" {
				checkRefused(t, aemp.Storable, storableImage(t, v.Image), aemp.ErrMalformed, "cyclic data")
				return
			}
			want, ok := storableReceived[v.What]
			if !ok {
				t.Fatal("vector is not known to the test")
			}
			sent, ok := storableSent[v.What]
			if !ok {
				sent = want
			}
			if v.Size > 0 { // only its size and digest are given
				packet := encodeSortedList(t, aemp.Storable, sent)
				if digest := sha3.Sum512(packet); len(packet) != v.Size || hex.EncodeToString(digest[:]) != v.SHA3 {
					t.Errorf("sent: %d bytes that differ from the vector's %d", len(packet), v.Size)
				}
				checkReceived(t, aemp.Storable, packet, want)
				return
			}
			packet := storableImage(t, v.Image)
			if got := hex.EncodeToString(packet); got != v.Framed {
				t.Fatalf("framed: %s, want %s", got, v.Framed)
			}
			const arrayOfOneRef = "02 00000001 04"
			if v.Image[4:6] != "02" {
				checkRefused(t, aemp.Storable, packet, aemp.ErrNotArray, "opcode")
				packet = storableImage(t, v.Image[:4]+arrayOfOneRef+v.Image[4:])
			}
			checkReceived(t, aemp.Storable, packet, want)
			if storableNeverSent[v.What] {
				return
			}
			if got := encodeSortedList(t, aemp.Storable, sent); !bytes.Equal(got, packet) {
				t.Errorf("sent: %x, want %x", got, packet)
			}
		})
	}
}

func TestStorableLengths(t *testing.T) {
	for _, pair := range readStorableVectors(t).BERLengths {
		n, want := int(pair[0].(float64)), pair[1].(string)
		if got := hex.EncodeToString(storableLength(n)); got != want {
			t.Fatalf("the test's length %d: %s, want %s", n, got, want)
		}
		const overhead = 12 // of an image of one long string, beside the string
		if n < overhead+256 || n > 1<<22 {
			continue
		}
		packet := encodeSortedList(t, aemp.Storable, []any{strings.Repeat("x", n-overhead)})
		if got := hex.EncodeToString(packet[:len(want)/2]); got != want || len(packet) != n+len(want)/2 {
			t.Errorf("length %d is sent as %s.., want %s", n, got, want)
		}
	}
}
