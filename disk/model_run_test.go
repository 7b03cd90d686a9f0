package disk

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// device is what the model test drives: the engine, or an engine with a bug.
type device interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	WriteFUA(p []byte, off int64) (int, error)
	Discard(off, n int64) error
	Flush() error
	Hold(ctx context.Context, limit time.Duration) (flushes, uncovered int)
	Release()
	Cut() CutRecord
	Restore(policy Policy, seed uint64) (Choice, error)
	SetFaults(faults []Fault) error
}

const modelSectors = 32

// sectorsOf is what the sectors of the device hold: who wrote each.
func sectorsOf(d device) ([]int, error) {
	b := make([]byte, modelSectors*SectorSize)
	if _, err := d.ReadAt(b, 0); err != nil {
		return nil, err
	}
	out := make([]int, modelSectors)
	for i := range out {
		s := b[i*SectorSize : (i+1)*SectorSize]
		out[i] = int(binary.LittleEndian.Uint32(s))
		for j := 0; j < len(s); j += 4 {
			if int(binary.LittleEndian.Uint32(s[j:])) != out[i] {
				return nil, fmt.Errorf("sector %d is of several writes", i)
			}
		}
	}
	return out, nil
}

func sectorData(value, sectors int) []byte {
	b := make([]byte, sectors*SectorSize)
	for i := 0; i < len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], uint32(value))
	}
	return b
}

// runModel drives the device and the model through rounds of seeded operations
// that each end in a cut, and returns the first way in which they differ.
func runModel(d device, m *model, seed uint64, rounds int) error {
	r := rand.New(rand.NewPCG(seed, 2))
	for range rounds {
		if err := runEpoch(d, m, r); err != nil {
			return err
		}
		record := d.Cut()
		if record.Uncovered != m.uncovered() {
			return fmt.Errorf("the cut found %d uncovered writes, the model %d", record.Uncovered, m.uncovered())
		}
		if _, err := d.WriteAt(sectorData(1<<30, 1), 0); err != nil {
			return err
		}
		policy := Policies[r.IntN(len(Policies))]
		choice, err := d.Restore(policy, r.Uint64())
		if err != nil {
			return err
		}
		if choice.Dropped+choice.Torn+choice.Kept != choice.Uncovered || choice.Uncovered != record.Uncovered {
			return fmt.Errorf("the choice %+v does not add up with the cut %+v", choice, record)
		}
		got, err := sectorsOf(d)
		if err != nil {
			return err
		}
		if err := m.allows(policy, got); err != nil {
			return err
		}
		m.cutTo(got)
	}
	return nil
}

// runEpoch does operations up to a cut. Every read must give the newest.
func runEpoch(d device, m *model, r *rand.Rand) error {
	var held chan error
	at := 0 // ops that the held flush covers
	for n := 2 + r.IntN(14); n > 0 && m.uncovered() < 10; n-- {
		from := r.IntN(modelSectors)
		to := from + 1 + r.IntN(min(12, modelSectors-from))
		off := int64(from) * SectorSize
		var err error
		switch k := r.IntN(19); {
		case k < 8:
			_, err = d.WriteAt(sectorData(m.write(from, to, false), to-from), off)
		case k < 10:
			_, err = d.WriteFUA(sectorData(m.write(from, to, true), to-from), off)
		case k < 12:
			m.zero(from, to)
			err = d.Discard(off, int64(to-from)*SectorSize)
		case k == 12 && held == nil && m.uncovered() > 0:
			d.Hold(context.Background(), 0)
			held, at = make(chan error, 1), len(m.ops)
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				defer cancel() // one that comes back is not held
				held <- d.Flush()
			}()
			d.Hold(ctx, time.Minute)
		case k == 13 && held != nil:
			d.Release()
			err = <-held
			m.flush(at)
			held = nil
		case k >= 16 && held == nil:
			err = runLie(d, m, r, from, to)
		case held == nil:
			err = d.Flush()
			m.flush(len(m.ops))
		}
		if err != nil {
			return err
		}
		got, err := sectorsOf(d)
		if err != nil {
			return err
		}
		if want := m.newest(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("a read gives %v, the newest is %v", got, want)
		}
	}
	return nil
}

// runLie does one operation that the disk acknowledges and does not do so.
func runLie(d device, m *model, r *rand.Rand, from, to int) error {
	f := Fault{Op: OpWrite, Action: []Action{ActLose, ActMisdirect, ActTear, ActLose}[r.IntN(4)], Count: 1, Seed: r.Uint64()}
	data := func(value int) error {
		if err := d.SetFaults([]Fault{f}); err != nil {
			return err
		}
		_, err := d.WriteAt(sectorData(value, to-from), int64(from)*SectorSize)
		return err
	}
	switch {
	case f.Action == ActMisdirect:
		shift := r.IntN(modelSectors-(to-from)+1) - from
		if shift == 0 {
			return nil
		}
		f.Shift = int64(shift) * SectorSize
		return data(m.write(from+shift, to+shift, false))
	case f.Action == ActTear:
		if (to-1)/m.atom == from/m.atom { // one atom
			return nil
		}
		before := m.newest()
		m.writer++
		if err := data(m.writer); err != nil {
			return err
		}
		got, err := sectorsOf(d)
		if err != nil {
			return err
		}
		return m.torn(before, got, from, to)
	case r.IntN(2) == 0: // a flush
		f.Op = OpFlush
		if err := d.SetFaults([]Fault{f}); err != nil {
			return err
		}
		return d.Flush()
	}
	m.writer++ // of a write that nobody has
	return data(m.writer)
}

func newModel(profileName string) *model {
	p, err := findProfile(profileName)
	if err != nil {
		panic(err)
	}
	return &model{base: make([]int, modelSectors), atom: int(p.atom / SectorSize), noCache: p.noCache, lies: p.lies}
}

func TestModel(t *testing.T) {
	for _, profile := range []string{Honest512, Honest4K, FUA, NoCache, LyingFlush} {
		t.Run(profile, func(t *testing.T) {
			for seed := range uint64(12) {
				// A log of one page folds all the time.
				e := open(t, Options{Size: modelSectors * SectorSize, Profile: profile, LogLimit: int64(seed%3) * 4096})
				if err := runModel(e, newModel(profile), seed, 40); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// A process that dies comes back as after a cut with drop.
func TestModelOfKill(t *testing.T) {
	for seed := range uint64(60) {
		o := Options{Dir: t.TempDir(), Size: modelSectors * SectorSize, LogLimit: 16 << 10}
		must(t, Create(o))
		m := newModel(Honest512)
		r := rand.New(rand.NewPCG(seed, 3))
		for range 5 {
			e, err := Open(o)
			must(t, err)
			must(t, runEpoch(e, m, r))
			kill(t, e)
			e.Release() // for the goroutine's sake: its flush fails
			e, err = Open(o)
			must(t, err)
			got, err := sectorsOf(e)
			must(t, err)
			must(t, e.Close())
			if err := m.allows(Drop, got); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			m.cutTo(got)
		}
	}
}

// Every state that a policy promises comes up, and no other.
func TestEveryStateIsReachable(t *testing.T) {
	for _, tt := range []struct {
		policy  Policy
		profile string
		seeds   uint64
	}{
		{Prefix, Honest512, 200}, {Random, Honest512, 500}, {Torn, Honest4K, 4000},
	} {
		t.Run(string(tt.policy), func(t *testing.T) {
			m := newModel(tt.profile)
			e := open(t, Options{Size: modelSectors * SectorSize, Profile: tt.profile})
			seen := map[string]bool{}
			var want map[string]bool
			for seed := range tt.seeds {
				zero := sectorData(0, modelSectors)
				_, err := e.WriteFUA(zero, 0)
				must(t, err)
				m.cutTo(make([]int, modelSectors))
				m.writer = 0
				// Overlapping, so that what survives of one shows only
				// where the other is lost; three atoms of 4 KiB at most.
				for _, w := range [][2]int{{0, 24}, {8, 24}, {9, 12}} {
					if tt.policy == Torn && w[0] == 9 {
						continue
					}
					_, err := e.WriteAt(sectorData(m.write(w[0], w[1], false), w[1]-w[0]), int64(w[0])*SectorSize)
					must(t, err)
				}
				if want == nil {
					want = m.every(tt.policy)
				}
				e.Cut()
				_, err = e.Restore(tt.policy, seed)
				must(t, err)
				got, err := sectorsOf(e)
				must(t, err)
				if s := fmt.Sprint(got); !want[s] {
					t.Fatalf("seed %d leaves %s, which %s does not promise", seed, s, tt.policy)
				} else {
					seen[s] = true
				}
			}
			if len(seen) != len(want) {
				t.Errorf("%d of %d states came up in %d seeds", len(seen), len(want), tt.seeds)
			}
		})
	}
}
