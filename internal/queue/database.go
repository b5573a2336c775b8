package queue

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/b24rules/b24rules/internal/store"
)

// A database stores events and runs. This package uses the same SQL for all
// kinds of databases; a backend holds the differences.
type database struct {
	backend

	read store.Reader // in parallel with the writes, and outside their transactions
}

// A backend is one kind of database.
type backend interface {
	// begin starts a write transaction.
	begin(ctx context.Context) (txConn, error)

	// migrate creates or updates the tables.
	migrate(ctx context.Context, log *slog.Logger) error

	// lost reports whether the connection or the transaction has failed, and not
	// the statement itself: the statement may be repeated.
	lost(err error) bool

	// leases reports whether several processes may work, each with leases for its
	// portals. Otherwise lock makes this process the one that works.
	leases() bool
	lock(ctx context.Context) (taken bool, err error)
	unlock() error

	// locked reports whether a process has the lock.
	locked(ctx context.Context) (bool, error)

	// watch passes on the announcements of other processes until ctx ends: portals
	// that have changed, "" for all of them, or lease.News. It returns an error if the
	// database cannot be used any more.
	watch(ctx context.Context, log *slog.Logger, received func(news string)) error

	// String names the database without its secrets.
	String() string

	close() error
}

// A txConn is a write transaction of a backend.
type txConn interface {
	store.Tx

	// forUpdate is the end of a SELECT of rows to change, of a table with this alias. So
	// is skipLocked, but it omits the rows that another process is changing: that
	// process announces its change.
	forUpdate(alias string) string
	skipLocked(alias string) string

	// among is a condition of a column, whose values are the nth argument of the
	// statement, and that argument.
	among(nth int, values []int64) (text string, arg any)

	// shared reports whether other processes write at the same time, and duplicate
	// whether an error means that one of them has inserted the same row before.
	shared() bool
	duplicate(err error) bool

	// announce sends news to other processes after the commit.
	announce(ctx context.Context, news []string) error
	commit(ctx context.Context) error
	rollback(ctx context.Context) error
}

// errDSN describes a valid DSN. It does not repeat the given one, which may hold a
// password.
var errDSN = errors.New("database: want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db, or postgres://USER:PASSWORD@HOST/NAME")

// openDatabase connects to what dsn names.
func openDatabase(ctx context.Context, dsn string) (*database, error) {
	scheme, rest, ok := strings.Cut(dsn, ":")
	switch {
	case ok && scheme == "sqlite" && rest != "" && !strings.HasPrefix(rest, ":memory:"):
		return openSQLite(ctx, rest)
	case ok && scheme == "sqlite":
		return nil, errors.New("database: sqlite needs the path of a file, want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db")
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return openPostgres(ctx, dsn)
	}
	return nil, errDSN
}
