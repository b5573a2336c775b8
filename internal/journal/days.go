package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// RunCounts counts runs by what they did. Other runs are not over, did not find their entity, or had
// a condition that was false.
type RunCounts struct {
	Runs    int `json:"runs"`
	Wrote   int `json:"wrote"`
	Nothing int `json:"nothing"` // to do
	Parked  int `json:"parked"`
	// NotRecorded are runs that an older version of the program has finished: it did not store what they
	// did.
	NotRecorded int `json:"not_recorded,omitempty"`
}

// Add adds the counts of other runs.
func (c *RunCounts) Add(others RunCounts) {
	c.Runs += others.Runs
	c.Wrote += others.Wrote
	c.Nothing += others.Nothing
	c.Parked += others.Parked
	c.NotRecorded += others.NotRecorded
}

// DayCount is what the runs of a rule did whose first event arrived on one day.
type DayCount struct {
	Day  int // the place of the day among those that were asked for
	Rule string
	RunCounts
}

// mostCounted bounds the ids of a window whose runs are counted, because each of them is read.
const mostCounted = 16_000

// CountDays counts what the runs that f selects did, by day and rule. days are the starts of the days,
// the latest first. It looks at runs for about the given time, newest first, 0 means without a
// limit. If that was not enough, it returns since when it has counted.
func CountDays(ctx context.Context, from store.Reader, f Filter, days []time.Time, within time.Duration) (counts []DayCount, since time.Time, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("count the runs of days: %w", err)
		}
	}()
	s := search[DayCount]{table: "b24_run", at: runTime, from: days[len(days)-1], to: f.To, db: from}
	low, high, err := s.bounds(ctx)
	if err != nil {
		return nil, since, err
	}
	if f.To.IsZero() {
		f.To = time.Now() // what sleeps has its first event in the future
	}
	sums := map[DayCount]*DayCount{} // by day and rule
	started := time.Now()
	for size := int64(firstWindow); high > low; size = min(2*size, mostCounted) {
		bottom := max(low, high-size)
		text, args := countDays(f, days, bottom, high)
		part, err := store.All(ctx, from, "count runs", scanDayCount, text, args...)
		if err != nil {
			return nil, since, err
		}
		for _, c := range part {
			key := DayCount{Day: c.Day, Rule: c.Rule}
			if sums[key] == nil {
				sums[key] = &key
			}
			sums[key].Add(c.RunCounts)
		}
		high = bottom
		if within > 0 && time.Since(started) > within && high > low {
			if _, since, err = s.timeOf(ctx, high); err != nil {
				return nil, since, err
			}
			break
		}
	}
	for _, c := range sums {
		counts = append(counts, *c)
	}
	return counts, since, nil
}

func scanDayCount(row store.Row) (c DayCount, err error) {
	err = row.Scan(&c.Day, &c.Rule, &c.Runs, &c.Wrote, &c.Nothing, &c.Parked, &c.NotRecorded)
	return c, err
}

// countDays is the statement that counts the runs whose ids are at least low and less than high.
func countDays(f Filter, days []time.Time, low, high int64) (text string, args []any) {
	f.Before, f.From = high, days[len(days)-1]
	w := f.where()
	w.add(true, "r.id >= %s", low)
	var day strings.Builder
	for i, start := range days[:len(days)-1] {
		fmt.Fprintf(&day, " WHEN r.first_at >= CAST(%s AS BIGINT) THEN %d", w.place(store.Micros(start)), i)
	}
	of := "0"
	if day.Len() > 0 {
		of = fmt.Sprintf("CASE%s ELSE %d END", day.String(), len(days)-1)
	}
	count := func(condition string) string { return `, SUM(CASE WHEN ` + condition + ` THEN 1 ELSE 0 END)` }
	return `
SELECT ` + of + ` AS day, r.rule, COUNT(*)` + count(`r.writes > 0`) + count(Nothing.condition(nil)) + count(`r.state = 'parked'`) + count(notRecorded) + `
FROM b24_run r` + w.text() + ` GROUP BY day, r.rule`, w.args
}

// oldestDone is the oldest run that has succeeded.
const oldestDone = `
SELECT r.outcome = '' FROM b24_run r WHERE r.state = 'succeeded' ORDER BY r.id LIMIT 1`

// HasNotRecorded reports whether there are runs of which what they did is not stored, because an older
// version of the program has finished them. A search by outcome does not find them.
func HasNotRecorded(ctx context.Context, from store.Reader) (has bool, err error) {
	err = from.QueryRow(ctx, oldestDone).Scan(&has)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return has, err
}
