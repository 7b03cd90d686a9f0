package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// probeTime bounds the probe of KVM: where it works, a guest is up in a second.
const probeTime = 5 * time.Second

// initSays is what init prints first, whatever it then finds.
const initSays = "etcdlab-init:"

// chooseAccel finds out how guests can be run here. /dev/kvm may be there, run
// some instructions, and yet never run a kernel, so the lab's own has to boot to
// its init. What came of it is remembered until the next boot of this machine.
func (p *Provider) chooseAccel(ctx context.Context, qemu string, s *spec.Lab, image *lab.GuestImage) (accel, error) {
	tcg := accel{kind: "tcg", slow: tcgSlow}
	if s.Machine.Accel == "tcg" {
		tcg.why = "machine.accel says so"
		return tcg, nil
	}
	why, err := p.whyNotKVM(ctx, qemu, image)
	switch {
	case err != nil:
		return tcg, err
	case why == "":
		return accel{kind: "kvm", slow: 1}, nil
	case s.Machine.Accel == "kvm":
		return tcg, &lab.EnvironmentError{
			Check: "KVM, for which machine.accel asks", Found: why, Needed: "a guest that runs under it",
			Get: "leave accel out, and guests are emulated where KVM does not work; etcdlab doctor says more",
		}
	}
	tcg.why = why
	return tcg, nil
}

// whyNotKVM is "" where guests run under KVM.
func (p *Provider) whyNotKVM(ctx context.Context, qemu string, image *lab.GuestImage) (why string, err error) {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err.Error(), nil
	}
	f.Close()
	return p.remembered(ctx, qemu, image)
}

// probed is what is remembered.
type probed struct {
	Why string `json:"why"` // why not; "" is that it works
}

func (p *Provider) remembered(ctx context.Context, qemu string, image *lab.GuestImage) (why string, err error) {
	path := ""
	if key, err := probeKey(ctx, qemu, image); err == nil && p.Cache != "" {
		path = filepath.Join(p.Cache, "kvm", key+".json")
		if data, err := os.ReadFile(path); err == nil {
			var r probed
			if json.Unmarshal(data, &r) == nil {
				return r.Why, nil
			}
		}
	}
	p.say("trying whether a guest runs with KVM (at most %v)", probeTime)
	if why, err = probe(ctx, qemu, image); err != nil {
		return "", err
	}
	if path != "" {
		if data, err := json.Marshal(probed{why}); err == nil && os.MkdirAll(filepath.Dir(path), 0o755) == nil {
			_ = os.WriteFile(path, data, 0o644) // else it is tried again
		}
	}
	return why, nil
}

// probeKey names what the result depends on: this boot of the machine, QEMU, and
// the kernel of the guest.
func probeKey(ctx context.Context, qemu string, image *lab.GuestImage) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(ctx, qemu, "--version").Output()
	if err != nil {
		return "", err
	}
	kernel, err := os.Stat(image.Kernel)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s %d %d", boot, qemu, version, image.Kernel, kernel.Size(), kernel.ModTime().UnixNano())
	return hex.EncodeToString(h.Sum(nil))[:32], nil
}

// probe boots the guest with KVM, up to its init; why is why it did not get
// there.
func probe(ctx context.Context, qemu string, image *lab.GuestImage) (why string, err error) {
	limit, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	c := &config{Accel: "kvm"}
	args := append([]string{
		"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-m", "512M",
		"-kernel", image.Kernel, "-initrd", image.Initrd, "-append", c.kernelLine(),
		"-serial", "stdio", "-no-reboot",
	}, accelArgs("kvm")...)
	cmd := exec.CommandContext(limit, qemu, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("try a guest with KVM: %w", err)
	}
	alive := make(chan bool, 1)
	go func() { alive <- sees(out, initSays) }()
	var up bool
	select {
	case up = <-alive:
		cancel()
	case <-limit.Done():
		up = <-alive
	}
	_ = cmd.Wait()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	switch text := strings.TrimSpace(complaint.String()); {
	case up:
		return "", nil
	case text != "" && !errors.Is(limit.Err(), context.DeadlineExceeded):
		return "QEMU says: " + firstComplaint(text), nil
	}
	return fmt.Sprintf("a guest under KVM did not come up within %v", probeTime), nil
}

// firstComplaint is the first line of what QEMU says, without its own name.
func firstComplaint(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if _, rest, ok := strings.Cut(line, ": "); ok {
		line = rest
	}
	return strings.TrimPrefix(line, "error: ")
}

// sees reads until the text has come, or the end.
func sees(r io.Reader, text string) bool {
	var all []byte
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		all = append(all, buffer[:n]...)
		if bytes.Contains(all, []byte(text)) {
			return true
		}
		if err != nil {
			return false
		}
		all = all[max(0, len(all)-len(text)):]
	}
}
