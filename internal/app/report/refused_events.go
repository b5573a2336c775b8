package report

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/refused"
)

// refusedFor is how long refused events concern people.
const refusedFor = 24 * time.Hour

// RefusedEvents are events of a portal that were refused with 403 because of their application
// token, and after which the portal has sent none that was stored.
type RefusedEvents struct {
	Requests int       `json:"requests"` // since the hour of Since
	Since    time.Time `json:"since"`    // rounded down to the hour, but after the last stored event
	Last     time.Time `json:"last"`
}

// Text says what to do.
func (r RefusedEvents) Text() string {
	return fmt.Sprintf("%s refused with 403, the last at %s. If the portal has sent them, application_token of the configuration is not its token: correct it, and serve catches up",
		Plural(r.Requests, "event was", "events were"), r.Last.Local().Format(time.DateTime))
}

// TokenNote is the name of the note that holds what proves the events of a portal, a digest of its
// application token. It was stored when the token has changed.
func TokenNote(portal string) string { return "token." + portal }

// tokenTimes returns since when portals have their application tokens.
func tokenTimes(ctx context.Context, q *queue.Queue) (map[string]time.Time, error) {
	stored, err := notes.List(ctx, q.Database(), TokenNote(""))
	out := make(map[string]time.Time, len(stored))
	for _, n := range stored {
		out[strings.TrimPrefix(n.Name, TokenNote(""))] = n.Set
	}
	return out, err
}

// ReadRefusedEvents returns the refused events of portals by their names, without portals that
// have none.
func ReadRefusedEvents(ctx context.Context, q *queue.Queue, portals []string, now time.Time) (map[string]RefusedEvents, error) {
	tokens, err := tokenTimes(ctx, q)
	if err != nil {
		return nil, err
	}
	return readRefusedEvents(ctx, q, portals, tokens, now)
}

func readRefusedEvents(ctx context.Context, q *queue.Queue, portals []string, tokens map[string]time.Time, now time.Time) (map[string]RefusedEvents, error) {
	table := refused.New(q.Database())
	counts, err := table.Each(ctx, ingest.KindEvent, now.Add(-refusedFor))
	if err != nil {
		return nil, err
	}
	out := map[string]RefusedEvents{}
	for _, portal := range portals {
		c, ok := counts[portal]
		if !ok || tokens[portal].After(c.Last) { // not since the token has changed
			continue
		}
		stored, err := LastFromPortal(ctx, q, portal, time.Time{})
		if err != nil {
			return nil, err
		}
		if !stored.Before(c.Last) {
			continue
		}
		if stored.After(c.First) { // those before were of strangers
			if c, err = table.Since(ctx, portal, ingest.KindEvent, stored); err != nil {
				return nil, err
			}
			c.First = stored
		}
		out[portal] = RefusedEvents{Requests: c.Requests, Since: c.First, Last: c.Last}
	}
	return out, nil
}

// newestEvents is how many of the newest events are searched for one of the portal: the program
// stores events too.
const newestEvents = 100

// LastFromPortal returns when the newest event was received that a portal itself has sent. It is
// zero if none of the newest events is of the portal. Only events before a time count, unless it is
// zero.
func LastFromPortal(ctx context.Context, q *queue.Queue, portal string, before time.Time) (time.Time, error) {
	events, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{Portal: portal, To: before, Limit: newestEvents})
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range events {
		if !strings.HasPrefix(e.Code, engine.OwnCode) {
			return e.Received, nil
		}
	}
	return time.Time{}, nil
}
