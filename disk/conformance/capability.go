package conformance

// Capability is what a front can do, in the words of the table that is made from
// reports.
type Capability string

const (
	CapReadWrite Capability = "what is written is read, before and after a flush"
	CapParallel  Capability = "many operations at once"
	CapCut       Capability = "cut: what was flushed survives, what comes after is swallowed"
	CapCount     Capability = "a cut says how many writes no flush covered"
	CapDrop      Capability = "crash state drop: what no flush covered is lost"
	CapKeep      Capability = "crash state keep: all of it survives"
	CapPrefix    Capability = "crash state prefix: the first of it survive"
	CapRandom    Capability = "crash state random: any of it survive"
	CapTorn      Capability = "crash state torn: parts of a write survive"
	CapHold      Capability = "flushes are held back, and a cut comes before their end"
	CapBeside    Capability = "beside a flush that is held back others are served"
	CapFUA       Capability = "a write is made durable by itself"
	CapDiscard   Capability = "discard"
	CapZeroes    Capability = "write-zeroes"
	CapFailRead  Capability = "reads fail"
	CapFailWrite Capability = "writes fail"
	CapFailFlush Capability = "flushes fail"
	CapFailRange Capability = "only operations on a range fail"
	CapFailNth   Capability = "operations fail from the nth on, and so many times"
	CapSlow      Capability = "operations are slow, or stuck until the disk is healed or cut"
	CapLie       Capability = "writes are lost, torn, misdirected or flipped, and flushes cover nothing, all acknowledged"
	CapHoldAt    Capability = "a hold begins at an operation: the nth flush, a write of a range"
	CapLog       Capability = "a write log, from which crash states can be made later"
)

// Capabilities lists them all, in the order in which they are reported.
func Capabilities() []Capability {
	return []Capability{
		CapReadWrite, CapParallel, CapCut, CapCount, CapDrop, CapKeep, CapPrefix, CapRandom, CapTorn, CapHold, CapBeside, CapFUA,
		CapDiscard, CapZeroes, CapFailRead, CapFailWrite, CapFailFlush, CapFailRange, CapFailNth,
		CapSlow, CapLie, CapHoldAt, CapLog,
	}
}

// has says whether the front claims all of the capabilities.
func (f *Front) has(capabilities ...Capability) bool {
	for _, c := range capabilities {
		if f.Lacks[c] != "" {
			return false
		}
	}
	return true
}
