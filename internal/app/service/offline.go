package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/ingest"
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

// offlinePoller binds the events of an application in one portal, and fetches
// those that the portal keeps.
type offlinePoller struct {
	portal *Portal
	rules  *Rules
	events *subscriptions
	push   func(ctx context.Context, portal string, e bitrix.Event) error
	log    *slog.Logger
	logged string // the failure that was logged last
}

func newOfflinePoller(c *config.Config, rules *Rules, p *Portal, push func(context.Context, string, bitrix.Event) error, log *slog.Logger) *offlinePoller {
	return &offlinePoller{portal: p, rules: rules, events: &subscriptions{portal: p, hook: c.Hook(p.Name), log: log}, push: push, log: log}
}

// run works until ctx ends.
func (o *offlinePoller) run(ctx context.Context) {
	p, every := o.portal, pollNoticed
	if o.events.hook == "" {
		every = pollAlone
	}
	var (
		bound    *Generation // for which the events are bound
		bindAt   time.Time
		fetchAt  time.Time
		noticed  bool
		reserved = true // batches of a process that was killed may be there
	)
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		gen := o.rules.Current()
		if p.app.takeInstalled() {
			bound, bindAt = nil, now
		}
		mine := p.permit() == nil // else another process does it
		if mine && gen != bound && !now.Before(bindAt) {
			if err := o.events.bind(ctx, gen); err != nil {
				o.logFailure(ctx, "events could not be bound", err)
				bindAt = now.Add(bindAgain)
			} else {
				bound, o.logged = gen, ""
			}
		}
		if mine && o.events.offline && !now.Before(fetchAt) {
			some, err := o.fetch(ctx, reserved)
			reserved = err != nil // what was taken may not have been confirmed
			switch {
			case err != nil:
				o.logFailure(ctx, "offline events could not be fetched", err)
				fetchAt = time.Now().Add(pollAlone)
			case some || noticed:
				fetchAt = time.Now().Add(pollAgain)
			default:
				fetchAt = time.Now().Add(every)
			}
			noticed = false
		}
		next := time.NewTimer(o.untilFetch(fetchAt, mine))
		select {
		case <-p.app.changed:
			fetchAt, noticed = time.Time{}, true
		case <-next.C:
		case <-tick.C:
			if err := p.app.load(ctx); err != nil && ctx.Err() == nil {
				o.log.Error("the application token cannot be read", "portal", p.Name, "error", err)
			}
		case <-ctx.Done():
		}
		next.Stop()
	}
}

// untilFetch is the time until offline events are to be fetched.
func (o *offlinePoller) untilFetch(at time.Time, mine bool) time.Duration {
	if !mine || !o.events.offline {
		return rulesEvery
	}
	return max(0, time.Until(at))
}

// logFailure logs a failure of run. One that lasts is logged once.
func (o *offlinePoller) logFailure(ctx context.Context, what string, err error) {
	if ctx.Err() != nil || o.logged == err.Error() {
		return
	}
	o.logged = err.Error()
	level := slog.LevelError
	if bitrix.IsCode(err, bitrix.CodeNotInstalled) {
		level = slog.LevelWarn
	}
	o.log.Log(ctx, level, what, slog.String("portal", o.portal.Name), slog.Any("error", err))
}

// fetch moves the events that the portal keeps into the queue until there are
// none. The portal forgets a batch only when it is on disk here: whoever is
// killed in between leaves it reserved, and finds it again (reserved). So
// nothing is lost, and what comes twice is one run, or a second one that finds
// nothing to do.
func (o *offlinePoller) fetch(ctx context.Context, reserved bool) (some bool, err error) {
	if reserved {
		batches, err := o.portal.Client.ReservedOffline(ctx, o.events.connector)
		if err != nil {
			return some, err
		}
		for _, b := range batches {
			if err := o.keep(ctx, b); err != nil {
				return some, err
			}
			o.log.Info("offline events of a process that has ended", "portal", o.portal.Name, "events", len(b.Events))
		}
	}
	for {
		b, err := o.portal.Client.FetchOffline(ctx, o.events.connector)
		if err != nil {
			return some, err
		}
		if len(b.Events)+len(b.Broken) == 0 {
			o.logged = ""
			return some, nil
		}
		if err := o.keep(ctx, b); err != nil {
			return some, err
		}
		some = true
		o.log.Info("offline events", slog.String("portal", o.portal.Name), slog.Int("events", len(b.Events)))
	}
}

// keep stores a batch and confirms it. Its events are pushed at the same time,
// so that they share a transaction.
func (o *offlinePoller) keep(ctx context.Context, b bitrix.OfflineBatch) error {
	errs := make([]error, len(b.Events))
	var wg sync.WaitGroup
	for i, e := range b.Events {
		wg.Go(func() {
			errs[i] = o.push(ctx, o.portal.Name, e.Event)
			if ingest.IsInvalid(errs[i]) { // it stays invalid
				o.log.WarnContext(ctx, "invalid offline event, skipping it", slog.String("portal", o.portal.Name), slog.Any("error", errs[i]))
				errs[i] = nil
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(b.Broken) > 0 {
		o.log.Error("offline events without readable data: the portal keeps them, marked as failed", "portal", o.portal.Name, "events", len(b.Broken))
	}
	return o.portal.Client.ConfirmOffline(ctx, b)
}
