//go:build !unix

package cli

import "os"

// notifyReload does nothing, because this system has no SIGHUP. Serve still notices
// changed files.
func notifyReload(chan<- os.Signal) {}
