package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/internal/undo"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Up makes the lab, or makes an existing one whole again.
func (p *Provider) Up(ctx context.Context, s *spec.Lab, images map[string]lab.Binaries) (*lab.Lab, error) {
	if err := lab.CheckMembers(s, images); err != nil {
		return nil, err
	}
	if err := p.Check(ctx, s); err != nil {
		return nil, err
	}
	if err := checkGuest(s, images); err != nil {
		return nil, err
	}
	unlock, err := p.Exclusive(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := lab.ReadManifest(runDir(s.Name))
	if err == nil && m.Ready {
		return p.converge(ctx, m, s, images)
	}
	// What an interrupted up left may be half of anything: start afresh.
	left, err := discover(s.Name)
	if err != nil {
		return nil, err
	}
	if left.any() {
		if err := lab.Clear(ctx, s.Name, p.say, p.remove); err != nil {
			return nil, err
		}
	}
	return p.create(ctx, s, images)
}

// create makes a lab of which nothing exists; on any error it takes back what
// it made.
func (p *Provider) create(ctx context.Context, s *spec.Lab, images map[string]lab.Binaries) (l *lab.Lab, err error) {
	if err := checkMemory(s, 0); err != nil {
		return nil, err
	}
	b, err := newBuild(p, s, images)
	if err != nil {
		return nil, err
	}
	if err := b.chooseMachine(ctx); err != nil {
		return nil, err
	}
	var stack undo.Stack
	defer func() {
		if err != nil {
			err = lab.TakeBack(ctx, s.Name, &stack, p.say, err)
		}
	}()
	// There was nothing of the lab, so what there is now was made here.
	stack.Push("lab "+s.Name, func(ctx context.Context) error { return p.remove(ctx, s.Name) })
	for _, dir := range []string{runDir(s.Name), b.m.StateDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the lab's directories: %w", err)
		}
	}
	// The manifest is there before anything else, to be found by down.
	if err := b.m.Write(runDir(s.Name)); err != nil {
		return nil, err
	}
	if err := b.describe(ctx); err != nil {
		return nil, err
	}
	if err := b.certificates(); err != nil {
		return nil, err
	}
	p.say("booting %d guests", len(b.m.Members))
	err = each.Do(len(b.m.Members), func(i int) error {
		if err := b.makeMember(ctx, i); err != nil {
			return fmt.Errorf("make member %s: %w", b.m.Members[i].Name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l = opened(b.m)
	if err := p.ready(ctx, l); err != nil {
		return nil, err
	}
	b.m.Ready = true
	if err := b.m.Write(runDir(s.Name)); err != nil {
		return nil, err
	}
	stack.Release()
	return opened(b.m), nil
}

// chooseMachine finds QEMU and how it runs guests, and says so.
func (b *build) chooseMachine(ctx context.Context) (err error) {
	if b.qemu, err = findQEMU(); err != nil {
		return err
	}
	s := b.m.Spec
	b.accel, err = b.p.chooseAccel(ctx, b.qemu, s, b.m.Members[0].Binaries.Guest)
	if err != nil || b.accel.kind == "kvm" {
		return err
	}
	b.p.say("no KVM (%s): guests are emulated (TCG), about %.0f times slower", b.accel.why, b.accel.slow)
	if b.accel.scales(s.Etcd.Args) {
		t := b.accel.timers(s.Etcd.Args)
		b.p.say("etcd's timers are scaled for that: heartbeat %s ms, election %s ms", t[heartbeat], t[election])
	}
	return nil
}

// makeMember makes the disk of a member, boots its machine and starts its etcd.
func (b *build) makeMember(ctx context.Context, i int) error {
	mm := b.m.Members[i]
	for _, dir := range []string{mm.Dir, mm.StateDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make its directory: %w", err)
		}
	}
	if err := makeDisk(ctx, b.m.Spec.Disk, mm.StateDir); err != nil {
		return err
	}
	if err := b.writeInitrd(i); err != nil {
		return err
	}
	return b.start(ctx, i)
}

// start starts the agent beside a member's machine, which boots it, and etcd.
func (b *build) start(ctx context.Context, i int) error {
	mm := b.m.Members[i]
	c := b.machineConfig(i)
	if err := c.write(mm.Dir); err != nil {
		return err
	}
	limit := time.Duration(float64(bootTime)*b.accel.slow) + monitorTimeout
	if err := agent.Launch(ctx, b.p.Agent, mm.Dir, filepath.Join(mm.StateDir, agentLog), limit); err != nil {
		return err
	}
	beside := client(b.m, mm)
	defer beside.Close()
	return agent.StartEtcd(ctx, mm.Name, beside)
}

// machineConfig is what the agent beside a member's machine is started with.
func (b *build) machineConfig(i int) *config {
	mm, s := b.m.Members[i], b.m.Spec
	tls := filepath.Join(b.m.StateDir, tlsDir)
	c := &config{
		Lab: b.m.Name, Member: mm.Name, StateDir: mm.StateDir, LogFile: mm.LogFile, Disk: s.Disk,
		QEMU: b.qemu, Accel: b.accel.kind, Slow: b.accel.slow, Memory: memoryOf(s), CPUs: cpusOf(s),
		Kernel: mm.Binaries.Guest.Kernel, Initrd: filepath.Join(mm.StateDir, initrdFile),
		IP: mm.IP, Agent: agentPort,
		TLS: &lab.TLSFiles{
			CA: filepath.Join(tls, "ca.crt"), Cert: filepath.Join(tls, "controller.crt"), Key: filepath.Join(tls, "controller.key"),
		},
		Forward: []forward{{Listen: hostOf(mm.ClientURL), Port: etcd.ClientPort}},
	}
	if mm.FailpointURL != "" {
		c.Forward = append(c.Forward, forward{Listen: hostOf(mm.FailpointURL), Port: etcd.FailpointPort})
	}
	for j, other := range b.m.Members {
		if j != i {
			c.Peers = append(c.Peers, peer{IP: other.IP, Dir: other.Dir})
		}
	}
	return c
}

// makeDisk makes and formats a disk. The image is formatted as a file, so the
// file system is durable whatever the disk's profile.
func makeDisk(ctx context.Context, d spec.Disk, stateDir string) error {
	image := filepath.Join(stateDir, imageFile)
	kind, size := d.FS, int64(d.Size)
	if kind == "" {
		kind = spec.FSes[0]
	}
	if size == 0 {
		size = int64(spec.DefaultSize)
	}
	if d.Kind == "fault" {
		dir := agent.DiskDir(stateDir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make its disk: %w", err)
		}
		if err := disk.Create(disk.Options{Dir: dir, Size: size, Profile: d.Profile}); err != nil {
			return err
		}
		image = disk.ImagePath(dir)
	} else {
		f, err := os.OpenFile(image, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("make its disk: %w", err)
		}
		if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
			return fmt.Errorf("make its disk: %w", err)
		}
	}
	if d.Kind == "dm" && d.KeepLog {
		if err := makeRecord(filepath.Join(stateDir, recordFile), recordTimes*size); err != nil {
			return err
		}
	}
	return fs.Format(ctx, kind, image, disk.BlockSize(d.Profile))
}

// recordTimes is how many times the disk's size the writes may have that device
// mapper records between two cuts. The file takes no more than is written.
const recordTimes = 8

func makeRecord(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make its disk: %w", err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return fmt.Errorf("make its disk: %w", err)
	}
	return nil
}
