package queue

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// Version n of our tables is made by the n-th file.
//
//go:embed schema
var schemaFiles embed.FS

// ErrNewer is returned by Open for a database that a later version of the
// program has already changed.
var ErrNewer = errors.New("the database was made by a newer version of the program")

// migrate brings River's tables and ours up to date, or refuses before it has
// changed anything. Of processes that do it at the same time, SQLite lets one
// write and undoes what the others began; these look again.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) (err error) {
	for range 10 {
		if err = migrateOnce(ctx, db, log); err == nil || errors.Is(err, ErrNewer) {
			return err
		}
		if pause(ctx, rand.N(100*time.Millisecond)) != nil {
			return err
		}
	}
	return err
}

func migrateOnce(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	files, err := fs.Glob(schemaFiles, "schema/sqlite/*.sql")
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("schema version %d, this program knows up to %d: %w; run that version, or restore a backup", version, len(files), ErrNewer)
	}
	if err := migrateRiver(ctx, db, version, log); err != nil {
		return err
	}
	for n := version + 1; n <= len(files); n++ {
		if err := apply(ctx, db, n, files[n-1]); err != nil {
			return fmt.Errorf("schema version %d: %w", n, err)
		}
	}
	return nil
}

func migrateRiver(ctx context.Context, db *sql.DB, ours int, log *slog.Logger) error {
	m, err := rivermigrate.New(riversqlite.New(db), &rivermigrate.Config{Logger: log})
	if err != nil {
		return fmt.Errorf("river's schema: %w", err)
	}
	if ours > 0 { // then River's tables are there too
		var have int
		if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM river_migration`).Scan(&have); err != nil {
			return fmt.Errorf("river's schema: %w", err)
		}
		known := m.AllVersions()
		if newest := known[len(known)-1].Version; have > newest {
			return fmt.Errorf("river's schema version %d, this program knows up to %d: %w; run that version, or restore a backup", have, newest, ErrNewer)
		}
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("river's schema: %w", err)
	}
	return nil
}

func schemaVersion(ctx context.Context, db *sql.DB) (version int, err error) {
	if _, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS b24_migration (version INTEGER PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
		return 0, fmt.Errorf("schema: %w", err)
	}
	if err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM b24_migration`).Scan(&version); err != nil {
		return 0, fmt.Errorf("schema: %w", err)
	}
	return version, nil
}

// apply runs one file and notes its version in the same transaction.
func apply(ctx context.Context, db *sql.DB, version int, file string) error {
	text, err := schemaFiles.ReadFile(file)
	if err != nil {
		return err
	}
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	if _, err := t.ExecContext(ctx, string(text)); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, `INSERT INTO b24_migration (version, applied_at) VALUES ($1, $2)`, version, micros(time.Now())); err != nil {
		return err
	}
	return t.Commit()
}
