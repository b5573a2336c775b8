package queue

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/riverqueue/river"
)

// A database is where events and runs are. Everything that this package asks of
// one is the same text of SQL for all kinds; what differs is behind backend.
type database struct {
	backend

	read reader // beside the writes, and without their transactions
}

// A backend is one kind of database.
type backend interface {
	// begin begins a write transaction.
	begin(ctx context.Context) (txConn, error)

	// migrate brings River's tables and ours up to date.
	migrate(ctx context.Context, log *slog.Logger) error

	// newRiver makes a client that shares write transactions.
	newRiver(config *river.Config, b *notifier) (riverClient, error)

	// lost tells whether an error says that the connection or the transaction
	// has failed, and not what was asked of it: it may be asked once more.
	lost(err error) bool

	// leases tells whether several processes may work, each with leases for its
	// portals. Otherwise lock makes this process the one that works.
	leases() bool
	lock(ctx context.Context) (taken bool, err error)
	unlock() error

	// watch tells until ctx ends what other processes have announced: portals of
	// which something was stored, "" for all of them, leaseNews.
	watch(ctx context.Context, log *slog.Logger, heard func(news string))

	// String names the database without its secrets.
	String() string

	close() error
}

// A reader reads.
type reader interface {
	QueryContext(ctx context.Context, text string, args ...any) (rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) row
}

// rows are what sql.Rows are. Without a row, a row's Scan returns sql.ErrNoRows.
type rows interface {
	row
	Next() bool
	Err() error
	Close() error
}

type row interface{ Scan(to ...any) error }

// A txConn is a write transaction of a backend.
type txConn interface {
	exec(ctx context.Context, text string, args ...any) (changed int64, err error)
	query(ctx context.Context, text string, args ...any) (rows, error)
	queryRow(ctx context.Context, text string, args ...any) row
	// skipLocked ends a SELECT of rows that are about to be changed, leaving out
	// those that others are changing now: they announce it when they are done.
	skipLocked() string

	// shared tells whether others write at the same time, and duplicate whether an
	// error says that one of them was quicker with a row that can be there once.
	shared() bool
	duplicate(err error) bool

	// announce tells other processes, after the commit.
	announce(ctx context.Context, news []string) error
	commit(ctx context.Context) error
	rollback(ctx context.Context) error
}

// errDSN says what a DSN may be. It repeats nothing of one: it may hold a password.
var errDSN = errors.New("database: want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db, or postgres://USER:PASSWORD@HOST/NAME")

// leaseNews announces that a lease was given back. No portal is called that.
const leaseNews = "\x01lease"

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
