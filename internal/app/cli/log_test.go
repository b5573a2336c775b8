package cli

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
)

// logBuffer is a log that a test can read and wait for.
type logBuffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed by the next line
}

func newLogBuffer() *logBuffer { return &logBuffer{changed: make(chan struct{})} }

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// size is where the log stands now, for wait.
func (l *logBuffer) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Len()
}

// wait waits for a line that holds all of the texts, after the place from. It
// returns the line.
func (l *logBuffer) wait(t testing.TB, from int, texts ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harnessPatience)
	defer cancel()
	for {
		l.mu.Lock()
		text, changed := l.b.String()[from:], l.changed
		l.mu.Unlock()
		for line := range strings.Lines(text) {
			if holdsAll(line, texts) {
				return line
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no log line with %q in:\n%s", texts, text)
		}
	}
}

func holdsAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

func TestOpenLog(t *testing.T) {
	var stderr bytes.Buffer
	dir := t.TempDir() + "/logs"
	log, closeLog, err := OpenLog(config.Log{Dir: dir, JSON: true, Level: slog.LevelWarn}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("too low")
	log.Warn("taken", "took", time.Second)
	closeLog()
	text := readFile(t, dir+"/"+logFileName)
	if !strings.Contains(text, `"msg":"taken","took":1000000000`) || strings.Contains(text, "too low") || stderr.Len() > 0 {
		t.Errorf("file %s, stderr %s", text, stderr.String())
	}
	log, closeLog, err = OpenLog(config.Log{Off: true}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Error("nobody hears it")
	closeLog()
	log, closeLog, err = OpenLog(config.Log{}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("line", "portal", "main")
	slog.New(everything{log.Handler()}).Debug("request")
	closeLog()
	if text := stderr.String(); !strings.Contains(text, "level=INFO msg=line portal=main") || !strings.Contains(text, "level=DEBUG msg=request") || strings.Contains(text, "nobody") {
		t.Errorf("stderr %s", text)
	}
}
