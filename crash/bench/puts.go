package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/lab"
)

// Puts compares etcd on the fault disk, recording on, with etcd on a plain
// file, a loop device and the same file system, both kept in dir: one member,
// puts only. Under names dir in the table.
func (b *Bench) Puts(ctx context.Context, w io.Writer, under, dir string) (err error) {
	t := table(w)
	fmt.Fprintf(t, "puts/s on %s, ext4\tfault disk\tplain file + loop\tratio\tserver CPU a put\n", under)
	for _, clients := range []int{1, 16, 64} {
		var fault, plain, ratio []float64
		var cpu []time.Duration
		for range b.Turns {
			f, c, err := b.onFault(ctx, dir, clients)
			if err != nil {
				return err
			}
			p, err := b.onPlain(ctx, dir, clients)
			if err != nil {
				return err
			}
			b.Progress("%s, %d clients: fault disk %.0f puts/s, plain %.0f", under, clients, f, p)
			fault, plain, ratio, cpu = append(fault, f), append(plain, p), append(ratio, f/p), append(cpu, c)
		}
		fmt.Fprintf(t, "%d clients\t%.0f\t%.0f\t%.2f\t%v\n", clients, median(fault), median(plain), median(ratio), median(cpu).Round(time.Microsecond))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w)
	return err
}

func (b *Bench) onFault(ctx context.Context, dir string, clients int) (perSecond float64, cpu time.Duration, err error) {
	state, err := os.MkdirTemp(dir, "etcdlab-fault")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(state)
	return b.inState(ctx, state, "fault", clients)
}

// onPlain puts the lab's state, and so its plain directory, on a file system
// on a loop device on a file.
func (b *Bench) onPlain(ctx context.Context, dir string, clients int) (perSecond float64, err error) {
	base, err := os.MkdirTemp(dir, "etcdlab-plain")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(base)
	image, mount := filepath.Join(base, "image"), filepath.Join(base, "mount")
	if err := errors.Join(os.Mkdir(mount, 0o700), os.WriteFile(image, nil, 0o600), os.Truncate(image, 4<<30)); err != nil {
		return 0, err
	}
	if err := fs.Format(ctx, "ext4", image, disk.SectorSize); err != nil {
		return 0, err
	}
	detach, err := mountLoop(ctx, image, mount)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, detach()) }()
	perSecond, _, err = b.inState(ctx, mount, "plain", clients)
	return perSecond, err
}

// inState makes a lab of one member whose state is in dir and loads it.
func (b *Bench) inState(ctx context.Context, dir, kind string, clients int) (perSecond float64, cpu time.Duration, err error) {
	old, had := os.LookupEnv("XDG_STATE_HOME")
	defer func() {
		if had {
			err = errors.Join(err, os.Setenv("XDG_STATE_HOME", old))
		} else {
			err = errors.Join(err, os.Unsetenv("XDG_STATE_HOME"))
		}
	}()
	if err := os.Setenv("XDG_STATE_HOME", dir); err != nil {
		return 0, 0, err
	}
	s := b.labOf(1, kind)
	var l *lab.Lab
	if l, err = b.up(ctx, s); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, b.down(ctx, s)) }()
	return b.puts(ctx, l, clients)
}
