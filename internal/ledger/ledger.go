// Package ledger keeps which step of which rule has written which element or item, and in
// which run.
//
// It is an index and not the truth. Nothing in a portal is deleted only because of a row: the
// record is read first. If the database is lost, syncs fill the ledger again.
package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/store"
)

// Ledger is the ledger of all portals of a database.
type Ledger struct{ db store.DB }

// New returns the ledger in a database.
func New(db store.DB) *Ledger { return &Ledger{db} }

// A Mark is what a step of a rule has made or may make in one place of a portal.
type Mark struct {
	ID     int64
	Portal string
	engine.Mark
	// File is the place of the step in the last version of its file.
	File string
	// Made says that the ledger has records of the mark.
	Made bool
	// Orphan is since when no rule that runs has these records. It is zero if one does.
	Orphan time.Time
	// Released is when a person said that these records may stay without a rule. It is zero
	// if none did.
	Released time.Time
}

// A Run is the run that has made something.
type Run struct {
	Portal string
	Entity engine.Entity
	ID     int64
	At     time.Time
}

const (
	selectMark = `
SELECT id, last_version FROM b24_mark
WHERE portal = $1 AND rule = $2 AND step = $3 AND place = $4 AND kind = $5 AND identity = $6`

	insertMark = `
INSERT INTO b24_mark (portal, rule, step, place, kind, identity, owner, scope, key, fields, file, first_version, last_version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
ON CONFLICT (portal, rule, step, place, kind, identity) DO NOTHING`

	updateMark = `UPDATE b24_mark SET last_version = $2, owner = $3, scope = $4, key = $5, fields = $6, file = $7 WHERE id = $1`

	deleteRecord = `
DELETE FROM b24_made WHERE thing = $3 AND mark IN (SELECT id FROM b24_mark WHERE portal = $1 AND place = $2)`

	deleteOld = `
DELETE FROM b24_made WHERE thing = $3 AND mark IN (SELECT id FROM b24_mark WHERE portal = $1 AND place = $2 AND kind = $4 AND identity = $5)`

	// maxRows bounds the rows of one statement.
	maxRows = 100
)

// Write stores what a run has done with records, in the transaction that ends the run.
func Write(ctx context.Context, t store.Tx, r Run, made []engine.Made) error {
	for len(made) > 0 {
		n := slices.IndexFunc(made, func(m engine.Made) bool { return !sameRows(m, made[0]) })
		if n < 0 {
			n = len(made)
		}
		if err := writeSame(ctx, t, r, made[:n]); err != nil {
			return fmt.Errorf("store what the run has made: %w", err)
		}
		made = made[n:]
	}
	return nil
}

// sameRows reports whether one statement can store both.
func sameRows(a, b engine.Made) bool {
	return a.What == b.What && a.Mark.Rule == b.Mark.Rule && a.Mark.Step == b.Mark.Step && a.Mark.Place == b.Mark.Place && a.Mark.Identity == b.Mark.Identity
}

// writeSame stores records with the same mark with which the run has done the same.
func writeSame(ctx context.Context, t store.Tx, r Run, made []engine.Made) error {
	if made[0].What == engine.MadeDeleted {
		for _, m := range made {
			if _, err := t.Exec(ctx, deleteRecord, r.Portal, m.Mark.Place, m.ID); err != nil {
				return err
			}
		}
		return nil
	}
	mark, err := markID(ctx, t, r.Portal, made[0].Mark)
	if err != nil {
		return err
	}
	// In the order of ids, so that two transactions cannot block each other.
	made = slices.SortedFunc(slices.Values(made), func(a, b engine.Made) int { return cmp.Compare(a.ID, b.ID) })
	made = slices.CompactFunc(made, func(a, b engine.Made) bool { return a.ID == b.ID })
	for some := range slices.Chunk(made, maxRows) {
		text, args := insertMade(mark, r, some)
		if _, err := t.Exec(ctx, text, args...); err != nil {
			return err
		}
	}
	return forgetOld(ctx, t, r, made)
}

// forgetOld removes the rows that records had under the key or the scope of an earlier version.
func forgetOld(ctx context.Context, t store.Tx, r Run, made []engine.Made) error {
	m := made[0].Mark
	if m.Was == "" || m.Was == m.Identity {
		return nil
	}
	for _, one := range made {
		if _, err := t.Exec(ctx, deleteOld, r.Portal, m.Place, one.ID, string(m.Kind), m.Was); err != nil {
			return err
		}
	}
	return nil
}

// insertMade is the statement that stores records.
func insertMade(mark int64, r Run, made []engine.Made) (text string, args []any) {
	var b strings.Builder
	b.WriteString(`INSERT INTO b24_made (mark, thing, entity, run, at) VALUES `)
	args = []any{mark, entityNumber(r.Entity), r.ID, r.At.Unix()}
	for i, m := range made {
		if i > 0 {
			b.WriteString(", ")
		}
		args = append(args, m.ID)
		fmt.Fprintf(&b, "($1, $%d, $2, $3, $4)", len(args))
	}
	if made[0].What == engine.MadeKept { // an earlier run may have written it
		b.WriteString(` ON CONFLICT (mark, thing) DO NOTHING`)
	} else {
		b.WriteString(` ON CONFLICT (mark, thing) DO UPDATE SET entity = excluded.entity, run = excluded.run, at = excluded.at`)
	}
	return b.String(), args
}

// markID returns the id of a mark, and stores the mark if it is new or its rule has changed.
func markID(ctx context.Context, t store.Tx, portal string, m engine.Mark) (id int64, err error) {
	fields, err := json.Marshal(m.Fields)
	if err != nil {
		return 0, err
	}
	for range 2 {
		var version string
		err = t.QueryRow(ctx, selectMark, portal, m.Rule, m.Step, m.Place, string(m.Kind), m.Identity).Scan(&id, &version)
		switch {
		case err == nil && version == m.Version:
			return id, nil
		case err == nil:
			_, err = t.Exec(ctx, updateMark, id, m.Version, m.Owner, m.Scope, m.Key, string(fields), m.Pos.String())
			return id, err
		case !errors.Is(err, sql.ErrNoRows):
			return 0, err
		}
		if _, err = t.Exec(ctx, insertMark, portal, m.Rule, m.Step, m.Place, string(m.Kind), m.Identity,
			m.Owner, m.Scope, m.Key, string(fields), m.Pos.String(), m.Version); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("a mark is not there after it was stored")
}

// entityBits are the bits of an entity's id in its number.
const entityBits = 32

// entityNumber is an entity of the CRM as one number, 0 for others.
func entityNumber(e engine.Entity) int64 {
	id, err := strconv.ParseInt(e.ID, 10, 64)
	if err != nil || e.TypeID <= 0 || id <= 0 || id >= 1<<entityBits {
		return 0
	}
	return int64(e.TypeID)<<entityBits | id
}

// entityOf is the inverse of entityNumber. The type is 0 for entities that have no number.
func entityOf(n int64) (entityTypeID int, id int64) {
	return int(n >> entityBits), n & (1<<entityBits - 1)
}

const selectMarks = `
SELECT m.id, m.portal, m.rule, m.step, m.kind, m.place, m.identity, m.owner, m.scope, m.key, m.fields, m.file, m.last_version, m.orphan_at, m.released_at,
    EXISTS (SELECT 1 FROM b24_made d WHERE d.mark = m.id)
FROM b24_mark m`

func scanMark(row store.Row) (m Mark, err error) {
	var fields string
	var orphan, released int64
	err = row.Scan(&m.ID, &m.Portal, &m.Rule, &m.Step, &m.Kind, &m.Place, &m.Identity, &m.Owner, &m.Scope, &m.Key, &fields, &m.File, &m.Version, &orphan, &released, &m.Made)
	if err == nil {
		err = json.Unmarshal([]byte(fields), &m.Fields)
	}
	m.Orphan, m.Released = store.Time(orphan), store.Time(released)
	return m, err
}

// Marks returns the marks of a portal, "" for all portals, sorted by portal, rule and step.
func (l *Ledger) Marks(ctx context.Context, portal string) ([]Mark, error) {
	return store.All(ctx, l.db, "read what rules have made", scanMark, selectMarks+` WHERE ($1 = '' OR m.portal = $1) ORDER BY m.portal, m.rule, m.id`, portal)
}

// Count returns how many records the ledger has under a mark.
func (l *Ledger) Count(ctx context.Context, mark int64) (n int, err error) {
	if err = l.db.QueryRow(ctx, `SELECT COUNT(*) FROM b24_made WHERE mark = $1`, mark).Scan(&n); err != nil {
		err = fmt.Errorf("count what rules have made: %w", err)
	}
	return n, err
}

// Remembers reports whether the runs of a rule have remembered something about an entity: for the
// step with a key, or anything if that is "".
func (l *Ledger) Remembers(ctx context.Context, portal, rule, step string) (is bool, err error) {
	text, args := `SELECT EXISTS (SELECT 1 FROM b24_memory WHERE portal = $1 AND rule = $2)`, []any{portal, rule}
	if step != "" {
		text = `SELECT EXISTS (SELECT 1 FROM b24_memory WHERE portal = $1 AND rule = $2 AND key IN ($3, $4, $5))`
		for _, kind := range []string{engine.KeyOnce, engine.KeyEntered, engine.KeyAt} {
			args = append(args, kind+step)
		}
	}
	if err = l.db.QueryRow(ctx, text, args...).Scan(&is); err != nil {
		err = fmt.Errorf("read what rule %s remembers: %w", rule, err)
	}
	return is, err
}

// A Written is a record under a mark with the last run that has written it.
type Written struct {
	Mark Mark
	ID   int64
	// EntityTypeID and EntityID are what the run was about. The type is 0 if it was no entity
	// of the CRM.
	EntityTypeID int
	EntityID     int64
	Run          int64
	At           time.Time
}

// Writers returns who has written a record of a place, one Written for each step, the latest
// first.
func (l *Ledger) Writers(ctx context.Context, portal, place string, id int64) ([]Written, error) {
	marks, err := l.Marks(ctx, portal)
	if err != nil {
		return nil, err
	}
	var out []Written
	for _, m := range marks {
		if m.Place != place {
			continue
		}
		rows, err := l.written(ctx, m, `SELECT thing, entity, run, at FROM b24_made WHERE mark = $1 AND thing = $2`, m.ID, id)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	slices.SortStableFunc(out, func(a, b Written) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Run, a.Run)) })
	return out, nil
}

// From returns at most n records that runs about an entity have written last: what rules have made
// from a deal, say. It reads all records of the portal, because an index over entities would
// double the size of the ledger.
func (l *Ledger) From(ctx context.Context, portal string, entityTypeID int, id int64, n int) ([]Written, error) {
	marks, err := l.Marks(ctx, portal)
	if err != nil {
		return nil, err
	}
	entity := entityNumber(engine.Entity{TypeID: entityTypeID, ID: strconv.FormatInt(id, 10)})
	var out []Written
	for _, m := range marks {
		if entity == 0 || len(out) >= n {
			break
		}
		rows, err := l.written(ctx, m, `SELECT thing, entity, run, at FROM b24_made WHERE mark = $1 AND entity = $2 ORDER BY thing LIMIT $3`, m.ID, entity, n-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// Page returns records under a mark in the order of their ids: at most n after an id.
func (l *Ledger) Page(ctx context.Context, m Mark, after int64, n int) ([]Written, error) {
	return l.written(ctx, m, `SELECT thing, entity, run, at FROM b24_made WHERE mark = $1 AND thing > $2 ORDER BY thing LIMIT $3`, m.ID, after, n)
}

func (l *Ledger) written(ctx context.Context, m Mark, text string, args ...any) ([]Written, error) {
	return store.All(ctx, l.db, "read what rules have made", func(row store.Row) (Written, error) {
		w := Written{Mark: m}
		var entity, at int64
		err := row.Scan(&w.ID, &entity, &w.Run, &at)
		w.EntityTypeID, w.EntityID = entityOf(entity)
		w.At = time.Unix(at, 0)
		return w, err
	}, text, args...)
}

// Recorded returns which records of a place the ledger has, under any mark.
func (l *Ledger) Recorded(ctx context.Context, portal, place string, ids []int) (map[int]bool, error) {
	out := map[int]bool{}
	for some := range slices.Chunk(ids, maxRows) {
		args := []any{portal, place}
		for _, id := range some {
			args = append(args, id)
		}
		found, err := store.All(ctx, l.db, "read what rules have made", scanID[int], `SELECT d.thing FROM b24_mark m JOIN b24_made d ON d.mark = m.id WHERE m.portal = $1 AND m.place = $2 AND d.thing IN (`+store.Placeholders(3, len(some))+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			out[id] = true
		}
	}
	return out, nil
}

// HasMade reports whether there is a record of a place that a step of a rule has made.
func (l *Ledger) HasMade(ctx context.Context, portal, rule, step, place string) (is bool, err error) {
	err = l.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM b24_mark m WHERE m.portal = $1 AND m.rule = $2 AND m.step = $3 AND m.place = $4
    AND EXISTS (SELECT 1 FROM b24_made d WHERE d.mark = m.id))`, portal, rule, step, place).Scan(&is)
	if err != nil {
		err = fmt.Errorf("read what rules have made: %w", err)
	}
	return is, err
}

// Forget removes records of a place that no longer exist.
func Forget(ctx context.Context, t store.Tx, portal, place string, ids []int64) error {
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if _, err := t.Exec(ctx, deleteRecord, portal, place, id); err != nil {
			return fmt.Errorf("forget what rules have made: %w", err)
		}
	}
	return nil
}

// Release notes that the records of marks may stay without a rule, and calls with in the same
// transaction.
func (l *Ledger) Release(ctx context.Context, at time.Time, with func(context.Context, store.Tx) error, marks ...Mark) error {
	return l.update(ctx, `UPDATE b24_mark SET released_at = $2 WHERE id = $1`, at, with, marks)
}

// SetOrphans notes since when no rule has the records of marks. With the zero time one has them
// again, so they are no longer released.
func (l *Ledger) SetOrphans(ctx context.Context, at time.Time, marks ...Mark) error {
	return l.update(ctx, `UPDATE b24_mark SET orphan_at = $2, released_at = CASE WHEN CAST($2 AS BIGINT) = 0 THEN 0 ELSE released_at END WHERE id = $1`, at, nil, marks)
}

func (l *Ledger) update(ctx context.Context, text string, at time.Time, with func(context.Context, store.Tx) error, marks []Mark) error {
	if len(marks) == 0 {
		return nil
	}
	err := l.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for _, m := range marks {
			if _, err := t.Exec(ctx, text, m.ID, store.Micros(at)); err != nil {
				return err
			}
		}
		if with == nil {
			return nil
		}
		return with(ctx, t)
	})
	if err != nil {
		return fmt.Errorf("store who has what rules have made: %w", err)
	}
	return nil
}
