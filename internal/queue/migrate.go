package queue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
)

// The n-th file of a kind of database creates version n of our tables. The previous
// version of the program must work with the tables of the new one: both run at the
// same time while processes are replaced one by one.
//
//go:embed schema
var schemaFiles embed.FS

// ErrNewer is returned by Open for a database that a later version of the
// program has already changed.
var ErrNewer = errors.New("the database was made by a newer version of the program")

// migrate updates River's tables and ours. If it refuses a newer version, it has
// changed nothing.
func migrate[T any](ctx context.Context, db backend, driver riverdriver.Driver[T], dir string, log *slog.Logger) error {
	files, err := fs.Glob(schemaFiles, dir+"/*.sql")
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	version, rivers, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("schema version %d, this program knows up to %d: %w; run that version, or restore a backup", version, len(files), ErrNewer)
	}
	if err := migrateRiver(ctx, driver, rivers, log); err != nil {
		return err
	}
	for n := version + 1; n <= len(files); n++ {
		if err := apply(ctx, db, n, files[n-1]); err != nil {
			return fmt.Errorf("schema version %d: %w", n, err)
		}
	}
	return nil
}

// migrateRiver compares the version of River's tables itself, because River's
// migrator ignores a version that it does not know.
func migrateRiver[T any](ctx context.Context, driver riverdriver.Driver[T], have int, log *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err != nil {
		return fmt.Errorf("river's schema: %w", err)
	}
	known := m.AllVersions()
	if newest := known[len(known)-1].Version; have > newest {
		return fmt.Errorf("river's schema version %d, this program knows up to %d: %w; run that version, or restore a backup", have, newest, ErrNewer)
	} else if have == newest {
		return nil
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("river's schema: %w", err)
	}
	return nil
}

// schemaVersion returns the versions of our tables and of River's, 0 without tables.
func schemaVersion(ctx context.Context, db backend) (ours, rivers int, err error) {
	err = transact(ctx, db, func(t txConn) error {
		if _, err := t.Exec(ctx, `CREATE TABLE IF NOT EXISTS b24_migration (version INTEGER PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
		if err := t.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM b24_migration`).Scan(&ours); err != nil || ours == 0 {
			return err
		}
		return t.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM river_migration`).Scan(&rivers)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("schema: %w", err)
	}
	return ours, rivers, nil
}

// apply runs one file and notes its version in the same transaction.
func apply(ctx context.Context, db backend, version int, file string) error {
	text, err := schemaFiles.ReadFile(file)
	if err != nil {
		return err
	}
	return transact(ctx, db, func(t txConn) error {
		if _, err := t.Exec(ctx, string(text)); err != nil {
			return err
		}
		_, err := t.Exec(ctx, `INSERT INTO b24_migration (version, applied_at) VALUES ($1, $2)`, version, micros(time.Now()))
		return err
	})
}

// transact runs do in its own transaction.
func transact(ctx context.Context, db backend, do func(t txConn) error) error {
	t, err := db.begin(ctx)
	if err != nil {
		return err
	}
	if err := do(t); err != nil {
		_ = t.rollback(ctx) // err is the error that matters
		return err
	}
	return t.commit(ctx)
}
