// Package freeport gives tests addresses for servers that cannot be told to
// choose one and say which.
package freeport

import (
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

var (
	mu    sync.Mutex
	given = map[string]bool{}
)

// Address is one of loopback's that nobody listens on and that no other call
// gives. Until the server takes it, nobody else does: it is on an IP address of
// this process's own, where there is more than one (Linux), while the ports of
// 127.0.0.1 go to whoever connects or listens there next.
func Address(t testing.TB) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	pid := os.Getpid()
	own := fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&0x3f, pid>>8&0xff, 1+pid%250)
	for {
		l, err := net.Listen("tcp", own)
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !given[address] {
			given[address] = true
			return address
		}
	}
}
