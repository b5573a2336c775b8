// Package database opens the database of the program, SQLite or PostgreSQL, with its schema.
//
// The other packages use the same SQL for both. A [Backend] holds the differences. The
// schema of all tables is in this package. [Backup], [Restore] and [Move] copy a whole
// database.
package database

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/b24rules/b24rules/internal/store"
)

// A DB is an open database.
type DB struct {
	Backend

	Read store.Reader // in parallel with the writes, and outside their transactions
}

// A Backend is one kind of database.
type Backend interface {
	// Begin starts a write transaction.
	Begin(ctx context.Context) (Tx, error)

	// Lost reports whether the connection or the transaction has failed, and not
	// the statement itself: the statement may be repeated.
	Lost(err error) bool

	// Leases reports whether several processes may work, each with leases for its
	// portals. Otherwise Lock makes this process the one that works.
	Leases() bool
	Lock(ctx context.Context) (taken bool, err error)
	Unlock() error

	// Locked reports whether a process has the lock.
	Locked(ctx context.Context) (bool, error)

	// Watch passes on the announcements of other processes until ctx ends: portals
	// that have changed, "" for all of them, or other words. It returns an error if the
	// database cannot be used any more.
	Watch(ctx context.Context, log *slog.Logger, received func(news string)) error

	// String names the database without its secrets.
	String() string

	Close() error
}

// A Tx is a write transaction of a Backend.
type Tx interface {
	store.Tx

	// ForUpdate is the end of a SELECT of rows to change, of a table with this alias. So
	// is SkipLocked, but it omits the rows that another process is changing: that
	// process announces its change.
	ForUpdate(alias string) string
	SkipLocked(alias string) string

	// Among is a condition of a column, whose values are the nth argument of the
	// statement, and that argument.
	Among(nth int, values []int64) (text string, arg any)

	// Shared reports whether other processes write at the same time, and Duplicate
	// whether an error means that one of them has inserted the same row before.
	Shared() bool
	Duplicate(err error) bool

	// Announce sends news to other processes after the commit.
	Announce(ctx context.Context, news []string) error
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
}

// Open opens the database that dsn names ("sqlite:PATH" or "postgres://..."), and creates
// or updates its tables. The caller closes it.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*DB, error) {
	open, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	return open(ctx, log)
}

// CheckDSN checks the name of a database without connecting. Its error does not
// repeat the name.
func CheckDSN(dsn string) error {
	_, err := parse(dsn)
	return err
}

// parse returns the function that opens the database of a name.
func parse(dsn string) (open func(ctx context.Context, log *slog.Logger) (*DB, error), err error) {
	scheme, rest, ok := strings.Cut(dsn, ":")
	switch {
	case ok && scheme == "sqlite" && rest != "" && !strings.HasPrefix(rest, ":memory:"):
		return func(ctx context.Context, log *slog.Logger) (*DB, error) { return openSQLite(ctx, rest, log) }, nil
	case ok && scheme == "sqlite":
		return nil, errors.New("database: sqlite needs the path of a file, want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db")
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		config, err := postgresConfig(dsn)
		return func(ctx context.Context, log *slog.Logger) (*DB, error) { return openPostgres(ctx, config, log) }, err
	}
	return nil, errors.New("database: want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db, or postgres://USER:PASSWORD@HOST/NAME")
}
