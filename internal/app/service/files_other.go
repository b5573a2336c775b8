//go:build !unix

package service

// maxFiles returns 0: the system has no such limit.
func maxFiles() uint64 { return 0 }
