package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Written is one change of a field by a run, as far as history has the run.
type Written struct {
	Run     int64     `json:"run"`
	At      time.Time `json:"at"`
	Rule    string    `json:"rule"`
	Version string    `json:"version"`
	Field   string    `json:"field"`
	Before  any       `json:"before"`
	After   any       `json:"after"`
	// ByOthers says that the run found another value than the run before it has left: in between,
	// a person or another program has written the field.
	ByOthers bool `json:"by_others,omitempty"`
}

// mostWritten bounds the changes that are listed.
const mostWritten = 50

// addChanges adds what the runs of the writers have changed, the latest first.
func (w *Why) addChanges(ctx context.Context, q *queue.Queue, place string, id int64) error {
	w.Changes = []Written{}
	record := recordName(place, id)
	seen := map[[2]string]bool{}
	for _, one := range w.Writers {
		key := [2]string{one.Rule, one.Entity}
		if one.Entity == "" || seen[key] {
			continue
		}
		seen[key] = true
		runs, err := journal.FindRuns(ctx, q.Database(), journal.Filter{Portal: w.Portal, Entity: one.Entity, Rule: one.Rule, Limit: mostRuns})
		if err != nil {
			return err
		}
		var ids []int64
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		attempts, err := journal.LastAttempts(ctx, q.Database(), ids)
		if err != nil {
			return err
		}
		for run, a := range attempts {
			r, err := history.ReadRecord(json.RawMessage(a.Record))
			if err != nil || r.DryRun {
				continue // of an older version, or in shadow mode
			}
			w.Changes = append(w.Changes, changesOf(r, record, w.Field, Written{Run: run, At: a.Finished, Rule: one.Rule, Version: r.Version})...)
		}
	}
	slices.SortFunc(w.Changes, func(a, b Written) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Run, a.Run), strings.Compare(a.Field, b.Field))
	})
	w.Changes = w.Changes[:min(len(w.Changes), mostWritten)]
	last := map[string]any{}
	for i := range slices.Backward(w.Changes) {
		c := &w.Changes[i]
		if left, ok := last[c.Field]; ok && c.Before != nil && !dryrun.Equal(left, c.Before) {
			c.ByOthers = true
		}
		last[c.Field] = c.After
	}
	return nil
}

// recordName is a record as dryrun names it: element 47:12.
func recordName(place string, id int64) string {
	kind, number, _ := strings.Cut(place, ":")
	if kind == "list" {
		kind = "element"
	}
	return fmt.Sprintf("%s %s:%d", kind, number, id)
}

// changesOf returns the changes of a record, with an empty field those of all fields. as has what all
// of them have in common.
func changesOf(r *history.Record, record, field string, as Written) []Written {
	var out []Written
	for _, step := range Changes(r) {
		for _, c := range step {
			if c.Record != record {
				continue
			}
			for _, f := range c.Fields {
				if field != "" && !sameField(f.Name, field) {
					continue
				}
				one := as
				one.Field, one.Before, one.After = f.Name, f.Before, f.After
				out = append(out, one)
			}
		}
	}
	return out
}

// sameField reports whether two names are those of one field: UF_CRM_TOTAL is ufCrmTotal.
func sameField(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", ""), strings.ReplaceAll(b, "_", ""))
}
