package disk

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Piece is a run of sectors of one uncovered entry that reaches the disk.
type Piece struct {
	Entry    Entry
	From, To uint64 // sectors from the entry's first, half open
	// Garbage, if not 0, seeds the noise that the run holds in place of the
	// data: what a disk may leave of a sector it was writing.
	Garbage uint64
}

// shredAtoms is the most atoms of one entry of which a torn cut may keep any
// subset; longer ones (only discards are) keep a head or a tail.
const shredAtoms = 1 << 20 / SectorSize

// CheckPolicy fails on a name that is no policy, listing those that are.
func CheckPolicy(p Policy) error {
	if slices.Contains(Policies, p) {
		return nil
	}
	names := make([]string, len(Policies))
	for i, p := range Policies {
		names[i] = string(p)
	}
	return fmt.Errorf("cut policy %q does not exist: use one of %s", p, strings.Join(names, ", "))
}

// Choose says what of the uncovered entries survives a cut on a disk of the
// named profile. It is a pure function: the same arguments give the same
// pieces, in log order. With drop and keep the seed does not matter. Where
// something is uncovered, every policy but keep loses some of it: a cut that
// loses nothing is keep's to make.
func Choose(uncovered []Entry, policy Policy, seed uint64, profileName string) ([]Piece, Choice, error) {
	c := Choice{Policy: policy, Seed: seed, Uncovered: len(uncovered)}
	if err := CheckPolicy(policy); err != nil {
		return nil, c, err
	}
	prof, err := findProfile(profileName)
	if err != nil {
		return nil, c, err
	}
	r := rand.New(rand.NewPCG(seed, 0x6372617368)) // "crash": its own stream
	keep := func(int) bool { return policy == Keep }
	switch policy {
	case Prefix:
		n := r.IntN(max(len(uncovered), 1))
		keep = func(i int) bool { return i < n }
	case Random, Torn:
		// One probability for all writes of a cut makes every number of
		// survivors equally likely; a fixed one would hide the extremes.
		p := r.Float64()
		keep = func(int) bool { return r.Float64() < p }
	}
	fates := make([]fate, len(uncovered))
	for i, e := range uncovered {
		switch {
		case !keep(i):
			fates[i] = dropped
		case policy == Torn && len(atomsOf(e, prof.atom)) > 2 && r.IntN(2) == 0:
			fates[i] = torn
		}
	}
	if policy != Keep && len(fates) > 0 && !slices.ContainsFunc(fates, func(f fate) bool { return f != kept }) {
		fates[r.IntN(len(fates))] = dropped
	}
	var pieces []Piece
	for i, e := range uncovered {
		switch fates[i] {
		case dropped:
			c.Dropped++
		case torn:
			pieces = append(pieces, tear(r, e, atomsOf(e, prof.atom), prof.garbage)...)
			c.Torn++
		default:
			pieces = append(pieces, Piece{Entry: e, To: e.Sectors})
			c.Kept++
		}
	}
	return pieces, c, nil
}

// fate is what becomes of one uncovered write.
type fate uint8

const (
	kept fate = iota
	torn
	dropped
)

// atomsOf returns the bounds of the entry's atoms in sectors from its start:
// atom i is [b[i], b[i+1]). Atoms are aligned on the disk, not to the entry.
func atomsOf(e Entry, atom int64) []uint64 {
	per := uint64(atom / SectorSize)
	b := []uint64{0}
	if e.Sectors > shredAtoms*per {
		mid := (e.Sector+e.Sectors/2)/per*per - e.Sector
		return []uint64{0, mid, e.Sectors}
	}
	for at := per - e.Sector%per; at < e.Sectors; at += per {
		b = append(b, at)
	}
	return append(b, e.Sectors)
}

// tear keeps a head, a tail or any subset of the atoms: at least one, not all.
func tear(r *rand.Rand, e Entry, b []uint64, garbage bool) []Piece {
	n := len(b) - 1
	kept := make([]bool, n)
	switch k := 1 + r.IntN(n-1); r.IntN(3) {
	case 0:
		fill(kept[:k])
	case 1:
		fill(kept[k:])
	default:
		for i := range kept {
			kept[i] = r.IntN(2) == 0
		}
		kept[r.IntN(n)] = true
		// The draw of the one that is lost comes last, so that it is lost.
		lost := r.IntN(n)
		kept[lost] = false
		if !slices.Contains(kept, true) {
			kept[(lost+1)%n] = true
		}
	}
	var out []Piece
	for i := 0; i < n; i++ {
		if !kept[i] {
			continue
		}
		p := Piece{Entry: e, From: b[i]}
		for i+1 < n && kept[i+1] {
			i++
		}
		p.To = b[i+1]
		out = append(out, p)
	}
	if garbage {
		i := slices.Index(kept, false)
		out = append(out, Piece{Entry: e, From: b[i], To: b[i+1], Garbage: r.Uint64() | 1})
	}
	return out
}

func fill(b []bool) {
	for i := range b {
		b[i] = true
	}
}
