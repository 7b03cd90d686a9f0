package conformance

import (
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// address is a member's on the lab's network.
func (s *subject) address(m lab.Member) netip.Addr {
	s.Helper()
	u, err := url.Parse(s.info(m).PeerURL)
	s.must(err)
	a, err := netip.ParseAddr(u.Hostname())
	s.must(err)
	return a
}

// hit waits for the first rule of a member's link to have done something.
func (s *subject) hit(n lab.NetShaper) (st lab.NetRuleState) {
	s.Helper()
	s.until("a packet to be hit", func() bool {
		states, err := n.NetRules(s.ctx)
		s.must(err)
		if len(states) > 0 {
			st = states[0]
		}
		return st.Hit > 0
	})
	return st
}

func (s *subject) netShaper() {
	m, other := s.lab.Members[0], s.lab.Members[1]
	n := can[lab.NetShaper](s, m)
	set := func(rules ...lab.NetRule) {
		s.Helper()
		err := n.SetNetRules(s.ctx, "", rules, 1)
		if errors.As(err, new(*lab.UnsupportedError)) {
			s.skip(err)
		}
		s.must(err)
	}
	c, beside := s.client(m), s.client(other)
	s.mustPut(c, "net", "before")

	s.Log("isolated")
	set(lab.NetRule{Action: lab.NetDrop})
	s.mustPut(beside, "net", "without it")
	if s.put(c, "net-away", "from nowhere") == nil {
		s.Error("an isolated member acknowledged a put")
	}
	if i := s.info(m); i.State != lab.StateRunning {
		s.Errorf("its agent does not answer: %+v", i)
	}
	s.hit(n)
	set()
	s.wantAll("net", "without it")

	s.Log("without its peers, but with its clients")
	set(lab.NetRule{Action: lab.NetDrop, Side: lab.NetPeer, Peers: []netip.Addr{s.address(other), s.address(s.lab.Members[2])}})
	s.hit(n)
	if s.put(c, "net-minority", "from nowhere") == nil {
		s.Error("a member without its peers acknowledged a put")
	}
	s.mustPut(beside, "net", "without its peers")
	set()
	s.wantAll("net", "without its peers")

	s.Log("without its clients, but with its peers")
	set(lab.NetRule{Action: lab.NetDrop, Side: lab.NetClient})
	if s.put(c, "net-deaf", "from nowhere") == nil {
		s.Error("a member without clients acknowledged a put")
	}
	s.hit(n)
	set()
	s.wantAll("net", "without its peers")

	s.Log("refused")
	set(lab.NetRule{Action: lab.NetReject})
	s.hit(n)
	if s.put(c, "net-refused", "from nowhere") == nil {
		s.Error("a member that refuses everything acknowledged a put")
	}
	set()
	s.wantAll("net", "without its peers")

	s.Log("open connections reset")
	set(lab.NetRule{Action: lab.NetReset, Side: lab.NetPeer})
	s.hit(n)
	s.mustPut(c, "net", "by new connections")
	set()
	s.wantAll("net", "by new connections")

	s.Log("slow")
	bare := s.putTime(c)
	delay := max(50*time.Millisecond, 3*bare)
	set(lab.NetRule{Action: lab.NetShape, Delay: delay})
	slow := s.putTime(c)
	s.hit(n)
	set()
	s.Logf("a put took %v, with a delay of %v in each direction %v", bare, delay, slow)
	if slow < delay {
		s.Errorf("a put took %v with a delay of %v in each direction", slow, delay)
	}

	s.Log("lossy")
	set(lab.NetRule{Action: lab.NetShape, Side: lab.NetPeer, Loss: 0.1, Duplicate: 0.1, Reorder: 0.1})
	stop := s.writes(beside, "net-lossy")
	s.hit(n)
	stop()
	set()
	s.mustPut(c, "net", "healed")
	s.wantAll("net", "healed")
	if states, err := n.NetRules(s.ctx); err != nil || len(states) != 0 {
		s.Errorf("rules of a healed link: %+v %v", states, err)
	}
	if err := n.SetNetRules(s.ctx, "", []lab.NetRule{{Action: "lose"}}, 1); err == nil || errors.As(err, new(*lab.UnsupportedError)) {
		s.Errorf("a rule without sense: %v", err)
	}

	// Power is lost, and comes back, behind a wire; up heals what is left.
	set(lab.NetRule{Action: lab.NetShape, Delay: time.Millisecond})
	l := can[lab.Linker](s, m)
	s.must(l.SetLink(s.ctx, false))
	if s.put(c, "net-off", "from nowhere") == nil {
		s.Error("a member without a link acknowledged a put")
	}
	s.must(l.SetLink(s.ctx, true))
	s.wantAll("net", "healed")
	set(lab.NetRule{Action: lab.NetDrop})
	_, err := s.Provider.Up(s.ctx, s.spec, s.images)
	s.must(err)
	s.wantAll("net", "healed")
}
