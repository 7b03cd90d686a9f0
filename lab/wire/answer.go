package wire

import "encoding/binary"

// reset is a reset to the sender of a segment, as if it came from where that was
// going; nil where that is none or a reset itself.
func (p *packet) reset() []byte {
	if !p.read || p.flags&flagRST != 0 {
		return nil
	}
	b := p.back(protoTCP, tcpHeader)
	t := b[etherHeader+ipHeader:]
	binary.BigEndian.PutUint16(t, p.to)
	binary.BigEndian.PutUint16(t[2:], p.from)
	t[12] = tcpHeader / 4 << 4
	if p.flags&flagACK != 0 {
		// What it has acknowledged is what it waits for.
		binary.BigEndian.PutUint32(t[4:], p.ack)
		t[13] = flagRST
	} else {
		binary.BigEndian.PutUint32(t[8:], p.end())
		t[13] = flagRST | flagACK
	}
	return sealTCP(b)
}

// resetOn is a reset to the receiver of a segment, in its place.
func (p *packet) resetOn() []byte {
	if !p.read || p.flags&(flagRST|flagSYN) != 0 {
		return nil
	}
	b := p.new(protoTCP, tcpHeader)
	copy(b[:12], p.frame[:12])
	copy(b[etherHeader+12:etherHeader+20], p.frame[etherHeader+12:etherHeader+20])
	t := b[etherHeader+ipHeader:]
	binary.BigEndian.PutUint16(t, p.from)
	binary.BigEndian.PutUint16(t[2:], p.to)
	binary.BigEndian.PutUint32(t[4:], p.seq)
	t[12] = tcpHeader / 4 << 4
	t[13] = flagRST
	return sealTCP(b)
}

// end is the sequence number after a segment.
func (p *packet) end() uint32 {
	n := p.seq + uint32(p.payload)
	if p.flags&flagSYN != 0 {
		n++
	}
	if p.flags&flagFIN != 0 {
		n++
	}
	return n
}

// unreachable tells the sender of a packet that there is no such host; nil where
// nothing may be answered.
func (p *packet) unreachable() []byte {
	if p.header == 0 || p.proto == protoICMP || p.proto == protoTCP && p.flags&flagRST != 0 {
		return nil
	}
	quoted := p.frame[etherHeader:]
	quoted = quoted[:min(len(quoted), p.header+8)]
	b := p.back(protoICMP, 8+len(quoted))
	icmp := b[etherHeader+ipHeader:]
	icmp[0], icmp[1] = 3, 1 // destination unreachable: host
	copy(icmp[8:], quoted)
	binary.BigEndian.PutUint16(icmp[2:], fold(sum(icmp)))
	sealIP(b)
	return b
}

// back is a frame to where the packet came from.
func (p *packet) back(proto byte, body int) []byte {
	b := p.new(proto, body)
	copy(b[0:], p.frame[6:12])
	copy(b[6:], p.frame[0:6])
	copy(b[etherHeader+12:], p.frame[etherHeader+16:etherHeader+20])
	copy(b[etherHeader+16:], p.frame[etherHeader+12:etherHeader+16])
	return b
}

// new is a frame without addresses.
func (p *packet) new(proto byte, body int) []byte {
	b := make([]byte, etherHeader+ipHeader+body)
	b[12] = 0x08
	h := b[etherHeader:]
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	h[6] = 0x40 // not to be fragmented
	return b
}

func sealTCP(b []byte) []byte {
	h, t := b[etherHeader:etherHeader+ipHeader], b[etherHeader+ipHeader:]
	pseudo := sum(h[12:20]) + protoTCP + uint32(len(t))
	binary.BigEndian.PutUint16(t[16:], fold(pseudo+sum(t)))
	sealIP(b)
	return b
}

func sealIP(b []byte) {
	h := b[etherHeader : etherHeader+ipHeader]
	binary.BigEndian.PutUint16(h[10:], fold(sum(h)))
}

// sum is that of the Internet checksum, not folded.
func sum(b []byte) (s uint32) {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
