// Package forge makes what PayPal's signature does not protect against: a body
// of one's own that has the checksum of a genuine one. Tests alone use it.
package forge

import (
	"hash/crc32"
	"strings"
)

// Body fills 48 letters between two texts so that the whole has a given sum.
// A CRC is linear: each letter that is "b" instead of "a" changes it by a fixed
// pattern, and elimination finds which must be.
func Body(before, after string, want uint32) []byte {
	const width = 48
	text := []byte(before + strings.Repeat("a", width) + after)
	base := crc32.ChecksumIEEE(text)
	type row struct {
		sum   uint32
		flips uint64
	}
	var basis [32]row
	reduce := func(r row) row {
		for bit := range basis {
			if r.sum>>bit&1 == 1 && basis[bit].flips != 0 {
				r = row{r.sum ^ basis[bit].sum, r.flips ^ basis[bit].flips}
			}
		}
		return r
	}
	for i := range width {
		text[len(before)+i] ^= 'a' ^ 'c'
		r := reduce(row{crc32.ChecksumIEEE(text) ^ base, 1 << i})
		text[len(before)+i] ^= 'a' ^ 'c'
		for bit := range basis {
			if r.sum>>bit&1 == 1 {
				basis[bit] = r
				break
			}
		}
	}
	r := reduce(row{base ^ want, 0})
	for i := range width {
		if r.flips>>i&1 == 1 {
			text[len(before)+i] ^= 'a' ^ 'c'
		}
	}
	return text
}
