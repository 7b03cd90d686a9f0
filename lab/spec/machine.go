package spec

import "strconv"

// minMemory is the least that etcd and a guest's kernel live in; a lab is not a
// place to find out how either ends without.
const minMemory = Size(256 << 20)

const maxCPUs = 64

// Accels are the ways to run a virtual machine.
var Accels = []string{"kvm", "tcg"}

func (v *validator) machine(m Machine) {
	if m.Memory != 0 && m.Memory < minMemory {
		v.fail("machine.memory", "memory %s is too small: a member needs %s", m.Memory, minMemory)
	}
	if m.CPUs < 0 || m.CPUs > maxCPUs {
		v.fail("machine.cpus", "%d cpus: a machine has 1 to %d", m.CPUs, maxCPUs)
	}
	v.say("machine.kernel", badValue(m.Kernel))
	if m.Accel != "" {
		v.say("machine.accel", oneOf("accel", m.Accel, Accels))
	}
}

func (m Machine) settings(put func(path, value string)) {
	if m.Memory != 0 {
		put("machine.memory", m.Memory.String())
	}
	if m.CPUs != 0 {
		put("machine.cpus", strconv.Itoa(m.CPUs))
	}
	put("machine.kernel", m.Kernel)
	put("machine.accel", m.Accel)
}
