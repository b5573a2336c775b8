package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRotationKeepsEachLine writes from several goroutines while files are rotated.
func TestRotationKeepsEachLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := Open(Options{Path: filepath.Join(dir, "logs", "x.log"), MaxSize: 1})
	const writers, lines = 8, 400
	pad := strings.Repeat("x", 2000)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				if _, err := fmt.Fprintf(f, "%d %d %s\n", w, i, pad); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, want several: %v", len(files), err)
	}
	seen := map[string]int{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > megabyte {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		for line := range strings.Lines(string(data)) {
			if !strings.HasSuffix(line, pad+"\n") {
				t.Fatalf("a broken line in %s: %.40q", name, line)
			}
			seen[strings.TrimSuffix(line, " "+pad+"\n")]++
		}
	}
	for w := range writers {
		for i := range lines {
			if n := seen[fmt.Sprintf("%d %d", w, i)]; n != 1 {
				t.Fatalf("line %d of writer %d is there %d times", i, w, n)
			}
		}
	}
	if f.Lost() != 0 {
		t.Errorf("%d lines count as lost", f.Lost())
	}
}

// TestOldFilesAreDeleted keeps at most MaxFiles rotated files.
func TestOldFilesAreDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := Open(Options{Path: filepath.Join(dir, "x.log"), MaxSize: 1, MaxFiles: 2, MaxAge: 36 * time.Hour})
	for range 6 {
		time.Sleep(2 * time.Millisecond) // files that are rotated in one millisecond count as one
		if _, err := f.Write(bytes.Repeat([]byte("x"), 900<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil { // waits until old files are deleted
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 3 {
		t.Errorf("%d files, want the current one and two rotated: %v", len(files), files)
	}
	if f.out.MaxAge != 2 {
		t.Errorf("files are kept for %d days, want 36 hours rounded up", f.out.MaxAge)
	}
}

// TestAFileThatCannotBeOpened: its lines are written elsewhere, with one report, and it
// is used as soon as it can be.
func TestAFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blocked := filepath.Join(dir, "logs")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where a folder should be
		t.Fatal(err)
	}
	var instead bytes.Buffer
	var reports []error
	f := Open(Options{Path: filepath.Join(blocked, "x.log"), Instead: &instead, Failed: func(err error) { reports = append(reports, err) }})
	clock := time.Now()
	f.now = func() time.Time { return clock }
	for range 3 {
		_, _ = f.Write([]byte("lost\n"))
		clock = clock.Add(retryAfter)
	}
	if len(reports) != 1 || reports[0] == nil || f.Lost() != 3 || instead.String() != "lost\nlost\nlost\n" {
		t.Errorf("reports %v, %d lost, instead %q", reports, f.Lost(), instead.String())
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(retryAfter)
	_, _ = f.Write([]byte("kept\n"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(blocked, "x.log"))
	if err != nil || string(data) != "kept\n" || len(reports) != 2 || reports[1] != nil {
		t.Errorf("%q, %v, reports %v", data, err, reports)
	}
}

// TestAnEndlessLine: a line larger than a file is lost, and the next one is not.
func TestAnEndlessLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	f := Open(Options{Path: path, MaxSize: 1, Failed: func(err error) { t.Error(errors.Join(errors.New("reported"), err)) }})
	_, _ = f.Write(bytes.Repeat([]byte("x"), 2*megabyte))
	_, _ = f.Write([]byte("next\n"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "next\n" || f.Lost() != 1 {
		t.Errorf("%q, %v, %d lost", data, err, f.Lost())
	}
}
