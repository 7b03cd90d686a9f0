package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/kmod"
)

// guestDir is the agent's directory in a guest.
const guestDir = "/etc/etcdlab"

// Boot does nothing, except in a guest: there the kernel runs this program as
// its init and, when it wants a module, as its modprobe, and Boot does not return.
func Boot(ctx context.Context) {
	switch filepath.Base(os.Args[0]) {
	case "init":
		if os.Getpid() == 1 {
			Init(ctx)
		}
	case "modprobe": // -q -- NAME
		if err := kmod.Load(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, "modprobe:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// Init is the first process of a guest: it makes a machine of what the kernel
// gives, serves its member until that is shut down, and turns the machine off.
// What goes wrong is on the console, in one line. It does not return.
func Init(ctx context.Context) {
	err := machine()
	if err == nil {
		say("up after " + uptime().Round(time.Millisecond).String())
		err = Serve(ctx, guestDir, func(err error) {
			if err == nil {
				say("agent ready after " + uptime().Round(time.Millisecond).String())
			}
		})
	}
	if err != nil {
		say(oneLine(err))
	}
	powerOff()
}

// say writes a line on the console.
func say(line string) { fmt.Fprintln(os.Stderr, "etcdlab-init: "+line) }

// machine does what is there before any member.
func machine() error {
	if err := mountAll(); err != nil {
		return err
	}
	for name, value := range map[string]string{"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "HOME": "/root"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if err := setClock(); err != nil {
		return err
	}
	if err := bootModules(); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(guestDir, GuestFile))
	if err != nil {
		return fmt.Errorf("read the machine's configuration, which lab/vm appends to the initrd: %w", err)
	}
	g, err := parseGuest(data)
	if err != nil {
		return err
	}
	return g.apply()
}

// apply makes the machine what its configuration says.
func (g *Guest) apply() error {
	if err := addRandomness(g.Seed); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(g.Hostname)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	for _, name := range g.Modules {
		if err := kmod.Load(name); err != nil {
			return err
		}
	}
	if err := g.writeHosts(); err != nil {
		return err
	}
	settings()
	return g.bringUp()
}

func bootModules() error {
	text, err := os.ReadFile(kmod.ListFile)
	if err != nil {
		return err
	}
	list, err := kmod.Parse(text)
	if err != nil {
		return err
	}
	return kmod.Insert(list.Boot())
}

// settings are the kernel's that are not as a member wants them.
func settings() {
	most := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &most)
	for file, value := range map[string]string{
		"kernel/modprobe":                    kmod.Modprobe,
		"kernel/sysrq":                       "1",
		"kernel/panic_on_oops":               "1", // a machine that goes on after one proves nothing
		"net/ipv6/conf/all/disable_ipv6":     "1", // duplicate address detection is noise
		"net/ipv6/conf/default/disable_ipv6": "1",
	} {
		e := os.WriteFile("/proc/sys/"+file, []byte(value), 0)
		if !errors.Is(e, os.ErrNotExist) { // a kernel without IPv6
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		say("set up the kernel: " + oneLine(err)) // the member can do without
	}
}

// clockParameter of the kernel's command line is the host's time when it was
// written, in seconds since 1970.
const clockParameter = "etcdlab.time="

// setClock adds the time since the kernel started to the host's. Without the
// parameter the clock is the kernel's, which read it from the real-time clock.
func setClock() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	at, err := hostTime(string(line))
	if err != nil || at == 0 {
		return err
	}
	t := unix.NsecToTimeval(at + int64(uptime()))
	if err := unix.Settimeofday(&t); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// hostTime reads the parameter, in nanoseconds since 1970, or 0 without one.
func hostTime(line string) (int64, error) {
	for word := range strings.FieldsSeq(line) {
		value, ok := strings.CutPrefix(word, clockParameter)
		if !ok {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || !(seconds > 0 && seconds < 1<<33) {
			return 0, fmt.Errorf("set the clock: the kernel was given %s, want seconds since 1970", word)
		}
		return int64(seconds * 1e9), nil
	}
	return 0, nil
}

func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
