//go:build !unix

package main

import "os"

// notifyReload does nothing where there is no such signal: changes are noticed
// all the same.
func notifyReload(chan<- os.Signal) {}
