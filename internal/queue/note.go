package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Note is a small value that belongs to no run, such as the progress of a backfill.
// The caller chooses the names; those of this package start with "queue.".
type Note struct {
	Name  string
	Value string
	Set   time.Time // by SetNote, to now
}

const setNote = `
INSERT INTO b24_note (name, value, set_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at`

// SetNote stores a note, or replaces the one of that name.
func (q *Queue) SetNote(ctx context.Context, name, value string) error {
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

func writeNote(ctx context.Context, t *tx, name, value string) error {
	_, err := t.Exec(ctx, setNote, name, value, micros(clock()))
	return err
}

// Note returns a note. ok is false when none has that name.
func (q *Queue) Note(ctx context.Context, name string) (n Note, ok bool, err error) {
	n.Name = name
	var at int64
	err = q.db.read.QueryRow(ctx, `SELECT value, set_at FROM b24_note WHERE name = $1`, name).Scan(&n.Value, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Note{}, false, nil
	}
	if err != nil {
		return Note{}, false, fmt.Errorf("note %s: %w", name, err)
	}
	n.Set = fromMicros(at)
	return n, true, nil
}

// Notes returns the notes whose names start with prefix, sorted by name.
func (q *Queue) Notes(ctx context.Context, prefix string) ([]Note, error) {
	rows, err := q.db.read.Query(ctx,
		`SELECT name, value, set_at FROM b24_note WHERE substr(name, 1, length($1)) = $1 ORDER BY name`, prefix)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Note
	for rows.Next() {
		var (
			n  Note
			at int64
		)
		if err := rows.Scan(&n.Name, &n.Value, &at); err != nil {
			return nil, fmt.Errorf("read notes: %w", err)
		}
		n.Set = fromMicros(at)
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	return all, nil
}

// DeleteNote deletes a note if it exists.
func (q *Queue) DeleteNote(ctx context.Context, name string) error {
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.Exec(ctx, `DELETE FROM b24_note WHERE name = $1`, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}
