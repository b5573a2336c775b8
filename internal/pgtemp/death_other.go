//go:build !linux

package pgtemp

import "syscall"

func dieWithUs(a *syscall.SysProcAttr) *syscall.SysProcAttr { return a }
