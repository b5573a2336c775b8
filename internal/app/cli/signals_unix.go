//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyReload sends the signal that asks for a reload to c.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
