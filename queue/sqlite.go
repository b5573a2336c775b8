package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrInUse is returned by Lock and Work when another process works the database.
var ErrInUse = errors.New("another process works this database")

// A database is one SQLite file as two pools: a single connection that writes,
// which River wants too (its SQLite driver advises one connection), and a few
// that read beside it, which the write-ahead log allows.
//
// Other processes may use the file too. The lock is that of the one that works it.
type database struct {
	path        string
	write, read *sql.DB

	mu   sync.Mutex
	lock *sql.DB // nil when we do not hold it
}

// parseDSN returns the file that "sqlite:PATH" names. What it refuses it does
// not repeat whole: a DSN of another kind may hold a password.
func parseDSN(dsn string) (path string, err error) {
	scheme, rest, ok := strings.Cut(dsn, ":")
	switch {
	case ok && scheme == "sqlite" && rest != "" && !strings.HasPrefix(rest, ":memory:"):
		return rest, nil
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return "", errors.New("database: PostgreSQL is not available in this version, want sqlite:PATH")
	case ok && scheme == "sqlite":
		return "", errors.New("database: sqlite needs the path of a file, want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db")
	}
	return "", errors.New("database: want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db")
}

func openSQLite(ctx context.Context, path string) (*database, error) {
	path, err := createFile(path)
	if err != nil {
		return nil, err
	}
	db := &database{path: path}
	if err := db.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), db.close())
	}
	return db, nil
}

func (db *database) open(ctx context.Context, path string) (err error) {
	if db.write, err = sql.Open("sqlite", sqliteURI(path, "_txlock=immediate",
		"_pragma=busy_timeout(5000)", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_pragma=foreign_keys(ON)")); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	if err = db.write.PingContext(ctx); err != nil {
		return err
	}
	if db.read, err = sql.Open("sqlite", sqliteURI(path, "_pragma=busy_timeout(5000)", "_pragma=query_only(ON)")); err != nil {
		return err
	}
	db.read.SetMaxOpenConns(4)
	db.read.SetMaxIdleConns(4)
	return nil
}

func (db *database) close() error {
	errs := []error{db.unlock()}
	for _, pool := range []*sql.DB{db.read, db.write} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// createFile makes sure that the file exists, readable by its owner alone
// (SQLite gives its log the same rights), and returns its one true path, so
// that two names of one file meet at one lock.
func createFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	return path, nil
}

// lockWork takes a lock that ends with the process, however that ends, on every
// system that SQLite runs on: an exclusive transaction, never committed, on an
// empty database beside the real one. It reports whether it was not ours before.
func (db *database) lockWork(ctx context.Context) (taken bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.lock != nil {
		return false, nil
	}
	lock, err := sql.Open("sqlite", sqliteURI(db.path+".lock", "_pragma=busy_timeout(0)"))
	if err != nil {
		return false, err
	}
	lock.SetMaxOpenConns(1)
	// The pool keeps its one idle connection, and the transaction with it.
	if _, err := lock.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		_ = lock.Close()
		if e := (*sqlite.Error)(nil); errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY {
			return false, ErrInUse
		}
		return false, fmt.Errorf("lock: %w", err)
	}
	db.lock = lock
	return true, nil
}

func (db *database) unlock() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.lock == nil {
		return nil
	}
	lock := db.lock
	db.lock = nil
	return lock.Close()
}

// sqliteURI escapes what a path may hold and a URI may not.
func sqliteURI(path string, query ...string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + strings.Join(query, "&")
}
