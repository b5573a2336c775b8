package pgtemp

import "syscall"

// dieWithUs ends the server when this process ends without a word.
func dieWithUs(a *syscall.SysProcAttr) *syscall.SysProcAttr {
	a.Pdeathsig = syscall.SIGINT
	return a
}
