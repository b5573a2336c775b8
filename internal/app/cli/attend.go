package cli

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

const (
	// pollNoticed is how often offline events are fetched when the portal can
	// tell us of them; pollAlone is how often when it cannot.
	pollNoticed = 15 * time.Second
	pollAlone   = 5 * time.Second
	// pollAgain is when it is looked once more after there were events or a
	// notice: a portal sends at most one notice in a second, and none for what
	// came in the rest of it.
	pollAgain = 2 * time.Second
	// bindAgain is when events that could not be bound are tried again.
	bindAgain = time.Minute
	// rulesEvery is how often it is looked whether rules hear other events, and
	// whether another process has installed the application anew.
	rulesEvery = 5 * time.Second
)

// attend looks after an application in one portal until ctx ends: it binds what
// the rules hear, and fetches the events that the portal keeps.
func (a *app) attend(ctx context.Context, p *portal) {
	every := pollNoticed
	if a.config.Hook(p.name) == "" {
		every = pollAlone
	}
	var (
		bound    *generation // for which the events are bound
		bindAt   time.Time
		fetchAt  time.Time
		noticed  bool
		reserved = true // batches of a process that was killed may be there
	)
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		gen := a.rules.current.Load()
		if p.app.takeInstalled() {
			bound, bindAt = nil, now
		}
		mine := a.mayAct(p.name) == nil // else another process does it
		if mine && gen != bound && !now.Before(bindAt) {
			if err := a.bind(ctx, p, gen); err != nil {
				a.tellOffline(ctx, p, "events could not be bound", err)
				bindAt = now.Add(bindAgain)
			} else {
				bound, p.app.told = gen, ""
			}
		}
		if mine && p.app.offline && p.app.ready && !now.Before(fetchAt) {
			some, err := a.fetch(ctx, p, reserved)
			reserved = err != nil // what was taken may not have been confirmed
			switch {
			case err != nil:
				a.tellOffline(ctx, p, "offline events could not be fetched", err)
				fetchAt = time.Now().Add(pollAlone)
			case some || noticed:
				fetchAt = time.Now().Add(pollAgain)
			default:
				fetchAt = time.Now().Add(every)
			}
			noticed = false
		}
		next := time.NewTimer(untilFetch(p, fetchAt, mine))
		select {
		case <-p.app.changed:
			fetchAt, noticed = time.Time{}, true
		case <-next.C:
		case <-tick.C:
			if err := p.app.load(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("the application token cannot be read", "portal", p.name, "error", err)
			}
		case <-ctx.Done():
		}
		next.Stop()
	}
}

// untilFetch is the time until offline events are to be fetched.
func untilFetch(p *portal, at time.Time, mine bool) time.Duration {
	if !mine || !p.app.offline || !p.app.ready {
		return rulesEvery
	}
	return max(0, time.Until(at))
}

// tellOffline logs a failure of attend. One that lasts is told once.
func (a *app) tellOffline(ctx context.Context, p *portal, what string, err error) {
	if ctx.Err() != nil || p.app.told == err.Error() {
		return
	}
	p.app.told = err.Error()
	level := slog.LevelError
	if bitrix.IsCode(err, bitrix.CodeNotInstalled) {
		level = slog.LevelWarn
	}
	a.log.Log(ctx, level, what, slog.String("portal", p.name), slog.Any("error", err))
}

// fetch moves the events that the portal keeps into the queue until there are
// none. The portal forgets a batch only when it is on disk here: whoever is
// killed in between leaves it reserved, and finds it again (reserved). So
// nothing is lost, and what comes twice is one run, or a second one that finds
// nothing to do.
func (a *app) fetch(ctx context.Context, p *portal, reserved bool) (some bool, err error) {
	if reserved {
		batches, err := p.client.ReservedOffline(ctx, p.app.connector)
		if err != nil {
			return some, err
		}
		for _, b := range batches {
			if err := a.keep(ctx, p, b); err != nil {
				return some, err
			}
			a.log.Info("offline events of a process that has ended", "portal", p.name, "events", len(b.Events))
		}
	}
	for {
		b, err := p.client.FetchOffline(ctx, p.app.connector)
		if err != nil {
			return some, err
		}
		if len(b.Events)+len(b.Broken) == 0 {
			p.app.told = ""
			return some, nil
		}
		if err := a.keep(ctx, p, b); err != nil {
			return some, err
		}
		some = true
		a.log.Info("offline events", slog.String("portal", p.name), slog.Int("events", len(b.Events)))
	}
}

// keep stores a batch and confirms it. Its events are pushed at the same time,
// so that they share a transaction.
func (a *app) keep(ctx context.Context, p *portal, b bitrix.OfflineBatch) error {
	errs := make([]error, len(b.Events))
	var wg sync.WaitGroup
	for i, e := range b.Events {
		wg.Go(func() { errs[i] = a.push(ctx, p.name, e.Event) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(b.Broken) > 0 {
		a.log.Error("offline events without readable data: the portal keeps them, marked as failed", "portal", p.name, "events", len(b.Broken))
	}
	return p.client.ConfirmOffline(ctx, b)
}
