package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// ports counts the ports that freeAddr has tried.
var ports atomic.Int64

// freeAddr returns an address of loopback that nobody listens on and nobody will
// by chance: its port is below those that a system hands out by itself, and no
// other call returns it.
func freeAddr(t testing.TB) string {
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

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func contextOf(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), harnessPatience)
}
