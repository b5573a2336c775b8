package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoRoom is returned by CopySQLite when the disk has too little room for the copy.
var ErrNoRoom = errors.New("the disk has no room for a copy of the database")

// room is freeBytes; tests replace it.
var room = freeBytes

// CopySQLite writes a copy of a SQLite database to a file, while other processes read
// and write the database. The copy is a single file that only its owner can read. It is
// on disk when CopySQLite returns, and does not exist if CopySQLite fails. A file of the
// same name is replaced.
func CopySQLite(ctx context.Context, db *sql.DB, to string) (err error) {
	var size uint64
	if err := db.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&size); err != nil {
		return fmt.Errorf("size of the database: %w", err)
	}
	dir := filepath.Dir(to)
	if free, known := room(dir); known && free < size {
		return fmt.Errorf("%w: it needs up to %d MB, %s has %d MB", ErrNoRoom, size>>20+1, dir, free>>20)
	}
	// SQLite accepts an empty file, and os.CreateTemp makes one that others cannot read.
	f, err := os.CreateTemp(dir, filepath.Base(to)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, f.Name()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return err
	}
	return SyncDir(dir)
}

// SyncDir waits until the names in a directory are on disk. Some systems cannot, and need
// not.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrInvalid) && !errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}
