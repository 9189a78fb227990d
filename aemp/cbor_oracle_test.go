package aemp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/portmesh/portmesh/aemp"
)

// Another implementation of CBOR must understand what ours writes, and agree
// with it on what it reads.

func cborOracle(t testing.TB) cbor.DecMode {
	t.Helper()
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:  65535,
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
		MapKeyByteString: cbor.MapKeyByteStringAllowed,
		UTF8:             cbor.UTF8DecodeInvalid,
	}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	return mode
}

// errCBORNotComparable: the oracle makes something else of a value on purpose.
var errCBORNotComparable = errors.New("not comparable")

// cborNormal prints a value of the oracle, or one that was read by ours, in a
// form that is the same for both.
func cborNormal(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "nil", nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64, uint64:
		return fmt.Sprint(v), nil
	case float64:
		return fmt.Sprint(v) + "f", nil
	case big.Int:
		if v.IsInt64() || v.IsUint64() {
			return v.String(), nil
		}
		return strconv.Quote(v.String()), nil
	case string:
		if !utf8.ValidString(v) {
			return fmt.Sprintf("b%q", v), nil
		}
		return strconv.Quote(v), nil
	case []byte:
		return fmt.Sprintf("b%q", v), nil
	case cbor.ByteString:
		return fmt.Sprintf("b%q", string(v)), nil
	case cbor.Tag:
		return cborNormal(v.Content)
	case []any:
		words := make([]string, len(v))
		for i, v := range v {
			var err error
			if words[i], err = cborNormal(v); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(words, " ") + "]", nil
	case map[any]any:
		pairs := cborPairs{}
		for key, value := range v {
			pairs = append(pairs, cborPair{cborNormalKey(key), value})
		}
		return cborNormal(pairs)
	case cborPairs:
		words := make([]string, len(v))
		for i, p := range v {
			key, err := cborNormal(p.key)
			if err != nil {
				return "", err
			}
			value, err := cborNormal(p.value)
			if err != nil {
				return "", err
			}
			words[i] = key + ":" + value
		}
		slices.Sort(words)
		return "{" + strings.Join(words, " ") + "}", nil
	}
	return "", fmt.Errorf("%w: %T", errCBORNotComparable, v)
}

// cborNormalKey does to a key of the oracle what ours does to keys that are no
// strings.
func cborNormalKey(key any) any {
	switch key := key.(type) {
	case nil:
		return ""
	case bool:
		if key {
			return "1"
		}
		return "0"
	case int64, uint64:
		return fmt.Sprint(key)
	case big.Int:
		return key.String()
	case float64:
		digits := fmt.Sprintf("%.15g", key)
		if back, _ := strconv.ParseFloat(digits, 64); back != key && key == key {
			digits = fmt.Sprintf("%.17g", key)
		}
		return strings.TrimPrefix(digits, "+")
	case cbor.Tag:
		return cborNormalKey(key.Content)
	}
	return key
}

// cborRandom returns a value with at most that many levels.
func cborRandom(r *rand.Rand, depth int) any {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return int64(r.Uint64()) >> r.IntN(64)
	case 3:
		return r.Uint64() | 1<<63
	case 4:
		switch r.IntN(4) {
		case 0:
			return math.Float64frombits(r.Uint64())
		case 1:
			return float64(math.Float32frombits(r.Uint32()))
		}
		return float64(r.IntN(1<<16)-1<<15) / 64
	case 5:
		return cborRandomText(r)
	case 6:
		octets := make([]byte, cborRandomLength(r))
		for i := range octets {
			octets[i] = byte(r.Uint32())
		}
		return octets
	case 7:
		list := make([]any, r.IntN(8))
		for i := range list {
			list[i] = cborRandom(r, depth-1)
		}
		return list
	}
	pairs := make(cborPairs, r.IntN(8))
	for i := range pairs {
		pairs[i] = cborPair{fmt.Sprint(i, cborRandomText(r)), cborRandom(r, depth-1)}
	}
	return pairs
}

func cborRandomText(r *rand.Rand) string {
	runes := make([]rune, cborRandomLength(r))
	for i := range runes {
		runes[i] = rune(r.IntN(1 << r.IntN(17)))
	}
	return string(runes)
}

// cborRandomLength is around one of the lengths at which heads grow, now and
// then.
func cborRandomLength(r *rand.Rand) int {
	switch r.IntN(100) {
	case 0:
		return 65535 + r.IntN(2)
	case 1:
		return 255 + r.IntN(2)
	}
	return r.IntN(40)
}

func cborRandomPacket(r *rand.Rand) []any {
	list := make([]any, r.IntN(6))
	for i := range list {
		list[i] = cborRandom(r, 3)
	}
	return list
}

func TestCBOROracleReadsOurs(t *testing.T) {
	oracle := cborOracle(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		packet := cborWrite(t, cborRandomPacket(r))
		list, err := cborRead(packet)
		if err != nil {
			t.Fatal(err)
		}
		var theirs any
		if err := oracle.Unmarshal(packet, &theirs); err != nil {
			t.Fatalf("%v\n%x", err, packet)
		}
		cborSame(t, list, theirs)
	}
}

func TestCBORReadsOracle(t *testing.T) {
	oracle := cborOracle(t)
	modes := map[string]cbor.EncOptions{
		"canonical":  cbor.CoreDetEncOptions(), // half floats, sorted keys
		"bytes":      {String: cbor.StringToByteString},
		"indefinite": {},
	}
	for name, options := range modes {
		mode, err := options.EncMode()
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			list := cborRandomPacket(r)
			var buf bytes.Buffer
			if name == "indefinite" {
				cborOracleWrite(t, mode.NewEncoder(&buf), list)
			} else if err := mode.NewEncoder(&buf).Encode(cborForOracle(list)); err != nil {
				t.Fatal(err)
			}
			ours, err := cborRead(buf.Bytes())
			if err != nil {
				t.Fatalf("%v\n%x", err, buf.Bytes())
			}
			var theirs any
			if err := oracle.Unmarshal(buf.Bytes(), &theirs); err != nil {
				t.Fatal(err)
			}
			cborSame(t, ours, theirs)
		}
	}
}

// cborOracleWrite makes the oracle write a value with as little told in advance
// as possible.
func cborOracleWrite(t *testing.T, e *cbor.Encoder, v any) {
	t.Helper()
	var err error
	check := func(next error) { err = errors.Join(err, next) }
	switch v := v.(type) {
	case string:
		check(e.StartIndefiniteTextString())
		for rest := []rune(v); len(rest) > 0; {
			size := (len(rest) + 1) / 2
			check(e.Encode(string(rest[:size])))
			rest = rest[size:]
		}
		check(e.EndIndefinite())
	case []byte:
		check(e.StartIndefiniteByteString())
		for rest := v; len(rest) > 0; {
			size := (len(rest) + 1) / 2
			check(e.Encode(rest[:size]))
			rest = rest[size:]
		}
		check(e.EndIndefinite())
	case []any:
		check(e.StartIndefiniteArray())
		for _, v := range v {
			cborOracleWrite(t, e, v)
		}
		check(e.EndIndefinite())
	case cborPairs:
		check(e.StartIndefiniteMap())
		for _, p := range v {
			check(e.Encode(p.key))
			cborOracleWrite(t, e, p.value)
		}
		check(e.EndIndefinite())
	default:
		check(e.Encode(v))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// cborForOracle makes maps of pairs.
func cborForOracle(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, v := range v {
			list[i] = cborForOracle(v)
		}
		return list
	case cborPairs:
		m := map[any]any{}
		for _, p := range v {
			m[p.key] = cborForOracle(p.value)
		}
		return m
	}
	return v
}

func cborSame(t *testing.T, ours, theirs any) {
	t.Helper()
	got, err := cborNormal(ours)
	if err != nil {
		t.Fatal(err)
	}
	want, err := cborNormal(theirs)
	if errors.Is(err, errCBORNotComparable) {
		return
	}
	if got != want {
		t.Fatalf("ours   %.2000s\ntheirs %.2000s", got, want)
	}
}

func FuzzCBOROracle(f *testing.F) {
	for _, v := range cborLoadVectors(f).Values {
		if v.CBOR != "" {
			packet, _ := cborVectorPacket(f, v.CBOR, "")
			f.Add(packet)
		}
	}
	for _, test := range cborGood {
		f.Add(cborUnhex(f, test.packet))
	}
	for _, test := range cborBad {
		f.Add(cborUnhex(f, test.packet))
	}
	oracle := cborOracle(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := aemp.CBOR.NewDecoder(aemp.Limits{})
		n, err := d.Scan(b)
		var raw cbor.RawMessage
		rest, theirErr := oracle.UnmarshalFirst(b, &raw)
		switch {
		case errors.Is(err, aemp.ErrNotArray), errors.Is(err, aemp.ErrTooDeep), errors.Is(err, aemp.ErrTooLarge):
			return
		case err != nil:
			if theirErr == nil {
				t.Fatalf("ours refuses: %v", err)
			}
			return
		case n == 0:
			if errors.Is(theirErr, io.EOF) || errors.Is(theirErr, io.ErrUnexpectedEOF) {
				return
			}
			// The oracle refuses a head by its first byte, ours as a whole.
			if n, err := d.Scan(slices.Concat(b, make([]byte, 8))); err == nil {
				t.Fatalf("ours waits for more, theirs: %v; then ours finds %d bytes", theirErr, n)
			}
			return
		case theirErr != nil || n != len(b)-len(rest):
			t.Fatalf("ours finds %d bytes, theirs %d: %v", n, len(b)-len(rest), theirErr)
		}

		d.Reset(b[:n])
		ours := cborReadList(d)
		var theirs any
		if theirErr := oracle.Unmarshal(b[:n], &theirs); theirErr != nil {
			return // it refuses contents that ours has no opinion on, such as dates
		}
		if err := d.Err(); err != nil {
			if !cborOnlyOurs(err.Error()) {
				t.Fatalf("ours refuses: %v", err)
			}
			return
		}
		if !cborHasReference(theirs) {
			cborSame(t, ours, theirs)
		}
	})
}

// cborOnlyOurs tells the errors which the oracle has no reason to give.
func cborOnlyOurs(text string) bool {
	for _, reason := range []string{"simple value", "as a key", "reference", "Perl object", "referred", "number of"} {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}

// cborHasReference reports whether there is a reference in what the oracle
// read.
func cborHasReference(v any) bool {
	switch v := v.(type) {
	case cbor.Tag:
		return v.Number == 25 || v.Number == 29 || cborHasReference(v.Content)
	case []any:
		return slices.ContainsFunc(v, cborHasReference)
	case map[any]any:
		for key, value := range v {
			if cborHasReference(key) || cborHasReference(value) {
				return true
			}
		}
	}
	return false
}
