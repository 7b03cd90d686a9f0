//go:build linux

package vm

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
)

func sample() *config {
	return &config{
		Lab: "demo", Member: "m1", StateDir: "/state/demo/m1", LogFile: "/state/demo/m1/etcd.log",
		QEMU: "/usr/bin/qemu-system-x86_64", Accel: "tcg", Slow: 4, Memory: 512 << 20, CPUs: 1,
		Kernel: "/k", Initrd: "/i", IP: "198.18.7.11", Agent: 2378, TLS: &lab.TLSFiles{},
		Forward: []forward{{"127.0.0.1:20001", 2379}, {"127.0.0.1:20002", 22381}},
	}
}

func TestCommand(t *testing.T) {
	args, err := sample().command("/run/a,b/nbd.sock", "")
	if err != nil {
		t.Fatal(err)
	}
	after := func(flag string) []string {
		var found []string
		for i, a := range args[:len(args)-1] {
			if a == flag {
				found = append(found, args[i+1])
			}
		}
		return found
	}
	var drive struct {
		Driver, Discard string
		Server          struct{ Type, Path string }
		Cache           map[string]bool
	}
	if err := json.Unmarshal([]byte(after("-blockdev")[0]), &drive); err != nil {
		t.Fatal(err)
	}
	// A comma would end an option that is not JSON.
	if drive.Driver != "nbd" || drive.Server.Path != "/run/a,b/nbd.sock" || drive.Discard != "unmap" || drive.Cache["no-flush"] {
		t.Errorf("disk: %+v", drive)
	}
	all := strings.Join(args, " ")
	for _, want := range []string{
		"write-cache=on", "mac=02:e1:c6:12:07:0b", "restrict=on",
		"hostfwd=tcp:127.0.0.1:0-10.0.2.15:2378,hostfwd=tcp:127.0.0.1:0-10.0.2.15:2379,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22381",
		"-accel tcg,thread=multi", "panic=-1", "reboot=shutdown,shutdown=poweroff",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	c := sample()
	c.Accel = "kvm"
	if args, err := c.command("", "/state/disk.img"); err != nil || !slices.Contains(args, "kvm") {
		t.Errorf("%v, %v", args, err)
	} else if !strings.Contains(strings.Join(args, " "), `"filename":"/state/disk.img"`) {
		t.Errorf("plain disk: %v", args)
	}
	c.IP = "nowhere"
	if _, err := c.command("", ""); err == nil {
		t.Error("an address that is none passed")
	}
}

// TestCommandIsUnderstood lets QEMU itself read the command line, which it does
// before it finds that a descriptor is not there.
func TestCommandIsUnderstood(t *testing.T) {
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("missing: qemu-system-x86_64")
	}
	args, err := sample().command("", "/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(qemu, args...).CombinedOutput()
	for _, complaint := range []string{"invalid option", "not found", "unsupported", "Invalid parameter", "not a valid"} {
		if bytes.Contains(out, []byte(complaint)) {
			t.Errorf("%s", out)
		}
	}
	t.Logf("%s", out)
}

func TestConfigComesBack(t *testing.T) {
	dir := t.TempDir()
	if err := sample().write(dir); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(dir)
	if err != nil || c.Member != "m1" || c.Forward[1].Port != 22381 || c.dir != dir {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "{}", `{"lab":"demo","unknown":1}`, `{"lab":"../x"}`} {
		if _, err := parseConfig([]byte(bad)); err == nil {
			t.Errorf("%q passed for a configuration", bad)
		}
	}
}

func TestParseUsernet(t *testing.T) {
	const text = "Hub -1 (ctl):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n" +
		"  TCP[HOST_FORWARD]  11       127.0.0.1 37913       10.0.2.15  2379     0     0\r\n" +
		"  TCP[ESTABLISHED]   12       127.0.0.1 1           10.0.2.15  2     0     0\r\n" +
		"  TCP[HOST_FORWARD]   3       127.0.0.1 43285       10.0.2.15  2380     0     0\r\n"
	if got := parseUsernet(text); !maps.Equal(got, map[int]int{2379: 37913, 2380: 43285}) {
		t.Errorf("%v", got)
	}
}

func FuzzParseUsernet(f *testing.F) {
	f.Add("TCP[HOST_FORWARD]  11       127.0.0.1 37913       10.0.2.15  2379     0     0\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		for guest, host := range parseUsernet(text) {
			if guest <= 0 || host <= 0 {
				t.Errorf("%d:%d", guest, host)
			}
		}
	})
}
