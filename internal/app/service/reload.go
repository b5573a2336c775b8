package service

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/b24rules/b24rules/internal/diag"
)

const (
	// quietTime is how long rule files must be unchanged before they are read again,
	// because editors and deployments write in several steps.
	quietTime = 200 * time.Millisecond
	// quietLimit is how long further changes can delay that.
	quietLimit = 2 * time.Second
)

// watcher reads rule files again when they change.
type watcher struct {
	paths []string
	rules *Rules
	log   *slog.Logger
	fs    *fsnotify.Watcher
}

// Watch logs the rule sets that run. It loads the rules again when their files and
// folders change, or when a signal arrives, until end is called.
func Watch(ctx context.Context, paths []string, rules *Rules, reload <-chan os.Signal, log *slog.Logger) (end func(), err error) {
	logChanges(log, nil, rules.Current())
	w, err := newWatcher(paths, rules, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx, reload) }()
	return func() {
		cancel()
		<-ended
	}, nil
}

// newWatcher watches files and folders of rules until Close.
func newWatcher(paths []string, rules *Rules, log *slog.Logger) (*watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{rules: rules, log: log, fs: n}
	for _, p := range paths {
		w.paths = append(w.paths, filepath.Clean(p))
	}
	w.follow()
	return w, nil
}

// follow watches each folder of the paths, and the folder above each path, in which
// a removed path can appear again.
func (w *watcher) follow() {
	for _, p := range w.paths {
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

func (w *watcher) add(dir string) {
	if err := w.fs.Add(dir); err != nil {
		w.log.Warn("cannot watch a rule folder, send SIGHUP after changes", "dir", dir, "error", err)
	}
}

// run reloads after changes and after signals until ctx ends.
func (w *watcher) run(ctx context.Context, signals <-chan os.Signal) {
	var first time.Time // of the changes that have not been read
	quiet := time.NewTimer(0)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = w.fs.Close()
			return
		case <-signals:
			w.log.Info("received a signal to load the rules again")
			w.reload()
		case err := <-w.fs.Errors:
			w.log.Warn("cannot watch the rules", "error", err)
		case e := <-w.fs.Events:
			if !w.concerns(e) {
				continue
			}
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(min(quietTime, max(0, quietLimit-time.Since(first))))
		case <-quiet.C:
			first = time.Time{}
			w.reload()
		}
	}
}

// concerns reports whether a change may be one of rule files.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if slices.Contains(w.paths, e.Name) {
		return true
	}
	below := slices.ContainsFunc(w.paths, func(p string) bool { return strings.HasPrefix(e.Name, p+string(filepath.Separator)) || p == "." })
	// A file that appears or disappears may be a folder or a link to one.
	return below && (IsRuleFile(e.Name) || !e.Op.Has(fsnotify.Write))
}

func (w *watcher) reload() {
	before, now, err := w.rules.Load()
	if err != nil {
		w.log.Error("keeping the current rules", "error", err)
		return
	}
	w.follow()
	logChanges(w.log, before, now)
}

// logChanges logs the changes of a reload.
func logChanges(log *slog.Logger, before, now *Generation) {
	for _, s := range now.sets {
		if old := before.of(s.set.File); old == nil || old.set.Version != s.set.Version {
			log.Info("rule set loaded", "file", s.set.File, "version", s.set.Version, "rules", len(s.set.Rules))
		}
	}
	logBroken(log, before, now)
	if before == nil {
		return
	}
	for _, s := range before.sets {
		if now.of(s.set.File) == nil {
			log.Info("rule set removed", "file", s.set.File)
		}
	}
	for _, b := range before.broken {
		if _, still := now.brokenFile(b.file); !still && now.of(b.file) != nil {
			log.Info("rule set is valid again", "file", b.file)
		}
	}
}

// logBroken logs invalid files, each once for the same findings.
func logBroken(log *slog.Logger, before, now *Generation) {
	for _, b := range now.broken {
		if old, ok := before.brokenFile(b.file); ok && slices.Equal(lines(old.findings), lines(b.findings)) {
			continue
		}
		message := "rule set is invalid, it does not run"
		if b.running {
			message = "rule set is invalid, keeping the last valid one"
		}
		log.Error(message, "file", b.file, "findings", lines(b.findings))
	}
	if before == nil || !slices.Equal(lines(before.notes), lines(now.notes)) {
		for _, f := range now.notes {
			log.Warn("rules", "finding", f.String())
		}
	}
}

func (g *Generation) brokenFile(file string) (brokenFile, bool) {
	if g != nil {
		for _, b := range g.broken {
			if b.file == file {
				return b, true
			}
		}
	}
	return brokenFile{}, false
}

func lines(l diag.List) []string {
	out := make([]string, len(l))
	for i, f := range l {
		out[i] = f.String()
	}
	return out
}
