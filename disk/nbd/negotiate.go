package nbd

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// errDone is how a client ends a negotiation that led nowhere, as it may.
var errDone = errors.New("the client is done")

// negotiate greets a client and returns the export that it chose.
func negotiate(r io.Reader, w io.Writer, b backend) (*export, error) {
	hello := be.AppendUint64(nil, magicNBD)
	hello = be.AppendUint64(hello, magicOption)
	hello = be.AppendUint16(hello, handshakeFixed|handshakeNoZeroes)
	if _, err := w.Write(hello); err != nil {
		return nil, err
	}
	var f [4]byte
	if _, err := io.ReadFull(r, f[:]); err != nil {
		return nil, err
	}
	flags := be.Uint32(f[:])
	if flags&^(handshakeFixed|handshakeNoZeroes) != 0 || flags&handshakeFixed == 0 {
		return nil, fmt.Errorf("a client with the flags %#x is not of the fixed newstyle", flags)
	}
	for {
		o, err := readOption(r)
		if err != nil {
			return nil, err
		}
		x := newExport(b)
		reply, chosen, err := x.answer(o, flags&handshakeNoZeroes != 0)
		if len(reply) > 0 {
			if _, err := w.Write(reply); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return nil, err
		}
		if chosen {
			return x, nil
		}
	}
}

// answer answers an option; chosen says that the transmission begins after it.
func (x *export) answer(o option, noZeroes bool) (reply []byte, chosen bool, err error) {
	switch o.code {
	case optExportName:
		// This option has no answer that says no.
		if !known(string(o.data)) {
			return nil, false, fmt.Errorf("the export %.80q does not exist", o.data)
		}
		reply = be.AppendUint64(nil, uint64(x.size))
		reply = be.AppendUint16(reply, x.flags)
		if !noZeroes {
			reply = append(reply, make([]byte, exportZeroBytes)...)
		}
		return reply, true, nil
	case optAbort:
		return optionReply(o.code, repAck, nil), false, errDone
	case optList:
		if len(o.data) > 0 {
			return optionReply(o.code, repErrInvalid, nil), false, nil
		}
		name := append(be.AppendUint32(nil, uint32(len(ExportName))), ExportName...)
		return append(optionReply(o.code, repServer, name), optionReply(o.code, repAck, nil)...), false, nil
	case optGo, optInfo:
		name, infos, err := parseGo(o.data)
		if err != nil {
			return optionReply(o.code, repErrInvalid, nil), false, nil
		}
		if !known(name) {
			return optionReply(o.code, repErrUnknown, nil), false, nil
		}
		about := be.AppendUint16(nil, infoExport)
		about = be.AppendUint64(about, uint64(x.size))
		about = be.AppendUint16(about, x.flags)
		reply = optionReply(o.code, repInfo, about)
		if slices.Contains(infos, infoBlockSize) {
			sizes := be.AppendUint16(nil, infoBlockSize)
			for _, n := range []int64{x.minimum, max(x.minimum, preferred), maxRequest} {
				sizes = be.AppendUint32(sizes, uint32(n))
			}
			reply = append(reply, optionReply(o.code, repInfo, sizes)...)
		}
		return append(reply, optionReply(o.code, repAck, nil)...), o.code == optGo, nil
	}
	// TLS, structured replies, metadata contexts and what is yet to come: a
	// client goes on without.
	return optionReply(o.code, repErrUnsup, nil), false, nil
}

func known(name string) bool { return name == "" || name == ExportName }
