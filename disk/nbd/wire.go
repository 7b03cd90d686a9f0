package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The protocol's numbers, by the names of its document.
const (
	magicNBD     = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption  = 0x49484156454f5054 // "IHAVEOPT"
	magicReply   = 0x0003e889045565a9
	magicRequest = 0x25609513
	magicSimple  = 0x67446698

	handshakeFixed    = 1 << 0 // server's and client's
	handshakeNoZeroes = 1 << 1

	optExportName = 1
	optAbort      = 2
	optList       = 3
	optInfo       = 6
	optGo         = 7

	repAck          = 1
	repServer       = 2
	repInfo         = 3
	repError        = 1 << 31
	repErrUnsup     = repError | 1
	repErrInvalid   = repError | 3
	repErrUnknown   = repError | 6
	infoExport      = 0
	infoBlockSize   = 3
	exportZeroBytes = 124 // after the answer to optExportName

	flagHasFlags        = 1 << 0
	flagSendFlush       = 1 << 2
	flagSendFUA         = 1 << 3
	flagSendTrim        = 1 << 5
	flagSendWriteZeroes = 1 << 6
	flagMultiConn       = 1 << 8

	cmdRead        = 0
	cmdWrite       = 1
	cmdDisconnect  = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdWriteZeroes = 6

	cmdFlagFUA    = 1 << 0
	cmdFlagNoHole = 1 << 1
)

// maxOption bounds what an option carries, in bytes: a name is at most 4096.
const maxOption = 8 << 10

var be = binary.BigEndian

// option is one step of the negotiation.
type option struct {
	code uint32
	data []byte
}

func readOption(r io.Reader) (option, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return option{}, err
	}
	if m := be.Uint64(head[:]); m != magicOption {
		return option{}, fmt.Errorf("an option begins with %#x", m)
	}
	o := option{code: be.Uint32(head[8:])}
	n := be.Uint32(head[12:])
	if n > maxOption {
		return o, fmt.Errorf("option %d carries %d bytes, more than %d", o.code, n, maxOption)
	}
	o.data = make([]byte, n)
	_, err := io.ReadFull(r, o.data)
	return o, err
}

// optionReply is an answer to an option.
func optionReply(code, kind uint32, data []byte) []byte {
	b := make([]byte, 20, 20+len(data))
	be.PutUint64(b, magicReply)
	be.PutUint32(b[8:], code)
	be.PutUint32(b[12:], kind)
	be.PutUint32(b[16:], uint32(len(data)))
	return append(b, data...)
}

var errMalformed = errors.New("malformed")

// parseGo parses what optGo and optInfo carry.
func parseGo(b []byte) (name string, infos []uint16, err error) {
	if len(b) < 6 {
		return "", nil, errMalformed
	}
	n := be.Uint32(b)
	if uint64(n)+6 > uint64(len(b)) {
		return "", nil, errMalformed
	}
	name, b = string(b[4:4+n]), b[4+n:]
	count := int(be.Uint16(b))
	if len(b) != 2+2*count {
		return "", nil, errMalformed
	}
	for b = b[2:]; len(b) > 0; b = b[2:] {
		infos = append(infos, be.Uint16(b))
	}
	return name, infos, nil
}

// request is one request of the transmission phase, without its payload.
type request struct {
	flags  uint16
	kind   uint16
	handle uint64
	offset uint64
	length uint32
}

const requestBytes = 28

func parseRequest(b *[requestBytes]byte) (request, error) {
	if m := be.Uint32(b[:]); m != magicRequest {
		return request{}, fmt.Errorf("a request begins with %#x", m)
	}
	return request{
		flags: be.Uint16(b[4:]), kind: be.Uint16(b[6:]), handle: be.Uint64(b[8:]),
		offset: be.Uint64(b[16:]), length: be.Uint32(b[24:]),
	}, nil
}

const replyBytes = 16

func putReply(b []byte, errno uint32, handle uint64) {
	be.PutUint32(b, magicSimple)
	be.PutUint32(b[4:], errno)
	be.PutUint64(b[8:], handle)
}
