package aemp

import "encoding/binary"

// In a table of the sizes of values by their first bytes, these stand for strings
// whose length is in the next byte, or in the next two.
const (
	length8  = 254
	length16 = 255
)

// scanShort returns the length of a packet that begins with an array of at most 15
// values, whose head has the upper half of that byte, and of which each tells its
// size in its first bytes: sizes has it, or zero where there is more to it. It
// returns zero if b does not begin with all of such a packet.
func scanShort(b []byte, array byte, sizes *[256]uint8) int {
	if len(b) == 0 || b[0]&0xf0 != array {
		return 0
	}
	n := 1
	for range b[0] & 0x0f {
		if n >= len(b) {
			return 0
		}
		size := int(sizes[b[n]])
		switch size {
		case 0:
			return 0
		case length8:
			if n+1 >= len(b) {
				return 0
			}
			size = 2 + int(b[n+1])
		case length16:
			if n+2 >= len(b) {
				return 0
			}
			size = 3 + int(binary.BigEndian.Uint16(b[n+1:]))
		}
		n += size
	}
	if n > len(b) {
		return 0
	}
	return n
}
