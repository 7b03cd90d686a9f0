// Package seed owns randomness: one seed a run, and named substreams of it, so
// that what one goroutine draws cannot disturb what another draws.
package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Of returns the seed of a named substream, such as "client/3".
func Of(seed uint64, name string) uint64 {
	h := sha256.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	h.Write([]byte(name))
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// Rand returns the generator of a named substream.
func Rand(seed uint64, name string) *rand.Rand {
	return rand.New(rand.NewPCG(Of(seed, name), Of(seed, name+"/2")))
}
