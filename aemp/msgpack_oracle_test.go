package aemp_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/portmesh/portmesh/aemp"
)

// What we write is, byte for byte, what another implementation writes.
func TestMessagePackOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		list := make([]any, random.IntN(40))
		for i := range list {
			list[i] = randomWireValue(random, 4)
		}
		var want bytes.Buffer
		e := msgpack.NewEncoder(&want)
		e.UseCompactInts(true)
		e.SetSortMapKeys(true)
		if err := e.Encode(list); err != nil {
			t.Fatal(err)
		}
		got := encodeSortedList(t, aemp.MessagePack, list)
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%v:\ngot  %x\nwant %x", aemp.Message(list), got, want.Bytes())
		}
	}
}

// randomWireValue returns a value of the types that messages hold, of all sizes.
func randomWireValue(random *rand.Rand, depth int) any {
	bits := random.Uint64() >> random.IntN(64)
	size := random.IntN(1 << random.IntN(10))
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch random.IntN(kinds) {
	case 0:
		return []any{nil, true, false}[random.IntN(3)]
	case 1:
		if random.IntN(2) == 0 {
			return -int64(bits >> 1)
		}
		return int64(bits >> 1)
	case 2:
		return bits | 1<<63
	case 3:
		return math.Float64frombits(bits)
	case 4:
		return strings.Repeat(string(rune('a'+size%26)), size)
	case 5:
		return bytes.Repeat([]byte{byte(bits)}, size)
	case 6:
		list := make([]any, size%20)
		for i := range list {
			list[i] = randomWireValue(random, depth-1)
		}
		return list
	default:
		m := map[string]any{}
		for range size % 20 {
			m[strings.Repeat("k", random.IntN(40))] = randomWireValue(random, depth-1)
		}
		return m
	}
}

// What we read is what another implementation reads.
func FuzzMessagePackOracle(f *testing.F) {
	for _, list := range storableReceived {
		f.Add(encodeSortedList(f, aemp.MessagePack, list))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		f.Add(encodeSortedList(f, aemp.MessagePack, []any{randomWireValue(random, 2)}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := aemp.MessagePack.NewDecoder(aemp.Limits{MessageSize: 1 << 16, Depth: 20})
		n, err := d.Scan(data)
		if n == 0 || err != nil {
			return // the other one is not safe from what it is told
		}
		d.Reset(data[:n])
		m, err := aemp.DecodeMessage(d)
		if err != nil {
			t.Fatal(err)
		}
		input := bytes.NewReader(data)
		other := msgpack.NewDecoder(input)
		list, err := other.DecodeSlice()
		if err != nil {
			return // keys that are not strings, above all
		}
		want, ok := fromOracle(list)
		if !ok {
			return
		}
		if !sameWireValue([]any(m), want) {
			t.Errorf("%x:\ngot  %v\nwant %v", data[:n], m, want)
		}
		if used := len(data) - input.Len(); used != n {
			t.Errorf("Scan: %d, the other one used %d", n, used)
		}
	})
}

// fromOracle gives values the types that messages have. It returns false for
// those on which the two differ, and are meant to.
func fromOracle(v any) (any, bool) {
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		if v > math.MaxInt64 {
			return v, true
		}
		return int64(v), true
	case float32:
		return float64(v), true
	case string:
		// Octets that are ASCII are strings for us, and strings that are not
		// UTF-8 are octets.
		if strings.ToValidUTF8(v, "") != v {
			return []byte(v), true
		}
	case []byte:
		if strings.IndexFunc(string(v), func(r rune) bool { return r >= 0x80 }) < 0 {
			return string(v), true
		}
	case time.Time:
		return nil, false
	case []any:
		for i := range v {
			var ok bool
			if v[i], ok = fromOracle(v[i]); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for key := range v {
			value, ok := fromOracle(v[key])
			if !ok || strings.ToValidUTF8(key, "") != key {
				return nil, false
			}
			v[key] = value
		}
	}
	return v, true
}
