package pgtemp

import "syscall"

// dieWithUs ends the server when this process is killed.
func dieWithUs(a *syscall.SysProcAttr) *syscall.SysProcAttr {
	a.Pdeathsig = syscall.SIGINT
	return a
}
