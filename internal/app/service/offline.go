package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/ingest"
)

const (
	// pollNoticed is the interval between fetches of offline events if the portal
	// can send notices; pollAlone is the interval if it cannot.
	pollNoticed = 15 * time.Second
	pollAlone   = 5 * time.Second
	// pollAgain is the time until the next fetch after events or a notice. The
	// portal sends at most one notice a second, and none for later events of that
	// second.
	pollAgain = 2 * time.Second
	// bindAgain is the time until the next attempt to bind events.
	bindAgain = time.Minute
	// rulesEvery is the interval of checks whether rules need other events, and
	// whether another process has received an installation.
	rulesEvery = 5 * time.Second
)

// offlinePoller binds the events of an application in one portal, and fetches
// those that the portal keeps.
type offlinePoller struct {
	portal *Portal
	rules  *fleet.Rules
	events *subscriptions
	push   func(ctx context.Context, portal string, e bitrix.Event) error
	log    *slog.Logger
	logged string // the failure that was logged last
}

func newOfflinePoller(c *config.Config, rules *fleet.Rules, p *Portal, push func(context.Context, string, bitrix.Event) error, log *slog.Logger) *offlinePoller {
	return &offlinePoller{portal: p, rules: rules, events: &subscriptions{portal: p, hook: c.Hook(p.Name), log: log}, push: push, log: log}
}

// run binds and fetches until ctx ends.
func (o *offlinePoller) run(ctx context.Context) {
	p, every := o.portal, pollNoticed
	if o.events.hook == "" {
		every = pollAlone
	}
	var (
		bound    *fleet.Generation // for which the events are bound
		bindAt   time.Time
		fetchAt  time.Time
		noticed  bool
		reserved = true // a process that was killed may have left batches
	)
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		gen := o.rules.Current()
		if p.app.takeInstalled() {
			bound, bindAt = nil, now
		}
		mine := p.permit() == nil // otherwise another process does it
		if mine && gen != bound && !now.Before(bindAt) {
			if err := o.events.bind(ctx, gen); err != nil {
				o.logFailure(ctx, "cannot bind events", err)
				bindAt = now.Add(bindAgain)
			} else {
				bound, o.logged = gen, ""
			}
		}
		if mine && o.events.offline && !now.Before(fetchAt) {
			some, err := o.fetch(ctx, reserved)
			reserved = err != nil // some batches may not be confirmed
			switch {
			case err != nil:
				o.logFailure(ctx, "cannot fetch offline events", err)
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
				o.log.Error("cannot read the application token", "portal", p.Name, "error", err)
			}
		case <-ctx.Done():
		}
		next.Stop()
	}
}

// untilFetch is the time until the next fetch of offline events.
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

// fetch moves all events that the portal keeps into the queue. The portal removes a
// batch only when fetch confirms it, after it is on disk. If the process is killed
// before that, the batch stays reserved in the portal, and the next process fetches
// it with reserved. So no event is lost. An event that arrives twice has one run, or
// a second run that writes nothing.
func (o *offlinePoller) fetch(ctx context.Context, reserved bool) (some bool, err error) {
	if reserved {
		batches, err := o.queue().Reserved(ctx)
		if err != nil {
			return some, err
		}
		for _, b := range batches {
			if err := o.keep(ctx, b); err != nil {
				return some, err
			}
			o.log.Info("offline events that a stopped process had reserved", "portal", o.portal.Name, "events", len(b.Events))
		}
	}
	for {
		b, err := o.queue().Fetch(ctx)
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

func (o *offlinePoller) queue() bitrix.OfflineQueue {
	return o.portal.Client.Offline(o.events.connector)
}

// keep stores a batch and confirms it. Its events are pushed at the same time,
// so that they share a transaction.
func (o *offlinePoller) keep(ctx context.Context, b bitrix.OfflineBatch) error {
	errs := make([]error, len(b.Events))
	var wg sync.WaitGroup
	for i, e := range b.Events {
		wg.Go(func() {
			started := time.Now()
			errs[i] = o.push(ctx, o.portal.Name, e.Event)
			ingest.LogEvent(ctx, o.log, o.portal.Name, e.Event, time.Since(started), errs[i])
			if ingest.IsInvalid(errs[i]) { // it stays invalid
				errs[i] = nil
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(b.Broken) > 0 {
		o.log.Error("cannot read the data of offline events, the portal keeps them as failed", "portal", o.portal.Name, "events", len(b.Broken))
	}
	return o.queue().Confirm(ctx, b)
}
