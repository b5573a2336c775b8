package shadow

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/store"
)

const (
	addCounts = `
INSERT INTO b24_shadow (portal, rule, version, agreed, differed, failed, since, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
ON CONFLICT (portal, rule) DO UPDATE SET
    agreed = b24_shadow.agreed + excluded.agreed, differed = b24_shadow.differed + excluded.differed,
    failed = b24_shadow.failed + excluded.failed, last_at = excluded.last_at`

	setDifference = `
INSERT INTO b24_shadow_entity (portal, rule, entity, run_id, at, agreed_at, again_run, changes, error) VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7)
ON CONFLICT (portal, rule, entity) DO UPDATE SET
    run_id = excluded.run_id, at = excluded.at, agreed_at = 0, again_run = 0, changes = excluded.changes, error = excluded.error`

	setAgain = `
INSERT INTO b24_shadow_entity (portal, rule, entity, run_id, at, agreed_at, again_run, changes, error) VALUES ($1, $2, $3, 0, $5, 0, $4, '', '')
ON CONFLICT (portal, rule, entity) DO UPDATE SET again_run = excluded.again_run`

	forgetAgain = `DELETE FROM b24_shadow_entity WHERE portal = $1 AND rule = $2 AND entity = $3 AND run_id = 0`

	setAgreed = `
UPDATE b24_shadow_entity SET again_run = 0, agreed_at = CASE WHEN agreed_at = 0 THEN $4 ELSE agreed_at END
WHERE portal = $1 AND rule = $2 AND entity = $3`

	addEffect = `
INSERT INTO b24_shadow_effect (portal, rule, step, method, sent, entity, at, example) VALUES ($1, $2, $3, $4, 1, $5, $6, $7)
ON CONFLICT (portal, rule, step, method) DO UPDATE SET
    sent = b24_shadow_effect.sent + 1, entity = excluded.entity, at = excluded.at, example = excluded.example`
)

// LookAgain returns the write that notes that a run has found differences and will look
// a second time: the script may still be running.
func (c Comparison) LookAgain(ctx context.Context, t store.Tx) error {
	_, err := t.Exec(ctx, setAgain, c.Portal, c.Rule, c.Entity, c.Run, store.Micros(c.At))
	return err
}

// Store adds a comparison to the counts of its rule. Counts of another version of the
// rule start again. hide hides secrets.
func (c Comparison) Store(ctx context.Context, t store.Tx, hide *redact.Redactor) error {
	var version string
	err := t.QueryRow(ctx, `SELECT version FROM b24_shadow WHERE portal = $1 AND rule = $2`, c.Portal, c.Rule).Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case version != c.Version:
		if err := forget(ctx, t, c.Portal, c.Rule); err != nil {
			return err
		}
	}
	at := store.Micros(c.At)
	agreed, differed, failed := 0, 0, 0
	switch {
	case c.Error != "":
		failed = 1
	case len(c.Differences) > 0:
		differed = 1
	default:
		agreed = 1
	}
	if _, err := t.Exec(ctx, addCounts, c.Portal, c.Rule, c.Version, agreed, differed, failed, at); err != nil {
		return err
	}
	if agreed == 1 {
		if _, err := t.Exec(ctx, forgetAgain, c.Portal, c.Rule, c.Entity); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, setAgreed, c.Portal, c.Rule, c.Entity, at); err != nil {
			return err
		}
	} else if _, err := t.Exec(ctx, setDifference, c.Portal, c.Rule, c.Entity, c.Run, at, string(hide.JSON(encode(c.Differences))), hide.Text(c.Error)); err != nil {
		return err
	}
	for _, s := range c.Sent {
		if _, err := t.Exec(ctx, addEffect, c.Portal, c.Rule, s.Step, s.Method, c.Entity, at, string(hide.JSON(encode([]dryrun.Change{s})))); err != nil {
			return err
		}
	}
	return nil
}

func forget(ctx context.Context, t store.Tx, portal, rule string) error {
	for _, table := range []string{"b24_shadow", "b24_shadow_entity", "b24_shadow_effect"} {
		if _, err := t.Exec(ctx, `DELETE FROM `+table+` WHERE portal = $1 AND ($2 = '' OR rule = $2)`, portal, rule); err != nil {
			return err
		}
	}
	return nil
}

// Forget deletes the results of a rule, or of all rules of a portal if rule is "".
func Forget(ctx context.Context, db store.DB, portal, rule string) error {
	err := db.Write(ctx, func(ctx context.Context, t store.Tx) error { return forget(ctx, t, portal, rule) })
	if err != nil {
		return fmt.Errorf("forget results of the shadow mode: %w", err)
	}
	return nil
}

// LooksAgain reports whether the run has found differences before, and now looks a second
// time.
func LooksAgain(ctx context.Context, db store.DB, portal, rule, entity string, run int64) (bool, error) {
	var again int64
	err := db.QueryRow(ctx, `SELECT again_run FROM b24_shadow_entity WHERE portal = $1 AND rule = $2 AND entity = $3`, portal, rule, entity).Scan(&again)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read results of the shadow mode: %w", err)
	}
	return again == run, nil
}

// Result is what the shadow mode has found about one rule of a portal.
type Result struct {
	Rule     string    `json:"rule"`
	Version  string    `json:"version,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Compared int       `json:"compared"` // runs
	Agreed   int       `json:"agreed"`
	Differed int       `json:"differed"`
	Failed   int       `json:"failed"` // runs that could not be compared
	// Differing is how many entities differ now, Pending how many are compared a second
	// time before a difference counts.
	Differing int      `json:"differing"`
	Pending   int      `json:"pending"`
	Entities  []Entity `json:"entities,omitempty"`
	Sent      []Effect `json:"would_send,omitempty"`
}

// Entity is the last difference of an entity.
type Entity struct {
	Entity  string          `json:"entity"`
	Run     int64           `json:"run"`
	At      time.Time       `json:"at"`
	Agreed  time.Time       `json:"agreed_since,omitzero"` // zero while it differs
	Error   string          `json:"error,omitempty"`       // why it could not be compared
	Changes []dryrun.Change `json:"changes,omitempty"`     // what the rule would write
	More    int             `json:"more,omitempty"`        // changes that are not stored
}

// Effect is what a step would have sent.
type Effect struct {
	Step    string        `json:"step"`
	Method  string        `json:"method"`
	Times   int           `json:"times"`
	Last    time.Time     `json:"last"`
	Entity  string        `json:"entity"` // the last one
	Example dryrun.Change `json:"example"`
}

// Read returns the results of a portal by rule. Of each rule it returns at most limit
// entities: those that differ before those that agree now, the latest first.
func Read(ctx context.Context, db store.DB, portal string, limit int) (map[string]*Result, error) {
	out := map[string]*Result{}
	err := errors.Join(
		each(ctx, db, `SELECT rule, version, agreed, differed, failed, since, last_at FROM b24_shadow WHERE portal = $1`, portal, func(row store.Row) error {
			r := &Result{}
			var since, last int64
			if err := row.Scan(&r.Rule, &r.Version, &r.Agreed, &r.Differed, &r.Failed, &since, &last); err != nil {
				return err
			}
			r.Compared, r.Since, r.Last = r.Agreed+r.Differed+r.Failed, store.Time(since), store.Time(last)
			out[r.Rule] = r
			return nil
		}),
		each(ctx, db, `
SELECT rule, entity, run_id, at, agreed_at, again_run, changes, error FROM b24_shadow_entity WHERE portal = $1
ORDER BY rule, CASE WHEN agreed_at = 0 THEN 0 ELSE 1 END, at DESC, entity`, portal, func(row store.Row) error {
			return addEntity(out, row, limit)
		}),
		each(ctx, db, `SELECT rule, step, method, sent, entity, at, example FROM b24_shadow_effect WHERE portal = $1 ORDER BY rule, step, method`, portal, func(row store.Row) error {
			var (
				e        Effect
				rule     string
				at       int64
				examples stored
				text     string
			)
			if err := row.Scan(&rule, &e.Step, &e.Method, &e.Times, &e.Entity, &at, &text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &examples); err != nil {
				return err
			}
			e.Last = store.Time(at)
			for _, c := range examples.Changes {
				e.Example = c
			}
			r := resultOf(out, rule)
			r.Sent = append(r.Sent, e)
			return nil
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("read results of the shadow mode: %w", err)
	}
	return out, nil
}

func resultOf(all map[string]*Result, rule string) *Result {
	if all[rule] == nil {
		all[rule] = &Result{Rule: rule}
	}
	return all[rule]
}

func addEntity(all map[string]*Result, row store.Row, limit int) error {
	var (
		e                 Entity
		rule, text        string
		at, agreed, again int64
	)
	if err := row.Scan(&rule, &e.Entity, &e.Run, &at, &agreed, &again, &text, &e.Error); err != nil {
		return err
	}
	r := resultOf(all, rule)
	if again != 0 {
		r.Pending++
	}
	if e.Run == 0 {
		return nil
	}
	if agreed == 0 {
		r.Differing++
	}
	e.Agreed = store.Time(agreed)
	if len(r.Entities) >= limit {
		return nil
	}
	var changes stored
	if err := json.Unmarshal([]byte(text), &changes); err != nil {
		return err
	}
	e.At, e.Changes, e.More = store.Time(at), changes.Changes, changes.More
	r.Entities = append(r.Entities, e)
	return nil
}

// each calls do for each row of a portal.
func each(ctx context.Context, db store.DB, text, portal string, do func(row store.Row) error) error {
	_, err := store.All(ctx, db, "", func(row store.Row) (struct{}, error) { return struct{}{}, do(row) }, text, portal)
	return err
}
