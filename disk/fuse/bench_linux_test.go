package fuse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
)

// side is one of the disks that are compared: a file on an ext4 of its own.
type side struct {
	name string
	file *os.File
	at   int64
	took time.Duration
	ops  int
}

// step writes 2 KiB and makes it durable n times, as a write-ahead log does
// in a file that was allocated before.
func (s *side) step(b *testing.B, n int) {
	buf := make([]byte, 2048)
	start := time.Now()
	for range n {
		_, err := s.file.WriteAt(buf, s.at%(16<<20))
		must(b, err)
		must(b, unix.Fdatasync(int(s.file.Fd())))
		s.at += int64(len(buf))
	}
	s.took += time.Since(start)
	s.ops += n
}

func (s *side) rate() float64 { return float64(s.ops) / s.took.Seconds() }

// newSide mounts the device and allocates the file.
func newSide(b *testing.B, name, device, dir string) *side {
	ctx := context.Background()
	must(b, fs.Mount(ctx, device, dir, "ext4"))
	f, err := os.Create(filepath.Join(dir, "log"))
	must(b, err)
	b.Cleanup(func() {
		f.Close()
		must(b, fs.Unmount(ctx, dir))
	})
	_, err = f.Write(make([]byte, 16<<20))
	must(b, err)
	must(b, f.Sync())
	return &side{name: name, file: f}
}

// plain is an ordinary file with a loop device over it.
func plain(b *testing.B, name, dir string) *side {
	ctx := context.Background()
	must(b, disk.Create(disk.Options{Dir: dir, Size: 256 << 20}))
	image := disk.ImagePath(dir)
	must(b, fs.Format(ctx, "ext4", image, disk.SectorSize))
	loop, err := attachLoop(ctx, image, 512, false)
	must(b, err)
	b.Cleanup(func() { must(b, loop.detach(ctx)) })
	return newSide(b, name, loop.path(), filepath.Join(dir, "mnt"))
}

// newFault is a fault disk, served by a process of its own.
func newFault(b *testing.B, name string, direct bool) (s *side, pid int) {
	dir := b.TempDir()
	must(b, disk.Create(disk.Options{Dir: dir, Size: 256 << 20}))
	must(b, fs.Format(context.Background(), "ext4", disk.ImagePath(dir), disk.SectorSize))
	c := startChild(b, dir, fmt.Sprintf("%s=%t", serveDirect, direct))
	return newSide(b, name, c.device, filepath.Join(dir, "mnt")), c.cmd.Process.Pid
}

// cpu is what a process has used, user and system.
func cpu(b *testing.B, pid int) time.Duration {
	s, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	_, after, _ := strings.Cut(string(s), ") ")
	f := strings.Fields(after)
	var ticks int
	for _, i := range []int{11, 12} {
		n, err := strconv.Atoi(f[i])
		must(b, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// BenchmarkFdatasync compares the fault disk, recording on, with an ordinary
// file behind a loop device, on the machine's disk and in memory. They take
// turns in one run, so that a noisy machine is noisy for all of them.
func BenchmarkFdatasync(b *testing.B) {
	needRoot(b)
	fault, server := newFault(b, "fault", false)
	direct, directServer := newFault(b, "fault-dio", true)
	shm, err := os.MkdirTemp("/dev/shm", "etcdlab")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(shm) })
	sides := []*side{fault, plain(b, "plain", b.TempDir()), plain(b, "tmpfs", shm), direct}
	before, directBefore := cpu(b, server), cpu(b, directServer)
	b.ResetTimer()
	for left := b.N; left > 0; left -= 100 {
		for _, s := range sides {
			s.step(b, min(left, 100))
		}
	}
	b.StopTimer()
	for _, s := range sides {
		b.ReportMetric(s.rate(), s.name+"/s")
	}
	b.ReportMetric(fault.rate()/sides[1].rate(), "ratio-plain")
	b.ReportMetric(fault.rate()/sides[2].rate(), "ratio-tmpfs")
	b.ReportMetric(float64((cpu(b, server)-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64((cpu(b, directServer)-directBefore).Microseconds())/float64(b.N), "cpu-us/op-dio")
}
