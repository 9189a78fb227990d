// Package ascii looks at the bytes of strings.
package ascii

const (
	highBits = 0x8080808080808080
	spaces   = 0x2020202020202020
)

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

// Printable tells whether all of s is ASCII and no control character, but for DEL,
// in a text of at least eight bytes.
func Printable[S string | []byte](s S) bool {
	i := 0
	for ; i < len(s)-32; i += 32 {
		a, b, c, d := word(s, i), word(s, i+8), word(s, i+16), word(s, i+24)
		// To take 32 from a byte sets its top bit if it is a control character; a
		// borrow can only come from such a one.
		if (a|b|c|d|(a-spaces)|(b-spaces)|(c-spaces)|(d-spaces))&highBits != 0 {
			return false
		}
	}
	for ; i < len(s)-8; i += 8 {
		if w := word(s, i); (w|(w-spaces))&highBits != 0 {
			return false
		}
	}
	w := word(s, len(s)-8)
	return (w|(w-spaces))&highBits == 0
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
