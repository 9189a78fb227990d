// Package md6 computes MD6-256, the hash with which generation 1 of AEMP
// authenticates (section 2 of the protocol). It serves no other purpose: MD6
// did not get past the first round of the competition that led to SHA-3, and
// generation 2 of AEMP uses SHA-3.
//
// The variant is the one that NIST received in 2008, every parameter at its
// default: a digest of 256 bits, no key, the tree mode (L = 64), and
// 40 + 256/4 = 104 rounds. The specification is "The MD6 hash function",
// Rivest et al., October 2008. Single letters in this package are its letters.
//
// MD6 hashes a message through a tree. Level 1 is the message in blocks of 512
// octets. Each block is compressed to a chunk of 128 octets; the chunks of a
// level, one after the other, are the data of the level above. The level that
// has one block only is the root: its compression is marked as final, and the
// end of its chunk is the digest.
package md6

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

const (
	// Size is the length of a digest in octets.
	Size = 32

	// BlockSize is the block length, in octets, that a hash made by [New]
	// reports. It is the block of AEMP's HMAC-MD6, for which alone the number
	// exists: the blocks of MD6 itself have 512 octets.
	BlockSize = 64
)

const (
	blockOctets = 512 // data of a compression, B
	chunkOctets = 128 // result of a compression, C

	rounds = 40 + Size*8/4

	// maxLevel is the parameter L. Above that level MD6 would go on without a
	// tree, but the longest legal message ends at level 27.
	maxLevel = 64
)

// Sum256 returns the MD6-256 digest of data.
func Sum256(data []byte) [Size]byte {
	var d digest
	d.leaves.write(data)
	return d.leaves.finish()
}

// New returns a hash.Hash that computes MD6-256. It keeps one block for each
// level of the tree, so that its memory grows by about half a kilobyte
// whenever the message becomes four times as long.
//
// Its BlockSize is 64, with which crypto/hmac computes the HMAC of AEMP.
func New() hash.Hash { return new(digest) }

// A digest holds the tree by its lowest level. The zero value is ready for use.
type digest struct{ leaves level }

func (d *digest) Size() int      { return Size }
func (d *digest) BlockSize() int { return BlockSize }
func (d *digest) Reset()         { *d = digest{} }

func (d *digest) Write(p []byte) (int, error) {
	d.leaves.write(p)
	return len(p), nil
}

func (d *digest) Sum(b []byte) []byte {
	sum := d.leaves.clone().finish()
	return append(b, sum[:]...)
}

// A level is one level of the tree: the block that is being filled there, and
// the levels above.
type level struct {
	height uint64 // 0 for the message itself, level 1 of the specification
	done   uint64 // blocks compressed so far, the index of the one in block
	block  [blockOctets]byte
	used   int    // octets of block that hold data
	above  *level // nil until a block was compressed
}

// write appends data to the level. A full block stays until there is something
// to follow it: whether its compression is the final one is not known earlier.
func (l *level) write(data []byte) {
	for len(data) > 0 {
		if l.used == blockOctets {
			l.push()
		}
		copied := copy(l.block[l.used:], data)
		l.used += copied
		data = data[copied:]
	}
}

// push compresses the block into the level above and begins the next one.
func (l *level) push() {
	if l.above == nil {
		l.above = &level{height: l.height + 1}
	}
	chunk := l.compress(false)
	l.above.write(chunk[:])
	l.used = 0
	l.done++
}

// finish compresses what is left, from this level to the root, and returns the
// digest. The levels are of no use afterwards.
func (l *level) finish() [Size]byte {
	for l.above != nil {
		l.push()
		l = l.above
	}
	chunk := l.compress(true)
	return [Size]byte(chunk[chunkOctets-Size:])
}

// clone copies the level and those above.
func (l *level) clone() *level {
	if l == nil {
		return nil
	}
	copied := *l
	copied.above = l.above.clone()
	return &copied
}

// q is the constant of every compression: the first 960 bits of the fractional
// part of the square root of 6.
var q = [15]uint64{
	0x7311c2812425cfa0, 0x6432286434aac8e7, 0xb60450e9ef68b7c1,
	0xe8fb23908d9f06f1, 0xdd2e76cba691e5bf, 0x0cd0d63b2c30bc41,
	0x1f8ccf6823058f8a, 0x54e5ed5b88e3775d, 0x4ad12aae0a6d6031,
	0x3e7f16bb88222e0d, 0x8af8671d3fb50c2c, 0x995ad1178bd25c31,
	0xc878c1dd04c4b633, 0x3b72066c7a1552ac, 0x0d6f3522631effcb,
}

// The input of a compression in words of 64 bits: q, the key (all zero in the
// absence of one), one word that says which node of the tree this is, one word
// of parameters, the data.
const (
	nodeAt    = len(q) + 8
	controlAt = nodeAt + 1
	dataAt    = controlAt + 1
	n         = dataAt + blockOctets/8
	c         = chunkOctets / 8
)

// compress returns the chunk for the block, which is padded with zeros. final
// says that this is the only block of its level.
func (l *level) compress(final bool) (chunk [chunkOctets]byte) {
	clear(l.block[l.used:])
	padding := blockOctets - l.used

	// The first n words are the input; each round adds c words.
	var a [n + c*rounds]uint64
	copy(a[:], q[:])
	a[nodeAt] = (l.height+1)<<56 | l.done
	a[controlAt] = rounds<<48 | maxLevel<<40 | uint64(padding)*8<<20 | Size*8
	if final {
		a[controlAt] |= 1 << 36
	}
	for i := range blockOctets / 8 {
		a[dataAt+i] = binary.BigEndian.Uint64(l.block[8*i:])
	}

	mix(&a)

	for i, word := range a[len(a)-c:] {
		binary.BigEndian.PutUint64(chunk[8*i:], word)
	}
	return chunk
}

// shifts holds the distances of the right and left shift in each step of a
// round.
var shifts = [c]struct{ right, left uint8 }{
	{10, 11}, {5, 24}, {13, 9}, {10, 16}, {11, 15}, {12, 9}, {2, 27}, {7, 15},
	{14, 6}, {15, 2}, {7, 29}, {13, 8}, {11, 15}, {7, 5}, {6, 31}, {12, 9},
}

// mix computes every word of a after the first n from the n words before it.
func mix(a *[n + c*rounds]uint64) {
	const mask = 0x7311c2812425cfa0
	s := uint64(0x0123456789abcdef) // the round constant, S
	for round := range rounds {
		w := (*[n + c]uint64)(a[round*c:])
		for i, shift := range shifts {
			x := s ^ w[i] ^ w[i+n-17] ^
				w[i+n-18]&w[i+n-21] ^
				w[i+n-31]&w[i+n-67]
			x ^= x >> (shift.right & 63)
			w[i+n] = x ^ x<<(shift.left&63)
		}
		s = bits.RotateLeft64(s, 1) ^ s&mask
	}
}
