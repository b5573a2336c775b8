package service

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// kindRights are the jobs that look whether the user of a portal still is an administrator.
const kindRights = "rights"

const (
	rightsEvery = time.Hour
	rightsFirst = 10 * time.Minute // after the start at least, when there is less to do
)

// rights notices that the user of a portal has lost rights. The portal refuses nothing then: its
// lists omit what the user may not read, and rules would count and add up too little.
type rights struct {
	config  *settings
	queue   *queue.Queue
	portals *portals
	log     *slog.Logger
}

// add stores a job for each portal that has none.
func (r *rights) add(ctx context.Context) {
	c, table := r.config.Load(), jobs.New(r.queue.Database())
	for _, p := range c.Portals {
		if c.Only != "" && c.Only != p.Name {
			continue
		}
		job := jobs.Job{Portal: p.Name, Kind: kindRights, Every: rightsEvery, Due: time.Now().Add(rightsFirst + rand.N(rightsFirst))}
		if err := table.AddOnce(ctx, job); err != nil && ctx.Err() == nil {
			r.log.Error("cannot store the job that checks the rights in a portal", "portal", p.Name, "error", err)
		}
	}
}

// work compares the user of a portal with what is known. Without an answer it waits for the next time.
func (r *rights) work(ctx context.Context, j *jobs.Claimed) error {
	p := r.portals.get(j.Portal)
	if p == nil {
		return nil
	}
	user, err := p.Client.Profile(ctx)
	if err != nil {
		r.log.Info("cannot look whether the user of the portal is an administrator", "portal", p.Name, "error", err)
		return nil
	}
	var was report.Rights
	note, ok, err := notes.Get(ctx, r.queue.Database(), report.RightsNote(p.Name))
	if err == nil && ok {
		was, err = report.ReadRights(note)
	}
	if err != nil {
		return err
	}
	now := report.Rights{User: user.String(), Admin: user.Admin, Lost: was.Lost}
	switch {
	case user.Admin:
		now.Lost = time.Time{}
	case was.Admin:
		now.Lost = time.Now().UTC().Truncate(time.Second)
		r.log.Warn("the user of the portal has lost rights: what the user may not read looks as though it did not exist", "portal", p.Name, "user", now.User)
	}
	if now == was {
		return nil
	}
	value, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("rights of portal %s: %w", p.Name, err)
	}
	return notes.Set(ctx, r.queue.Database(), report.RightsNote(p.Name), string(value))
}
