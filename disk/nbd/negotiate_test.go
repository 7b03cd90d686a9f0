package nbd

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

func TestNegotiation(t *testing.T) {
	_, d := attachNew(t, disk.Options{})
	named := func(name string, infos ...uint16) []byte {
		b := append(be.AppendUint32(nil, uint32(len(name))), name...)
		b = be.AppendUint16(b, uint16(len(infos)))
		for _, i := range infos {
			b = be.AppendUint16(b, i)
		}
		return b
	}
	c := greet(t, d.Path())
	for _, tt := range []struct {
		what string
		code uint32
		data []byte
		want []uint32 // the kinds of the replies
	}{
		{"structured replies", 8, nil, []uint32{repErrUnsup}},
		{"TLS", 5, nil, []uint32{repErrUnsup}},
		{"an option from the future", 4711, make([]byte, maxOption), []uint32{repErrUnsup}},
		{"a list", optList, nil, []uint32{repServer, repAck}},
		{"a list of something", optList, []byte{1}, []uint32{repErrInvalid}},
		{"another export", optGo, named("other"), []uint32{repErrUnknown}},
		{"info", optInfo, named(ExportName), []uint32{repInfo, repAck}},
		{"info of the default", optInfo, named("", 1, infoBlockSize, 2), []uint32{repInfo, repInfo, repAck}},
		{"info of nothing", optInfo, nil, []uint32{repErrInvalid}},
		{"a name that is longer than its option", optGo, []byte{0xff, 0xff, 0xff, 0xff, 0, 0}, []uint32{repErrInvalid}},
		{"more infos than there are", optGo, []byte{0, 0, 0, 0, 0xff, 0xff}, []uint32{repErrInvalid}},
		{"fewer infos than there are", optGo, append(named(""), 0, 3), []uint32{repErrInvalid}},
		{"the end", optAbort, nil, []uint32{repAck}},
	} {
		sendOption(t, c, tt.code, tt.data)
		for _, want := range tt.want {
			if kind, _ := readOptionReply(t, c, tt.code); kind != want {
				t.Errorf("%s: the reply is %#x, want %#x", tt.what, kind, want)
			}
		}
	}
	wantClosed(t, c)
}

// wantClosed fails unless the server ends the connection without a word.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	if n, err := c.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the server says %d bytes more, %v", n, err)
	}
}

// The old way in: no answer that says no, and zeroes.
func TestExportName(t *testing.T) {
	e, d := attachNew(t, disk.Options{})
	for _, noZeroes := range []bool{true, false} {
		c, err := net.Dial("unix", d.Path())
		must(t, err)
		defer c.Close()
		_, err = io.ReadFull(c, make([]byte, 18))
		must(t, err)
		flags := uint32(handshakeFixed)
		answer := make([]byte, 10+exportZeroBytes)
		if noZeroes {
			flags |= handshakeNoZeroes
			answer = answer[:10]
		}
		_, err = c.Write(be.AppendUint32(nil, flags))
		must(t, err)
		sendOption(t, c, optExportName, []byte(ExportName))
		_, err = io.ReadFull(c, answer)
		must(t, err)
		if size := int64(be.Uint64(answer)); size != e.Size() {
			t.Errorf("size %d, want %d", size, e.Size())
		}
		old := &client{c: c, ended: make(chan struct{}), waiting: map[uint64]*call{}}
		go old.receive()
		if _, err := old.WriteAt(filled(1, 512), 512); err != nil {
			t.Error(err)
		}
		must(t, old.Close())
	}
	c := greet(t, d.Path())
	sendOption(t, c, optExportName, []byte("other"))
	wantClosed(t, c)
}

// Clients that do not speak the protocol are thrown out, and the server lives.
func TestHostileClients(t *testing.T) {
	_, d := attachNew(t, disk.Options{})
	request := func(kind uint16, off uint64, n uint32) []byte {
		b := be.AppendUint32(nil, magicRequest)
		b = be.AppendUint32(b, uint32(kind))
		b = be.AppendUint64(b, 7)
		return be.AppendUint32(be.AppendUint64(b, off), n)
	}
	for name, say := range map[string]func(net.Conn){
		"a long option": func(c net.Conn) {
			b := be.AppendUint64(nil, magicOption)
			_, _ = c.Write(be.AppendUint32(be.AppendUint32(b, 9), 0xffffffff))
		},
		"no option": func(c net.Conn) { _, _ = c.Write(make([]byte, 16)) },
		"a write that is too long": func(c net.Conn) {
			sendOption(t, c, optGo, make([]byte, 6))
			readOptionReply(t, c, optGo)
			readOptionReply(t, c, optGo)
			_, _ = c.Write(request(cmdWrite, 0, maxRequest+1))
		},
		"no request": func(c net.Conn) {
			sendOption(t, c, optGo, make([]byte, 6))
			readOptionReply(t, c, optGo)
			readOptionReply(t, c, optGo)
			_, _ = c.Write(make([]byte, requestBytes))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := greet(t, d.Path())
			say(c)
			wantClosed(t, c)
		})
	}
	unfixed, err := net.Dial("unix", d.Path())
	must(t, err)
	defer unfixed.Close()
	_, err = io.ReadFull(unfixed, make([]byte, 18))
	must(t, err)
	_, err = unfixed.Write(be.AppendUint32(nil, 0xff))
	must(t, err)
	wantClosed(t, unfixed)
	must(t, dial(t, d.Path()).Sync())
}
