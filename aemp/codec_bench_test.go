package aemp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/aemp"
)

// benchmarkFramings runs b for each framing, with a message that has texts of
// several sizes.
func benchmarkFramings(b *testing.B, run func(b *testing.B, f aemp.Framing, m aemp.Message)) {
	for _, f := range []aemp.Framing{aemp.MessagePack, aemp.CBOR, aemp.JSON, aemp.Storable} {
		for _, size := range []int{16, 1 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("framing=%s/size=%d", f.Name(), size), func(b *testing.B) {
				b.ReportAllocs()
				run(b, f, aemp.Message{"item", 1 << 40, strings.Repeat("x", size)})
			})
		}
	}
}

// One operation is one message.
func BenchmarkEncodeMessage(b *testing.B) {
	benchmarkFramings(b, func(b *testing.B, f aemp.Framing, m aemp.Message) {
		e := f.NewEncoder()
		var buf []byte
		for b.Loop() {
			var err error
			if buf, err = aemp.EncodeMessage(e, buf[:0], "port", m...); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(buf)))
	})
}

// One operation finds a message in a stream and reads it.
func BenchmarkDecodeMessage(b *testing.B) {
	benchmarkFramings(b, func(b *testing.B, f aemp.Framing, m aemp.Message) {
		packet, err := aemp.EncodeMessage(f.NewEncoder(), nil, "port", m...)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(packet)))
		d := f.NewDecoder(aemp.Limits{})
		for b.Loop() {
			n, err := d.Scan(packet)
			if err != nil || n != len(packet) {
				b.Fatal(n, err)
			}
			d.Reset(packet)
			if _, ok, err := aemp.DecodePort(d); !ok || err != nil {
				b.Fatal(err)
			}
			if _, err := aemp.DecodeMessage(d); err != nil {
				b.Fatal(err)
			}
		}
	})
}
