package ledger_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// BenchmarkWriters finds who has written an element among the records of three marks, and writes
// the record of one run, and finds what was made from an entity. B24_MADE_ROWS is how many records there are.
func BenchmarkWriters(b *testing.B) {
	rows := 30_000
	if n, err := strconv.Atoi(os.Getenv("B24_MADE_ROWS")); err == nil {
		rows = n
	}
	for name, dsn := range postgres.Each(b) {
		q, err := queue.Open(b.Context(), dsn, queue.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = q.Close() })
		db := q.Database()
		write := func(rule string, run int64, ids ...int) {
			r := ledger.Run{Portal: "main", Entity: deal(int(run)), ID: run, At: time.Unix(1_700_000_000, 0)}
			if err := db.Write(b.Context(), func(ctx context.Context, t store.Tx) error {
				return ledger.Write(ctx, t, r, made(rule, "v1", engine.MadeWritten, ids...))
			}); err != nil {
				b.Fatal(err)
			}
		}
		const page = 1000
		for from := 0; from < rows; from += page {
			ids := make([]int, page)
			for i := range ids {
				ids[i] = from + i + 1
			}
			write(fmt.Sprint("rule", from/page%3), int64(from+1), ids...)
		}
		l := ledger.New(db)
		b.Run(name+"/why", func(b *testing.B) {
			for i := range b.N {
				got, err := l.Writers(b.Context(), "main", "list:47", int64(i%rows+1))
				if err != nil || len(got) != 1 {
					b.Fatal(got, err)
				}
			}
		})
		b.Run(name+"/from", func(b *testing.B) {
			for i := range b.N {
				got, err := l.From(b.Context(), "main", 2, int64(i%(rows/page)*page+1), 2*page)
				if err != nil || len(got) != page {
					b.Fatal(len(got), err)
				}
			}
		})
		b.Run(name+"/write", func(b *testing.B) {
			for i := range b.N {
				write("rule0", int64(i+1), i%rows+1)
			}
		})
	}
}
