package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// MovedTable is a table that Move has copied.
type MovedTable struct {
	Name string
	Rows int64
}

// Move copies an SQLite database into an empty PostgreSQL database, in one transaction,
// and compares the number of rows of each table. The SQLite database does not change. A
// process may work it, but what it stores later is not copied.
func Move(ctx context.Context, from, to string, log *slog.Logger) (tables []MovedTable, err error) {
	dir, err := os.MkdirTemp("", "b24rules-move-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "copy.db") // one state, and with the current schema
	if _, err := Backup(ctx, from, file); err != nil {
		return nil, err
	}
	current, err := Open(ctx, "sqlite:"+file, log)
	if err != nil {
		return nil, err
	}
	if err := current.Close(); err != nil {
		return nil, err
	}
	source, err := sql.Open("sqlite", sqliteURI(file, "mode=ro"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := Open(ctx, to, log) // creates the tables
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	pg, ok := target.Backend.(*postgresDB)
	if !ok {
		return nil, errors.New("want a PostgreSQL database: postgres://USER@HOST/NAME")
	}
	names, err := tablesOf(ctx, source)
	if err != nil {
		return nil, err
	}
	conn, err := pg.pool.Acquire(ctx)
	if err != nil {
		return nil, cleanError(err)
	}
	defer conn.Release()
	err = pgx.BeginFunc(ctx, conn, func(t pgx.Tx) error {
		// A large copy takes longer than the transactions of serve may.
		if _, err := t.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
			return err
		}
		tables = nil
		for _, name := range names {
			var view bool // of the previous version: its rows are in another table
			if err := t.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM information_schema.views WHERE table_schema = current_schema() AND table_name = $1)`, name).Scan(&view); err != nil {
				return err
			}
			if view {
				continue
			}
			n, err := moveTable(ctx, source, t, name)
			if err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
			tables = append(tables, MovedTable{name, n})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tables, nil
}

// tablesOf lists the tables of a database, those to which others refer first.
func tablesOf(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema
WHERE type = 'table' AND name LIKE 'b24\_%' ESCAPE '\' AND name <> 'b24_migration'
ORDER BY CASE name WHEN 'b24_event' THEN 0 WHEN 'b24_run' THEN 1 ELSE 2 END, name`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		all = append(all, name)
	}
	return all, rows.Err()
}

// moveTable copies the rows of a table.
func moveTable(ctx context.Context, source *sql.DB, t pgx.Tx, name string) (int64, error) {
	var filled bool
	if err := t.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM `+name+`)`).Scan(&filled); err != nil {
		return 0, err
	}
	if filled {
		return 0, errors.New("it has rows already: name an empty database")
	}
	rows, err := source.QueryContext(ctx, `SELECT * FROM `+name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	types, err := columnTypes(ctx, t, name)
	if err != nil {
		return 0, err
	}
	for _, c := range columns {
		if types[c] == "" {
			return 0, fmt.Errorf("PostgreSQL has no column %s", c)
		}
	}
	from := &moving{rows: rows, columns: columns, types: types}
	copied, err := t.CopyFrom(ctx, pgx.Identifier{name}, columns, from)
	if err != nil {
		return 0, err
	}
	var here, there int64
	if err := source.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+name).Scan(&here); err != nil {
		return 0, err
	}
	if err := t.QueryRow(ctx, `SELECT COUNT(*) FROM `+name).Scan(&there); err != nil {
		return 0, err
	}
	if here != there || here != copied {
		return 0, fmt.Errorf("%d rows of %d arrived", there, here)
	}
	return here, continueNumbers(ctx, source, t, name)
}

func columnTypes(ctx context.Context, t pgx.Tx, table string) (map[string]string, error) {
	rows, err := t.Query(ctx, `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, err
		}
		types[name] = kind
	}
	return types, rows.Err()
}

// continueNumbers makes PostgreSQL give no number that SQLite has given, also not of a
// row that was deleted.
func continueNumbers(ctx context.Context, source *sql.DB, t pgx.Tx, table string) error {
	var last int64
	err := source.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = ?`, table).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) || err == nil && last == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `SELECT setval(pg_get_serial_sequence($1, 'id'), $2)`, table, last)
	return err
}

// moving reads the rows of an SQLite table as PostgreSQL takes them.
type moving struct {
	rows    *sql.Rows
	columns []string
	types   map[string]string
}

// Next implements pgx.CopyFromSource.
func (m *moving) Next() bool { return m.rows.Next() }

// Err implements pgx.CopyFromSource.
func (m *moving) Err() error { return m.rows.Err() }

// Values implements pgx.CopyFromSource.
func (m *moving) Values() ([]any, error) {
	values, places := make([]any, len(m.columns)), make([]any, len(m.columns))
	for i := range values {
		places[i] = &values[i]
	}
	if err := m.rows.Scan(places...); err != nil {
		return nil, err
	}
	for i, c := range m.columns {
		switch kind := m.types[c]; v := values[i].(type) {
		case int64:
			if kind == "boolean" {
				values[i] = v != 0
			}
		case []byte:
			if kind != "bytea" {
				values[i] = string(v)
			}
		case string:
			if kind == "bytea" {
				values[i] = []byte(v)
			} else if strings.ContainsRune(v, 0) {
				return nil, fmt.Errorf("column %s has a zero byte, which PostgreSQL does not take", c)
			}
		}
	}
	return values, nil
}
