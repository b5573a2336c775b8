package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/b24rules/b24rules/internal/store"
)

// BackupInfo is what a backup holds.
type BackupInfo struct {
	Bytes        int64
	Events, Runs int64
}

// ErrNotSQLite is returned for a database that the server's own tools copy.
var ErrNotSQLite = errors.New("not an SQLite database")

// Backup copies an SQLite database to a new file while processes work it. The copy is one
// state of the database. Backup checks it before it gets its name, so a file of that name
// is whole. For a database of another kind it returns ErrNotSQLite.
func Backup(ctx context.Context, dsn, file string) (BackupInfo, error) {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok {
		return BackupInfo{}, ErrNotSQLite
	}
	if _, err := os.Stat(path); err != nil {
		return BackupInfo{}, err
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return BackupInfo{}, fmt.Errorf("%s: %w", file, fs.ErrExist)
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".b24rules-backup-")
	if err != nil {
		return BackupInfo{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	partial := filepath.Join(dir, "copy.db")
	if err := copySQLite(ctx, path, partial); err != nil {
		return BackupInfo{}, fmt.Errorf("copy the database: %w", err)
	}
	info, _, err := inspect(ctx, partial) // a newer version can be copied, too
	if err != nil {
		return BackupInfo{}, fmt.Errorf("the copy is not whole: %w", err)
	}
	// A link fails if the name exists; a rename would replace that file.
	if err := os.Link(partial, file); err != nil {
		return BackupInfo{}, err
	}
	return info, store.SyncDir(filepath.Dir(file))
}

// copySQLite copies the database in a file, which does not change.
func copySQLite(ctx context.Context, path, to string) error {
	db, err := sql.Open("sqlite", sqliteURI(path, "mode=ro", "_pragma=busy_timeout(5000)"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return store.CopySQLite(ctx, db, to)
}

// CheckBackup checks that a file is a whole database of b24rules that this version of the
// program can open.
func CheckBackup(ctx context.Context, file string) (BackupInfo, error) {
	info, version, err := inspect(ctx, file)
	if err != nil {
		return info, err
	}
	known, err := fs.Glob(schemaFiles, "schema/sqlite/*.sql")
	if err == nil {
		err = checkVersion(version, len(known))
	}
	if err != nil {
		return info, fmt.Errorf("%s: %w", file, err)
	}
	return info, nil
}

// inspect checks that a file is a whole database of b24rules, of any version.
func inspect(ctx context.Context, file string) (info BackupInfo, version int, err error) {
	stat, err := os.Stat(file)
	if err != nil {
		return info, 0, err
	}
	info.Bytes = stat.Size()
	db, err := sql.Open("sqlite", sqliteURI(file, "mode=ro", "immutable=1"))
	if err != nil {
		return info, 0, err
	}
	defer func() { _ = db.Close() }()
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return info, 0, fmt.Errorf("%s is not an SQLite database: %w", file, err)
	}
	if found != "ok" {
		return info, 0, fmt.Errorf("%s is damaged: %s", file, found)
	}
	err = db.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM b24_event), (SELECT COUNT(*) FROM b24_run), (SELECT MAX(version) FROM b24_migration)`).
		Scan(&info.Events, &info.Runs, &version)
	if err != nil {
		return info, 0, fmt.Errorf("%s is not a database of b24rules: %w", file, err)
	}
	return info, version, nil
}

// syncFile waits until a file is on disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Restore replaces an SQLite database by a backup, and returns the name that the replaced
// one has now, "" if there was none. No process may work the database: then it returns
// ErrInUse. OAuth tokens that are newer in the replaced database are taken over, because
// the portal accepts each refresh token only for a time; kept is how many.
func Restore(ctx context.Context, dsn, backup, suffix string) (replaced string, kept int64, err error) {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok {
		return "", 0, ErrNotSQLite
	}
	if _, err := CheckBackup(ctx, backup); err != nil {
		return "", 0, err
	}
	lock := &sqliteDB{path: path}
	if _, err := lock.Lock(ctx); err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	next := path + ".restoring"
	if err := copySQLite(ctx, backup, next); err != nil { // also checks each page once more
		return "", 0, fmt.Errorf("copy the backup: %w", err)
	}
	if _, err := os.Stat(path); err == nil {
		kept, err = takeTokens(ctx, next, path)
		if err != nil {
			kept = 0 // the database may be damaged: that is why it is replaced
		}
		replaced = path + suffix
		for _, tail := range []string{"", "-wal", "-shm"} {
			if err := os.Rename(path+tail, replaced+tail); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", 0, err
			}
		}
	}
	if err := errors.Join(syncFile(next), os.Rename(next, path)); err != nil {
		return replaced, kept, err
	}
	return replaced, kept, store.SyncDir(filepath.Dir(path))
}

// takeTokens copies the OAuth tokens that are newer in another database.
func takeTokens(ctx context.Context, file, from string) (int64, error) {
	db, err := sql.Open("sqlite", sqliteURI(file, "_pragma=busy_timeout(5000)"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // ATTACH is of one connection
	if _, err := db.ExecContext(ctx, "ATTACH ? AS other", sqliteURI(from, "mode=ro")); err != nil {
		return 0, err
	}
	result, err := db.ExecContext(ctx, `
INSERT INTO main.b24_note (name, value, set_at)
SELECT name, value, set_at FROM other.b24_note WHERE name LIKE 'oauth.%' AND name NOT LIKE '%.claim'
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at WHERE b24_note.set_at < excluded.set_at`)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
