package aemp

// scanShort returns the length of a packet that begins with an array of at most 15
// values, whose head has the upper half of that byte, and of which each tells its
// size in its first byte: sizes has it, or zero where there is more to it. It
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
		if size == 0 {
			return 0
		}
		n += size
	}
	if n > len(b) {
		return 0
	}
	return n
}
