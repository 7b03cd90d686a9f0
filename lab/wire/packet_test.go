package wire

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// segment is a frame of TCP from one address and port to another.
func segment(from, to string, flags byte, seq, ack uint32, payload string) []byte {
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	p := &packet{}
	b := append(p.new(protoTCP, tcpHeader), payload...)
	copy(b, []byte{2, 0xe1, 0, 0, 0, 1, 2, 0xe1, 0, 0, 0, 2})
	h := b[etherHeader:]
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	s, d := src.Addr().As4(), dst.Addr().As4()
	copy(h[12:], s[:])
	copy(h[16:], d[:])
	t := h[ipHeader:]
	binary.BigEndian.PutUint16(t, src.Port())
	binary.BigEndian.PutUint16(t[2:], dst.Port())
	binary.BigEndian.PutUint32(t[4:], seq)
	binary.BigEndian.PutUint32(t[8:], ack)
	t[12], t[13] = tcpHeader/4<<4, flags
	return sealTCP(b)
}

func TestParse(t *testing.T) {
	f := segment("198.18.0.11:2380", "198.18.0.12:40000", flagACK, 7, 9, "hello")
	p := parse(f)
	if !p.ip || !p.read || p.src.String() != "198.18.0.11" || p.dst.String() != "198.18.0.12" || p.from != 2380 || p.to != 40000 ||
		p.seq != 7 || p.ack != 9 || p.payload != 5 || p.flags != flagACK {
		t.Errorf("%+v", p)
	}
	// Padding to the shortest frame of Ethernet is no payload.
	if p := parse(append(f, make([]byte, 10)...)); p.payload != 5 {
		t.Errorf("padded: %+v", p)
	}
	fragment := append([]byte(nil), f...)
	fragment[etherHeader+7] = 1
	if p := parse(fragment); !p.ip || p.ports || !p.src.IsValid() {
		t.Errorf("fragment: %+v", p)
	}
	six := append([]byte(nil), f...)
	six[12], six[13] = 0x86, 0xdd
	if p := parse(six); !p.ip || p.src.IsValid() {
		t.Errorf("IPv6: %+v", p)
	}
	six[12], six[13] = 0x08, 0x06
	if p := parse(six); p.ip {
		t.Errorf("ARP: %+v", p)
	}
}

// valid says what is wrong with the checksums of a frame.
func valid(t *testing.T, f []byte) packet {
	t.Helper()
	p := parse(f)
	h := f[etherHeader:]
	if fold(sum(h[:ipHeader])) != 0 {
		t.Error("the header's checksum is wrong")
	}
	if p.proto == protoTCP && fold(sum(h[12:20])+protoTCP+uint32(len(h)-ipHeader)+sum(h[ipHeader:])) != 0 {
		t.Error("TCP's checksum is wrong")
	}
	if p.proto == protoICMP && fold(sum(h[ipHeader:])) != 0 {
		t.Error("ICMP's checksum is wrong")
	}
	return p
}

func TestAnswers(t *testing.T) {
	p := parse(segment("198.18.0.11:40000", "198.18.0.12:2380", flagACK, 100, 200, "abc"))
	valid(t, p.frame)
	r := valid(t, p.reset())
	if r.src != p.dst || r.dst != p.src || r.from != p.to || r.to != p.from || r.seq != 200 || r.flags != flagRST || r.frame[5] != 2 || r.frame[11] != 1 {
		t.Errorf("to its sender: %+v", r)
	}
	r = valid(t, p.resetOn())
	if r.src != p.src || r.dst != p.dst || r.from != p.from || r.to != p.to || r.seq != 100 || r.flags != flagRST || r.frame[5] != 1 {
		t.Errorf("to its receiver: %+v", r)
	}
	syn := parse(segment("198.18.0.11:40000", "198.18.0.12:2380", flagSYN, 100, 0, ""))
	if r := valid(t, syn.reset()); r.ack != 101 || r.flags != flagRST|flagACK {
		t.Errorf("to a SYN: %+v", r)
	}
	if syn.resetOn() != nil {
		t.Error("who has not heard of a connection is told of its end")
	}
	rst := parse(segment("198.18.0.11:40000", "198.18.0.12:2380", flagRST, 100, 0, ""))
	if rst.reset() != nil || rst.unreachable() != nil {
		t.Error("a reset is answered")
	}
	u := valid(t, p.unreachable())
	icmp := u.frame[etherHeader+ipHeader:]
	if u.dst != p.src || icmp[0] != 3 || icmp[1] != 1 || len(icmp) != 8+ipHeader+8 || string(icmp[8:]) != string(p.frame[etherHeader:][:28]) {
		t.Errorf("unreachable: % x", icmp)
	}
	if u.unreachable() != nil {
		t.Error("ICMP is answered by ICMP")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(segment("198.18.0.11:2380", "198.18.0.12:40000", flagACK, 7, 9, "hello"))
	f.Add(segment("198.18.0.11:2379", "198.18.0.12:40000", flagSYN, 7, 0, ""))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		p := parse(frame)
		for what, b := range map[string][]byte{"reset": p.reset(), "reset on": p.resetOn(), "unreachable": p.unreachable()} {
			if b == nil {
				continue
			}
			back := valid(t, b)
			if !back.ip || back.header != ipHeader || what != "unreachable" && !back.read {
				t.Errorf("%s: %+v", what, back)
			}
		}
		if p.read && (p.payload < 0 || p.payload > len(frame)) {
			t.Errorf("%+v", p)
		}
	})
}
