package traffic

import "math/rand/v2"

// Mix is how often each operation is drawn, as weights.
type Mix struct {
	Put         int
	Get         int // linearizable, one key
	StaleGet    int // serializable, one key
	Range       int // linearizable, a prefix of the keys
	StaleRange  int // serializable
	Delete      int
	CompareSwap int // transaction: if unchanged since last seen, put and get; else get
	MultiPut    int // transaction: two puts and a get, unconditional
}

// DefaultMix leans on writes: it is they that a power cut can lose.
var DefaultMix = Mix{Put: 55, Get: 12, StaleGet: 3, Range: 3, StaleRange: 1, Delete: 5, CompareSwap: 15, MultiPut: 6}

// PutsOnly is what throughput is measured with.
var PutsOnly = Mix{Put: 1}

func (m Mix) draw(r *rand.Rand) build {
	choices := []struct {
		weight int
		build  build
	}{
		{m.Put, (*client).put},
		{m.Get, (*client).get},
		{m.StaleGet, (*client).staleGet},
		{m.Range, (*client).rangeKeys},
		{m.StaleRange, (*client).staleRange},
		{m.Delete, (*client).delete},
		{m.CompareSwap, (*client).compareSwap},
		{m.MultiPut, (*client).multiPut},
	}
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	n := r.IntN(total)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.build
		}
	}
	panic("unreachable: the weights sum to total")
}
