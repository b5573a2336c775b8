package journal

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// CauseCount is how many runs of a rule in a portal have failed because of one cause.
type CauseCount struct {
	Cause, Portal, Rule string
	Runs                int
	First, Last         time.Time // when the first and the last of them ended; zero for runs that wait
	Newest              int64     // the number of the newest of them
}

const (
	countCauses = `
SELECT r.cause, r.portal, r.rule, COUNT(*), MIN(r.finished_at), MAX(r.finished_at), MAX(r.id) FROM b24_run r`

	groupCauses = ` GROUP BY r.cause, r.portal, r.rule ORDER BY r.cause, r.portal, r.rule`
)

// Causes counts the runs that f selects by cause, portal and rule.
func Causes(ctx context.Context, from store.Reader, f Filter) ([]CauseCount, error) {
	w := f.where()
	return store.All(ctx, from, "count causes", func(row store.Row) (CauseCount, error) {
		var (
			c           CauseCount
			first, last int64
		)
		err := row.Scan(&c.Cause, &c.Portal, &c.Rule, &c.Runs, &first, &last, &c.Newest)
		c.First, c.Last = store.Time(first), store.Time(last)
		return c, err
	}, countCauses+w.text()+groupCauses, w.args...)
}
