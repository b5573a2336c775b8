package service

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/dump"
	"github.com/b24rules/b24rules/internal/app/logfile"
	"github.com/b24rules/b24rules/internal/redact"
)

// Names of the files in log.dir.
const (
	logFileName  = "b24rules.log"
	dumpFileName = "dump.log"
)

// Logs are the outputs of a service.
type Logs struct {
	Log *slog.Logger
	// Dump is nil unless the configuration has log.dump.
	Dump  *dump.Dump
	plain slog.Handler // of Log, without the hiding of secrets
	files []*logfile.File
}

// OpenLogs opens the log and the dump of a configuration. A file that cannot be written
// is no reason not to start: the log goes to stderr until the file works, and the dump
// omits lines. The caller must call Close.
func OpenLogs(c config.Log, hide *redact.Redactor, stderr io.Writer) *Logs {
	l := &Logs{Log: slog.New(slog.DiscardHandler)}
	if c.Off {
		return l
	}
	l.plain = newHandler(stderr, c)
	if c.Dir != "" {
		l.plain = newHandler(l.open(c, logFileName, stderr, slog.New(l.plain)), c)
	}
	l.Log = slog.New(hide.Handler(l.plain))
	if c.Dump {
		l.Dump = dump.New(l.dumpLog(c), hide)
	}
	return l
}

// newHandler returns the log handler of a configuration, with the output w.
func newHandler(w io.Writer, c config.Log) slog.Handler {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.JSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// open opens a file. Reports about it go to report.
func (l *Logs) open(c config.Log, name string, instead io.Writer, report *slog.Logger) *logfile.File {
	f := logfile.Open(logfile.Options{
		Path: filepath.Join(c.Dir, name), MaxSize: c.MaxSize, MaxAge: c.MaxAge, MaxFiles: c.MaxFiles, Instead: instead,
		Failed: func(err error) {
			if err != nil {
				report.Warn("cannot write log file, omitting its lines until it works again", slog.String("file", name), slog.String("error", err.Error()))
				return
			}
			report.Info("log file works again", slog.String("file", name))
		},
	})
	l.files = append(l.files, f)
	return f
}

// dumpLog returns the log of the dump. In its own file each line is a JSON object.
func (l *Logs) dumpLog(c config.Log) *slog.Logger {
	if c.Dir == "" {
		return slog.New(everything{l.plain})
	}
	return slog.New(slog.NewJSONHandler(l.open(c, dumpFileName, nil, l.Log), &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// Close closes the files.
func (l *Logs) Close() {
	for _, f := range l.files {
		_ = f.Close() // lines are not buffered
	}
}

// everything logs all levels: requests to a portal are debug lines, and log.dump does not depend on
// the level.
type everything struct{ slog.Handler }

// Enabled implements slog.Handler.
func (everything) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h everything) WithAttrs(a []slog.Attr) slog.Handler { return everything{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h everything) WithGroup(name string) slog.Handler { return everything{h.Handler.WithGroup(name)} }
