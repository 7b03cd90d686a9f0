package agent

import (
	"strings"
	"testing"
)

func TestMountPointsOnDevices(t *testing.T) {
	got := onDevices([]byte("none / rootfs rw 0 0\nproc /proc proc rw 0 0\n/dev/vda /var/lib/a\\040b ext4 rw 0 0\n" +
		"tmpfs /dev/shm tmpfs rw 0 0\n/dev/mapper/x /mnt\\134 xfs rw 0 0\n\nshort\n"))
	if strings.Join(got, "|") != `/var/lib/a b|/mnt\` {
		t.Errorf("%q", got)
	}
}

func TestClockParameter(t *testing.T) {
	for line, want := range map[string]int64{
		"console=ttyS0 quiet\n":                 0,
		"quiet etcdlab.time=1700000000.5 a=b\n": 1700000000_500000000,
	} {
		if at, err := hostTime(line); err != nil || at != want {
			t.Errorf("%q: %d, %v", line, at, err)
		}
	}
	for _, line := range []string{"etcdlab.time=soon", "etcdlab.time=-1", "etcdlab.time=1e30", "etcdlab.time=NaN"} {
		if _, err := hostTime(line); err == nil || !strings.Contains(err.Error(), "want seconds since 1970") {
			t.Errorf("%q: got %v", line, err)
		}
	}
}
