package queue_test

import (
	"context"
	"errors"
	"testing"

	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// testWritesAtTheEnd: what AtEnd adds is stored together with the result of an attempt,
// once for each attempt, and a failed write of another package undoes nothing else.
func testWritesAtTheEnd(t *testing.T) {
	q := openNew(t, queue.Options{RetryFirst: 1})
	db := q.Database()
	write := func(text string, args ...any) error {
		return db.Write(t.Context(), func(ctx context.Context, t store.Tx) error {
			_, err := t.Exec(ctx, text, args...)
			return err
		})
	}
	if err := write(`CREATE TABLE counted (n BIGINT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	if err := write(`INSERT INTO counted (n) VALUES ($1)`, 100); err != nil {
		t.Fatal(err)
	}
	if write(`INSERT INTO counted (n) VALUES ($1)`, 100) == nil {
		t.Error("the same row twice")
	}
	work(t, q, func(_ context.Context, r *queue.Run) error {
		r.AtEnd(func(ctx context.Context, t store.Tx) error {
			_, err := t.Exec(ctx, `INSERT INTO counted (n) VALUES ($1)`, r.Attempt)
			return err
		})
		if r.Attempt == 1 {
			return errors.New("try again")
		}
		return nil
	})
	push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
	waitIdle(t, q)
	rows, err := db.Query(t.Context(), `SELECT n FROM counted ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []int
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if rows.Err() != nil || len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 100 {
		t.Errorf("rows %v, want 1, 2 and 100: %v", got, rows.Err())
	}
}
