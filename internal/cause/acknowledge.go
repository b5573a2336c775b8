package cause

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Acknowledged is a cause that a person knows of. It is silent in alerts until another portal
// or rule fails because of it.
type Acknowledged struct {
	Cause string    `json:"cause"` // as ID returns it
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Note  string    `json:"note,omitempty"`
	// Known are the portals and rules at that time, each as Place returns it.
	Known []string `json:"known"`
}

// Place names a portal and a rule, for Acknowledged.
func Place(portal, rule string) string { return portal + " " + rule }

// Covers reports whether the person knew of a portal and a rule.
func (a Acknowledged) Covers(portal, rule string) bool {
	return slices.Contains(a.Known, Place(portal, rule))
}

const insertAcknowledged = `
INSERT INTO b24_cause (cause, acknowledged_by, acknowledged_at, note, known) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (cause) DO UPDATE SET acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at,
    note = excluded.note, known = excluded.known`

// Acknowledge stores an acknowledgement. It replaces an earlier one of the cause.
func Acknowledge(ctx context.Context, t store.Tx, a Acknowledged) error {
	known, err := json.Marshal(a.Known)
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, insertAcknowledged, a.Cause, a.By, store.Micros(a.At), a.Note, string(known))
	return err
}

// Acknowledgements reads all acknowledgements, by cause.
func Acknowledgements(ctx context.Context, db store.Reader) (map[string]Acknowledged, error) {
	all, err := store.All(ctx, db, "read acknowledged causes", func(row store.Row) (a Acknowledged, err error) {
		var at int64
		var known string
		if err := row.Scan(&a.Cause, &a.By, &at, &a.Note, &known); err != nil {
			return a, err
		}
		a.At = store.Time(at)
		if err := json.Unmarshal([]byte(known), &a.Known); err != nil {
			return a, fmt.Errorf("cause %s: %w", a.Cause, err)
		}
		return a, nil
	}, `SELECT cause, acknowledged_by, acknowledged_at, note, known FROM b24_cause`)
	out := map[string]Acknowledged{}
	for _, a := range all {
		out[a.Cause] = a
	}
	return out, err
}
