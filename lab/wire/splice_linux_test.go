package wire

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
)

var (
	memberIP = netip.MustParseAddr("198.19.210.11")
	peerIP   = netip.MustParseAddr("198.19.210.12")
)

// bench is a member and a peer on a bridge, each in a namespace, as a lab's are.
type bench struct {
	*testing.T
	sw, member, peer string
	place            Place
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, to make network namespaces")
	}
	name := func(what string) string { return fmt.Sprintf("wire%d-%s", os.Getpid(), what) }
	b := &bench{T: t, sw: name("sw"), member: name("member"), peer: name("peer")}
	b.place = Place{b.sw, "p1"}
	for _, ns := range []string{b.sw, b.member, b.peer} {
		b.must(netns.Create(ns))
		t.Cleanup(func() { b.must(netns.Delete(ns)) })
	}
	h, err := netns.Handle(b.sw)
	b.must(err)
	defer h.Close()
	b.must(h.LinkAdd(&netlink.Bridge{LinkAttrs: netns.Attrs("lab0")}))
	bridge, err := h.LinkByName("lab0")
	b.must(err)
	b.must(h.LinkSetUp(bridge))
	for _, end := range []struct {
		ns, port string
		ip       netip.Addr
		others   []netip.Addr
	}{{b.member, "p1", memberIP, []netip.Addr{peerIP}}, {b.peer, "p2", peerIP, []netip.Addr{memberIP}}} {
		inside, err := netns.Handle(end.ns)
		b.must(err)
		defer inside.Close()
		cable := netns.Cable{Inside: inside, InsideNS: end.ns, Name: "eth0", IP: end.ip, Bits: 24, Switch: h, Port: end.port, Bridge: bridge}
		b.must(cable.Ensure())
		link, err := inside.LinkByName("eth0")
		b.must(err)
		for _, other := range end.others {
			b.must(netns.SetNeighbour(inside, link, other))
		}
	}
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// insert puts a wire in, taken out at the end.
func (b *bench) insert(rules ...lab.NetRule) *Splice {
	b.Helper()
	s, err := Insert(b.place)
	b.must(err)
	b.Cleanup(func() { b.must(s.Remove()); b.clean() })
	b.must(lab.CheckNetRules("", rules))
	s.Set("", rules, 7)
	return s
}

// clean fails if anything of a wire is left, or the port is not in its bridge.
func (b *bench) clean() {
	b.Helper()
	h, err := netns.Handle(b.sw)
	b.must(err)
	defer h.Close()
	links, err := h.LinkList()
	b.must(err)
	if len(links) != 4 { // lo, lab0, p1, p2
		b.Errorf("%d links are left in the switch's namespace", len(links))
	}
	port, err := h.LinkByName("p1")
	b.must(err)
	bridge, err := h.LinkByName("lab0")
	b.must(err)
	if port.Attrs().MasterIndex != bridge.Attrs().Index {
		b.Error("the port is not in its bridge")
	}
}

func (b *bench) dial(from string, to netip.Addr, port int, wait time.Duration) (c net.Conn, err error) {
	err = netns.Do(from, func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		c, err = new(net.Dialer).DialContext(ctx, "tcp4", fmt.Sprintf("%s:%d", to, port))
		return err
	})
	return c, err
}

// serve answers each connection; the test's end ends all of them.
func (b *bench) serve(in string, ip netip.Addr, port int, answer func(net.Conn)) {
	b.Helper()
	b.must(netns.Do(in, func() error {
		l, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", ip, port))
		if err != nil {
			return err
		}
		b.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				b.Cleanup(func() { c.Close() })
				go answer(c)
			}
		}()
		return nil
	}))
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// ping sends a byte and waits for it to come back.
func ping(c net.Conn) (time.Duration, error) {
	start := time.Now()
	if err := c.SetDeadline(start.Add(20 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return time.Since(start), err
}

// Connections live through insertion and removal, large segments and unfinished
// checksums included.
func TestBulkThroughInsertionAndRemoval(t *testing.T) {
	b := newBench(t)
	const size = 96 << 20
	sums := make(chan [32]byte, 1)
	b.serve(b.member, memberIP, 2380, func(c net.Conn) {
		h := sha256.New()
		_, _ = io.Copy(h, c)
		sums <- [32]byte(h.Sum(nil))
		c.Close()
	})
	c, err := b.dial(b.peer, memberIP, 2380, 5*time.Second)
	b.must(err)
	defer c.Close()
	b.must(c.SetDeadline(time.Now().Add(2 * time.Minute)))
	var data [32]byte
	r := rand.NewChaCha8(data)
	h, block := sha256.New(), make([]byte, 1<<20)
	var s *Splice
	passed := uint64(0)
	for i := range size / len(block) {
		_, _ = r.Read(block)
		h.Write(block)
		if i%16 == 4 {
			s, err = Insert(b.place)
			b.must(err)
			s.Set("", []lab.NetRule{{Action: lab.NetShape, Delay: time.Microsecond}}, 1)
		}
		_, err := c.Write(block)
		b.must(err)
		if i%16 == 12 {
			passed += s.States()[0].Packets
			b.must(s.Remove())
			b.clean()
		}
	}
	b.must(c.(*net.TCPConn).CloseWrite())
	select {
	case got := <-sums:
		if got != [32]byte(h.Sum(nil)) {
			t.Error("what came out is not what went in")
		}
	case <-time.After(2 * time.Minute):
		t.Error("the transfer does not end")
	}
	if passed < 500 {
		t.Errorf("only %d frames went by the wires", passed)
	}
}

func TestWhatIsDroppedAndRefused(t *testing.T) {
	b := newBench(t)
	b.serve(b.member, memberIP, 2379, echo)
	b.serve(b.member, memberIP, 2380, echo)
	b.serve(b.peer, peerIP, 2380, echo)
	b.serve(b.member, memberIP, 22381, echo)
	const patience = 300 * time.Millisecond
	// What comes of a dial from the peer to each port of the member, and from the
	// member to the peer.
	ok, timeout := error(nil), os.ErrDeadlineExceeded
	for _, c := range []struct {
		rule                lab.NetRule
		client, peer, start error
	}{
		{lab.NetRule{Action: lab.NetDrop}, timeout, timeout, timeout},
		{lab.NetRule{Action: lab.NetDrop, Direction: lab.NetIn}, timeout, timeout, timeout},
		{lab.NetRule{Action: lab.NetDrop, Direction: lab.NetOut}, timeout, timeout, timeout},
		{lab.NetRule{Action: lab.NetDrop, Side: lab.NetPeer}, ok, timeout, timeout},
		{lab.NetRule{Action: lab.NetDrop, Side: lab.NetClient}, timeout, ok, ok},
		{lab.NetRule{Action: lab.NetDrop, Peers: []netip.Addr{peerIP}}, timeout, timeout, timeout},
		{lab.NetRule{Action: lab.NetDrop, Peers: []netip.Addr{memberIP}}, ok, ok, ok},
		{lab.NetRule{Action: lab.NetReject}, unix.ECONNREFUSED, unix.ECONNREFUSED, unix.ECONNREFUSED},
		{lab.NetRule{Action: lab.NetReject, Side: lab.NetPeer, Direction: lab.NetIn}, ok, unix.ECONNREFUSED, timeout}, // the answer's sender is told
		{lab.NetRule{Action: lab.NetUnreachable}, unix.EHOSTUNREACH, unix.EHOSTUNREACH, unix.EHOSTUNREACH},
		{lab.NetRule{Action: lab.NetShape, Loss: 1}, timeout, timeout, timeout},
		{lab.NetRule{Action: lab.NetReset}, ok, ok, ok},
	} {
		t.Run(fmt.Sprintf("%s %s %s %v", c.rule.Action, c.rule.Side, c.rule.Direction, c.rule.Peers), func(t *testing.T) {
			sub := &bench{t, b.sw, b.member, b.peer, b.place}
			s := sub.insert(c.rule)
			try := func(what, from string, to netip.Addr, port int, want error) {
				conn, err := sub.dial(from, to, port, patience)
				if err == nil {
					defer conn.Close()
					_, err = ping(conn)
				}
				switch {
				case want == timeout && (err == nil || !isTimeout(err)), want != timeout && !errors.Is(err, want):
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			try("failpoints", b.peer, memberIP, 22381, ok)
			try("client", b.peer, memberIP, 2379, c.client)
			try("peer", b.peer, memberIP, 2380, c.peer)
			try("what the member starts", b.member, peerIP, 2380, c.start)
			states := s.States()
			if hit := states[0].Hit > 0; hit != (c.client != ok || c.peer != ok) {
				t.Errorf("states %+v", states)
			}
			s.Set("", nil, 0)
			try("client, healed", b.peer, memberIP, 2379, ok)
			try("what the member starts, healed", b.member, peerIP, 2380, ok)
		})
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestResetOfWhatIsOpen(t *testing.T) {
	b := newBench(t)
	b.serve(b.member, memberIP, 2380, echo)
	open, err := b.dial(b.peer, memberIP, 2380, 5*time.Second)
	b.must(err)
	defer open.Close()
	_, err = ping(open)
	b.must(err)
	s := b.insert(lab.NetRule{Action: lab.NetReset})
	if _, err := ping(open); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("what was open: %v, want a reset", err)
	}
	later, err := b.dial(b.peer, memberIP, 2380, 5*time.Second)
	b.must(err)
	defer later.Close()
	if _, err := ping(later); err != nil {
		t.Errorf("what began later: %v", err)
	}
	if st := s.States()[0]; st.Hit == 0 || st.Packets <= st.Hit {
		t.Errorf("%+v", st)
	}
}

func TestDelay(t *testing.T) {
	b := newBench(t)
	b.serve(b.member, memberIP, 2380, echo)
	c, err := b.dial(b.peer, memberIP, 2380, 5*time.Second)
	b.must(err)
	defer c.Close()
	median := func() time.Duration {
		best := time.Hour
		for range 9 {
			d, err := ping(c)
			b.must(err)
			best = min(best, d)
		}
		return best
	}
	bare := median()
	s := b.insert(lab.NetRule{Action: lab.NetShape, Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond})
	slow := median()
	s.Set("", nil, 0)
	after := median()
	t.Logf("shortest of 9 round trips: %v, delayed %v, with an idle wire %v", bare, slow, after)
	if slow < 30*time.Millisecond || slow < 2*after || slow < 2*bare {
		t.Errorf("a delay of 2 * (20ms +- 5ms) gave round trips of %v", slow)
	}
}

// datagrams sends numbered ones to the member, a few at a time, and gives the
// numbers in the order that they came in.
func (b *bench) datagrams(n int) (got []uint32) {
	b.Helper()
	var in, out net.PacketConn
	open := func(to *net.PacketConn, address string) func() error {
		return func() (err error) { *to, err = net.ListenPacket("udp4", address); return err }
	}
	b.must(netns.Do(b.member, open(&in, memberIP.String()+":9000")))
	defer in.Close()
	b.must(netns.Do(b.peer, open(&out, peerIP.String()+":0")))
	defer out.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64)
		for {
			_ = in.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			if _, _, err := in.ReadFrom(buffer); err != nil {
				return
			}
			got = append(got, binary.BigEndian.Uint32(buffer))
		}
	}()
	to := &net.UDPAddr{IP: memberIP.AsSlice(), Port: 9000}
	for i := range n {
		_, err := out.WriteTo(binary.BigEndian.AppendUint32(nil, uint32(i)), to)
		b.must(err)
		if i%32 == 31 {
			time.Sleep(time.Millisecond)
		}
	}
	<-done
	return got
}

func TestLossDuplicatesAndOrder(t *testing.T) {
	const n = 2000
	b, from := newBench(t), []netip.Addr{peerIP}
	count := func(got []uint32) (unique, twice, behind int) {
		seen, highest := map[uint32]int{}, uint32(0)
		for _, i := range got {
			if seen[i]++; seen[i] == 2 {
				twice++
			}
			if i < highest {
				behind++
			}
			highest = max(highest, i)
		}
		return len(seen), twice, behind
	}
	s := b.insert(lab.NetRule{Peers: from, Action: lab.NetShape, Direction: lab.NetIn, Loss: 0.2})
	unique, twice, behind := count(b.datagrams(n))
	st := s.States()[0]
	if lost := n - unique; lost < n/8 || lost > n*2/7 || uint64(lost) != st.Hit || st.Packets != n || twice+behind != 0 {
		t.Errorf("loss of 20%% of %d: %d arrived, %d twice, %d out of order, %+v", n, unique, twice, behind, st)
	}
	s.Set("", []lab.NetRule{{Peers: from, Action: lab.NetShape, Direction: lab.NetIn, Duplicate: 0.1}}, 3)
	unique, twice, behind = count(b.datagrams(n))
	if st = s.States()[0]; unique != n || uint64(twice) != st.Hit || twice < n/20 || behind != 0 {
		t.Errorf("10%% doubled: %d arrived, %d twice, %d out of order, %+v", unique, twice, behind, st)
	}
	s.Set("", []lab.NetRule{{Peers: from, Action: lab.NetShape, Direction: lab.NetIn, Reorder: 0.1}}, 3)
	unique, twice, behind = count(b.datagrams(n))
	if st = s.States()[0]; unique != n || twice != 0 || behind < n/20 || st.Hit < n/20 || st.Hit > n/5 {
		t.Errorf("10%% reordered: %d arrived, %d twice, %d out of order, %+v", unique, twice, behind, st)
	}
	// Jitter alone reorders nothing.
	s.Set("", []lab.NetRule{{Peers: from, Action: lab.NetShape, Direction: lab.NetIn, Delay: 3 * time.Millisecond, Jitter: 3 * time.Millisecond}}, 3)
	unique, twice, behind = count(b.datagrams(n))
	if st = s.States()[0]; unique != n || twice+behind != 0 || st.Hit != n {
		t.Errorf("jitter: %d arrived, %d twice, %d out of order, %+v", unique, twice, behind, st)
	}
}

func TestRate(t *testing.T) {
	const rate, size = 256 << 10, 256 << 10
	b := newBench(t)
	got := make(chan time.Duration, 1)
	b.serve(b.member, memberIP, 2380, func(c net.Conn) {
		start := time.Now()
		n, _ := io.Copy(io.Discard, c)
		if n == size {
			got <- time.Since(start)
		}
		c.Close()
	})
	c, err := b.dial(b.peer, memberIP, 2380, 5*time.Second)
	b.must(err)
	defer c.Close()
	s := b.insert(lab.NetRule{Action: lab.NetShape, Rate: rate})
	_, err = c.Write(make([]byte, size))
	b.must(err)
	b.must(c.(*net.TCPConn).CloseWrite())
	select {
	case took := <-got:
		t.Logf("%d bytes at %d bytes a second took %v: %+v", size, rate, took, s.States())
		if took < 700*time.Millisecond {
			t.Errorf("%d bytes at %d bytes a second took %v", size, rate, took)
		}
		if st := s.States()[0]; st.Hit == 0 {
			t.Errorf("nothing had to wait: %+v", st)
		}
	case <-time.After(20 * time.Second):
		t.Error("the transfer does not end")
	}
}

// What a killed agent leaves is silence, until another puts the port back.
func TestWhatAKilledAgentLeaves(t *testing.T) {
	b := newBench(t)
	b.serve(b.member, memberIP, 2380, echo)
	c, err := b.dial(b.peer, memberIP, 2380, 5*time.Second)
	b.must(err)
	defer c.Close()
	s, err := Insert(b.place)
	b.must(err)
	s.closeTaps() // as the end of a process does
	s.pumps.Wait()
	s.Close()
	if other, err := b.dial(b.peer, memberIP, 2380, 200*time.Millisecond); !isTimeout(err) {
		if err == nil {
			other.Close()
		}
		t.Errorf("behind a dead wire: %v", err)
	}
	for range 2 {
		b.must(Clear(b.place))
		b.clean()
	}
	if _, err := ping(c); err != nil {
		t.Errorf("after it was cleared: %v", err)
	}
}

// A member can lose its power, and get it back, behind a wire.
func TestLinkDownAndUpBehindAWire(t *testing.T) {
	b := newBench(t)
	b.serve(b.member, memberIP, 2380, echo)
	s := b.insert(lab.NetRule{Action: lab.NetShape, Delay: time.Millisecond})
	h, err := netns.Handle(b.sw)
	b.must(err)
	defer h.Close()
	port, err := h.LinkByName("p1")
	b.must(err)
	b.must(h.LinkSetDown(port))
	if c, err := b.dial(b.peer, memberIP, 2380, 200*time.Millisecond); !isTimeout(err) {
		if err == nil {
			c.Close()
		}
		t.Errorf("with its link down: %v", err)
	}
	b.must(h.LinkSetUp(port))
	before := s.States()[0].Packets
	c, err := b.dial(b.peer, memberIP, 2380, 10*time.Second)
	b.must(err)
	defer c.Close()
	if _, err := ping(c); err != nil {
		t.Errorf("with its link up again: %v", err)
	}
	if after := s.States()[0].Packets; after == before {
		t.Error("and not by the wire")
	}
}
