//go:build linux || darwin

package store

import "syscall"

// freeBytes returns how much room a disk has. known is false when the system does not say.
func freeBytes(dir string) (free uint64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
