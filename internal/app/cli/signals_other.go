//go:build !unix

package cli

import "os"

// notifyReload does nothing where there is no such signal: changes are noticed
// all the same.
func notifyReload(chan<- os.Signal) {}
