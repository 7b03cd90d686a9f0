//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// cards are the machines' ends of three ports of one network.
func cards(t *testing.T) (ports []*port, cards []net.Conn, macs [][]byte) {
	t.Helper()
	var all []peer
	for i := range 3 {
		all = append(all, peer{IP: fmt.Sprintf("198.18.0.%d", i+1), Dir: t.TempDir()})
	}
	for i, own := range all {
		others := append(append([]peer{}, all[:i]...), all[i+1:]...)
		p, err := openPort(own.Dir, others)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs, err := pair(unix.SOCK_DGRAM, "card")
		if err != nil {
			t.Fatal(err)
		}
		p.plug(ours)
		card, err := net.FileConn(theirs)
		theirs.Close()
		if err != nil {
			t.Fatal(err)
		}
		mac, _ := macOf(own.IP)
		ports, cards, macs = append(ports, p), append(cards, card), append(macs, mac)
		t.Cleanup(func() { card.Close(); _ = p.close() })
	}
	return ports, cards, macs
}

func frameTo(to, from []byte, text string) []byte {
	return append(append(append(append([]byte{}, to...), from...), 0x08, 0x00), text...)
}

// hears waits for a frame: a moment where there should be none, and where there
// should be one as long as a busy machine may take.
func hears(card net.Conn, text string, should bool) bool {
	wait := 200 * time.Millisecond
	if should {
		wait = 30 * time.Second
	}
	_ = card.SetReadDeadline(time.Now().Add(wait))
	buffer := make([]byte, 2048)
	for {
		n, err := card.Read(buffer)
		if err != nil {
			return false
		}
		if strings.HasSuffix(string(buffer[:n]), text) {
			return true
		}
	}
}

func TestPortsAreANetwork(t *testing.T) {
	ports, cards, macs := cards(t)
	everyone := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	send := func(i int, to []byte, text string) {
		t.Helper()
		if _, err := cards[i].Write(frameTo(to, macs[i], text)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string, who ...bool) {
		t.Helper()
		for i, hear := range who {
			if hears(cards[i], text, hear) != hear {
				t.Errorf("%q: card %d heard it: %v", text, i, !hear)
			}
		}
	}
	send(0, everyone, "to all")
	want("to all", false, true, true)
	send(0, macs[2], "to one")
	want("to one", false, false, true)
	ports[2].setUp(false)
	send(0, everyone, "not to the one without a link")
	want("not to the one without a link", false, true, false)
	send(2, everyone, "nor from it")
	want("nor from it", false, false, false)
	ports[2].setUp(true)
	send(2, macs[0], "again")
	want("again", true, false, false)
	// Another boot: another card in the same port.
	ours, theirs, err := pair(unix.SOCK_DGRAM, "card")
	if err != nil {
		t.Fatal(err)
	}
	ports[0].plug(ours) // of which the dead card says nothing
	old := cards[0]
	defer old.Close()
	if cards[0], err = net.FileConn(theirs); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	for i := range 20 {
		text := fmt.Sprintf("to the new one %d", i)
		send(1, macs[0], text)
		want(text, true)
	}
	// A machine that takes nothing keeps nobody waiting.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 3 * backlog {
			_, _ = cards[1].Write(frameTo(macs[0], macs[1], strings.Repeat("x", 1400)))
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("a machine that reads nothing blocks the others")
	}
	cards[0].Close()
}

func TestConsole(t *testing.T) {
	c, err := openConsole(filepath.Join(t.TempDir(), "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	// Sockets as QEMU's: what is typed waits there, for as long as it takes.
	line, theirs, err := pair(unix.SOCK_STREAM, "console")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	plugged := c.plug(line, "m1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	followed := make(chan error, 1)
	go func() { followed <- c.attach(ctx, strings.NewReader("ls\n"), w, true); w.Close() }()
	key := make([]byte, 16)
	if n, err := machine.Read(key); err != nil || string(key[:n]) != "ls\r" {
		t.Errorf("typed %q, %v", key[:n], err)
	}
	fmt.Fprint(machine, "hello\r\nKernel panic - not syncing: sysrq triggered crash\r\nmore")
	if !c.await(ctx, "syncing: sysrq") {
		t.Error("what was printed does not arrive")
	}
	buffer := make([]byte, 4096)
	var seen string
	for !strings.Contains(seen, "more") {
		n, err := r.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		seen += string(buffer[:n])
	}
	if !strings.Contains(seen, "etcdlab boots m1") {
		t.Errorf("no mark of the boot in %q", seen)
	}
	cancel()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err := <-followed; err != nil {
		t.Error(err)
	}
	if got := lastPanic(c.thisBoot()); got != "Kernel panic - not syncing: sysrq triggered crash" {
		t.Errorf("panic %q", got)
	}
	machine.Close()
	<-plugged
	if _, err := c.send([]byte("x")); err == nil {
		t.Error("a machine that is off took a key")
	}
	// The next boot does not show the panic of the last.
	machine, line = net.Pipe()
	plugged = c.plug(line, "m1")
	if c.thisBoot() != "" {
		t.Errorf("a new boot has printed %q", c.thisBoot())
	}
	machine.Close()
	<-plugged
	var all bytes.Buffer
	if err := c.attach(t.Context(), nil, &all, false); err != nil || strings.Count(all.String(), "etcdlab boots") != 2 {
		t.Errorf("%v, %q", err, all.String())
	}
}

func TestFreezeBySignal(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	f := &freezer{}
	seen, err := f.freeze(t.Context(), cmd.Process.Pid, 30*time.Second)
	if err != nil || !seen.Observed || seen.Freezer != bySignal {
		t.Fatalf("%+v, %v", seen, err)
	}
	if _, running, _ := threads(cmd.Process.Pid); running != 0 {
		t.Error("it still runs")
	}
	if err := f.thaw(t.Context(), cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, running, _ := threads(cmd.Process.Pid); running == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not run again")
		}
	}
	if _, err := f.freeze(t.Context(), 1<<22-1, time.Second); err == nil {
		t.Error("a process that is not there was seen frozen")
	}
}

func TestTimers(t *testing.T) {
	s := &spec.Lab{}
	s.Default()
	tcg := accel{kind: "tcg", slow: 4}
	if got := tcg.timers(s.Etcd.Args); got[heartbeat] != "120" || got[election] != "1200" || s.Etcd.Args[heartbeat] != "30" {
		t.Errorf("%v, %v", got, s.Etcd.Args)
	}
	if got := (accel{kind: "kvm", slow: 1}).timers(s.Etcd.Args); got[heartbeat] != "30" {
		t.Errorf("with kvm: %v", got)
	}
	own := map[string]string{election: "500", heartbeat: "50"}
	if got := tcg.timers(own); got[election] != "500" {
		t.Errorf("the user's: %v", got)
	}
}

func TestProcessesAreKnownByName(t *testing.T) {
	dir := filepath.Join(runDir("demo"), "m1")
	for _, c := range []struct {
		args []string
		ok   bool
	}{
		{[]string{"/usr/bin/etcdlab", "vm-agent", "--dir", dir}, true},
		{[]string{"/usr/bin/etcdlab", "agent", "--dir", dir}, false},
		{[]string{"/usr/bin/etcdlab", "vm-agent", "--dir", "/elsewhere/demo/m1"}, false},
		{[]string{"/usr/bin/etcdlab", "vm-agent", "--dir"}, false},
		{[]string{"/usr/bin/qemu-system-x86_64", "-name", "etcdlab-demo.m1,debug-threads=on"}, true},
		{[]string{"/usr/bin/qemu-system-x86_64", "-name", "somebody-else"}, false},
		{[]string{"vi", "-name", "etcdlab-demo.m1"}, false},
	} {
		l, m, ok := agentOf(c.args)
		if !ok {
			l, m, ok = qemuOf(c.args)
		}
		if ok != c.ok || ok && (l != "demo" || m != "m1") {
			t.Errorf("%v: %s/%s, %v", c.args, l, m, ok)
		}
	}
}

func TestAddressesAndPorts(t *testing.T) {
	s := &spec.Lab{Name: "demo"}
	p, err := subnetOf(s)
	if err != nil || !pool.Overlaps(p) || p.Bits() != 24 {
		t.Errorf("%v, %v", p, err)
	}
	if again, _ := subnetOf(s); again != p {
		t.Errorf("another subnet the next time: %v", again)
	}
	if got := address(p, 1); !strings.HasSuffix(got, ".12") {
		t.Errorf("address %s", got)
	}
	s.Network.Subnet = "10.0.2.0/24"
	if _, err := subnetOf(s); !errors.As(err, new(*lab.UsageError)) {
		t.Errorf("the guests' own subnet: %v", err)
	}
	free, err := newPorts("demo")
	if err != nil {
		t.Fatal(err)
	}
	first, err := free.next()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if free, err = newPorts("demo"); err != nil {
		t.Fatal(err)
	}
	if second, err := free.next(); err != nil || second == first {
		t.Errorf("port %d, which is in use, %v", second, err)
	}
	if got := on("https://198.18.0.11:2379", 20001); got != "https://127.0.0.1:20001" {
		t.Error(got)
	}
	args := listenToo([]string{"--listen-client-urls=http://198.18.0.11:2379", "--listen-peer-urls=http://198.18.0.11:2380"}, "http://198.18.0.11:2379")
	if args[0] != "--listen-client-urls=http://0.0.0.0:2379" || strings.Contains(args[1], "0.0.0.0") {
		t.Error(args)
	}
}

func TestCheckMemory(t *testing.T) {
	s := &spec.Lab{Members: spec.Count(3)}
	s.Machine.Memory = 1 << 50
	err := checkMemory(s, 0)
	if e, ok := errors.AsType[*lab.EnvironmentError](err); !ok || !strings.Contains(e.Error(), "3 guests") {
		t.Errorf("%v", err)
	}
	if err := checkMemory(s, 3); err != nil {
		t.Errorf("all have theirs: %v", err)
	}
}

func TestCheckGuest(t *testing.T) {
	s := &spec.Lab{Members: spec.Count(1), Disk: spec.Disk{Kind: "dm", FS: "ext4"}}
	images := map[string]lab.Binaries{"m1": {Guest: &lab.GuestImage{Release: "6.1", Lacks: []string{"dm-flakey"}}}}
	if e, ok := errors.AsType[*lab.EnvironmentError](checkGuest(s, images)); !ok || !strings.Contains(e.Error(), "dm_flakey") {
		t.Errorf("%v", e)
	}
	s.Disk.Kind = "fault"
	if err := checkGuest(s, images); err != nil {
		t.Error(err)
	}
	if err := checkGuest(s, nil); err == nil {
		t.Error("no guest at all passed")
	}
}

// A guest's own root is memory, so there is nothing for a plain disk to be in.
func TestPlainDisk(t *testing.T) {
	s := &spec.Lab{Disk: spec.Disk{Kind: "plain"}}
	var env *lab.EnvironmentError
	if err := new(Provider).Check(t.Context(), s); !errors.As(err, &env) {
		t.Errorf("%v", err)
	}
}

// TestProbeOfABrokenKVM: a QEMU that never prints anything is not waited for.
func TestProbeOfABrokenKVM(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "qemu")
	script := "#!/bin/sh\ncase $1 in --version) echo 1;; *) echo complaint >&2; exec sleep 600;; esac\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	image := &lab.GuestImage{Kernel: fake, Initrd: fake}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tried := 0
	p := &Provider{Cache: dir, Progress: func(string, ...any) { tried++ }}
	start := time.Now()
	why, err := p.remembered(ctx, fake, image)
	if err != nil || !strings.Contains(why, "did not come up") {
		t.Errorf("%q, %v", why, err)
	}
	if took := time.Since(start); took > probeTime+time.Minute {
		t.Errorf("it took %v", took)
	}
	if again, err := p.remembered(ctx, fake, image); err != nil || again != why || tried != 1 {
		t.Errorf("not remembered: %q, %v, tried %d times", again, err, tried)
	}
	// Who asks for KVM by name is told so, not given something else.
	s := &spec.Lab{Machine: spec.Machine{Accel: "kvm"}}
	var env *lab.EnvironmentError
	if a, err := p.chooseAccel(ctx, fake, s, image); !errors.As(err, &env) || !strings.Contains(err.Error(), "leave accel out") {
		t.Errorf("kvm by name: %+v, %v", a, err)
	}
	// One that works says so before it has booted.
	script = "#!/bin/sh\necho etcdlab-init: up after 1s\nexec sleep 60\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	why, err = probe(ctx, fake, image)
	for range 5 { // a busy machine may not have come to run it in time
		if err != nil || why == "" {
			break
		}
		why, err = probe(ctx, fake, image)
	}
	if err != nil || why != "" {
		t.Errorf("%q, %v", why, err)
	}
}

func TestTSC(t *testing.T) {
	var first, second int
	if n, _ := fmt.Sscanf(tscParameter(), "tsc_early_khz=%d", &first); n != 1 {
		t.Skip("missing: a time-stamp counter")
	}
	if _, err := fmt.Sscanf(tscParameter(), "tsc_early_khz=%d", &second); err != nil {
		t.Fatal(err)
	}
	if d := first - second; d > first/1000 || -d > first/1000 {
		t.Errorf("%d kHz, then %d", first, second)
	}
	t.Logf("%d kHz, %d kHz", first, second)
}

func TestFirstComplaint(t *testing.T) {
	const text = "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\nqemu-system-x86_64: kvm.c:3183: Assertion failed."
	if got := firstComplaint(text); got != "failed to set MSR 0x10a to 0x69" {
		t.Error(got)
	}
}

func TestFastClock(t *testing.T) {
	const printed = "etcdlab-init: up after 3s\r\netcdlab-init: agent ready after 47.498s\r\n"
	if err := fastClock(printed, 11*time.Second); err == nil {
		t.Error("a clock that is ahead of its machine passed")
	}
	for _, text := range []string{printed, "", "etcdlab-init: agent ready after soon"} {
		if err := fastClock(text, 50*time.Second); err != nil {
			t.Error(err)
		}
	}
}
