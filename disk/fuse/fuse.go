// Package fuse owns the front that shows a disk engine to the kernel of this
// machine: a FUSE file system of one file, and a loop device over that file.
// It needs /dev/fuse, loop devices and CAP_SYS_ADMIN, and works in a container
// that has them.
//
// A process that serves a disk must never mmap a file on it, nor keep a file
// on it open for reading by page fault in any other way: a page fault blocks
// the thread in the kernel where the Go runtime cannot pre-empt it, the next
// garbage collection then stops the world and waits for that thread, and the
// thread waits for a request that this stopped process should serve. Ordinary
// system calls on such a file are safe, as the runtime gives their processor
// away. The FUSE file itself must not even be opened with package os there:
// that asks whether it can be polled, in a system call during which the runtime
// keeps its processor. For the same reason whoever serves a disk must not be in
// the cgroup that a power loss freezes.
package fuse

// FileName is the name of the one file in the mounted directory.
const FileName = "disk"

// fsName is how the mount is recognised in /proc/self/mountinfo: its source,
// and its type after "fuse.".
const fsName = "etcdlab"
