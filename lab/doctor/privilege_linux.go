package doctor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func root(context.Context) (string, error) {
	if id := os.Geteuid(); id != 0 {
		return fmt.Sprintf("user id %d", id), errLacking
	}
	return "user id 0", nil
}

// needed are the capabilities that members on this machine take. SYS_RESOURCE
// is not among them: root without it is common.
var needed = []struct {
	bit  int
	name string // and what for
}{
	{unix.CAP_SYS_ADMIN, "SYS_ADMIN"},       // mount, unshare, loop devices
	{unix.CAP_NET_ADMIN, "NET_ADMIN"},       // links, addresses, nftables
	{unix.CAP_NET_RAW, "NET_RAW"},           // frames, for faults of the network
	{unix.CAP_MKNOD, "MKNOD"},               // loop device nodes in a container
	{unix.CAP_KILL, "KILL"},                 // etcd, whoever it runs as
	{unix.CAP_DAC_OVERRIDE, "DAC_OVERRIDE"}, // cgroup files, others' directories
}

func capabilityNames() string {
	var names []string
	for _, c := range needed {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

func capabilities(context.Context) (string, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return "", err
	}
	effective, err := parseCapabilities(string(status))
	if err != nil {
		return "", err
	}
	var lacking []string
	for _, c := range needed {
		if effective&(1<<c.bit) == 0 {
			lacking = append(lacking, c.name)
		}
	}
	if lacking != nil {
		return "no " + strings.Join(lacking, " "), errLacking
	}
	return "all of them", nil
}

// parseCapabilities reads the effective set from proc(5)'s status.
func parseCapabilities(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(set), 16, 64)
		}
	}
	return 0, fmt.Errorf("no CapEff in /proc/thread-self/status")
}
