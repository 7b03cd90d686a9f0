package guest

import "strings"

// CommandLine is the kernel's command line of every guest; what a caller adds
// follows it. Without emulation (KVM) it is right, too, only less needed: under
// QEMU's TCG it makes the boot of a Debian cloud kernel a third shorter.
func CommandLine(arch string, more ...string) string {
	words := []string{
		// A panic prints its trace there and ends the machine at once; a
		// machine whose QEMU was told -no-reboot is then off.
		"console=" + console(arch), "panic=-1", "quiet",
		// The host sees a panic that it asked for by a QMP inject-nmi.
		"unknown_nmi_panic",
		// By default the root is a tmpfs of half the memory, and an initrd
		// that does not fit loses its last files without a word: the member's.
		"rootfstype=ramfs",
		// These cost time at boot and protect nobody here.
		"nokaslr", "mitigations=off", "cryptomgr.notests", "ipv6.disable=1", "audit=0", "lsm=capability", "no_timer_check",
		// A frozen machine is late when it thaws, which is no fault of its own.
		"tsc=reliable", "nowatchdog", "rcupdate.rcu_cpu_stall_suppress=1",
	}
	return strings.Join(append(words, more...), " ")
}

func console(arch string) string {
	if arch == "arm64" {
		return "ttyAMA0"
	}
	return "ttyS0"
}
