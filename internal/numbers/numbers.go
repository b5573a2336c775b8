// Package numbers gives the entities of a portal numbers without gaps and doubles: those of
// contracts, for example.
package numbers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/b24rules/b24rules/internal/store"
)

// Numbers are the numbers of one portal.
type Numbers struct {
	db     store.DB
	portal string
}

// New returns the numbers of a portal.
func New(db store.DB, portal string) Numbers { return Numbers{db, portal} }

const (
	selectOwn  = `SELECT number FROM b24_number WHERE portal = $1 AND series = $2 AND entity = $3`
	selectNext = `SELECT COALESCE(MAX(number), 0) + 1 FROM b24_number WHERE portal = $1 AND series = $2`

	insert = `
INSERT INTO b24_number (portal, series, entity, number) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING number`
)

// Take returns the number of an entity in a series. An entity without a number gets the
// next one, which is at least atLeast. The number is on disk when Take returns.
func (n Numbers) Take(ctx context.Context, series, entity string, atLeast int) (number int, err error) {
	err = n.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		number, err = n.take(ctx, t, series, entity, atLeast)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("number of %s in series %q: %w", entity, series, err)
	}
	return number, nil
}

// take may find that another process has taken the number; then it takes the next one.
func (n Numbers) take(ctx context.Context, t store.Tx, series, entity string, atLeast int) (number int, err error) {
	for {
		err := t.QueryRow(ctx, selectOwn, n.portal, series, entity).Scan(&number)
		if !errors.Is(err, sql.ErrNoRows) {
			return number, err
		}
		var next int
		if err := t.QueryRow(ctx, selectNext, n.portal, series).Scan(&next); err != nil {
			return 0, err
		}
		err = t.QueryRow(ctx, insert, n.portal, series, entity, max(next, atLeast)).Scan(&number)
		if !errors.Is(err, sql.ErrNoRows) {
			return number, err
		}
	}
}

// Peek returns the number that Take would return, and takes none.
func (n Numbers) Peek(ctx context.Context, series, entity string, atLeast int) (number int, err error) {
	err = n.db.QueryRow(ctx, selectOwn, n.portal, series, entity).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		err = n.db.QueryRow(ctx, selectNext, n.portal, series).Scan(&number)
		number = max(number, atLeast)
	}
	if err != nil {
		return 0, fmt.Errorf("number of %s in series %q: %w", entity, series, err)
	}
	return number, nil
}
