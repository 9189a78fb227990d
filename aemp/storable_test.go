package aemp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
)

// storableImage puts the length in front of an image given in hex.
func storableImage(t testing.TB, hexImage string) []byte {
	t.Helper()
	image, err := hex.DecodeString(strings.Join(strings.Fields(hexImage), ""))
	if err != nil {
		t.Fatal(err)
	}
	return append(storableLength(len(image)), image...)
}

// storableLength is Perl's pack "w".
func storableLength(n int) []byte {
	length := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		length = append([]byte{byte(n) | 0x80}, length...)
	}
	return length
}

// storableList is the image of an array of n values, which are given in hex.
func storableList(t testing.TB, n int, values string) []byte {
	return storableImage(t, fmt.Sprintf("050b 02%08x %s", n, values))
}

// What real nodes do not show often: most of these are images that Perl wrote.
func TestStorableReceive(t *testing.T) {
	seven := []any{int64(7)}
	tests := map[string]struct {
		packet []byte
		want   []any
	}{
		"one true boolean three times": {
			storableList(t, 4, "14 11 11 4a534f4e3a3a50503a3a426f6f6c65616e 0881 14 00 00000002 14 12 00 0880 14 00 00000002"),
			[]any{true, true, false, true},
		},
		"boolean that holds a string": {
			storableList(t, 3, "04 11 1a 54797065733a3a53657269616c697365723a3a426f6f6c65616e 0a0131 04 12 00 0a0130 04 12 80 00000000 0a00"),
			[]any{true, false, false},
		},
		"no boolean": {
			storableList(t, 3, "14 11 12 4a534f4e3a3a58533a3a426f6f6c65616e78 0881 14 11 11 4a534f4e3a3a58533a3a426f6f6c65616e 0882 14 12 01 04 0881"),
			[]any{int64(1), int64(2), int64(1)},
		},
		"array seen in front of values of all sorts": {
			storableList(t, 6, "05 0881 0a0161 04 02 00000001 0887 04 03 00000001 04 00 00000005 00000001 6b 04 00 00000005"),
			[]any{nil, int64(1), "a", seven, map[string]any{"k": seven}, seven},
		},
		"holes have an index": {
			storableList(t, 5, "0e 1f 04 02 00000001 0887 0e 04 00 00000004"),
			[]any{nil, nil, seven, nil, seven},
		},
		"a version string has only that of its string": {
			storableList(t, 4, "1d 06 76312e322e33 0a 03 010203 0887 0888 04 00 00000002"),
			[]any{"\x01\x02\x03", int64(7), int64(8), int64(7)},
		},
		"reference to an element": {storableList(t, 3, "0881 0882 04 00 00000001"), []any{int64(1), int64(2), int64(1)}},
		"weak references":         {storableList(t, 3, "04 02 00000001 0887 1b 00 00000002 1c 00 00000002"), []any{seven, seven, seven}},
		"reference to a reference to an element": {
			storableList(t, 4, "0887 04 00 00000001 04 00 00000002 0888"),
			[]any{int64(7), int64(7), int64(7), int64(8)},
		},
		"values of pairs seen before": {
			storableList(t, 2, "0887 04 03 00000002 04 00 00000001 00000001 61 04 00 00000001 00000001 62"),
			[]any{int64(7), map[string]any{"a": int64(7), "b": int64(7)}},
		},
		"arrays in a row, the first one again": {
			storableList(t, 10, strings.Repeat("02 00000001 0887", 9)+"00 00000001"),
			[]any{seven, seven, seven, seven, seven, seven, seven, seven, seven, seven},
		},
		"reference seen again":           {storableList(t, 2, "04 04 0885 00 00000001"), []any{int64(5), int64(5)}},
		"interpreter's values":           {storableList(t, 5, "04 0f 04 10 04 0e 22 23"), []any{"1", "", nil, true, false}},
		"object of a reference":          {storableList(t, 1, "04 11 03 466f6f 04 02 00000001 0887"), []any{seven}},
		"array in an array":              {storableList(t, 1, "02 00000001 0887"), []any{seven}},
		"not UTF-8 though it says":       {storableList(t, 2, "17 02 c328 18 00000001 ff"), []any{[]byte("\xc3("), []byte("\xff")}},
		"key that was UTF-8":             {storableList(t, 1, "04 19 00 00000002 0882 00 00000001 61 0881 02 00000001 e9"), []any{map[string]any{"a": int64(2), "é": int64(1)}}},
		"was UTF-8, looks like it":       {storableList(t, 1, "04 19 00 00000001 0881 02 00000002 c3a9"), []any{map[string]any{"Ã©": int64(1)}}},
		"key is not UTF-8":               {storableList(t, 1, "04 19 00 00000001 0881 01 00000001 e9"), []any{map[string]any{"é": int64(1)}}},
		"locked hash":                    {storableList(t, 1, "04 19 01 00000002 0881 00 00000001 61 0e 14 00000001 62"), []any{map[string]any{"a": int64(1)}}},
		"hash of only placeholders":      {storableList(t, 2, "04 19 01 00000002 0e 14 00000001 62 0e 10 00000001 63 0887"), []any{map[string]any{}, int64(7)}},
		"blessed packet":                 {storableImage(t, "050b 11 03 466f6f 02 00000001 0887"), seven},
		"minor version of a day to come": {storableImage(t, "0563 02 00000001 0887"), seven},
		"length with a leading zero":     {append([]byte{0x80}, storableList(t, 1, "0887")...), seven},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { checkReceived(t, aemp.Storable, test.packet, test.want) })
	}
}

func TestStorableRefuse(t *testing.T) {
	list := func(n int, values string) []byte { return storableList(t, n, values) }
	tests := map[string]struct {
		packet []byte
		err    error
		text   string
	}{
		"native integer":     {list(1, "06 0100000000000000"), aemp.ErrMalformed, "native integer"},
		"native double":      {list(1, "07 0000000000000000"), aemp.ErrMalformed, "native double"},
		"tied array":         {list(1, "04 0b 0e"), aemp.ErrMalformed, "tied array"},
		"tied hash":          {list(1, "04 0c 0e"), aemp.ErrMalformed, "tied hash"},
		"tied scalar":        {list(1, "04 0d 0e"), aemp.ErrMalformed, "tied scalar"},
		"hook":               {list(1, "04 13 00"), aemp.ErrMalformed, "hook"},
		"tied hash element":  {list(1, "04 15 0e 0e"), aemp.ErrMalformed, "element of a tied hash"},
		"tied array element": {list(1, "04 16 0e 00000000"), aemp.ErrMalformed, "element of a tied array"},
		"code":               {list(1, "04 1a 0a0131"), aemp.ErrMalformed, "code"},
		"regular expression": {list(1, "04 11 06 526567657870 20 00 01 78 00"), aemp.ErrMalformed, "regular expression"},
		"large object":       {list(1, "04 21 02 0000000100000000"), aemp.ErrMalformed, "large object"},
		"unknown opcode":     {list(1, "24"), aemp.ErrMalformed, "unknown opcode 36 at offset 8"},

		"no image":            {[]byte{0}, aemp.ErrMalformed, "too short"},
		"half a header":       {storableImage(t, "05"), aemp.ErrMalformed, "too short"},
		"only a header":       {storableImage(t, "050b"), aemp.ErrMalformed, "image ends"},
		"native order":        {storableImage(t, "040b0831323334353637380408080802"), aemp.ErrMalformed, "native byte order"},
		"old major version":   {storableImage(t, "0300"), aemp.ErrMalformed, "major version 1"},
		"new major version":   {storableImage(t, "0700"), aemp.ErrMalformed, "major version 3"},
		"not an array":        {storableImage(t, "050b 03 00000000"), aemp.ErrNotArray, "opcode 3"},
		"reference":           {storableImage(t, "050b 04 02 00000000"), aemp.ErrNotArray, "opcode 4"},
		"object of a hash":    {storableImage(t, "050b 11 03 466f6f 03 00000000"), aemp.ErrNotArray, "opcode 3"},
		"more than the value": {storableImage(t, "050b 02 00000000 05"), aemp.ErrMalformed, "1 bytes behind"},
		"too few values":      {list(2, "05"), aemp.ErrMalformed, "more than the image holds"},
		"missing value":       {list(2, "0887"), aemp.ErrMalformed, "image ends"},
		"claimed array":       {list(1, "04 02 ffffffff"), aemp.ErrMalformed, "more than the image holds"},
		"claimed hash":        {list(1, "04 03 ffffffff"), aemp.ErrMalformed, "more than the image holds"},
		"claimed flag hash":   {list(1, "04 19 00 ffffffff"), aemp.ErrMalformed, "more than the image holds"},
		"claimed string":      {list(1, "01 ffffffff 61"), aemp.ErrMalformed, "more than the image holds"},
		"claimed class":       {list(1, "04 11 80 ffffffff 61"), aemp.ErrMalformed, "more than the image holds"},
		"claimed key":         {list(1, "04 03 00000001 05 ffffffff"), aemp.ErrMalformed, "key claims more"},
		"no key":              {list(1, "04 03 00000001 0a 04 61626364"), aemp.ErrMalformed, "key claims more"},
		"cut number":          {list(1, "09 0000"), aemp.ErrMalformed, "more than the image holds"},
		"key that is a value": {list(1, "04 19 00 00000001 05 08 00000000"), aemp.ErrMalformed, "key that is a value"},
		"class not seen":      {list(1, "04 12 00 05"), aemp.ErrMalformed, "class 0 was not seen"},
		"value not seen":      {list(2, "0881 00 00000002"), aemp.ErrMalformed, "value 2 was not seen"},

		"array in itself":            {list(1, "04 00 00000000"), aemp.ErrMalformed, "cyclic data"},
		"array in a hash in itself":  {list(1, "04 03 00000001 04 00 00000000 00000001 6b"), aemp.ErrMalformed, "cyclic data"},
		"inner array in itself":      {list(2, "0881 04 02 00000001 00 00000003"), aemp.ErrMalformed, "cyclic data"},
		"reference in what it is to": {list(2, "0881 04 02 00000001 00 00000002"), aemp.ErrMalformed, "cyclic data"},
		"reference to itself":        {list(1, "04 00 00000001"), aemp.ErrMalformed, "cyclic data"},
		"reference to what refers":   {list(1, "04 04 04 00 00000002"), aemp.ErrMalformed, "cyclic data"},

		"length of six bytes": {[]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, aemp.ErrMalformed, "more than 5 bytes"},
		"claimed length":      {[]byte{0xff, 0xff, 0xff, 0x7f}, aemp.ErrTooLarge, "the limit is 67108864"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { checkRefused(t, aemp.Storable, test.packet, test.err, test.text) })
	}
}

func TestStorableHugeLengthAtOnce(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("no slice is that long here")
	}
	d := aemp.Storable.NewDecoder(aemp.Limits{MessageSize: math.MaxInt})
	if _, err := d.Scan([]byte{0x8f, 0xff, 0xff, 0xff, 0x7f}); err != nil {
		t.Errorf("length of 32 bits: %v", err)
	}
	if _, err := d.Scan([]byte{0x90, 0x80, 0x80, 0x80}); err != nil {
		t.Errorf("length of 33 bits, not complete: %v", err)
	}
	if _, err := d.Scan([]byte{0x90, 0x80, 0x80, 0x80, 0x00}); !errors.Is(err, aemp.ErrTooLarge) {
		t.Errorf("length of 33 bits: %v, want ErrTooLarge", err)
	}
}

func TestStorableSizeLimit(t *testing.T) {
	packet := encodeSortedList(t, aemp.Storable, []any{strings.Repeat("x", 1000)})
	checkSizeLimit(t, aemp.Storable, packet, 3)
}

func TestStorableDepthLimit(t *testing.T) {
	checkDepthLimit(t, aemp.Storable)
}

// References are followed to the depth that holds for all, wherever what they
// refer to stands.
func TestStorableDepthThroughReferences(t *testing.T) {
	const depth = 10
	image := "0887" // index 1
	for i := range depth - 1 {
		image += fmt.Sprintf(" 02 00000001 00 %08x", 1+i) // index 2+i: an array of the value before
	}
	packet := storableList(t, depth, image)
	for _, test := range []struct {
		limit int
		err   error
	}{{depth, nil}, {depth - 1, aemp.ErrTooDeep}} {
		d := aemp.Storable.NewDecoder(aemp.Limits{Depth: test.limit})
		n, err := d.Scan(packet)
		if n != len(packet) || err != nil {
			t.Fatalf("Scan: %d, %v", n, err)
		}
		d.Reset(packet)
		if _, err := aemp.DecodeMessage(d); !errors.Is(err, test.err) {
			t.Errorf("depth of at most %d: %v, want %v", test.limit, err, test.err)
		}
	}
}

// Each array holds the one before it twice: read in full, the last one has
// 2^30 values.
func TestStorableExpansion(t *testing.T) {
	var image strings.Builder
	image.WriteString("04 02 00000000")
	const doublings = 30
	for i := range doublings {
		fmt.Fprintf(&image, " 04 02 00000002 04 00 %08x 04 00 %08x", storableArrayIndex(i), storableArrayIndex(i))
	}
	packet := storableList(t, 1+doublings, image.String())
	d := aemp.Storable.NewDecoder(aemp.Limits{})
	if n, err := d.Scan(packet); n != len(packet) || err != nil {
		t.Fatalf("Scan: %d, %v", n, err)
	}
	d.Reset(packet)
	if _, err := aemp.DecodeMessage(d); !errors.Is(err, aemp.ErrTooLarge) {
		t.Errorf("%v, want ErrTooLarge", err)
	}
	d.Reset(packet)
	for d.Kind() != aemp.End {
		d.Skip()
	}
	if err := d.Err(); err != nil {
		t.Errorf("what is skipped is not followed: %v", err)
	}
}

// References may stand for twice the packet and 64 KiB: of a string that is a
// little longer than these, for two more.
func TestStorableReferenceBudget(t *testing.T) {
	const size = 70000
	for references, want := range map[int]error{1: nil, 2: nil, 3: aemp.ErrTooLarge} {
		values := fmt.Sprintf("04 01 %08x", size) + strings.Repeat("78", size) +
			strings.Repeat("04 00 00000002", references) // the string, behind the array and one reference
		packet := storableList(t, 1+references, values)
		d := aemp.Storable.NewDecoder(aemp.Limits{})
		d.Reset(packet)
		m, err := aemp.DecodeMessage(d)
		if !errors.Is(err, want) {
			t.Errorf("%d references: %v, want %v", references, err, want)
		}
		if want == nil && (len(m) != 1+references || !reflect.DeepEqual(m[0], m[references])) {
			t.Errorf("%d references: %d values", references, len(m))
		}
	}
}

// storableArrayIndex is the index of the i-th array of TestStorableExpansion, in
// which each has two references that count and one that leads to it.
func storableArrayIndex(i int) int {
	if i == 0 {
		return 2
	}
	return 4 * i
}

func TestStorableMisuse(t *testing.T) { checkMisuse(t, aemp.Storable) }

// A decoder reads a packet that it scanned some time ago as well.
func TestStorableResetOfOtherPacket(t *testing.T) {
	first := storableList(t, 2, "04 02 00000001 0887 04 00 00000002")
	second := storableList(t, 1, "04 03 00000001 04 02 00000000 00000001 6b")
	d := aemp.Storable.NewDecoder(aemp.Limits{})
	for _, packet := range [][]byte{first, second} {
		if n, err := d.Scan(packet); n != len(packet) || err != nil {
			t.Fatalf("Scan: %d, %v", n, err)
		}
	}
	d.Reset(first)
	if m, err := aemp.DecodeMessage(d); err != nil || m.String() != "[[7], [7]]" {
		t.Errorf("first: %v, %v", m, err)
	}
	d.Reset(second)
	if m, err := aemp.DecodeMessage(d); err != nil || m.String() != `[{"k": []}]` {
		t.Errorf("second: %v, %v", m, err)
	}
}

// A packet that changes under the decoder yields nonsense or an error.
func TestStorableChangedPacket(t *testing.T) {
	original := storableList(t, 3, "04 03 00000001 04 02 00000000 00000001 6b 04 00 00000002 04 02 00000001 0887")
	d := aemp.Storable.NewDecoder(aemp.Limits{})
	for i := range original {
		for _, c := range []byte{0, 2, 3, 4, 18, 25, 255} {
			packet := bytes.Clone(original)
			if _, err := d.Scan(packet); err != nil {
				t.Fatal(err)
			}
			packet[i] = c
			d.Reset(packet)
			passAllValues(d)
		}
	}
}

func TestStorableEncoderFlagHash(t *testing.T) {
	const latin1, wide, octets = "é", "€", "\xff" // in the order of their bytes
	inner := map[string]any{"a": int64(1), latin1: nil}
	list := []any{map[string]any{
		"a":    inner,
		"b":    []any{int64(2), map[string]any{"plain": int64(3)}},
		latin1: inner,
		wide:   map[string]any{},
		octets: int64(4),
	}}
	want := storableList(t, 1, `04 19 00 00000005
		04 19 00 00000002 0881 00 00000001 61 05 02 00000001 e9   00 00000001 61
		04 02 00000002 0882 04 03 00000001 0883 00000005 706c61696e   00 00000001 62
		04 19 00 00000002 0881 00 00000001 61 05 02 00000001 e9   02 00000001 e9
		04 03 00000000   01 00000003 e282ac
		0884   00 00000001 ff`)
	if got := encodeSortedList(t, aemp.Storable, list); !bytes.Equal(got, want) {
		t.Errorf("sent %x\nwant %x", got, want)
	}
}

func TestStorableFloats(t *testing.T) {
	for v, want := range map[float64]any{
		1.0 / 3:                     "0.33333333333333331",
		0.30000000000000004:         "0.30000000000000004",
		1 << 53:                     "9007199254740992",
		1<<53 - 1:                   "9007199254740991",
		-(1<<53 - 1):                "-9007199254740991",
		1 << 60:                     "1.152921504606847e+18",
		9.5e15:                      "9.5e+15",
		math.MaxFloat64:             "1.7976931348623157e+308",
		math.SmallestNonzeroFloat64: "4.94065645841247e-324",
		1e-5:                        "1e-05",
		math.MinInt32:               int64(math.MinInt32),
	} {
		d := aemp.Storable.NewDecoder(aemp.Limits{})
		d.Reset(encodeSortedList(t, aemp.Storable, []any{v}))
		if got, err := aemp.DecodeMessage(d); err != nil || got[0] != want {
			t.Errorf("%g arrives as %v, %v; want %v", v, got, err, want)
		}
		var back float64
		d.Reset(encodeSortedList(t, aemp.Storable, []any{v}))
		m, _ := aemp.DecodeMessage(d)
		if err := m.Scan(&back); err != nil || back != v {
			t.Errorf("%g is read as %g, %v", v, back, err)
		}
	}
}

func TestStorableEncoderErrors(t *testing.T) {
	e := aemp.Storable.NewEncoder()
	dst := []byte("before")
	if math.MaxInt > math.MaxInt32 {
		e.Begin(dst, 1)
		e.Array(math.MaxInt)
		e.Close()
		if got, err := e.End(); !errors.Is(err, aemp.ErrUnsupportedValue) || string(got) != "before" {
			t.Errorf("array of too many values: %q, %v", got, err)
		}
	}
	e.Begin(dst, 1)
	e.Text("not UTF-8: \xff")
	got, err := e.End()
	want := append([]byte("before"), storableList(t, 1, "0a 0c 6e6f74205554462d383a20ff")...)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("behind an error: %x, %v; want %x", got, err, want)
	}
}

// What two Perl nodes told each other looks the same when we write it again.
// With maps only its length does, since the order of their keys is lost.
func TestStorableRecordings(t *testing.T) {
	isStorable := func(name string) bool { return strings.HasSuffix(name, "-storable") }
	packets := 0
	for _, name := range wiretest.Names(t, isStorable) {
		for _, c := range wiretest.Load(t, name) {
			for _, node := range []string{c.Dialler, c.Listener} {
				_, stream := c.Handshake(node)
				d := aemp.Storable.NewDecoder(aemp.Limits{})
				for ; len(stream) > 0; packets++ {
					n, err := d.Scan(stream)
					if n == 0 || err != nil {
						t.Fatalf("%s, %s: %d, %v, with %d bytes left", name, node, n, err, len(stream))
					}
					d.Reset(stream[:n])
					list := readWireList(t, d)
					if d.Err() != nil {
						t.Fatalf("%s, %s: %v", name, node, d.Err())
					}
					again := encodeSortedList(t, aemp.Storable, list)
					if len(again) != n || !containsMap(list) && !bytes.Equal(again, stream[:n]) {
						t.Errorf("%s, %s: %v is\n%x, we write\n%x", name, node, aemp.Message(list), stream[:n], again)
					}
					stream = stream[n:]
				}
			}
		}
	}
	if packets < 150 {
		t.Errorf("only %d packets", packets)
	}
}

func containsMap(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		return slices.ContainsFunc(v, containsMap)
	}
	return false
}

// Perl reads what we write, and would have written the same.
func TestStorablePerl(t *testing.T) {
	const program = `
		use Storable qw(nfreeze thaw);
		$Storable::canonical = 1;
		while (<STDIN>) {
			chomp;
			my ($length, $image) = unpack "w a*", pack "H*", $_;
			die "length $length" if $length != length $image;
			print unpack("H*", nfreeze(thaw($image))), "\n";
		}`
	perl, err := exec.LookPath("perl")
	if err == nil {
		err = exec.Command(perl, "-MStorable", "-e1").Run()
	}
	if err != nil {
		t.Skip("needs Perl with its module Storable: ", err)
	}
	var lists [][]any
	for _, v := range readStorableVectors(t).Values {
		if list, ok := storableReceived[v.What]; ok {
			lists = append(lists, list)
		}
	}
	for _, list := range storableSent {
		lists = append(lists, list)
	}
	lists = append(lists,
		[]any{map[string]any{"é": 1, "z": map[string]any{"é": 2, "a": []any{}}}},
		[]any{map[string]any{"€": map[string]any{"a": 1}}},
		[]any{1.0 / 3, 1e-5, 9.5e15, int64(1 << 53)},
		[]any{strings.Repeat("long ", 100), strings.Repeat("läng ", 100)},
	)
	var input, want strings.Builder
	for _, list := range lists {
		packet := encodeSortedList(t, aemp.Storable, list)
		fmt.Fprintf(&input, "%x\n", packet)
		length := bytes.IndexByte(packet, 5)
		fmt.Fprintf(&want, "%x\n", packet[length:])
	}
	cmd := exec.Command(perl, "-e", program)
	cmd.Stdin = strings.NewReader(input.String())
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(output), "\n"), strings.Split(want.String(), "\n")
	for i := range wantLines {
		if i >= len(gotLines) || gotLines[i] != wantLines[i] {
			t.Errorf("Perl has %.200s\nwe wrote %.200s", gotLines[min(i, len(gotLines)-1)], wantLines[i])
		}
	}
}

func FuzzStorableDecoder(f *testing.F) {
	for _, v := range readStorableVectors(f).Values {
		if v.Image != "" {
			image := storableImage(f, v.Image)
			f.Add(image)
			f.Add(image[len(image)-len(v.Image)/2:])
		}
	}
	f.Add(storableList(f, 1, "04 19 01 00000002 0881 00 00000001 61 0e 14 00000001 62"))
	f.Add(storableList(f, 6, "05 0881 0a0161 04 02 00000001 0887 04 03 00000001 04 00 00000005 00000001 6b 04 00 00000005"))
	f.Add(storableList(f, 3, "1d 06 76312e322e33 0a 03 010203 04 02 00000001 0887 04 00 00000003"))
	f.Add(storableList(f, 5, "04 0f 04 10 04 0e 22 23"))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkAnyBytes(t, aemp.Storable, data)
		// The same as an image, which the right length makes reach further.
		checkAnyBytes(t, aemp.Storable, append(storableLength(len(data)), data...))
	})
}

func BenchmarkStorableEncode(b *testing.B) { benchmarkFramingEncode(b, aemp.Storable) }
func BenchmarkStorableDecode(b *testing.B) { benchmarkFramingDecode(b, aemp.Storable) }
