package disk

import (
	"fmt"
	"strings"
)

// The profiles: what kind of disk it is.
const (
	Honest512     = "honest-512"     // volatile cache, 512-byte atoms
	Honest4K      = "honest-4k"      // volatile cache, 4 KiB atoms and blocks
	FUA           = "fua"            // as honest-512, and fronts offer FUA
	NoCache       = "no-cache"       // a completed write is durable
	GarbageSector = "garbage-sector" // a torn write leaves garbage behind it
	LyingFlush    = "lying-flush"    // flushes succeed and cover nothing
	Bitrot        = "bitrot"         // a cut flips one bit at rest
)

// profile is what a profile's name means to the engine.
type profile struct {
	name    string
	atom    int64 // bytes that survive or are lost together
	noCache bool
	lies    bool // about flushes and FUA
	garbage bool
	bitrot  bool
}

var profiles = []profile{
	{name: Honest512, atom: 512},
	{name: Honest4K, atom: 4096},
	{name: FUA, atom: 512},
	{name: NoCache, atom: 512, noCache: true},
	{name: GarbageSector, atom: 512, garbage: true},
	{name: LyingFlush, atom: 512, lies: true},
	{name: Bitrot, atom: 512, bitrot: true},
}

// Profiles lists the name of every profile, in the order they are documented.
func Profiles() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.name
	}
	return names
}

// HonestPowerLoss reports whether losing writes on a disk of this profile is
// what a disk that keeps its promises may do. A loss on any other proves that
// the loss is noticed, not that etcd is at fault.
func HonestPowerLoss(name string) bool {
	p, err := findProfile(name)
	return err == nil && !p.lies && !p.garbage && !p.bitrot
}

// BlockSize is the logical block size in bytes that a front shows for a disk
// of this profile: the unit that is never torn, as far as a front can show it.
func BlockSize(name string) int64 {
	p, err := findProfile(name)
	if err != nil {
		return SectorSize
	}
	return p.atom
}

func findProfile(name string) (profile, error) {
	if name == "" {
		name = Honest512
	}
	for _, p := range profiles {
		if p.name == name {
			return p, nil
		}
	}
	return profile{}, fmt.Errorf("disk profile %q does not exist: use one of %s",
		name, strings.Join(Profiles(), ", "))
}
