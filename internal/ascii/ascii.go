// Package ascii looks at the bytes of strings.
package ascii

const highBits = 0x8080808080808080

// Only tells whether all of s is ASCII. It looks at eight bytes at a time, or
// four; the last ones may have been looked at before.
func Only[S string | []byte](s S) bool {
	n := len(s)
	if n >= 8 {
		i := 0
		for ; i < n-32; i += 32 {
			if (word(s, i)|word(s, i+8)|word(s, i+16)|word(s, i+24))&highBits != 0 {
				return false
			}
		}
		for ; i < n-8; i += 8 {
			if word(s, i)&highBits != 0 {
				return false
			}
		}
		return word(s, n-8)&highBits == 0
	}
	if n >= 4 {
		return (half(s, 0)|half(s, n-4))&(highBits&0xffffffff) == 0
	}
	for i := range n {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// word returns the eight bytes at i.
func word[S string | []byte](s S, i int) uint64 {
	t := s[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

func half[S string | []byte](s S, i int) uint32 {
	t := s[i : i+4]
	return uint32(t[0]) | uint32(t[1])<<8 | uint32(t[2])<<16 | uint32(t[3])<<24
}
