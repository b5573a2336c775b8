package fleet

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// QuietTime is how long files must be unchanged before they are read again,
	// because editors and deployments write in several steps.
	QuietTime = 200 * time.Millisecond
	// quietLimit is how long further changes can delay that.
	quietLimit = 2 * time.Second
	// lookEvery is how often the times and sizes of the files are compared. Network
	// drives and some mounted folders report no changes.
	lookEvery = 30 * time.Second
)

// Watcher calls a function when files change, and when a signal arrives.
type Watcher struct {
	paths  func() []string
	reload func() (again bool)
	log    *slog.Logger
	fs     *fsnotify.Watcher
	known  string // what state returned at the last reload
}

// NewWatcher watches files and folders until Run ends. paths returns the current ones. It
// is called after each reload. reload returns true if it must be called again soon,
// because a file was still being written.
func NewWatcher(paths func() []string, reload func() (again bool), log *slog.Logger) (*Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watcher{paths: paths, reload: reload, log: log, fs: n}
	w.follow()
	w.known = w.state()
	return w, nil
}

// Run reloads after changes and after signals until ctx ends.
func (w *Watcher) Run(ctx context.Context, signals <-chan os.Signal) {
	defer func() { _ = w.fs.Close() }()
	var first time.Time // of the changes that have not been read
	quiet := time.NewTimer(0)
	quiet.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			w.log.Info("received a signal to load the rules again")
			quiet.Reset(w.load())
		case err := <-w.fs.Errors:
			w.log.Warn("cannot watch the rules", "error", err)
		case e := <-w.fs.Events:
			if !w.concerns(e) {
				continue
			}
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(min(QuietTime, max(0, quietLimit-time.Since(first))))
		case <-look.C:
			if w.state() != w.known {
				quiet.Reset(w.load())
			}
		case <-quiet.C:
			first = time.Time{}
			quiet.Reset(w.load())
		}
	}
}

// load reloads, and returns the time until it must reload again.
func (w *Watcher) load() time.Duration {
	known := w.state()
	again := w.reload()
	w.follow()
	if again {
		return QuietTime
	}
	w.known = known
	return never
}

// never is longer than any process runs.
const never = 1 << 62

// follow watches each folder of the paths, and the folder above each path, in which
// a removed path can appear again.
func (w *Watcher) follow() {
	for _, p := range w.cleanPaths() {
		w.add(filepath.Dir(p))
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			continue
		}
		_ = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				if path != p && hidden(d.Name()) {
					return filepath.SkipDir
				}
				w.add(path)
			}
			return nil
		})
	}
}

func (w *Watcher) cleanPaths() []string {
	var out []string
	for _, p := range w.paths() {
		out = append(out, filepath.Clean(p))
	}
	return out
}

func (w *Watcher) add(dir string) {
	if err := w.fs.Add(dir); err != nil {
		w.log.Warn("cannot watch a folder, its changes are seen after 30 seconds or on SIGHUP", "dir", dir, "error", err)
	}
}

// concerns reports whether a change may be one of the files.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	paths := w.cleanPaths()
	name := filepath.Clean(e.Name) // a change in the current folder is one of ./b24rules.yaml
	if slices.Contains(paths, name) {
		return true
	}
	below := slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(name, p+string(filepath.Separator)) || p == "." })
	// A file that appears or disappears may be a folder or a link to one.
	return below && (IsRuleFile(name) || !e.Op.Has(fsnotify.Write))
}

// state describes the files by their names, sizes and times.
func (w *Watcher) state() string {
	var out strings.Builder
	for _, p := range w.cleanPaths() {
		_ = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				fmt.Fprintf(&out, "%s %v\n", path, err)
				return nil
			}
			if path != p && hidden(d.Name()) {
				if d.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			fmt.Fprintf(&out, "%s %s\n", path, stampOf(path))
			return nil
		})
	}
	return out.String()
}

// stampOf describes the current content of a file without reading it.
func stampOf(path string) string {
	info, err := os.Stat(path) // of the file that a link leads to
	if err != nil {
		return err.Error()
	}
	if info.IsDir() {
		return "folder"
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}

// Stability tells files that may be read from those that are still being written.
type Stability struct {
	strict bool
	seen   map[string]stamped
}

type stamped struct {
	stamp string
	at    time.Time // of the first Check with this stamp; zero before Strict
}

// Check reports whether a file may be read: it is unchanged for a while. Before Strict, a
// file that was not checked before may be read at once.
func (s *Stability) Check(path string) bool {
	if s.seen == nil {
		s.seen = map[string]stamped{}
	}
	stamp := stampOf(path)
	last, known := s.seen[path]
	switch {
	case known && last.stamp == stamp:
		return time.Since(last.at) >= QuietTime
	case s.strict || known:
		s.seen[path] = stamped{stamp, time.Now()}
		return false
	}
	s.seen[path] = stamped{stamp: stamp}
	return true
}

// Strict ends the time in which new files may be read at once: that of the start.
func (s *Stability) Strict() { s.strict = true }
