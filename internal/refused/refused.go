// Package refused counts refused requests. These are the requests that reached the program
// without a proof, and its own requests that a portal refused because of the rate limit.
//
// Any stranger can send requests without a proof, so they are counted and never stored: a
// row for each portal, kind and hour.
package refused

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Kept is how long counts are kept.
const Kept = 7 * 24 * time.Hour

// KindRate are the requests of the program that the portal's rate limit refused. The other
// kinds are those of package ingest.
const KindRate = "rate"

// Count is how many requests of one kind were refused.
type Count struct {
	// Portal is the portal's name, "" if the address named no portal of the configuration.
	Portal string
	// Kind is event, hook, robot or KindRate.
	Kind     string
	Requests int
	// First is the start of the hour of the first one. Last is when the last one was counted, and
	// Asked the name of the portal in its address, "" for KindRate.
	First, Last time.Time
	Asked       string
}

// Store keeps counts in a database.
type Store struct{ db store.DB }

// New returns the counts of a database.
func New(db store.DB) *Store { return &Store{db} }

// Add adds counts to those of the hour of their Last, and removes old ones.
func (s *Store) Add(ctx context.Context, counts ...Count) error {
	return s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for _, c := range counts {
			_, err := t.Exec(ctx, `
INSERT INTO b24_refused (portal, kind, hour_at, requests, last_at, asked) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (portal, kind, hour_at) DO UPDATE SET
    requests = b24_refused.requests + excluded.requests, last_at = excluded.last_at, asked = excluded.asked`,
				c.Portal, c.Kind, store.Micros(c.Last.Truncate(time.Hour)), c.Requests, store.Micros(c.Last), c.Asked)
			if err != nil {
				return err
			}
			if _, err := t.Exec(ctx, `DELETE FROM b24_refused WHERE portal = $1 AND hour_at < $2`, c.Portal, store.Micros(c.Last.Add(-Kept))); err != nil {
				return err
			}
		}
		return nil
	})
}

// Since returns how many requests of a kind to a portal were refused at a time or later,
// rounded down to the hour. Without any, the count is zero.
func (s *Store) Since(ctx context.Context, portal, kind string, since time.Time) (Count, error) {
	all, err := s.read(ctx, `portal = $1 AND kind = $2 AND hour_at >= $3`, portal, kind, store.Micros(since.Truncate(time.Hour)))
	if c, ok := all[portal]; ok {
		return c, err
	}
	return Count{Portal: portal, Kind: kind}, err
}

// Each is Since for all portals that have any, by their names.
func (s *Store) Each(ctx context.Context, kind string, since time.Time) (map[string]Count, error) {
	return s.read(ctx, `kind = $1 AND hour_at >= $2`, kind, store.Micros(since.Truncate(time.Hour)))
}

// read adds up counts of one kind by portal.
func (s *Store) read(ctx context.Context, where string, args ...any) (map[string]Count, error) {
	out := map[string]Count{}
	_, err := store.All(ctx, s.db, "read refused requests", func(row store.Row) (struct{}, error) {
		var one Count
		var hour, last int64
		err := row.Scan(&one.Portal, &one.Kind, &hour, &one.Requests, &last, &one.Asked)
		one.First, one.Last = store.Time(hour), store.Time(last)
		if before, ok := out[one.Portal]; ok {
			one.First, one.Requests = before.First, before.Requests+one.Requests
		}
		out[one.Portal] = one
		return struct{}{}, err
	}, `SELECT portal, kind, hour_at, requests, last_at, asked FROM b24_refused WHERE `+where+` ORDER BY hour_at`, args...)
	return out, err
}
