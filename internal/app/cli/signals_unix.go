//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyReload relays SIGHUP, which requests a reload, to c.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
