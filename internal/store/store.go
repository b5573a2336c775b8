// Package store has the types with which parts of the program read and write their
// tables in one database.
//
// A part keeps its tables in a small type over a DB. The statements are the same for
// both kinds of databases, with $1, $2 for the arguments; times are stored by Micros.
package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A DB is an open database.
type DB interface {
	// Query and QueryRow read outside of write transactions.
	Reader

	// Write runs do in a transaction, and returns nil after its commit. Other writes
	// share the transaction; an error of do undoes only do. After a lost connection do
	// is called again, though its first transaction may have been committed. do must
	// not block, and must use only t.
	Write(ctx context.Context, do func(ctx context.Context, t Tx) error) error
}

// Reader reads rows.
type Reader interface {
	Query(ctx context.Context, text string, args ...any) (Rows, error)
	QueryRow(ctx context.Context, text string, args ...any) Row

	// ByIndex, after the name of a table in a SELECT, makes it use an index whose columns
	// it needs in order.
	ByIndex(index string) string
}

// Tx is a write transaction.
type Tx interface {
	Reader
	Exec(ctx context.Context, text string, args ...any) (changed int64, err error)
}

// Rows are like sql.Rows.
type Rows interface {
	Row
	Next() bool
	Err() error
	Close() error
}

// A Row is like sql.Row: without a row, Scan returns sql.ErrNoRows.
type Row interface{ Scan(to ...any) error }

// Placeholders returns the places of n arguments of IN, such as "$3, $4" for first 3.
func Placeholders(first, n int) string {
	places := make([]string, n)
	for i := range places {
		places[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(places, ", ")
}

// All returns all rows of a query, each read by scan. what names them in errors, such as
// "read jobs"; "" leaves the errors unchanged.
func All[T any](ctx context.Context, from Reader, what string, scan func(Row) (T, error), text string, args ...any) (all []T, err error) {
	defer func() {
		if err != nil && what != "" {
			all, err = nil, fmt.Errorf("%s: %w", what, err)
		}
	}()
	rows, err := from.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// Micros is the stored form of a time: microseconds since 1970 (UTC), 0 for the zero
// time. Time is its inverse.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time returns the time that Micros has stored.
func Time(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n)
}
