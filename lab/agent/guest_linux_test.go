package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/images/guest/guesttest"
	"github.com/etcdlab/etcdlab/internal/freeport"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// slow is how long an emulated machine may take for anything, on a busy one.
const slow = 5 * time.Minute

// machine is a guest in QEMU, emulated: that works everywhere.
type machine struct {
	cmd     *exec.Cmd
	console string // a file
	qmp     string // a socket
}

// boot starts a machine with these files of its own.
func boot(t *testing.T, files []guest.Entry, more ...string) *machine {
	t.Helper()
	img := guesttest.Build(t)
	qemu := guesttest.QEMU(t, img)
	if img.Arch != "amd64" {
		t.Skip("missing: an amd64 guest; this test knows no other machine")
	}
	dir := t.TempDir()
	m := &machine{console: filepath.Join(dir, "console"), qmp: filepath.Join(dir, "qmp")}
	initrd := filepath.Join(dir, "initrd")
	if err := join(initrd, img.Initrd, files); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), slow)
	m.cmd = exec.CommandContext(ctx, qemu, append([]string{
		"-nodefaults", "-no-reboot", "-display", "none", "-machine", "pc", "-m", "512",
		"-serial", "file:" + m.console, "-qmp", "unix:" + m.qmp + ",server=on,wait=off",
		"-kernel", img.Kernel, "-initrd", initrd,
		"-append", guest.CommandLine(img.Arch, fmt.Sprintf("etcdlab.time=%d", time.Now().Unix())),
	}, more...)...)
	var errout bytes.Buffer
	m.cmd.Stderr = &errout
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = m.cmd.Wait()
		t.Logf("console:\n%s%s", m.printed(), errout.String())
	})
	return m
}

func join(to, shared string, files []guest.Entry) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := os.Open(shared)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return guest.WriteArchive(out, files)
}

func (m *machine) printed() string {
	text, err := os.ReadFile(m.console)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// ends waits until the machine is off.
func (m *machine) ends(t *testing.T) {
	t.Helper()
	if err := m.cmd.Wait(); err != nil {
		t.Fatalf("the machine did not turn itself off: %v", err)
	}
}

// serves waits until the machine's agent does. Who connects earlier waits longer:
// QEMU tries again only after seconds.
func (m *machine) serves(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(slow)
	for !strings.Contains(m.printed(), "etcdlab-init: agent ready") {
		if time.Now().After(deadline) {
			t.Fatal("the machine has no agent")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// cat is a program for the guest, which has none of its own to show files. It
// also tries to mount a file system, which the kernel may first have to load.
const cat = `package main

import ("fmt"; "io"; "os"; "strings"; "syscall")

func main() {
	for _, name := range os.Args[1:] {
		if kind, ok := strings.CutPrefix(name, "mount:"); ok {
			fmt.Println(syscall.Mount("none", "/mnt", kind, 0, ""))
			continue
		}
		f, err := os.Open(name)
		if err == nil { _, err = io.Copy(os.Stdout, f) }
		if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
	}
}
`

func buildCat(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cat.go"), []byte(cat), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", "cat", "cat.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("missing: the go command: %v: %s", err, out)
	}
	return filepath.Join(dir, "cat")
}

const (
	macControl = "52:54:00:00:00:01"
	macLab     = "52:54:00:00:00:02"
)

// memberFiles are a member's own: its machine, its agent, its certificates.
func memberFiles(t *testing.T) (files []guest.Entry, controller *lab.TLSFiles) {
	t.Helper()
	dir := t.TempDir()
	authority, err := lab.NewAuthority("boot", dir)
	if err != nil {
		t.Fatal(err)
	}
	if controller, err = authority.IssueController(dir); err != nil {
		t.Fatal(err)
	}
	own, err := authority.IssueAgent(dir, "m1")
	if err != nil {
		t.Fatal(err)
	}
	in := func(path string) string { return guest.MemberDir + "/" + filepath.Base(path) }
	config := agent.Config{
		Lab: "boot", Member: "m1", Self: []string{guest.AgentBin, "agent"}, StateDir: "/var/lib/etcdlab",
		Listen: "10.0.2.15:1", TLS: &lab.TLSFiles{CA: in(own.CA), Cert: in(own.Cert), Key: in(own.Key)},
		Disk: spec.Disk{Kind: "plain"}, DataDir: "/var/lib/etcdlab/etcd", LogFile: "/var/lib/etcdlab/etcd.log",
		Etcd: guest.BinDir + "/etcd", Tools: guest.BinDir, ClientURL: "http://127.0.0.1:2379", PeerURL: "http://127.0.0.1:2380",
		Args: []string{"--data-dir", "/var/lib/etcdlab/etcd"}, Env: []string{"PATH=" + guest.BinDir},
	}
	text, err := config.Encode()
	if err != nil {
		t.Fatal(err)
	}
	g := agent.Guest{Hostname: "m1", Seed: bytes.Repeat([]byte{7}, 64), Modules: []string{"dm-mod"}, Hosts: map[string]string{"m2": "198.18.0.12"},
		Links: []agent.GuestLink{
			{MAC: macControl, Name: "eth0", Address: "10.0.2.15/24", Gateway: "10.0.2.2"},
			{MAC: macLab, Name: "eth1", Address: "198.18.0.11/24"},
		}}
	machine, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dirIn := guest.MemberDir[1:] + "/"
	files = []guest.Entry{
		{Name: dirIn + agent.ConfigFile, Mode: 0o600, Data: text},
		{Name: dirIn + agent.GuestFile, Mode: 0o600, Data: machine},
		{Name: "var/lib/etcdlab", Mode: fs.ModeDir | 0o700},
		{Name: "usr/bin/cat", Mode: 0o755, Path: buildCat(t)},
	}
	for _, path := range []string{own.CA, own.Cert, own.Key} {
		files = append(files, guest.Entry{Name: dirIn + filepath.Base(path), Mode: 0o600, Path: path})
	}
	return files, controller
}

// cards are QEMU's network cards, in the wrong order on purpose.
func cards(agentAt string) []string {
	return []string{
		"-netdev", "hubport,id=lab,hubid=1", "-device", "virtio-net-pci,netdev=lab,mac=" + macLab,
		"-netdev", "user,id=control,restrict=on,hostfwd=tcp:" + agentAt + "-10.0.2.15:1", "-device", "virtio-net-pci,netdev=control,mac=" + macControl,
	}
}

// The agent of a guest answers, the machine is as configured, etcd runs.
func TestGuestServes(t *testing.T) {
	files, controller := memberFiles(t)
	at := freeport.Address(t)
	m := boot(t, files, cards(at)...)
	start := time.Now()
	m.serves(t)
	c := agent.NewClient("m1", agent.At{Address: at, TLS: controller}, nil)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	for {
		_, err := c.Status(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("the agent answers after %v", time.Since(start))
	run := func(argv ...string) string {
		t.Helper()
		var out, errout bytes.Buffer
		exit, err := c.Exec(ctx, argv, nil, &out, &errout)
		if err != nil || exit != 0 {
			t.Errorf("%s: %d, %v, %s", argv, exit, err, errout.String())
		}
		return out.String()
	}
	modules := run("cat", "/proc/modules")
	for _, name := range []string{"virtio_blk ", "virtio_net ", "dm_mod "} {
		if !strings.Contains(modules, name) {
			t.Errorf("%s is not loaded: %s", name, modules)
		}
	}
	if strings.Contains(modules, "dm_flakey ") {
		t.Error("dm_flakey is loaded, which nobody wanted")
	}
	run("modprobe", "-q", "--", "dm-flakey")
	if modules = run("cat", "/proc/modules"); !strings.Contains(modules, "dm_flakey ") {
		t.Error("dm_flakey is not loaded")
	}
	if got := run("cat", "mount:nonesuch", "mount:xfs", "/proc/filesystems"); !strings.Contains(got, "\txfs\n") {
		t.Errorf("the kernel did not get the module that it wanted: %s", got)
	}
	if got := run("cat", "/sys/class/net/eth0/address", "/sys/class/net/eth1/address"); got != macControl+"\n"+macLab+"\n" {
		t.Errorf("links %q", got)
	}
	if got := run("cat", "/proc/net/fib_trie"); !strings.Contains(got, "198.18.0.11") {
		t.Errorf("addresses %s", got)
	}
	if got := run("cat", "/etc/hosts", "/proc/sys/kernel/hostname", "/proc/sys/kernel/sysrq"); !strings.Contains(got, "198.18.0.12 m2\nm1\n1\n") {
		t.Errorf("names %q", got)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Status(ctx); err != nil || s.State != lab.StateRunning {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.Shutdown(ctx, false); err != nil {
		t.Error(err)
	}
	m.ends(t)
	if !regexp.MustCompile(`etcdlab-init: off after`).MatchString(m.printed()) {
		t.Error("it did not say that it is off")
	}
}

// What is wrong is on the console in one line, and the machine is off.
func TestGuestSaysWhatIsWrong(t *testing.T) {
	file := func(text string) []guest.Entry {
		return []guest.Entry{{Name: guest.MemberDir[1:] + "/" + agent.GuestFile, Mode: 0o600, Data: []byte(text)}}
	}
	for want, files := range map[string][]guest.Entry{
		"etcdlab-init: read the machine's configuration":                nil,
		"etcdlab-init: bring up link eth0: the machine has no network":  file(`{"hostname":"m1","links":[{"name":"eth0","mac":"52:54:00:00:00:09","address":"10.0.2.15/24"}]}`),
		"etcdlab-init: load module nonesuch: this kernel (":             file(`{"hostname":"m1","links":[],"modules":["nonesuch"]}`),
		"etcdlab-init: read the agent's configuration: open /etc/etcdl": file(`{"hostname":"m1","links":[]}`),
	} {
		m := boot(t, files)
		m.ends(t)
		if n := strings.Count(m.printed(), want); n != 1 {
			t.Errorf("%q is there %d times", want, n)
		}
	}
}

// A panic that the host asks for is on the console, and the host hears of it.
func TestGuestPanics(t *testing.T) {
	files, _ := memberFiles(t)
	// By default QEMU ends as soon as it hears of it, before the trace is out.
	m := boot(t, files, append(cards(freeport.Address(t)), "-device", "pvpanic", "-action", "panic=none")...)
	m.serves(t)
	q, err := net.Dial("unix", m.qmp)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := io.WriteString(q, `{"execute":"qmp_capabilities"}{"execute":"inject-nmi"}`); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(q)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		t.Log(err)
	}
	if !strings.Contains(string(said), `"event": "GUEST_PANICKED"`) {
		t.Errorf("QEMU said %s", said)
	}
	m.ends(t)
	if !strings.Contains(m.printed(), "Kernel panic - not syncing") {
		t.Error("no panic on the console")
	}
}
