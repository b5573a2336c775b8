package database

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/b24rules/b24rules/internal/store"
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

// migrate updates the tables. If it refuses a newer version, it has changed nothing. It
// calls before with the old and the new version if it is to change existing tables.
func migrate(ctx context.Context, db Backend, dir string, before func(from, to int) error) error {
	files, err := fs.Glob(schemaFiles, dir+"/*.sql")
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if err := checkVersion(version, len(files)); err != nil {
		return fmt.Errorf("%w; run that version, or restore a backup", err)
	}
	if version > 0 && version < len(files) {
		if err := before(version, len(files)); err != nil {
			return fmt.Errorf("schema version %d, before version %d: %w", version, len(files), err)
		}
	}
	for n := version + 1; n <= len(files); n++ {
		if err := apply(ctx, db, n, files[n-1]); err != nil {
			return fmt.Errorf("schema version %d: %w", n, err)
		}
	}
	return nil
}

// checkVersion refuses tables that are newer than those that this program knows.
func checkVersion(version, known int) error {
	if version > known {
		return fmt.Errorf("schema version %d, this program knows up to %d: %w", version, known, ErrNewer)
	}
	return nil
}

// schemaVersion returns the version of the tables, 0 without tables.
func schemaVersion(ctx context.Context, db Backend) (version int, err error) {
	err = Transact(ctx, db, func(t Tx) error {
		if _, err := t.Exec(ctx, `CREATE TABLE IF NOT EXISTS b24_migration (version INTEGER PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
		return t.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM b24_migration`).Scan(&version)
	})
	if err != nil {
		return 0, fmt.Errorf("schema: %w", err)
	}
	return version, nil
}

// apply runs one file and notes its version in the same transaction.
func apply(ctx context.Context, db Backend, version int, file string) error {
	text, err := schemaFiles.ReadFile(file)
	if err != nil {
		return err
	}
	return Transact(ctx, db, func(t Tx) error {
		if _, err := t.Exec(ctx, string(text)); err != nil {
			return err
		}
		_, err := t.Exec(ctx, `INSERT INTO b24_migration (version, applied_at) VALUES ($1, $2)`, version, store.Micros(time.Now()))
		return err
	})
}

// Transact runs do in its own transaction.
func Transact(ctx context.Context, db Backend, do func(t Tx) error) error {
	t, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	if err := do(t); err != nil {
		_ = t.Rollback(ctx) // err is the error that matters
		return err
	}
	return t.Commit(ctx)
}
