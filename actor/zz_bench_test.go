package actor_test

import (
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

type zzItem struct {
	N    int64
	Text string
}

var _ = actor.Bind[zzItem]("zzitem")

func BenchmarkZZCodec(b *testing.B) {
	for _, f := range []aemp.Framing{aemp.MessagePack, aemp.CBOR, aemp.JSON} {
		b.Run("enc/"+f.Name(), func(b *testing.B) {
			e := f.NewEncoder()
			buf := make([]byte, 0, 1<<20)
			m := &zzItem{1000000, "xxxxxxxxxxxxxxxx"}
			for i := 0; b.Loop(); i++ {
				if i%10000 == 0 {
					buf = buf[:0]
				}
				m.N = int64(i)
				buf, _ = actor.Outgoing{Port: "sink", Message: m}.Encode(e, buf)
			}
		})
		b.Run("dec/"+f.Name(), func(b *testing.B) {
			e := f.NewEncoder()
			var buf []byte
			for i := range 1000 {
				buf, _ = actor.Outgoing{Port: "sink", Message: &zzItem{int64(i) + 100000, "xxxxxxxxxxxxxxxx"}}.Encode(e, buf)
			}
			d := f.NewDecoder(aemp.Limits{}.WithDefaults())
			b.ReportAllocs()
			rest := buf
			for b.Loop() {
				if len(rest) == 0 {
					rest = buf
				}
				n, err := d.Scan(rest)
				if err != nil {
					b.Fatal(err)
				}
				d.Reset(rest[:n])
				aemp.DecodePort(d)
				_, _, err = actor.DecodeMessage(d, rest[:n])
				if err != nil {
					b.Fatal(err)
				}
				rest = rest[n:]
			}
		})
		b.Run("list/"+f.Name(), func(b *testing.B) {
			e := f.NewEncoder()
			var buf []byte
			for i := range 1000 {
				buf, _ = actor.Outgoing{Port: "sink", Message: actor.Message{"zuntyped", int64(i) + 100000, "xxxxxxxxxxxxxxxx"}}.Encode(e, buf)
			}
			d := f.NewDecoder(aemp.Limits{}.WithDefaults())
			b.ReportAllocs()
			rest := buf
			for b.Loop() {
				if len(rest) == 0 {
					rest = buf
				}
				n, err := d.Scan(rest)
				if err != nil {
					b.Fatal(err)
				}
				d.Reset(rest[:n])
				aemp.DecodePort(d)
				_, _, err = actor.DecodeMessage(d, rest[:n])
				if err != nil {
					b.Fatal(err)
				}
				rest = rest[n:]
			}
		})
	}
}
