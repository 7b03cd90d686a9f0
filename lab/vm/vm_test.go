//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/internal/blockio"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd/etcdtest"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// one is a lab of one guest under test.
type one struct {
	*testing.T
	*fixture
	m *member
	c *clientv3.Client
}

func newOne(t *testing.T, change func(*spec.Lab)) *one {
	t.Helper()
	f := newFixture(t, 1, change)
	o := &one{T: t, fixture: f}
	o.open(f.up(t))
	return o
}

func (o *one) open(l *lab.Lab) {
	o.Helper()
	o.m = l.Members[0].(*member)
	config, err := l.ClientTLS()
	o.must(err)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{o.m.made.ClientURL}, TLS: config, Logger: zap.NewNop()})
	o.must(err)
	o.Cleanup(func() { _ = c.Close() })
	o.c = c
}

func (o *one) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *one) put(key, value string) {
	o.Helper()
	etcdtest.Put(o.T, o.c, key, value)
}

// serves waits until the key has the value.
func (o *one) serves(key, value string) {
	o.Helper()
	var err error
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(o.ctx, 20*time.Second)
		var r *clientv3.GetResponse
		r, err = o.c.Get(ctx, key)
		cancel()
		if err != nil {
			continue
		}
		if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != value {
			o.Fatalf("%s is %v, want %s", key, r.Kvs, value)
		}
		return
	}
	o.Fatalf("%s: %v", key, err)
}

// state waits for a state of the member.
func (o *one) state(want lab.State) lab.Info {
	o.Helper()
	var i lab.Info
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		i, err = o.m.Info(o.ctx)
		o.must(err)
		if i.State == want {
			return i
		}
	}
	o.Fatalf("state %s, want %s: %+v", i.State, want, i)
	return i
}

// again is up of the lab that is there.
func (o *one) again() {
	o.Helper()
	start := time.Now()
	l, err := o.Up(o.ctx, o.spec, o.images)
	o.must(err)
	o.open(l)
	o.Logf("brought back in %v", time.Since(start).Round(time.Millisecond))
}

// pids of the member's QEMU and its agent.
func (o *one) pids() (qemu, beside int) {
	for _, pid := range memberProcesses(o.spec.Name, "m1") {
		exe, _ := os.Readlink("/proc/" + itoa(pid) + "/exe")
		if strings.Contains(exe, "qemu") {
			qemu = pid
		} else {
			beside = pid
		}
	}
	return qemu, beside
}

// TestOneGuest does to one machine what can be done to it; a boot is dear where
// guests are emulated, so it is one test.
func TestOneGuest(t *testing.T) {
	o := newOne(t, func(s *spec.Lab) { s.TLS = true })
	o.put("a", "1")
	if i := o.state(lab.StateRunning); i.PID == 0 || !strings.HasPrefix(i.ClientURL, "https://127.0.0.1:") {
		t.Errorf("%+v", i)
	}
	for _, step := range []struct {
		name string
		do   func(*one)
	}{
		{"exec", (*one).exec},
		{"a write that no flush covered is lost", (*one).uncovered},
		{"kill -9 of QEMU", (*one).killQEMU},
		{"kill -9 of the agent", (*one).killAgent},
		{"panic", (*one).panics},
		{"console", (*one).console},
	} {
		start := time.Now()
		ok := t.Run(step.name, func(t *testing.T) {
			with := *o
			with.T = t
			step.do(&with)
			o.m = with.m
		})
		t.Logf("%s: %v", step.name, time.Since(start).Round(time.Millisecond))
		if !ok {
			t.FailNow()
		}
	}
}

func (o *one) exec() {
	var out, errout bytes.Buffer
	exit, err := o.m.Exec(o.ctx, []string{"etcdctl", "get", "a", "--print-value-only"}, nil, &out, &errout)
	if err != nil || exit != 0 || strings.TrimSpace(out.String()) != "1" {
		o.Errorf("etcdctl in the guest: %d, %v, %q, %q", exit, err, out.String(), errout.String())
	}
	var log bytes.Buffer
	o.must(o.m.Logs(o.ctx, &log, false))
	if !strings.Contains(log.String(), "ready to serve client requests") {
		o.Errorf("etcd's log has %d bytes and nothing of its start", log.Len())
	}
}

// uncovered writes to the disk from inside the guest, past its file system's
// cache: one block that a flush covers, and one that none does.
func (o *one) uncovered() {
	const block = 4096
	run := func(ctx context.Context, in io.Reader, out io.Writer) error {
		_, err := o.m.Exec(ctx, []string{guest.AgentBin, "agent", "blockio", agent.GuestDevice}, in, out, io.Discard)
		return err
	}
	d, err := blockio.Over(o.ctx, run)
	o.must(err)
	size := int64(o.spec.Disk.Size)
	flushed, written := bytes.Repeat([]byte{0xf1}, block), bytes.Repeat([]byte{0xf2}, block)
	// The last blocks of the disk, of which the file system has no use yet.
	_, err = d.WriteAt(flushed, size-2*block)
	o.must(err)
	o.must(d.Sync())
	_, err = o.m.Hold(o.ctx, time.Millisecond) // or etcd's next flush would cover it
	o.must(err)
	_, err = d.WriteAt(written, size-block)
	o.must(err)
	f, err := o.m.Freeze(o.ctx, 30*time.Second)
	if err != nil || !f.Observed {
		o.Fatalf("freeze: %+v, %v", f, err)
	}
	o.state(lab.StateFrozen)
	o.must(o.m.SetLink(o.ctx, false))
	cut, err := o.m.Cut(o.ctx)
	if err != nil || cut.Uncovered == 0 {
		o.Fatalf("cut: %+v, %v", cut, err)
	}
	o.must(o.m.Kill(o.ctx))
	_ = d.Close()
	start := time.Now()
	r, err := o.m.Restore(o.ctx, disk.Drop, 1)
	o.must(err)
	if r.Choice.Dropped != cut.Uncovered || r.Mount == 0 {
		o.Errorf("cut %+v, restored %+v", cut, r)
	}
	o.Logf("restored in %v, mounted in %v", time.Since(start).Round(time.Millisecond), r.Mount)
	o.must(o.m.SetLink(o.ctx, true))
	d, err = blockio.Over(o.ctx, run)
	o.must(err)
	got := make([]byte, 2*block)
	_, err = d.ReadAt(got, size-2*block)
	o.must(err)
	_ = d.Close()
	if !bytes.Equal(got[:block], flushed) {
		o.Error("a block that a flush covered is lost")
	}
	if bytes.Equal(got[block:], written) {
		o.Error("a block that no flush covered survived a power loss with drop")
	}
	o.must(o.m.Start(o.ctx))
	o.serves("a", "1")
}

func (o *one) killQEMU() {
	o.put("b", "2")
	qemu, _ := o.pids()
	o.must(syscall.Kill(qemu, syscall.SIGKILL))
	i := o.state(lab.StateOff)
	if !strings.Contains(i.Exit, "killed") || !i.Outside {
		o.Errorf("%+v", i)
	}
	o.again()
	o.serves("b", "2")
}

func (o *one) killAgent() {
	o.put("c", "3")
	qemu, beside := o.pids()
	o.must(syscall.Kill(beside, syscall.SIGKILL))
	o.state(lab.StateLost)
	for end := time.Now().Add(time.Minute); syscall.Kill(qemu, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			o.Fatal("QEMU outlives the agent that has its disk")
		}
	}
	o.again()
	o.serves("c", "3")
}

func (o *one) panics() {
	o.put("d", "4")
	o.must(o.m.CrashHost(o.ctx, lab.HostPanic))
	if i := o.state(lab.StateOff); !strings.Contains(i.Exit, "Kernel panic") {
		o.Errorf("%+v", i)
	}
	o.must(o.m.Boot(o.ctx))
	o.must(o.m.Start(o.ctx))
	o.serves("d", "4")
}

// console has every boot, and takes keys.
func (o *one) console() {
	o.must(o.m.Type([]byte("nothing reads this\n")))
	var out bytes.Buffer
	o.must(o.m.Console(o.ctx, nil, &out, false))
	if n := strings.Count(out.String(), "etcdlab boots m1"); n != 5 {
		o.Errorf("%d boots on the console, want 5", n)
	}
}

// TestBrokenInitrd: a guest that does not boot is an error with the end of what
// it printed, and nothing is left.
func TestBrokenInitrd(t *testing.T) {
	f := newFixture(t, 1, nil)
	broken := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(broken, []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := f.images["m1"]
	g := *b.Guest
	g.Initrd = broken
	b.Guest = &g
	f.images["m1"] = b
	start := time.Now()
	_, err := f.Up(f.ctx, f.spec, f.images)
	if err == nil {
		t.Fatal("a guest without an init came up")
	}
	t.Logf("%v: %v", time.Since(start).Round(time.Millisecond), err)
	for _, want := range []string{"m1", "serial console ends", "anic"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q", want)
		}
	}
	if left, err := discover(f.spec.Name); err != nil || left.any() {
		t.Errorf("left: %+v, %v", left, err)
	}
}

// TestNoQEMU: what is missing is said with the package that has it.
func TestNoQEMU(t *testing.T) {
	e := &lab.EnvironmentError{}
	t.Setenv("PATH", t.TempDir())
	defer func(dirs []string) { qemuDirs = dirs }(qemuDirs)
	qemuDirs = nil
	if _, err := findQEMU(); !errors.As(err, &e) || !strings.Contains(e.Get, "qemu-system-x86") {
		t.Error(err)
	}
}
