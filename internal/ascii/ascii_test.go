package ascii_test

import (
	"bytes"
	"testing"

	"github.com/portmesh/portmesh/internal/ascii"
)

func TestPrintable(t *testing.T) {
	for length := 8; length < 100; length++ {
		b := bytes.Repeat([]byte{0x7f}, length)
		if !ascii.Printable(b) || !ascii.Printable(string(b)) {
			t.Errorf("%d bytes of ASCII are not taken for that", length)
		}
		for i := range b {
			for c := range 256 {
				b[i] = byte(c)
				if want := c >= ' ' && c < 0x80; ascii.Printable(b) != want || ascii.Printable(string(b)) != want {
					t.Errorf("byte %#x at %d of %d: want %v", c, i, length, want)
				}
			}
			b[i] = ' '
		}
	}
}

// One byte that is none, at each place of texts of each length.
func TestOnly(t *testing.T) {
	for length := range 100 {
		b := bytes.Repeat([]byte{0x7f}, length)
		if !ascii.Only(b) || !ascii.Only(string(b)) {
			t.Errorf("%d bytes of ASCII are not taken for that", length)
		}
		for i := range b {
			for _, c := range []byte{0x80, 0xff} {
				b[i] = c
				if ascii.Only(b) || ascii.Only(string(b)) {
					t.Errorf("byte %#x at %d of %d was not seen", c, i, length)
				}
				b[i] = 0
			}
		}
	}
}
