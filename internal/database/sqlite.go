package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// ErrInUse is returned by Lock when another process works the database.
var ErrInUse = errors.New("another process works this database")

// A sqliteDB is one file with two pools: a single connection that writes, and a few
// that read in parallel, which the write-ahead log allows.
//
// Other processes may use the file too. The process that works it has the lock.
type sqliteDB struct {
	path        string
	write, read *sql.DB
	statements  map[string]*sql.Stmt // prepared for write; used by one transaction at a time

	opened os.FileInfo // the file at path when it was opened
	gone   atomic.Bool // path leads to another file, or to none

	mu   sync.Mutex
	held *sql.DB // the lock; nil when we do not hold it
}

func openSQLite(ctx context.Context, path string, log *slog.Logger) (*DB, error) {
	path, err := createFile(path)
	if err != nil {
		return nil, err
	}
	db := &sqliteDB{path: path, statements: map[string]*sql.Stmt{}}
	if err = db.open(ctx); err == nil {
		err = db.migrate(ctx, log)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), db.Close())
	}
	return &DB{Backend: db, Read: sqliteReader{db.read}}, nil
}

func (db *sqliteDB) open(ctx context.Context) (err error) {
	if db.opened, err = os.Stat(db.path); err != nil {
		return err
	}
	if db.write, err = db.pool("_txlock=immediate",
		"_pragma=busy_timeout(5000)", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_pragma=temp_store(MEMORY)", "_pragma=foreign_keys(ON)"); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	if err = db.write.PingContext(ctx); err != nil {
		return err
	}
	if db.read, err = db.pool("_pragma=busy_timeout(5000)", "_pragma=query_only(ON)"); err != nil {
		return err
	}
	db.read.SetMaxOpenConns(4)
	db.read.SetMaxIdleConns(4)
	return nil
}

// pool returns a pool of connections to the file.
func (db *sqliteDB) pool(query ...string) (*sql.DB, error) {
	named, err := sql.Open("sqlite", "")
	if err != nil {
		return nil, err
	}
	// createFile has made the file.
	return sql.OpenDB(connector{named.Driver(), sqliteURI(db.path, append(query, "mode=rw")...), db}), named.Close()
}

// A connector opens connections only while the path leads to the file of the others. Another file
// would be taken for it, with the write-ahead log of the old one.
type connector struct {
	driver driver.Driver
	dsn    string
	db     *sqliteDB
}

func (c connector) Connect(context.Context) (driver.Conn, error) {
	if err := c.db.inPlace(); err != nil {
		return nil, err
	}
	return c.driver.Open(c.dsn)
}

func (c connector) Driver() driver.Driver { return c.driver }

func (db *sqliteDB) String() string { return db.path }

func (db *sqliteDB) Close() error {
	errs := []error{db.rescue(), db.Unlock()}
	for _, pool := range []*sql.DB{db.read, db.write} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// createFile creates the file if necessary, readable only by its owner (SQLite
// gives its log the same rights), and returns its real path, so that two names of
// one file have one lock.
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

// Lock takes a lock that ends with the process, even if it is killed, on every
// system that SQLite runs on: an exclusive transaction, never committed, on an empty
// database next to the real one.
func (db *sqliteDB) Lock(ctx context.Context) (taken bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.held != nil {
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
		if busy(err) {
			return false, ErrInUse
		}
		return false, fmt.Errorf("lock: %w", err)
	}
	db.held = lock
	return true, nil
}

// Locked tries to read the lock, which an exclusive transaction does not let others do.
func (db *sqliteDB) Locked(ctx context.Context) (bool, error) {
	if _, err := os.Stat(db.path + ".lock"); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := sql.Open("sqlite", sqliteURI(db.path+".lock", "_pragma=busy_timeout(0)", "mode=ro"))
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }()
	var n int
	err = lock.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema`).Scan(&n)
	if busy(err) {
		return true, nil
	}
	return false, err
}

func (db *sqliteDB) Leases() bool { return false }

func busy(err error) bool {
	e := (*sqlite.Error)(nil)
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

func (db *sqliteDB) Unlock() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.held == nil {
		return nil
	}
	lock := db.held
	db.held = nil
	return lock.Close()
}

// othersEvery is how often Work checks whether another process has changed the
// database.
const othersEvery = 500 * time.Millisecond

// Watch notices changes by other processes. The pragma reads one number of the
// shared memory; writes of the same connection, which makes all of ours, do not
// change it.
func (db *sqliteDB) Watch(ctx context.Context, log *slog.Logger, received func(news string)) error {
	var last int64
	for {
		if err := db.inPlace(); err != nil {
			return err
		}
		var now int64
		if err := db.write.QueryRowContext(ctx, "PRAGMA data_version").Scan(&now); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "cannot look for changes by other processes", slog.Any("error", err))
		} else if now != last {
			last = now
			received("")
		}
		if wakeup.Sleep(ctx, othersEvery) != nil {
			return nil
		}
	}
}

// inPlace returns an error if somebody has removed or replaced the file. The system keeps an open
// file until it is closed, so everything would seem to work, and be lost at the end.
func (db *sqliteDB) inPlace() error {
	now, err := os.Stat(db.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("the database file %s was removed while it was in use: this process ends and writes it again, so start it again", db.path)
	case err == nil && !os.SameFile(now, db.opened):
		err = fmt.Errorf("the database file %s was replaced while it was in use: this process ends, so start it again with the new file; the old one is saved next to it", db.path)
	default:
		return nil // also if it cannot be seen: queries say more
	}
	db.gone.Store(true)
	return err
}

// rescue writes a removed database to its path again, and a replaced one next to it.
func (db *sqliteDB) rescue() error {
	if !db.gone.Load() {
		return nil
	}
	to := db.path
	if _, err := os.Stat(to); err == nil {
		to += time.Now().Format(".replaced-20060102-150405.bak")
	}
	if err := store.CopySQLite(context.Background(), db.write, to); err != nil {
		return fmt.Errorf("cannot write the removed database to %s: %w", to, err)
	}
	return nil
}

// migrate repeats a migration that failed: of several processes that migrate at the
// same time, SQLite lets one write and refuses the others.
func (db *sqliteDB) migrate(ctx context.Context, log *slog.Logger) (err error) {
	copied := false
	before := func(from, to int) error {
		if copied {
			return nil
		}
		err := db.copyBefore(ctx, log, from, to)
		copied = err == nil
		return err
	}
	for range 10 {
		if err = migrate(ctx, db, "schema/sqlite", before); err == nil || errors.Is(err, ErrNewer) || errors.Is(err, store.ErrNoRoom) {
			return err
		}
		if wakeup.Sleep(ctx, rand.N(100*time.Millisecond)) != nil {
			return err
		}
	}
	return err
}

// copyBefore copies the database before its tables change, because the version of the
// program that made them refuses the new ones.
func (db *sqliteDB) copyBefore(ctx context.Context, log *slog.Logger, from, to int) error {
	path := fmt.Sprintf("%s.v%d-%s.bak", db.path, from, time.Now().Format("20060102-150405"))
	if err := store.CopySQLite(ctx, db.write, path); err != nil {
		return fmt.Errorf("cannot copy the database, so nothing was changed: %w", err)
	}
	if version, err := copiedVersion(ctx, path); err != nil || version != from { // another process has changed the tables since, and made its copy before
		return errors.Join(err, os.Remove(path))
	}
	log.InfoContext(ctx, "the tables of the database change: to go back to the previous version, replace the database with this copy",
		slog.String("copy", path), slog.Int("from", from), slog.Int("to", to))
	return nil
}

func copiedVersion(ctx context.Context, path string) (version int, err error) {
	db, err := sql.Open("sqlite", sqliteURI(path, "mode=ro"))
	if err != nil {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT MAX(version) FROM b24_migration`).Scan(&version)
	return version, errors.Join(err, db.Close())
}

// Lost implements Backend: SQLite has no connection to lose.
func (db *sqliteDB) Lost(error) bool { return false }

// sqliteURI escapes the characters that a path may contain and a URI may not.
func sqliteURI(path string, query ...string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + strings.Join(query, "&")
}

type sqliteReader struct{ db *sql.DB }

func (r sqliteReader) Query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	return sqlRows(r.db.QueryContext(ctx, text, args...))
}

func (r sqliteReader) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	return r.db.QueryRowContext(ctx, text, args...)
}

// sqlRows prevents a nil pointer from becoming an interface that is not nil.
func sqlRows(r *sql.Rows, err error) (store.Rows, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// A sqliteTx uses the prepared statements of earlier transactions. It cannot prepare
// statements itself, because it holds the only connection. All texts are constants
// of the program, so their number is bounded.
type sqliteTx struct {
	*sql.Tx
	db         *sqliteDB
	unprepared []string
}

func (db *sqliteDB) Begin(ctx context.Context) (Tx, error) {
	t, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &sqliteTx{Tx: t, db: db}, nil
}

func (t *sqliteTx) Commit(ctx context.Context) error {
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	for _, text := range t.unprepared {
		if t.db.statements[text] != nil {
			continue
		}
		if s, err := t.db.write.PrepareContext(ctx, text); err == nil {
			t.db.statements[text] = s
		}
	}
	return nil
}

// ByIndex implements store.Reader. Without statistics SQLite prefers any index with the
// state to one with the order of portals, and reads all runs in that state.
func (sqliteReader) ByIndex(index string) string { return " INDEXED BY " + index }
func (*sqliteTx) ByIndex(index string) string    { return " INDEXED BY " + index }

// ForUpdate and SkipLocked implement Tx: only one transaction writes at a time.
func (t *sqliteTx) ForUpdate(string) string  { return "" }
func (t *sqliteTx) SkipLocked(string) string { return "" }

func (t *sqliteTx) Among(nth int, values []int64) (text string, arg any) {
	if len(values) == 1 {
		return fmt.Sprintf(" = $%d", nth), values[0]
	}
	list, _ := json.Marshal(values) // numbers: no error
	return fmt.Sprintf(" IN (SELECT value FROM json_each($%d))", nth), string(list)
}

func (t *sqliteTx) Shared() bool { return false }

func (t *sqliteTx) Duplicate(error) bool { return false }

// Announce implements Tx: Watch notices every commit.
func (t *sqliteTx) Announce(context.Context, []string) error { return nil }

func (t *sqliteTx) Rollback(context.Context) error { return t.Tx.Rollback() }

func (t *sqliteTx) statement(ctx context.Context, text string) *sql.Stmt {
	if s, ok := t.db.statements[text]; ok {
		return t.StmtContext(ctx, s)
	}
	t.unprepared = append(t.unprepared, text)
	return nil
}

func (t *sqliteTx) Exec(ctx context.Context, text string, args ...any) (changed int64, err error) {
	var res sql.Result
	if s := t.statement(ctx, text); s != nil {
		res, err = s.ExecContext(ctx, args...)
	} else {
		res, err = t.ExecContext(ctx, text, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *sqliteTx) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	if s := t.statement(ctx, text); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return t.QueryRowContext(ctx, text, args...)
}

func (t *sqliteTx) Query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	if s := t.statement(ctx, text); s != nil {
		return sqlRows(s.QueryContext(ctx, args...))
	}
	return sqlRows(t.QueryContext(ctx, text, args...))
}
