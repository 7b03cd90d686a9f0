package nbd

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// FuzzServer has a client say anything at all, from the first byte on. The
// server ends the conversation when the client does, has not written outside of
// the disk, and needed no more memory than one request may.
func FuzzServer(f *testing.F) {
	hello := be.AppendUint32(nil, handshakeFixed|handshakeNoZeroes)
	opt := func(code uint32, data ...byte) []byte {
		b := be.AppendUint32(be.AppendUint64(nil, magicOption), code)
		return append(be.AppendUint32(b, uint32(len(data))), data...)
	}
	req := func(flags, kind uint16, off uint64, n uint32, data ...byte) []byte {
		b := be.AppendUint16(be.AppendUint16(be.AppendUint32(nil, magicRequest), flags), kind)
		return append(be.AppendUint32(be.AppendUint64(be.AppendUint64(b, 1), off), n), data...)
	}
	enter := opt(optGo, 0, 0, 0, 0, 0, 1, 0, 3)
	for _, said := range [][][]byte{
		{hello, opt(optList), opt(optInfo, 0, 0, 0, 4, 'd', 'i', 's', 'k', 0, 0), opt(8), opt(optAbort)},
		{hello, enter, req(0, cmdRead, 0, 4096), req(1, cmdWrite, 512, 512, make([]byte, 512)...), req(0, cmdFlush, 0, 0), req(0, cmdDisconnect, 0, 0)},
		{hello, enter, req(0, cmdTrim, 0, 1<<20), req(2, cmdWriteZeroes, 1<<19, 1<<19), req(0xffff, cmdWriteZeroes, 0, 512)},
		{hello, enter, req(0, cmdRead, 1<<64-512, 1024), req(0, cmdTrim, 1<<63, 0xfffffe00), req(0, cmdWrite, 0, 0xffffffff)},
		{hello, opt(optExportName), req(0, 99, 3, 5)},
		{hello, opt(optGo, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
		{be.AppendUint32(nil, 0xffffffff)},
	} {
		f.Add(bytes.Join(said, nil))
	}
	e := newEngine(f, disk.Options{Size: 1 << 20})
	f.Fuzz(func(t *testing.T, said []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		server, peer := net.Pipe()
		d := &Device{backend: e}
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.serve(server)
		}()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			_, _ = io.Copy(io.Discard, peer)
		}()
		_ = peer.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, _ = peer.Write(said)
		// What it has not answered yet it may not get rid of any more.
		_ = peer.Close()
		<-done
		<-heard
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(said)/requestBytes+2)*(maxRequest+1<<20) {
			t.Errorf("%d bytes from a client cost %d bytes of memory", len(said), used)
		}
	})
}
