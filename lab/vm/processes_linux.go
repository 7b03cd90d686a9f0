package vm

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/etcdlab/etcdlab/lab"
)

// qemuName marks our QEMUs by their -name: etcdlab-LAB.MEMBER.
const qemuName = "etcdlab-"

// eachProcess calls do for every process that is ours, with its lab and member:
// agents by their directory, QEMUs by their name. Those of another user's labs
// cannot be ended, and are not of interest.
func eachProcess(do func(pid int, labName, member string)) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return // of a pattern that is right
	}
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if st, err := os.Stat(filepath.Dir(file)); err != nil || st.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		args := strings.Split(string(data), "\x00")
		if labName, member, ok := agentOf(args); ok {
			do(pid, labName, member)
		} else if labName, member, ok := qemuOf(args); ok {
			do(pid, labName, member)
		}
	}
}

// agentOf recognises the agent beside a machine of this user's.
func agentOf(args []string) (labName, member string, ok bool) {
	i := slices.Index(args, "--dir")
	if i < 0 || i+1 >= len(args) || !slices.Contains(args[:i], "vm-agent") {
		return "", "", false
	}
	dir := args[i+1]
	labName, member = filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
	return labName, member, filepath.Dir(filepath.Dir(dir)) == runRoot() && lab.CheckName("lab", labName) == nil
}

// qemuOf recognises a QEMU of ours, whose disk or console need not be there any
// more. Only one whose agent was killed at its start is ever without it.
func qemuOf(args []string) (labName, member string, ok bool) {
	i := slices.Index(args, "-name")
	if i < 0 || i+1 >= len(args) || !strings.Contains(filepath.Base(args[0]), "qemu-system") {
		return "", "", false
	}
	name, _, _ := strings.Cut(args[i+1], ",")
	rest, ours := strings.CutPrefix(name, qemuName)
	labName, member, ok = strings.Cut(rest, ".")
	return labName, member, ours && ok && lab.CheckName("lab", labName) == nil && lab.CheckName("member", member) == nil
}

// processes lists those of a lab.
func processes(name string) []int {
	var pids []int
	eachProcess(func(pid int, labName, _ string) {
		if labName == name {
			pids = append(pids, pid)
		}
	})
	return pids
}

// memberProcesses lists those of one member.
func memberProcesses(name, member string) []int {
	var pids []int
	eachProcess(func(pid int, l, m string) {
		if l == name && m == member {
			pids = append(pids, pid)
		}
	})
	return pids
}

// runningLabs lists the labs that have processes.
func runningLabs() []string {
	var names []string
	eachProcess(func(_ int, labName, _ string) { names = append(names, labName) })
	return names
}
