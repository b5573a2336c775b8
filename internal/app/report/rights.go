package report

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// rightsFor is how long lost rights concern people. After that time they are taken as meant.
const rightsFor = 7 * 24 * time.Hour

// Rights are what serve knows of the user whose credentials a portal has.
type Rights struct {
	User  string    `json:"user"` // id and name
	Admin bool      `json:"admin"`
	Lost  time.Time `json:"lost,omitzero"` // since when the user is no administrator, or another one than before is none
}

// RightsNote is the name of the note that holds the Rights of a portal.
func RightsNote(portal string) string { return "rights." + portal }

// ReadRights returns what a note says.
func ReadRights(n notes.Note) (r Rights, err error) {
	if err := json.Unmarshal([]byte(n.Value), &r); err != nil {
		return r, fmt.Errorf("note %s: %w", n.Name, err)
	}
	return r, nil
}

// LostRights are rights that the user of a portal had, or the user before.
type LostRights struct {
	User  string    `json:"user"`
	Since time.Time `json:"since"`
}

// Text says what that means and what to do.
func (l LostRights) Text() string {
	return l.User + " is no administrator any more: lists of the portal omit what this user may not read, so what rules count and add up may be too small. " +
		"Give the user all rights to the CRM and the lists again, or let an administrator make the webhook, then run b24rules sync"
}

// ReadLostRights returns the lost rights by portal, without portals that have lost none.
func ReadLostRights(ctx context.Context, q *queue.Queue, now time.Time) (map[string]LostRights, error) {
	stored, err := notes.List(ctx, q.Database(), RightsNote(""))
	if err != nil {
		return nil, err
	}
	out := map[string]LostRights{}
	for _, n := range stored {
		r, err := ReadRights(n)
		if err != nil {
			return nil, err
		}
		if !r.Lost.IsZero() && now.Sub(r.Lost) < rightsFor {
			out[strings.TrimPrefix(n.Name, RightsNote(""))] = LostRights{User: r.User, Since: r.Lost}
		}
	}
	return out, nil
}
