package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/store"
)

// Applied are the versions of rule sets that a person has applied: by portal and by name of
// the rule set.
type Applied map[[2]string]string

// Apply notes that versions of rule sets may run in portals. by is the person. It calls with in the
// same transaction.
func (s *Store) Apply(ctx context.Context, versions Applied, by string, with func(context.Context, store.Tx) error) error {
	err := s.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		for key, version := range versions {
			if _, err := t.Exec(ctx, `
INSERT INTO b24_applied (portal, instance, version, applied_at, applied_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (portal, instance) DO UPDATE SET version = excluded.version, applied_at = excluded.applied_at, applied_by = excluded.applied_by`,
				key[0], key[1], version, store.Micros(time.Now()), by); err != nil {
				return err
			}
		}
		return with(ctx, t)
	})
	if err != nil {
		return fmt.Errorf("store which versions are applied: %w", err)
	}
	return nil
}

// Applied returns what Apply has stored.
func (s *Store) Applied(ctx context.Context) (Applied, error) {
	type row struct{ portal, set, version string }
	rows, err := store.All(ctx, s.db, "read which versions are applied", func(r store.Row) (one row, err error) {
		err = r.Scan(&one.portal, &one.set, &one.version)
		return one, err
	}, `SELECT portal, instance, version FROM b24_applied`)
	out := Applied{}
	for _, r := range rows {
		out[[2]string{r.portal, r.set}] = r.version
	}
	return out, err
}

// readApplied reads what is applied, nil if each version on disk runs.
func (l *Rules) readApplied() (Applied, error) {
	if l.Applied == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
	defer cancel()
	return l.Applied(ctx)
}

// waits reports whether a version of a rule set has to be applied before it runs in the portal.
// What runs already needs not, nor what a portal has when it is new.
func waits(d *decision, i *Instance) bool {
	applied, name, before := d.b.applied, d.portal.Name, d.b.before
	if applied == nil || applied[[2]string{name, i.Set.Name}] == i.Set.Version {
		return false
	}
	if old := before.of(name).find(i.Set.Name); old != nil && old.Set.Version == i.Set.Version {
		return false
	}
	last := d.b.rules.Before[name]
	if before != nil {
		_, known := before.portals[name]
		return known || len(last) > 0
	}
	t, ran := last[i.Set.Name]
	return len(last) > 0 && (!ran || t.Text != string(i.Set.Source.Bytes()))
}

// notApplied is the finding of a version that waits until it is applied.
func notApplied(portal string, i *Instance) (list diag.List) {
	list.Errorf(diag.Pos{File: i.Set.File, Line: 1, Column: 1}, "not-applied", "portal %s: version %s of rule set %s is not applied", portal, i.Set.Version, i.Set.Name).
		Hint = "run b24rules apply"
	return list
}
