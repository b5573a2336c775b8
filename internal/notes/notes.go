// Package notes stores small values under names, such as the tokens of a portal.
package notes

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Note is a small value. The caller chooses the names; those of package queue start with
// "queue.".
type Note struct {
	Name, Value string
	Set         time.Time // by the function Set, to now
}

const (
	replaceNote = `ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at`
	setNote     = `INSERT INTO b24_note (name, value, set_at) VALUES ($1, $2, $3) ` + replaceNote
)

// Set stores a note, or replaces the one of that name.
func Set(ctx context.Context, db store.DB, name, value string) error {
	return write(ctx, db, name, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, setNote, name, value, store.Micros(time.Now()))
		return err
	})
}

// SetAll stores notes that have the same value, in one statement.
func SetAll(ctx context.Context, db store.DB, names []string, value string) error {
	if len(names) == 0 {
		return nil
	}
	args, rows := []any{value, store.Micros(time.Now())}, make([]string, len(names))
	for i, name := range names {
		args, rows[i] = append(args, name), fmt.Sprintf("($%d, $1, $2)", i+3)
	}
	text := "INSERT INTO b24_note (name, value, set_at) VALUES " + strings.Join(rows, ", ") + " " + replaceNote
	return write(ctx, db, fmt.Sprintf("of %d names", len(names)), func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, text, args...)
		return err
	})
}

// Delete deletes a note if it exists.
func Delete(ctx context.Context, db store.DB, name string) error {
	return write(ctx, db, name, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `DELETE FROM b24_note WHERE name = $1`, name)
		return err
	})
}

// write runs do in a transaction. name is that of its note, for errors.
func write(ctx context.Context, db store.DB, name string, do func(ctx context.Context, t store.Tx) error) error {
	if name == "" {
		return errors.New("note: the name is empty")
	}
	if err := db.Write(ctx, do); err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}

// Get returns a note. ok is false when none has that name.
func Get(ctx context.Context, from store.Reader, name string) (n Note, ok bool, err error) {
	n, err = scan(from.QueryRow(ctx, `SELECT name, value, set_at FROM b24_note WHERE name = $1`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return Note{Name: name}, false, nil
	}
	if err != nil {
		return Note{}, false, fmt.Errorf("note %s: %w", name, err)
	}
	return n, true, nil
}

// List returns the notes whose names start with prefix, sorted by name.
func List(ctx context.Context, from store.Reader, prefix string) ([]Note, error) {
	return store.All(ctx, from, "read notes", scan,
		`SELECT name, value, set_at FROM b24_note WHERE substr(name, 1, length($1)) = $1 ORDER BY name`, prefix)
}

func scan(row store.Row) (n Note, err error) {
	var at int64
	err = row.Scan(&n.Name, &n.Value, &at)
	n.Set = store.Time(at)
	return n, err
}
