package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// minConns and maxConns bound the connections of a process. Writes need one
	// (they share transactions), the leases one, and one listens; the others read.
	minConns, maxConns = 2, 20

	// idleInTransaction is when the server ends an idle transaction, and frees its
	// locks: a frozen process must not delay the others.
	idleInTransaction = 5 * time.Second

	// transactTimeout bounds a write transaction as a whole.
	transactTimeout = 15 * time.Second

	// connectTimeout is how long one attempt to connect may take.
	connectTimeout = 5 * time.Second
)

// A postgresDB is a PostgreSQL database, of 13 or later.
type postgresDB struct {
	pool *pgxpool.Pool
	name string
}

// openPostgres connects. Errors of the driver that may repeat the DSN are omitted.
func openPostgres(ctx context.Context, config *pgxpool.Config, log *slog.Logger) (*DB, error) {
	name := config.ConnConfig.Host + "/" + config.ConnConfig.Database
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", name, cleanError(err))
	}
	db := &postgresDB{pool: pool, name: name}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database %s: %w", name, cleanError(err))
	}
	if err := db.migrate(ctx, log); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database %s: %w", name, err)
	}
	return &DB{Backend: db, Read: pgReader{pool}}, nil
}

func postgresConfig(dsn string) (*pgxpool.Config, error) {
	if err := checkPool(dsn); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The driver's error repeats the DSN, and hides a password only where it
		// recognizes one.
		return nil, errors.New("database: not the URL of a PostgreSQL database, want postgres://USER:PASSWORD@HOST:PORT/NAME; percent-encode special characters of the password")
	}
	if config.ConnConfig.Database == "" || strings.HasPrefix(config.ConnConfig.Database, "?") {
		return nil, errors.New("database: the URL names no database, want postgres://USER:PASSWORD@HOST:PORT/NAME")
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = maxConns
	}
	config.MinConns = min(minConns, config.MaxConns)
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > connectTimeout {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "b24rules"
	params["idle_in_transaction_session_timeout"] = fmt.Sprint(idleInTransaction.Milliseconds())
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		// An event that was answered with 200 must be on disk, whatever the server's default is.
		_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
		return err
	}
	return config, nil
}

// leastConns is the smallest number of connections that works: one listens, one
// writes, one renews the leases and one reads at the same time.
const leastConns = 4

// checkPool refuses a number of connections that is too small: the process would
// wait for itself.
func checkPool(dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil || !u.Query().Has("pool_max_conns") {
		return nil // the driver reports what is wrong with the URL
	}
	text := u.Query().Get("pool_max_conns")
	switch n, err := strconv.Atoi(text); {
	case err != nil:
		return fmt.Errorf("database: pool_max_conns=%s is not a number, must be at least %d", text, leastConns)
	case n < leastConns:
		return fmt.Errorf("database: pool_max_conns=%d is too small for one process, must be at least %d", n, leastConns)
	}
	return nil
}

// firstLine is the text of an error without the joined ones: the driver tries an
// address more than once.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// cleanError is an error of connecting without the driver's words about the DSN.
func cleanError(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return fmt.Errorf("the server says: %s (SQLSTATE %s)", server.Message, server.Code)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no connection in time")
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return fmt.Errorf("no connection: %s", firstLine(errors.Unwrap(connect)))
	}
	return err
}

func (db *postgresDB) String() string { return db.name }

func (db *postgresDB) Close() error {
	db.pool.Close()
	return nil
}

// migrationLock is the key of an advisory lock: "b24rules".
const migrationLock = 0x62323472756c6573

// migrate lets one process migrate at a time. The next ones find the tables
// migrated.
func (db *postgresDB) migrate(ctx context.Context, log *slog.Logger) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for other processes that migrate: %w", err)
	}
	defer func() { _, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, int64(migrationLock)) }() // the end of the connection unlocks too
	return migrate(ctx, db, "schema/postgres", func(from, to int) error {
		log.InfoContext(ctx, "the tables of the database change: processes of the previous version continue, but only a copy that pg_dump has made before can be opened by that version again",
			slog.Int("from", from), slog.Int("to", to))
		return nil
	})
}

// Leases implements Backend: each portal has a lease.
func (db *postgresDB) Leases() bool { return true }

func (db *postgresDB) Lock(context.Context) (taken bool, err error) { return false, nil }

func (db *postgresDB) Unlock() error { return nil }

func (db *postgresDB) Locked(context.Context) (bool, error) { return false, nil }

// Lost implements Backend. See https://www.postgresql.org/docs/current/errcodes-appendix.html.
func (db *postgresDB) Lost(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "40001", "40P01": // serialization failure, deadlock
			return true
		case "25P03", "25P04": // the transaction was idle or took too long
			return true
		case "57P01", "57P02", "57P03", "57P05": // the server stops or starts
			return true
		case "53300": // too many connections
			return true
		case "25006", "25P02": // a standby, such as after a failover; a transaction that has failed before
			return true
		}
		return strings.HasPrefix(server.Code, "08") // the connection
	}
	var connect *pgconn.ConnectError
	var op net.Error
	return errors.As(err, &connect) || errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

type pgReader struct{ pool *pgxpool.Pool }

func (r pgReader) Query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	return pgRowsOf(r.pool.Query(ctx, text, args...))
}

func (r pgReader) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	return r.pool.QueryRow(ctx, text, args...)
}

// pgRows are rows whose Close returns an error, as in database/sql.
type pgRows struct{ pgx.Rows }

func pgRowsOf(r pgx.Rows, err error) (store.Rows, error) {
	if err != nil {
		return nil, err
	}
	return pgRows{r}, nil
}

func (r pgRows) Close() error {
	r.Rows.Close()
	return nil
}

// A pgTx is a transaction with a time limit, because a network can lose all
// packets without an error. It stores its context for that.
type pgTx struct {
	tx     pgx.Tx
	ctx    context.Context
	cancel context.CancelFunc
}

func (db *postgresDB) Begin(ctx context.Context) (Tx, error) {
	ctx, cancel := context.WithTimeout(ctx, transactTimeout)
	t, err := db.pool.Begin(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	return &pgTx{t, ctx, cancel}, nil
}

const notify = `SELECT pg_notify('b24rules', news) FROM unnest($1::text[]) AS news`

func (t *pgTx) Announce(_ context.Context, news []string) error {
	_, err := t.tx.Exec(t.ctx, notify, news)
	return err
}

// ByIndex implements store.Reader: the statistics of the server choose the index.
func (pgReader) ByIndex(string) string { return "" }
func (*pgTx) ByIndex(string) string    { return "" }

func (t *pgTx) ForUpdate(alias string) string { return " FOR UPDATE OF " + alias }

func (t *pgTx) SkipLocked(alias string) string { return t.ForUpdate(alias) + " SKIP LOCKED" }

func (t *pgTx) Among(nth int, values []int64) (text string, arg any) {
	return fmt.Sprintf(" = ANY($%d)", nth), values
}

func (t *pgTx) Shared() bool { return true }

func (t *pgTx) Duplicate(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == "23505"
}

func (t *pgTx) Commit(context.Context) error {
	defer t.cancel()
	return t.tx.Commit(t.ctx)
}

func (t *pgTx) Rollback(context.Context) error {
	defer t.cancel()
	return t.tx.Rollback(t.ctx)
}

func (t *pgTx) Exec(_ context.Context, text string, args ...any) (changed int64, err error) {
	tag, err := t.tx.Exec(t.ctx, text, args...)
	return tag.RowsAffected(), err
}

func (t *pgTx) Query(_ context.Context, text string, args ...any) (store.Rows, error) {
	return pgRowsOf(t.tx.Query(t.ctx, text, args...))
}

func (t *pgTx) QueryRow(_ context.Context, text string, args ...any) store.Row {
	return t.tx.QueryRow(t.ctx, text, args...)
}
