package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Note is a small value that belongs to no run, such as the progress of a backfill.
// The caller chooses the names; those of this package start with "queue.".
type Note struct {
	Name  string
	Value string
	Set   time.Time // by SetNote, to now
}

const (
	replaceNote = `ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at`
	setNote     = `INSERT INTO b24_note (name, value, set_at) VALUES ($1, $2, $3) ` + replaceNote
)

// SetNote stores a note, or replaces the one of that name.
func (q NoteTable) SetNote(ctx context.Context, name, value string) error {
	if name == "" {
		return errors.New("note: the name is empty")
	}
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		return writeNote(ctx, t, name, value)
	})
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}

// SetNotes stores notes that have the same value, in one statement.
func (q NoteTable) SetNotes(ctx context.Context, names []string, value string) error {
	if len(names) == 0 {
		return nil
	}
	args, rows := []any{value, store.Micros(clock())}, make([]string, len(names))
	for i, name := range names {
		args, rows[i] = append(args, name), fmt.Sprintf("($%d, $1, $2)", i+3)
	}
	text := "INSERT INTO b24_note (name, value, set_at) VALUES " + strings.Join(rows, ", ") + " " + replaceNote
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.Exec(ctx, text, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("notes of %d names: %w", len(names), err)
	}
	return nil
}

func writeNote(ctx context.Context, t *tx, name, value string) error {
	_, err := t.Exec(ctx, setNote, name, value, store.Micros(clock()))
	return err
}

// Note returns a note. ok is false when none has that name.
func (q NoteTable) Note(ctx context.Context, name string) (n Note, ok bool, err error) {
	n.Name = name
	var at int64
	err = q.db.Read.QueryRow(ctx, `SELECT value, set_at FROM b24_note WHERE name = $1`, name).Scan(&n.Value, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Note{}, false, nil
	}
	if err != nil {
		return Note{}, false, fmt.Errorf("note %s: %w", name, err)
	}
	n.Set = store.Time(at)
	return n, true, nil
}

// Notes returns the notes whose names start with prefix, sorted by name.
func (q NoteTable) Notes(ctx context.Context, prefix string) ([]Note, error) {
	return store.All(ctx, q.db.Read, "read notes", func(row store.Row) (n Note, err error) {
		var at int64
		err = row.Scan(&n.Name, &n.Value, &at)
		n.Set = store.Time(at)
		return n, err
	},
		`SELECT name, value, set_at FROM b24_note WHERE substr(name, 1, length($1)) = $1 ORDER BY name`, prefix)
}

// DeleteNote deletes a note if it exists.
func (q NoteTable) DeleteNote(ctx context.Context, name string) error {
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.Exec(ctx, `DELETE FROM b24_note WHERE name = $1`, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}
