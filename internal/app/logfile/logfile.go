// Package logfile writes log files, which it rotates by size and age.
package logfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/DeRuina/timberjack"
)

const (
	megabyte = 1 << 20
	day      = 24 * time.Hour
	// retryAfter is how long a file that failed receives no lines.
	retryAfter = 10 * time.Second
)

// Options describe a file.
type Options struct {
	// Path is the current file. Rotated files have the time in their names and lie in
	// the same folder.
	Path string
	// MaxSize is the size in MiB at which a file is rotated. 0 means 100. A file is also
	// rotated when it is a day old.
	MaxSize int
	// MaxAge is the time after which a rotated file is deleted, in whole days. 0 means
	// never.
	MaxAge time.Duration
	// MaxFiles is the number of rotated files to keep. 0 means all.
	MaxFiles int
	// Instead, if not nil, receives the lines that the file does not.
	Instead io.Writer
	// Failed, if not nil, is called with an error when the file starts to fail, and with
	// nil when it works again. It must not write to the file.
	Failed func(error)
}

// File is a log file. When a write fails, it drops lines for a while instead of
// delaying the program: a full disk stops the log, not the work. It is safe for
// concurrent use.
type File struct {
	options Options
	lost    atomic.Int64

	mu      sync.Mutex
	out     *timberjack.Logger
	failing bool
	torn    bool      // the last line is incomplete
	retry   time.Time // while failing
	now     func() time.Time
}

// Open opens a file for appending and creates its folder. A file that cannot be opened
// is a failing one. The caller must call Close.
func Open(o Options) *File {
	f := &File{options: o, now: time.Now, out: &timberjack.Logger{
		Filename: o.Path, MaxSize: o.MaxSize, MaxAge: int((o.MaxAge + day - 1) / day), MaxBackups: o.MaxFiles,
		RotationInterval: day, LocalTime: true, FileMode: 0o640,
	}}
	if err := f.create(); err != nil {
		f.fail(err)
	}
	return f
}

// create creates the folder and checks that the file can be written.
func (f *File) create() error {
	if err := os.MkdirAll(filepath.Dir(f.options.Path), 0o750); err != nil {
		return err
	}
	_, err := f.out.Write(nil)
	return err
}

// Name returns the name of the file without its folder.
func (f *File) Name() string { return filepath.Base(f.options.Path) }

// Lost returns how many lines the file has not received.
func (f *File) Lost() int64 { return f.lost.Load() }

// Write writes a line. It reports no error, because Failed does, and because loggers
// ignore errors.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing && f.now().Before(f.retry) || !f.write(line) {
		f.lost.Add(1)
		if f.options.Instead != nil {
			_, _ = f.options.Instead.Write(line)
		}
	}
	return len(line), nil
}

func (f *File) write(line []byte) bool {
	text := line
	if f.torn {
		text = append([]byte("\n"), line...)
	}
	if size := f.options.MaxSize; size > 0 && len(text) > size*megabyte {
		return false // timberjack refuses it
	}
	n, err := f.out.Write(text)
	if err != nil {
		f.torn = f.torn || n > 0
		f.fail(err)
		return false
	}
	f.torn = false
	if f.failing {
		f.failing = false
		f.report(nil)
	}
	return true
}

// fail starts a pause after an error.
func (f *File) fail(err error) {
	f.retry = f.now().Add(retryAfter)
	if !f.failing {
		f.failing = true
		f.report(err)
	}
}

func (f *File) report(err error) {
	if f.options.Failed == nil {
		return
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p
	}
	f.options.Failed(err)
}

// Close closes the file.
func (f *File) Close() error { return f.out.Close() }
