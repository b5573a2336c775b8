package testkit

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits: long enough for a very busy machine.
const Patience = 3 * time.Minute

// Log is a log that a test can read and wait for.
type Log struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed by the next line
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{changed: make(chan struct{})} }

// Logger logs to l, at all levels.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.b.Write(p)
}

// String returns the whole log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Size is the length of the log now, for Wait.
func (l *Log) Size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Len()
}

// Wait waits for a line that holds all of the texts, after the place from. It
// returns the line.
func (l *Log) Wait(t testing.TB, from int, texts ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
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
