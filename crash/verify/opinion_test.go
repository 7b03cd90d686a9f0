package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// askAbout asks Porcupine about a run after a change to what the judge believes.
func askAbout(t *testing.T, run *rungen.Run, spoil func(*replay)) Check {
	t.Helper()
	dir := history.Dir(write(t, run))
	meta, err := history.ReadRun(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	c := &evidence{run: meta}
	if err := c.load(context.Background(), dir, Options{}); err != nil {
		t.Fatal(err)
	}
	tell := &teller{run: c.run, events: c.events, h: c.ops, keys: c.keys, end: prefixEnd(c.run.Prefix)}
	rt := newRealtime(c.ops, c.run.Base.Revision, c.run.ClockUncertainty)
	r, err := c.replay(context.Background(), dir, tell, rt)
	if err != nil {
		t.Fatal(err)
	}
	judgeOrder(r, rt)
	spoil(r)
	check, err := c.judgeOpinion(context.Background(), dir, r)
	if err != nil {
		t.Fatal(err)
	}
	return check
}

func TestOpinionAgrees(t *testing.T) {
	for seed := range uint64(12) {
		run := rungen.Simulate(rungen.Options{Seed: seed, Ops: 600, Clients: 6})
		if c := askAbout(t, run, func(*replay) {}); c.Verdict != Pass || !strings.Contains(c.Detail, "windows") {
			t.Errorf("seed %d: %s: %s %v", seed, c.Verdict, c.Detail, c.Evidence)
		}
	}
}

// TestOpinionDiffers makes the judge wrong: blind to an answer that is, and
// offended by one that is not.
func TestOpinionDiffers(t *testing.T) {
	m := newMutant(t, 5)
	gets(m, func(o *history.Op) { o.Results[0].KVs[0].Version++ })
	blind := func(r *replay) {
		r.durability, r.order, r.reads, r.txns = findings{}, findings{}, findings{}, findings{}
		for i := range r.h.all {
			r.h.all[i].flags &^= misanswered
		}
	}
	c := askAbout(t, m.Run, blind)
	if c.Verdict != Error || len(c.Evidence) == 0 || !strings.Contains(c.Evidence[0].Message, "not linearizable, and this judge that they are") {
		t.Errorf("blind: %+v", c)
	}
	if c := askAbout(t, m.Run, func(*replay) {}); c.Verdict != Pass {
		t.Errorf("both see it: %+v", c)
	}
	clean := newMutant(t, 5)
	c = askAbout(t, clean.Run, func(r *replay) {
		gets(clean, func(o *history.Op) { r.h.all[r.h.find(o.ID)].flags |= misanswered })
	})
	if c.Verdict != Error || len(c.Evidence) == 0 || !strings.Contains(c.Evidence[0].Message, "was answered wrongly") {
		t.Errorf("offended: %+v", c)
	}
}

// gets calls f with every acknowledged linearizable get of a key that was there.
func gets(m *mutant, f func(*history.Op)) {
	for i := range m.Ops {
		o := &m.Ops[i]
		if o.Outcome == history.OK && o.Kind == history.KindKV && o.Then[0].Verb == history.Range && !o.Then[0].Serializable &&
			o.Then[0].Revision == 0 && len(o.Results[0].KVs) == 1 {
			f(o)
		}
	}
}
