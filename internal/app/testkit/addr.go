// Package testkit has helpers for the tests of the program: a log to wait for, files,
// and free addresses. It needs no part of the program.
package testkit

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// ports counts the ports that FreeAddr has tried.
var ports atomic.Int64

// FreeAddr returns a free loopback address. No other program takes it by chance,
// because its port is below those that the system assigns, and no other call returns
// it.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const from, n = 10_000, 20_000
	for range n {
		port := from + (97*int64(os.Getpid())+ports.Add(1))%n // elsewhere for each process
		addr := net.JoinHostPort("127.0.0.1", strconv.FormatInt(port, 10))
		if ln, err := net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
