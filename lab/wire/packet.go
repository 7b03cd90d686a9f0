package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/etcdlab/etcdlab/lab/etcd"
)

const (
	etherHeader = 14
	ipHeader    = 20
	tcpHeader   = 20

	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17

	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagACK = 1 << 4
)

// packet is what there is to know of a frame. What could not be read is zero.
type packet struct {
	frame    []byte // from its Ethernet header on
	ip       bool   // anything but ARP and the like
	src, dst netip.Addr
	proto    byte
	ports    bool // the two that follow were read
	from, to uint16
	header   int // of IP, in bytes

	// Of TCP; read is false where the frame ends early.
	read     bool
	seq, ack uint32
	flags    byte
	payload  int
}

// parse reads a frame. It may be anything.
func parse(frame []byte) packet {
	p := packet{frame: frame}
	if len(frame) < etherHeader {
		return p
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0806: // ARP: a partition is about IP, and a lost question costs a second after it
		return p
	case 0x0800:
		p.ip = true
		p.parseIP(frame[etherHeader:])
	default: // IPv6 and VLANs, which a lab does not use, must not leak either
		p.ip = true
	}
	return p
}

func (p *packet) parseIP(b []byte) {
	if len(b) < ipHeader || b[0]>>4 != 4 {
		return
	}
	n := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if n < ipHeader || total < n || n > len(b) {
		return
	}
	p.src, p.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	p.proto, p.header = b[9], n
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return // not a packet's first fragment: it has no ports
	}
	b = b[n:min(len(b), max(n, total))]
	if p.proto != protoTCP && p.proto != protoUDP || len(b) < 4 {
		return
	}
	p.ports = true
	p.from, p.to = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if p.proto != protoTCP || len(b) < tcpHeader {
		return
	}
	offset := int(b[12]>>4) * 4
	if offset < tcpHeader || offset > len(b) {
		return
	}
	p.read = true
	p.seq, p.ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	p.flags, p.payload = b[13], len(b)-offset
}

// has says whether either port is that.
func (p *packet) has(port uint16) bool { return p.ports && (p.from == port || p.to == port) }

// private packets are those by which failpoints are armed.
func (p *packet) private() bool { return p.has(etcd.FailpointPort) }
