package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/notes"
)

// OldKeysNote is the name of the note about what steps of a portal find only by their old_key or
// old_scope. Serve stores it, because status does not read rule files.
func OldKeysNote(portal string) string { return "made.old_keys." + portal }

// OldKeys is the value of the note: the numbers of the marks.
func OldKeys(marks []int64) string {
	text, err := json.Marshal(marks)
	if err != nil { // numbers always have a JSON form
		return "[]"
	}
	return string(text)
}

// addOldKeys counts what steps of the portal find only by their old_key or old_scope.
func (p *PortalStatus) addOldKeys(ctx context.Context, stored []notes.Note, made *ledger.Ledger, own []ledger.Mark) error {
	i := slices.IndexFunc(stored, func(n notes.Note) bool { return n.Name == OldKeysNote(p.Portal) })
	if i < 0 {
		return nil
	}
	var ids []int64
	if err := json.Unmarshal([]byte(stored[i].Value), &ids); err != nil {
		return fmt.Errorf("read the note %s: %w", stored[i].Name, err)
	}
	for _, m := range own {
		if !m.Made || !slices.Contains(ids, m.ID) {
			continue
		}
		n, err := made.Count(ctx, m.ID)
		if err != nil {
			return err
		}
		p.OldKeys = append(p.OldKeys, Orphan{Rule: m.Rule, Place: fleet.PlaceName(m.Place), Records: n, File: m.File})
	}
	return nil
}
