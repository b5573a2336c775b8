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

// A DB is an open database. Packages that keep tables in it use this
// interface, so that they need no methods of the queue.
type DB interface {
	// Write runs do in a transaction, which other writes may share, and returns after
	// its commit. An error of do undoes what do has written and nothing else. When ctx
	// ends first, Write returns at once and the transaction may still be committed.
	Write(ctx context.Context, do func(ctx context.Context, t Tx) error) error

	// QueryContext and QueryRowContext read outside of transactions.
	QueryContext(ctx context.Context, text string, args ...any) (Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) Row
}
