package service

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/b24rules/b24rules/internal/app/config"
)

// logFileName is the file in log.dir. The program opens it once, so a rotation must
// copy and truncate it.
const logFileName = "b24rules.log"

// OpenLog opens the log of a configuration. The caller calls closeLog.
func OpenLog(c config.Log, stderr io.Writer) (log *slog.Logger, closeLog func(), err error) {
	if c.Off {
		return slog.New(slog.DiscardHandler), func() {}, nil
	}
	closeLog = func() {}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o750); err != nil {
			return nil, nil, err
		}
		f, err := os.OpenFile(filepath.Join(c.Dir, logFileName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
		if err != nil {
			return nil, nil, err
		}
		stderr, closeLog = f, func() { _ = f.Close() }
	}
	options := &slog.HandlerOptions{Level: c.Level}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(stderr, options)), closeLog, nil
	}
	return slog.New(slog.NewTextHandler(stderr, options)), closeLog, nil
}

// everything logs all levels, because requests to a portal are debug lines.
type everything struct{ slog.Handler }

// Enabled implements slog.Handler.
func (everything) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h everything) WithAttrs(a []slog.Attr) slog.Handler { return everything{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h everything) WithGroup(name string) slog.Handler { return everything{h.Handler.WithGroup(name)} }
