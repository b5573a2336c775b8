package catchup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/store"
)

// Window is a time, by our clock, in which events of a portal may have been missed. It
// goes only when a catch-up over it has succeeded, or when a person drops it.
type Window struct {
	ID     int64     `json:"id,omitempty"`
	Portal string    `json:"portal,omitempty"`
	Rule   string    `json:"rule,omitempty"` // "" for all rules
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Why    string    `json:"why,omitempty"` // such as "no process received events"
	// Note is why the window could not be caught up so far, "" before the first try.
	Note string `json:"note,omitempty"`
	// Held says that a person decides whether it is caught up or dropped.
	Held bool      `json:"held,omitempty"`
	Next time.Time `json:"next,omitzero"` // when it is tried again, unless it is held
}

// due reports whether a catch-up may cover the window without a person's order. No window
// waits for longer than retryWindow: such a time is of a clock that was set back since.
func (w Window) due(now time.Time) bool {
	return !w.Held && (!now.Before(w.Next) || w.Next.Sub(now) > retryWindow)
}

// covers reports whether a window contains another state of the same window.
func (w Window) covers(other Window) bool {
	return w.ID == other.ID && !other.From.Before(w.From) && !other.To.After(w.To)
}

// Windows are the windows in a database.
type Windows struct{ db store.DB }

// NewWindows returns the windows in a database.
func NewWindows(db store.DB) *Windows { return &Windows{db} }

const (
	selectOverlapping = `
SELECT id, from_at, to_at, why FROM b24_window
WHERE portal = $1 AND rule = $2 AND note = $3 AND held = $4 AND from_at <= $6 AND to_at >= $5`

	insertWindow = `
INSERT INTO b24_window (portal, rule, from_at, to_at, why, note, held, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

	deleteWindow = `DELETE FROM b24_window WHERE id = $1`

	// deleteCovered deletes a window unless it has become longer.
	deleteCovered = `DELETE FROM b24_window WHERE id = $1 AND from_at >= $2 AND to_at <= $3`

	noteWindow = `UPDATE b24_window SET note = $2, held = $3, next_at = $4 WHERE id = $1`

	selectWindows = `
SELECT id, portal, rule, from_at, to_at, why, note, held, next_at FROM b24_window
WHERE ($1 = '' OR portal = $1) AND ($2 OR rule = $3) ORDER BY portal, rule, from_at, id`
)

// Open stores windows and the jobs for them, all or none. Windows that overlap become one.
func (s *Windows) Open(ctx context.Context, windows ...Window) error {
	if len(windows) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for _, w := range windows {
			if err := s.openIn(ctx, t, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("open the windows of %d portals: %w", len(windows), err)
	}
	return nil
}

func (s *Windows) openIn(ctx context.Context, t store.Tx, w Window) error {
	others, err := store.All(ctx, t, "", func(row store.Row) (o Window, err error) {
		var from, to int64
		err = row.Scan(&o.ID, &from, &to, &o.Why)
		o.From, o.To = store.Time(from), store.Time(to)
		return o, err
	}, selectOverlapping, w.Portal, w.Rule, w.Note, w.Held, store.Micros(w.From), store.Micros(w.To))
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.From.Before(w.From) {
			w.From, w.Why = o.From, o.Why
		}
		if o.To.After(w.To) {
			w.To = o.To
		}
		if _, err := t.Exec(ctx, deleteWindow, o.ID); err != nil {
			return err
		}
	}
	if _, err := t.Exec(ctx, insertWindow, w.Portal, w.Rule, store.Micros(w.From), store.Micros(w.To), w.Why, w.Note, w.Held, store.Micros(w.Next)); err != nil {
		return err
	}
	if !w.due(time.Now()) {
		return nil // Resume stores the job
	}
	return s.addJob(ctx, t, w.Portal, w.Rule)
}

// addJob stores the catch-up of a portal and rule, unless it is open.
func (s *Windows) addJob(ctx context.Context, t store.Tx, portal, rule string) error {
	row, err := catchUp(portal, rule, false)
	if err != nil {
		return err
	}
	_, err = jobs.New(s.db).AddIn(ctx, t, row)
	return err
}

// catchUp is the job that covers the windows of a portal and rule.
func catchUp(portal, rule string, ordered bool) (jobs.Job, error) {
	return Job{Portal: portal, Rule: rule, Downtime: &Downtime{}, Ordered: ordered, Started: time.Now()}.row()
}

// Resume stores the missing jobs for windows of some portals that are due. A catch-up that
// ends while a window is opened leaves none.
func (s *Windows) Resume(ctx context.Context, portals []string) error {
	all, err := s.List(ctx, "")
	if err != nil {
		return err
	}
	now := time.Now()
	for _, w := range all {
		if !w.due(now) || !slices.Contains(portals, w.Portal) {
			continue
		}
		err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error { return s.addJob(ctx, t, w.Portal, w.Rule) })
		if err != nil {
			return fmt.Errorf("resume the catch-up of portal %s: %w", w.Portal, err)
		}
	}
	return nil
}

// List returns the windows of a portal ("" for all), sorted by portal, rule and start.
func (s *Windows) List(ctx context.Context, portal string) ([]Window, error) {
	return s.list(ctx, portal, "", true)
}

func (s *Windows) list(ctx context.Context, portal, rule string, allRules bool) ([]Window, error) {
	return store.All(ctx, s.db, "read windows", func(row store.Row) (w Window, err error) {
		var from, to, next int64
		err = row.Scan(&w.ID, &w.Portal, &w.Rule, &from, &to, &w.Why, &w.Note, &w.Held, &next)
		w.From, w.To, w.Next = store.Time(from), store.Time(to), store.Time(next)
		return w, err
	}, selectWindows, portal, allRules, rule)
}

// Order starts catch-ups over windows, also over those that a person has to decide
// about, and without the limits of catch_up and of missing entities.
func (s *Windows) Order(ctx context.Context, windows []Window) error {
	seen := map[[2]string]bool{}
	for _, w := range windows {
		if key := [2]string{w.Portal, w.Rule}; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		row, err := catchUp(w.Portal, w.Rule, true)
		if err != nil {
			return err
		}
		if err := jobs.New(s.db).Replace(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// Drop deletes windows, and stops the catch-ups over them.
func (s *Windows) Drop(ctx context.Context, windows []Window) error {
	for _, w := range windows {
		if _, err := jobs.New(s.db).Cancel(ctx, w.Portal, KindCatchUp, w.Rule); err != nil {
			return err
		}
		err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
			_, err := t.Exec(ctx, deleteWindow, w.ID)
			return err
		})
		if err != nil {
			return fmt.Errorf("drop a window of portal %s: %w", w.Portal, err)
		}
	}
	return nil
}

// keep notes why windows stay.
func (s *Windows) keep(ctx context.Context, windows []Window, note string, held bool, next time.Time) error {
	err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for _, w := range windows {
			if _, err := t.Exec(ctx, noteWindow, w.ID, note, held, store.Micros(next)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep windows: %w", err)
	}
	return nil
}

// finish replaces the windows that a catch-up has covered by those of the rules that it
// could not cover, in one transaction.
func (s *Windows) finish(ctx context.Context, j Job) error {
	err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for _, w := range j.Windows {
			if _, err := t.Exec(ctx, deleteCovered, w.ID, store.Micros(w.From), store.Micros(w.To)); err != nil {
				return err
			}
		}
		for _, w := range j.Left {
			if err := s.openIn(ctx, t, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("close the windows of a catch-up: %w", err)
	}
	return nil
}

// retryWindow is when a window that the portal refused is tried again.
const retryWindow = time.Hour

// errNothing says that a catch-up has no window to cover.
var errNothing = errors.New("no window is due")

// take lets a catch-up cover the windows of its portal and rule. One that was opened
// since then joins, and the catch-up starts over, unless it already looks for deleted
// entities: so restarts in a row make one sweep.
func (f *Feeder) take(ctx context.Context, claimed *jobs.Claimed, j *Job) error {
	all, err := f.Windows.list(ctx, j.Portal, j.Rule, false)
	if err != nil {
		return err
	}
	now := time.Now()
	var taken []Window
	added := false
	for _, w := range all {
		if !j.Ordered && !w.due(now) {
			continue
		}
		taken = append(taken, w)
		added = added || !j.has(w)
	}
	if j.Ready && j.Stage >= len(j.Types) || !added {
		if len(j.Windows) == 0 && j.Downtime.From.IsZero() {
			return errNothing
		}
		return nil
	}
	next := Job{Portal: j.Portal, Rule: j.Rule, Downtime: &Downtime{From: taken[0].From, To: taken[0].To}, Windows: taken, Ordered: j.Ordered, Event: j.Event, Started: now}
	if old := j.Downtime; len(j.Windows) == 0 && !old.From.IsZero() { // of an older version of the program
		next.Downtime = &Downtime{From: old.From, To: old.To}
	}
	for _, w := range taken {
		if w.From.Before(next.Downtime.From) {
			next.Downtime.From = w.From
		}
		if w.To.After(next.Downtime.To) {
			next.Downtime.To = w.To
		}
	}
	*j = next
	return claimed.Progress(ctx, j)
}

// again makes a catch-up that has ended start over for the windows that were opened
// while it looked for deleted entities. It returns nil if none was.
func (f *Feeder) again(ctx context.Context, claimed *jobs.Claimed, j Job) error {
	all, err := f.Windows.list(ctx, j.Portal, j.Rule, false)
	if err != nil {
		return err
	}
	now := time.Now()
	if !slices.ContainsFunc(all, func(w Window) bool { return w.due(now) }) {
		return nil
	}
	if err := claimed.Progress(ctx, Job{Portal: j.Portal, Rule: j.Rule, Downtime: &Downtime{}, Event: j.Event, Started: now}); err != nil {
		return err
	}
	return jobs.At(now)
}

// has reports whether the catch-up covers a window in its present length.
func (j Job) has(w Window) bool {
	for _, own := range j.Windows {
		if own.covers(w) {
			return true
		}
	}
	return false
}
