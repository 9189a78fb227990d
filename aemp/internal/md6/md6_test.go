package md6

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

var _ hash.Hash = New()

// vectors is testdata/vectors.json, made with Digest::MD6 and Digest::HMAC_MD6
// of Perl, which real nodes use.
type vectors struct {
	Sums []struct {
		Input  string
		Length int
		Hex    *string // nil for the long inputs, which Input describes
		MD6    string  `json:"md6_256"`
	} `json:"md6_256"`
	HMACs []struct {
		What       string
		KeyHex     string `json:"key_hex"`
		MessageHex string `json:"message_hex"`
		HMAC       string
	} `json:"hmac_md6_256_block_64"`
	Handshake struct {
		Secret    string
		AnonLines []string `json:"anon_lines"`
		RuthLines []string `json:"ruth_lines"`
		AnonFirst string   `json:"anon_first"`
		RuthFirst string   `json:"ruth_first"`
	} `json:"handshake_md6"`
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	content, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v.Sums) == 0 || len(v.HMACs) == 0 || v.Handshake.Secret == "" {
		t.Fatal("testdata/vectors.json lacks vectors")
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counting returns the input of the long vectors: octet i is i % 251.
func counting(length int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func TestSum256(t *testing.T) {
	for _, v := range readVectors(t).Sums {
		t.Run(v.Input, func(t *testing.T) {
			var data []byte
			switch {
			case v.Hex != nil:
				data = unhex(t, *v.Hex)
			case strings.HasSuffix(v.Input, `times "x"`):
				data = bytes.Repeat([]byte("x"), v.Length)
			default:
				data = counting(v.Length)
			}
			if len(data) != v.Length {
				t.Fatalf("built %d octets of input, want %d", len(data), v.Length)
			}
			if got := fmt.Sprintf("%x", Sum256(data)); got != v.MD6 {
				t.Errorf("Sum256:\n got %s\nwant %s", got, v.MD6)
			}
			h := New()
			h.Write(data)
			if got := fmt.Sprintf("%x", h.Sum(nil)); got != v.MD6 {
				t.Errorf("New, Write, Sum:\n got %s\nwant %s", got, v.MD6)
			}
		})
	}
}

// These two are printed in many descriptions of MD6, and so do not depend on the
// implementation that made the vectors.
func TestPublished(t *testing.T) {
	for input, want := range map[string]string{
		"The quick brown fox jumps over the lazy dog": "977592608c45c9923340338450fdcccc21a68888e1e6350e133c5186cd9736ee",
		"The quick brown fox jumps over the lazy cog": "85fe717a5896a085a31be5d9457b4da75a6ebc003eded96d7cb0ff1737235bba",
	} {
		if got := fmt.Sprintf("%x", Sum256([]byte(input))); got != want {
			t.Errorf("Sum256(%q):\n got %s\nwant %s", input, got, want)
		}
	}
}

func TestHMAC(t *testing.T) {
	for _, v := range readVectors(t).HMACs {
		t.Run(v.What, func(t *testing.T) {
			mac := hmac.New(New, unhex(t, v.KeyHex))
			message := unhex(t, v.MessageHex)
			for _, pass := range []string{"first", "after Reset"} {
				mac.Reset()
				mac.Write(message)
				if got := hex.EncodeToString(mac.Sum(nil)); got != v.HMAC {
					t.Errorf("%s:\n got %s\nwant %s", pass, got, v.HMAC)
				}
			}
		})
	}
}

// The auth line of real nodes has key and data of HMAC exchanged: the key is
// the text of both greetings, the data the digest of the secret.
func TestHandshake(t *testing.T) {
	v := readVectors(t).Handshake
	authLine := func(own, peer []string) string {
		text := strings.Join(append(append([]string(nil), own...), peer...), "\n") + "\n"
		data := Sum256([]byte(v.Secret))
		mac := hmac.New(New, []byte(text))
		mac.Write(data[:])
		return hex.EncodeToString(mac.Sum(nil))
	}
	if got := authLine(v.AnonLines, v.RuthLines); got != v.AnonFirst {
		t.Errorf("line of anon:\n got %s\nwant %s", got, v.AnonFirst)
	}
	if got := authLine(v.RuthLines, v.AnonLines); got != v.RuthFirst {
		t.Errorf("line of ruth:\n got %s\nwant %s", got, v.RuthFirst)
	}
}

// sumByLevels computes the digest the way the specification describes it: each
// level is complete before the next one begins.
func sumByLevels(message []byte) [Size]byte {
	for height := uint64(0); ; height++ {
		var next []byte
		final := len(message) <= blockOctets
		for i := 0; i == 0 || i < len(message); i += blockOctets {
			l := level{height: height, done: uint64(i / blockOctets)}
			l.used = copy(l.block[:], message[i:])
			chunk := l.compress(final)
			if final {
				return [Size]byte(chunk[chunkOctets-Size:])
			}
			next = append(next, chunk[:]...)
		}
		message = next
	}
}

// The lengths around a power of four blocks are those at which the tree gets
// another level.
func TestTree(t *testing.T) {
	lengths := []int{0, 1, 511, 512, 513, 5 * 512, 5*512 + 1, 16*512 + 2048, 17*512 - 1, 100_000}
	for blocks := 4; blocks <= 256; blocks *= 4 {
		full := blocks * blockOctets
		lengths = append(lengths, full-1, full, full+1, full+blockOctets, full+blockOctets+1)
	}
	data := counting(300_000)
	for _, length := range lengths {
		if got, want := Sum256(data[:length]), sumByLevels(data[:length]); got != want {
			t.Errorf("%d octets:\n got %x\nwant %x", length, got, want)
		}
	}
}

// writePieces writes data to h in random pieces of at most longest octets,
// empty ones among them.
func writePieces(t testing.TB, h hash.Hash, data []byte, random *rand.Rand, longest int) {
	t.Helper()
	for len(data) > 0 {
		length := min(random.IntN(longest+1), len(data))
		if wrote, err := h.Write(data[:length]); wrote != length || err != nil {
			t.Fatalf("Write of %d octets returned %d, %v", length, wrote, err)
		}
		data = data[length:]
	}
}

func TestPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{0, 1, 512, 513, 2048, 2049, 8192, 8193, 40_000} {
		data := counting(length)
		want := Sum256(data)
		for _, longest := range []int{1, 7, 128, 512, 513, 3000} {
			h := New()
			writePieces(t, h, data, random, longest)
			if got := h.Sum(nil); !bytes.Equal(got, want[:]) {
				t.Errorf("%d octets in pieces of up to %d:\n got %x\nwant %x", length, longest, got, want)
			}
		}
	}
}

// Sum at every stage of a message is the digest of what was written by then,
// appends to its argument, and leaves no trace.
func TestSumInTheMiddle(t *testing.T) {
	data := counting(9000)
	h := New()
	for written := 0; ; {
		want := Sum256(data[:written])
		for range 2 {
			if got := h.Sum([]byte("ab")); !bytes.Equal(got, append([]byte("ab"), want[:]...)) {
				t.Fatalf("after %d octets:\n got %x\nwant 6162%x", written, got, want)
			}
		}
		if written == len(data) {
			break
		}
		piece := min(128, len(data)-written)
		h.Write(data[written : written+piece])
		written += piece
	}
}

func TestReset(t *testing.T) {
	h := New()
	for _, length := range []int{9000, 0, 513, 9000} {
		h.Reset()
		data := counting(length)
		h.Write(data)
		if got, want := h.Sum(nil), Sum256(data); !bytes.Equal(got, want[:]) {
			t.Errorf("%d octets after Reset:\n got %x\nwant %x", length, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	h := New()
	if h.Size() != 32 || h.BlockSize() != 64 {
		t.Errorf("Size %d, BlockSize %d, want 32, 64", h.Size(), h.BlockSize())
	}
}

// The memory of a hash is its levels: no more of them than the tree has.
func TestLevels(t *testing.T) {
	for blocks, want := range map[int]int{0: 1, 1: 1, 2: 2, 4: 2, 5: 3, 16: 3, 17: 4, 64: 4, 65: 5, 256: 5} {
		var d digest
		for range blocks {
			d.Write(make([]byte, blockOctets))
		}
		d.leaves.finish()
		levels := 0
		for l := &d.leaves; l != nil; l = l.above {
			levels++
		}
		if levels != want {
			t.Errorf("%d blocks: %d levels, want %d", blocks, levels, want)
		}
	}
}

// The constant Q is not taken on trust: it is the fraction of a square root.
func TestQ(t *testing.T) {
	const fractionBits = len(q) * 64
	root := new(big.Int).Lsh(big.NewInt(6), 2*uint(fractionBits))
	root.Sqrt(root)
	root.Sub(root, new(big.Int).Lsh(big.NewInt(2), uint(fractionBits)))
	for i, got := range q {
		word := new(big.Int).Rsh(root, uint(64*(len(q)-1-i)))
		word.And(word, new(big.Int).SetUint64(1<<64-1))
		if want := word.Uint64(); got != want {
			t.Errorf("q[%d] = %#016x, want %#016x", i, got, want)
		}
	}
}

func FuzzPieces(f *testing.F) {
	for _, v := range readVectors(f).Sums {
		if v.Hex != nil {
			f.Add(unhex(f, *v.Hex), uint64(v.Length), uint16(v.Length))
		}
	}
	for _, length := range []int{511, 512, 513, 2048, 2049, 8193} {
		f.Add(counting(length), uint64(length), uint16(700))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, longest uint16) {
		want := Sum256(data)
		if byLevels := sumByLevels(data); byLevels != want {
			t.Errorf("level by level:\n got %x\nwant %x", byLevels, want)
		}
		h := New()
		writePieces(t, h, data, rand.New(rand.NewPCG(seed, 0)), int(longest)+1)
		if got := h.Sum(nil); !bytes.Equal(got, want[:]) {
			t.Errorf("in pieces:\n got %x\nwant %x", got, want)
		}
	})
}

func BenchmarkSum256(b *testing.B) {
	for _, length := range []int{32, 512, 8192, 1 << 20} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			data := counting(length)
			b.SetBytes(int64(length))
			b.ReportAllocs()
			for b.Loop() {
				Sum256(data)
			}
		})
	}
}

// BenchmarkHMAC computes one auth line.
func BenchmarkHMAC(b *testing.B) {
	text, secret := counting(500), Sum256([]byte("secret"))
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(New, text)
		mac.Write(secret[:])
		mac.Sum(nil)
	}
}
