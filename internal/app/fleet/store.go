package fleet

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/store"
)

// Store keeps which rule sets run in which portal, with the texts of their versions. So a
// process that starts can run the last good version of a file that has errors now.
type Store struct{ db store.DB }

// NewStore returns the store in a database.
func NewStore(db store.DB) *Store { return &Store{db} }

// Live is what ran last of a rule set in a portal.
type Live struct {
	Portal, Set string
	Version     string // "" if none ever ran
	Since       time.Time
	// Refused is why the current text of the rule set does not run there, with the place,
	// since RefusedAt. It is "" if it runs.
	Refused   string
	RefusedAt time.Time
}

const (
	selectLive = `SELECT portal, instance, version, live_since, refused, refused_at FROM b24_live`

	selectTexts = `SELECT version, file, text FROM b24_ruleset WHERE version IN (SELECT version FROM b24_live)`

	putText = `INSERT INTO b24_ruleset (version, name, file, text) VALUES ($1, $2, $3, $4) ON CONFLICT (version) DO NOTHING`

	putLive = `
INSERT INTO b24_live (portal, instance, version, live_since, refused, refused_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (portal, instance) DO UPDATE SET
    version = excluded.version, live_since = excluded.live_since, refused = excluded.refused, refused_at = excluded.refused_at`

	dropLive = `DELETE FROM b24_live WHERE portal = $1 AND instance = $2`
)

// List returns the rows of a portal, or of all portals if it is "", sorted by portal and rule set.
func (s *Store) List(ctx context.Context, portal string) ([]Live, error) {
	where, args := "", []any(nil)
	if portal != "" {
		where, args = " WHERE portal = $1", []any{portal}
	}
	rows, err := s.db.Query(ctx, selectLive+where+" ORDER BY portal, instance", args...)
	if err != nil {
		return nil, fmt.Errorf("read the versions of rule sets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Live
	for rows.Next() {
		var (
			l              Live
			since, refused int64
		)
		if err := rows.Scan(&l.Portal, &l.Set, &l.Version, &since, &l.Refused, &refused); err != nil {
			return nil, fmt.Errorf("read the versions of rule sets: %w", err)
		}
		l.Since, l.RefusedAt = store.Time(since), store.Time(refused)
		all = append(all, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the versions of rule sets: %w", err)
	}
	return all, nil
}

// Before returns the last good version of each rule set in each portal.
func (s *Store) Before(ctx context.Context) (Before, error) {
	live, err := s.List(ctx, "")
	if err != nil || len(live) == 0 {
		return nil, err
	}
	texts, err := s.texts(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the texts of rule sets: %w", err)
	}
	out := Before{}
	for _, l := range live {
		t, ok := texts[l.Version]
		if !ok {
			continue
		}
		if out[l.Portal] == nil {
			out[l.Portal] = map[string]RuleText{}
		}
		out[l.Portal][l.Set] = t
	}
	return out, nil
}

// texts returns the texts of all versions that ran last somewhere.
func (s *Store) texts(ctx context.Context) (map[string]RuleText, error) {
	rows, err := s.db.Query(ctx, selectTexts)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[string]RuleText{}
	for rows.Next() {
		var (
			version, file string
			packed        []byte
		)
		if err := rows.Scan(&version, &file, &packed); err != nil {
			return nil, err
		}
		text, err := unpack(packed)
		if err != nil {
			return nil, fmt.Errorf("version %s of %s: %w", version, file, err)
		}
		all[version] = RuleText{file, text}
	}
	return all, rows.Err()
}

// Put stores what runs of the rule sets of a portal, and the texts of their versions.
// Rows of rule sets that g does not have are deleted. It writes nothing if all rows are as
// known says: the rows of the portal that List has returned.
func (s *Store) Put(ctx context.Context, g *Generation, portal string, known []Live) error {
	rows, sets := g.rowsOf(portal, known)
	var drop []string
	for _, l := range known {
		if _, ok := rows[l.Set]; l.Portal == portal && !ok {
			drop = append(drop, l.Set)
		}
		if l.Portal == portal && rows[l.Set] == l {
			delete(rows, l.Set)
		}
	}
	if len(rows)+len(drop) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for _, l := range rows {
			if set, ok := sets[l.Set]; ok {
				text := textOf(set)
				if _, err := t.Exec(ctx, putText, l.Version, l.Set, text.File, pack(text.Text)); err != nil {
					return err
				}
			}
			if _, err := t.Exec(ctx, putLive, l.Portal, l.Set, l.Version, store.Micros(l.Since), l.Refused, store.Micros(l.RefusedAt)); err != nil {
				return err
			}
		}
		for _, set := range drop {
			if _, err := t.Exec(ctx, dropLive, portal, set); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store the versions of rule sets: %w", err)
	}
	return nil
}

// rowsOf returns the rows of a portal by rule set, with the versions that run or ran last.
// Times of what has not changed are those of known.
func (g *Generation) rowsOf(portal string, known []Live) (rows map[string]Live, sets map[string]*engine.RuleSet) {
	rows, sets = map[string]Live{}, map[string]*engine.RuleSet{}
	last := map[string]Live{}
	for _, l := range known {
		if l.Portal == portal {
			last[l.Set] = l
		}
	}
	now := time.Now().Truncate(time.Microsecond)
	for _, i := range g.of(portal).live {
		l := Live{Portal: portal, Set: i.Set.Name, Version: i.Set.Version, Since: now}
		if was := last[l.Set]; was.Version == l.Version {
			l.Since = was.Since
		}
		rows[l.Set], sets[l.Set] = l, i.Set
	}
	for _, r := range g.of(portal).refused {
		l, runs := rows[r.Set]
		was := last[r.Set]
		if !runs { // the last good version stays known
			l = Live{Portal: portal, Set: r.Set, Version: was.Version, Since: was.Since}
			if r.last != nil && l.Version != r.last.Version {
				l.Version, l.Since = r.last.Version, now
				sets[r.Set] = r.last
			}
		}
		if l.Refused, l.RefusedAt = r.Reason(), now; was.Refused == l.Refused {
			l.RefusedAt = was.RefusedAt
		}
		rows[r.Set] = l
	}
	return rows, sets
}

func textOf(set *engine.RuleSet) RuleText { return RuleText{set.File, string(set.Source.Bytes())} }

func pack(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

func unpack(packed []byte) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// Text returns the text of a version of a rule set, as it ran. ok is false for a version that
// never ran.
func (s *Store) Text(ctx context.Context, version string) (t RuleText, ok bool, err error) {
	var packed []byte
	err = s.db.QueryRow(ctx, `SELECT file, text FROM b24_ruleset WHERE version = $1`, version).Scan(&t.File, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return t, false, nil
	}
	if err != nil {
		return t, false, fmt.Errorf("read a version of a rule set: %w", err)
	}
	t.Text, err = unpack(packed)
	return t, err == nil, err
}
