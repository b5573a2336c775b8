//go:build unix

package service

import "syscall"

// maxFiles returns how many files and connections this process may have open. It is 0
// when the system does not say it.
func maxFiles() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return uint64(l.Cur) // signed on some systems
}
