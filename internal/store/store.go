// Package store has the types that the parts of the queue use to read and write
// the database.
package store

import "context"

// Tx is a write transaction.
type Tx interface {
	Exec(ctx context.Context, text string, args ...any) (changed int64, err error)
	Query(ctx context.Context, text string, args ...any) (Rows, error)
	QueryRow(ctx context.Context, text string, args ...any) Row
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
