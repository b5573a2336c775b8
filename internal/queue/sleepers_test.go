package queue

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// fillSleepers stores runs that sleep for a day, as Run.Sleep does.
const fillSleepers = `
INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at, priority)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
SELECT 'acme', 'remind', 'deal:' || i, 'waiting', FALSE, FALSE, 1, 8, 1, $2, $2, $2, 1 FROM n`

// BenchmarkSleepers measures an event, the claim of due runs, and the counts for status
// and metrics next to 100 and 100,000 sleeping runs. Only the counts may grow with them.
func BenchmarkSleepers(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		q := openTest(b)
		event := journal.Event{Portal: "acme", Code: "X"}
		if err := q.Push(b.Context(), event, nil); err != nil {
			b.Fatal(err)
		}
		err := q.Database().Write(b.Context(), func(ctx context.Context, t store.Tx) error {
			_, err := t.Exec(ctx, fillSleepers, n, store.Micros(clock().Add(24*time.Hour)))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, does := range []struct {
			what string
			do   func(i int) error
		}{
			{"event", func(i int) error {
				return q.Push(b.Context(), event, []Route{{Rule: "other", Entity: fmt.Sprint("deal:", i)}})
			}},
			{"event of a sleeper", func(i int) error {
				return q.Push(b.Context(), event, []Route{{Rule: "remind", Entity: fmt.Sprint("deal:", 1+i%n)}})
			}},
			{"backlogs", func(int) error {
				_, err := journal.Backlogs(b.Context(), q.Database())
				return err
			}},
		} {
			b.Run(fmt.Sprint(does.what, "/", n), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					if err := does.do(i); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
