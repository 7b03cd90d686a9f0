package verify

import "syscall"

// dieWithTest leaves no etcd behind, whatever ends the test.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
