package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// memory is what a wire sent.
type memory struct {
	mu   sync.Mutex
	sent [2][][]byte
}

func (m *memory) to(d Direction) func([]byte) {
	return func(f []byte) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.sent[d] = append(m.sent[d], bytes.Clone(f))
	}
}

func (m *memory) count() (in, out int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sent[In]), len(m.sent[Out])
}

const (
	self  = "198.18.0.11"
	other = "198.18.0.12"
	third = "198.18.0.13"
)

func TestWhichRuleDecides(t *testing.T) {
	peers := []netip.Addr{netip.MustParseAddr(other)}
	for name, c := range map[string]struct {
		rules    []lab.NetRule
		to       Direction
		from, at string
		want     int // the rule, from 1; 0 is none
	}{
		"all":                       {[]lab.NetRule{{}}, In, other + ":9", self + ":10", 1},
		"in":                        {[]lab.NetRule{{Direction: lab.NetIn}}, In, other + ":9", self + ":10", 1},
		"in, but it goes out":       {[]lab.NetRule{{Direction: lab.NetIn}}, Out, self + ":9", other + ":10", 0},
		"out":                       {[]lab.NetRule{{Direction: lab.NetOut}}, Out, self + ":9", other + ":10", 1},
		"peer, served":              {[]lab.NetRule{{Side: lab.NetPeer}}, In, other + ":40000", self + ":2380", 1},
		"peer, dialled":             {[]lab.NetRule{{Side: lab.NetPeer}}, In, other + ":2380", self + ":40000", 1},
		"peer, but it is a client":  {[]lab.NetRule{{Side: lab.NetPeer}}, In, other + ":40000", self + ":2379", 0},
		"client":                    {[]lab.NetRule{{Side: lab.NetClient}}, Out, self + ":2379", other + ":40000", 1},
		"client, but it is a peer":  {[]lab.NetRule{{Side: lab.NetClient}}, Out, self + ":2380", other + ":40000", 0},
		"of one, from it":           {[]lab.NetRule{{Peers: peers}}, In, other + ":2380", self + ":40000", 1},
		"of one, to it":             {[]lab.NetRule{{Peers: peers}}, Out, self + ":40000", other + ":2380", 1},
		"of one, from another":      {[]lab.NetRule{{Peers: peers}}, In, third + ":2380", self + ":40000", 0},
		"the first":                 {[]lab.NetRule{{Side: lab.NetClient}, {Peers: peers}, {}}, In, other + ":2380", self + ":40000", 2},
		"failpoints are not":        {[]lab.NetRule{{}}, In, other + ":40000", self + ":22381", 0},
		"nor the answer from there": {[]lab.NetRule{{}}, Out, self + ":22381", other + ":40000", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			w := New(0, m.to(In), m.to(Out))
			defer w.Close()
			for i := range c.rules {
				c.rules[i].Action = lab.NetDrop
			}
			w.Set("", c.rules, 1)
			w.Pass(c.to, segment(c.from, c.at, flagACK, 1, 1, "x"))
			got := slices.IndexFunc(w.States(), func(s lab.NetRuleState) bool { return s.Packets == 1 && s.Hit == 1 }) + 1
			in, out := m.count()
			if passed := in + out; got != c.want || passed != map[bool]int{true: 1}[c.want == 0] {
				t.Errorf("rule %d decided, want %d; %d passed", got, c.want, passed)
			}
		})
	}
}

func TestAnswersGoBack(t *testing.T) {
	for _, c := range []struct {
		action  string
		to      Direction
		in, out int
	}{
		{lab.NetReject, In, 0, 1}, {lab.NetReject, Out, 1, 0}, {lab.NetUnreachable, Out, 1, 0},
		{lab.NetReset, In, 1, 1}, {lab.NetDrop, In, 0, 0},
	} {
		m := &memory{}
		w := New(virtioHeaderForTest, m.to(In), m.to(Out))
		w.Set("", []lab.NetRule{{Action: c.action}}, 1)
		w.Pass(c.to, append(bytes.Repeat([]byte{9}, virtioHeaderForTest), segment(other+":40000", self+":2380", flagACK, 1, 1, "x")...))
		w.Close()
		if in, out := m.count(); in != c.in || out != c.out {
			t.Errorf("%s %v: %d in, %d out", c.action, c.to, in, out)
		}
		for _, f := range slices.Concat(m.sent[In], m.sent[Out]) {
			if !bytes.Equal(f[:virtioHeaderForTest], make([]byte, virtioHeaderForTest)) {
				t.Errorf("%s: header % x", c.action, f[:virtioHeaderForTest])
			}
		}
	}
}

const virtioHeaderForTest = 10

func TestSameSeedSameFate(t *testing.T) {
	fate := func(seed uint64) string {
		m := &memory{}
		w := New(0, m.to(In), m.to(Out))
		defer w.Close()
		w.Set("", []lab.NetRule{{Action: lab.NetShape, Loss: 0.3, Duplicate: 0.3}}, seed)
		for i := range 100 {
			w.Pass(In, segment(other+":40000", self+":2380", flagACK, uint32(i), 1, ""))
		}
		var seqs []uint32
		for _, f := range m.sent[In] {
			p := parse(f)
			seqs = append(seqs, p.seq)
		}
		return fmt.Sprint(seqs)
	}
	first, again := fate(1), fate(1)
	if first != again || first == fate(2) {
		t.Error("what is random does not come from the seed")
	}
}

// What is late when the link is healed comes at once, in order, and before Close
// returns.
func TestHealedQueueComesInOrder(t *testing.T) {
	m := &memory{}
	w := New(0, m.to(In), m.to(Out))
	w.Set("", []lab.NetRule{{Action: lab.NetShape, Delay: time.Minute}}, 1)
	for i := range 20 {
		w.Pass(Out, segment(self+":40000", other+":2380", flagACK, uint32(i), 1, ""))
	}
	if _, out := m.count(); out != 0 {
		t.Fatalf("%d of a minute's delay came at once", out)
	}
	w.Close()
	for i, f := range m.sent[Out] {
		if p := parse(f); p.seq != uint32(i) {
			t.Errorf("frame %d is number %d", i, p.seq)
		}
	}
	if _, out := m.count(); out != 20 {
		t.Errorf("%d came", out)
	}
}

func TestQueueIsBounded(t *testing.T) {
	m := &memory{}
	w := New(0, m.to(In), m.to(Out))
	w.Set("", []lab.NetRule{{Action: lab.NetShape, Delay: time.Minute}}, 1)
	big := segment(self+":40000", other+":2380", flagACK, 1, 1, string(make([]byte, 60000)))
	for range maxLate/len(big) + 100 {
		w.Pass(Out, big)
	}
	if w.late.bytes > maxLate || len(w.late.frames) < maxLate/len(big) {
		t.Errorf("%d frames of %d bytes wait", len(w.late.frames), w.late.bytes)
	}
	w.Close()
	if w.late.bytes != 0 || len(w.late.frames) != 0 {
		t.Errorf("then %d frames of %d bytes", len(w.late.frames), w.late.bytes)
	}
}

// Several faults at once each do theirs, and one that ends takes nothing of the
// others'.
func TestRulesOfSeveralOwners(t *testing.T) {
	m := &memory{}
	w := New(0, m.to(In), m.to(Out))
	defer w.Close()
	pass := func() { w.Pass(In, segment(other+":40000", self+":2380", flagACK, 1, 1, "")) }
	hits := func() (all []uint64) {
		for _, s := range w.States() {
			all = append(all, s.Hit)
		}
		return all
	}
	w.Set("twice", []lab.NetRule{{Action: lab.NetShape, Duplicate: 1}}, 1)
	w.Set("twice more", []lab.NetRule{{Action: lab.NetShape, Duplicate: 1}}, 1)
	pass()
	if in, _ := m.count(); in != 4 || !slices.Equal(hits(), []uint64{1, 2}) {
		t.Errorf("%d came of one, hits %v", in, hits())
	}
	w.Set("cut", []lab.NetRule{{Action: lab.NetDrop}}, 1)
	pass()
	if in, _ := m.count(); in != 4 || !slices.Equal(hits(), []uint64{1, 2, 1}) {
		t.Errorf("%d came of one that a rule drops, hits %v", in-4, hits())
	}
	w.Set("cut", nil, 0)
	w.Set("twice", nil, 0)
	pass()
	if in, _ := m.count(); in != 6 || !slices.Equal(hits(), []uint64{3}) || w.States()[0].Owner != "twice more" {
		t.Errorf("%d came, %+v", in-4, w.States())
	}
	w.Set("", nil, 0)
	pass()
	if in, _ := m.count(); in != 7 || len(w.States()) != 0 {
		t.Errorf("healed: %d came, %+v", in-6, w.States())
	}
}
