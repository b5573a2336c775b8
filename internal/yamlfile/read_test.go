package yamlfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// endless gives as many bytes as it is asked for and counts them.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	e.given += len(p)
	return len(p), nil
}

func TestReadStopsAtTheLimit(t *testing.T) {
	var from endless
	data, err := yamlfile.Read(&from)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != yamlfile.MaxBytes+1 || from.given != len(data) {
		t.Errorf("%d bytes returned, %d read, want %d", len(data), from.given, yamlfile.MaxBytes+1)
	}
	_, list := yamlfile.Parse("x", data)
	if got, want := lines(list), "x:1:1: the file is larger than 1 MiB [yaml-limit] (split it into several files)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReadFileMemory refuses a file of 64 MiB in the memory of the largest
// allowed file.
func TestReadFileMemory(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.yaml")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 64<<20); err != nil {
		t.Fatal(err)
	}
	allowed := filepath.Join(dir, "allowed.yaml")
	if err := os.WriteFile(allowed, []byte(strings.Repeat("#\n", yamlfile.MaxBytes/2)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, limit := allocated(t, huge), allocated(t, allowed); got > limit {
		t.Errorf("a file of 64 MiB takes %d bytes, one of the allowed size %d", got, limit)
	}
}

// allocated returns the bytes that reading and parsing a file takes.
func allocated(t *testing.T, name string) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	data, err := yamlfile.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	yamlfile.Parse(name, data)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(name, []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := yamlfile.ReadFile(name); err != nil || string(data) != "a: 1\n" {
		t.Errorf("read %q, %v", data, err)
	}
	if _, err := yamlfile.ReadFile(name + "x"); !os.IsNotExist(err) {
		t.Errorf("a missing file gives %v", err)
	}
}
