package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/wire"
)

// echo serves lines back until the test ends; conns has what it accepted.
func echo(t *testing.T) (l *net.TCPListener, conns chan *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	conns = make(chan *net.TCPConn, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			conns <- c
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l, conns
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func forwarder(t *testing.T, to string) *Forwarder {
	t.Helper()
	f, err := NewForwarder(context.Background(), Forward{Listen: "127.0.0.1:0", To: to})
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func dial(t *testing.T, f *Forwarder) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// silent says that nothing is read for some time, not even an end.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read %d bytes, %v: want silence", n, err)
	}
	must(t, c.SetReadDeadline(time.Time{}))
}

func TestForwarderIsSilentWithoutALink(t *testing.T) {
	l, conns := echo(t)
	f := forwarder(t, l.Addr().String())
	c := dial(t, f)
	lines := bufio.NewReader(c)
	say := func(text string) { _, err := io.WriteString(c, text); must(t, err) }
	hear := func(want string) {
		t.Helper()
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Fatalf("heard %q, %v: want %q", got, err, want)
		}
	}
	say("one\n")
	hear("one\n")
	f.SetLink(false)
	f.SetLink(false)
	say("two\n")
	silent(t, c)
	late := dial(t, f) // the kernel accepts it; nobody answers
	silent(t, late)
	if len(conns) != 1 {
		t.Error("a connection was passed on without a link")
	}
	f.SetLink(true)
	f.SetLink(true)
	hear("two\n")
	_, err := io.WriteString(late, "x")
	must(t, err)
	if _, err := io.ReadFull(late, make([]byte, 1)); err != nil {
		t.Error(err)
	}

	// The other side goes during an outage: only after it is that known.
	(<-conns).SetLinger(0)
	f.SetLink(false)
	l.Close()
	other := <-conns
	other.Close()
	silent(t, late)
	f.SetLink(true)
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("a connection whose other side is gone is still there")
	}
	say("three\n")
	hear("three\n") // not this one
}

func TestForwarderObeysRules(t *testing.T) {
	l, conns := echo(t)
	f := forwarder(t, l.Addr().String())
	rules := wire.NewStreams()
	f.Obey(rules)
	c := dial(t, f)
	lines := bufio.NewReader(c)
	_, err := io.WriteString(c, "one\n")
	must(t, err)
	if got, err := lines.ReadString('\n'); got != "one\n" || err != nil {
		t.Fatalf("heard %q, %v", got, err)
	}
	rules.Set("", []lab.NetRule{{Action: lab.NetDrop}}, 1)
	_, err = io.WriteString(c, "two\n")
	must(t, err)
	silent(t, c)
	late := dial(t, f)
	silent(t, late)
	if len(conns) != 1 {
		t.Error("a connection was passed on in spite of a rule")
	}
	rules.Set("", nil, 0)
	if got, err := lines.ReadString('\n'); got != "two\n" || err != nil {
		t.Fatalf("healed: heard %q, %v", got, err)
	}
	rules.Set("", []lab.NetRule{{Action: lab.NetReset}}, 1)
	_, err = io.WriteString(c, "three\n")
	must(t, err)
	if _, err := lines.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("want a reset: %v", err)
	}
	young := dial(t, f)
	_, err = io.WriteString(young, "four\n")
	must(t, err)
	if got, err := bufio.NewReader(young).ReadString('\n'); got != "four\n" || err != nil {
		t.Errorf("a new connection heard %q, %v", got, err)
	}
}

func TestForwarderPassesEndsOn(t *testing.T) {
	l, conns := echo(t)
	f := forwarder(t, l.Addr().String())
	c := dial(t, f)
	_, err := io.WriteString(c, "all\n")
	must(t, err)
	must(t, c.CloseWrite())
	if got, err := io.ReadAll(c); string(got) != "all\n" || err != nil {
		t.Errorf("half closed: %q %v", got, err)
	}
	<-conns

	reset := dial(t, f)
	far := <-conns
	must(t, far.SetLinger(0))
	must(t, far.Close())
	if _, err := reset.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset became %v", err)
	}
}

func TestForwarderRefuses(t *testing.T) {
	f := forwarder(t, "127.0.0.1:1") // no port that the kernel gives to others
	start := time.Now()
	c, err := net.Dial("tcp", f.Addr())
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("nobody is there: %v", err)
	}
	// Nobody waits for a dead address; a busy machine is just late.
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("refused after %v", took)
	}
}

func TestForwarderClosesWhileDown(t *testing.T) {
	l, _ := echo(t)
	f, err := NewForwarder(context.Background(), Forward{Listen: "127.0.0.1:0", To: l.Addr().String()})
	must(t, err)
	dial(t, f)
	f.SetLink(false)
	dial(t, f)
	must(t, f.Close())
	if _, err := NewForwarder(context.Background(), Forward{Listen: "256.0.0.1:1"}); err == nil {
		t.Error("listens on 256.0.0.1")
	}
}
