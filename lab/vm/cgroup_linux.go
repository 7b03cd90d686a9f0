package vm

import "path/filepath"

// cgroupRoot is above the groups of all labs of this provider; every group in
// lab.CgroupRoot is provider process's.
const cgroupRoot = "etcdlab-" + Name

// cgroupOf is the path of the group of a lab, of a member, or of its QEMU.
func cgroupOf(lab string, below ...string) string {
	return filepath.Join(append([]string{cgroupRoot, lab}, below...)...)
}
