package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// notConfigured is why a removed portal is held.
const notConfigured = "the portal is not in the configuration"

// holdPortal stops a portal because of the configuration. Its proven events are stored, and its
// runs wait.
func (s *Service) holdPortal(ctx context.Context, name string, digest ingest.Digest, cause, reason string) {
	if digest == (ingest.Digest{}) { // the token cannot be read now
		known, err := readDigests(ctx, s.queue)
		if err != nil {
			s.log.Error("cannot read what proves the portal's events", "portal", name, "error", err)
		}
		digest = known[name]
	}
	s.portals.stop(name, digest)
	h := queue.Hold{Portal: name, Cause: cause, Reason: reason, Since: time.Now()}
	holds, err := s.queue.HoldList(ctx)
	for _, old := range holds {
		if old.Portal == name && old.Rule == "" && old.Cause == cause {
			h.Since = old.Since
		}
	}
	if err == nil {
		err = s.queue.SetHold(ctx, h)
	}
	if err == nil && digest != (ingest.Digest{}) {
		err = s.downtime.keepToken(ctx, name, digest)
	}
	if err != nil {
		s.log.Error("cannot store that the portal is held", "portal", name, "error", err)
	}
	s.metrics.hold(h)
	s.log.Error("portal is held, its events and runs wait", "portal", name, "cause", cause, "reason", reason)
}

// removePortal holds a portal that is not in the configuration any more. One that never ran and has
// no events leaves nothing that could wait, so it is forgotten.
func (s *Service) removePortal(ctx context.Context, name string, digest ingest.Digest) {
	ran, err := s.ranEver(ctx, name)
	if err != nil || ran {
		if err != nil {
			s.log.Error("cannot read whether the removed portal ever ran", "portal", name, "error", err)
		}
		s.holdPortal(ctx, name, digest, hold.Removed, notConfigured)
		return
	}
	holds, err := s.queue.HoldList(ctx)
	if err == nil {
		err = s.keeper.forgetPortal(ctx, name, holds)
	}
	if err != nil {
		s.log.Error("cannot forget the removed portal, which never ran", "portal", name, "error", err)
	}
}

// ranEver reports whether rule sets have run in a portal, or it has events.
func (s *Service) ranEver(ctx context.Context, portal string) (bool, error) {
	live, err := s.keeper.store.List(ctx, portal)
	if err != nil || len(live) > 0 {
		return true, err
	}
	events, err := journal.FindEvents(ctx, s.queue.Database(), journal.EventFilter{Portal: portal, Limit: 1})
	return err != nil || len(events) > 0, err
}

// eventToken is the application token of the portal's events.
func (p *Portal) eventToken() bitrix.Secret {
	if p.app != nil {
		return p.app.applicationToken()
	}
	return p.token
}

// loadDigests makes the service store the events of portals that ran before and that the
// configuration does not have any more.
func (s *Service) loadDigests(ctx context.Context) error {
	digests, err := readDigests(ctx, s.queue)
	if err != nil {
		return err
	}
	configured := allNames(s.config.Load())
	for name, digest := range digests {
		if !slices.Contains(configured, name) {
			s.portals.stop(name, digest)
		}
	}
	return nil
}

// readDigests returns what proves the events of portals that run or have run.
func readDigests(ctx context.Context, q *queue.Queue) (map[string]ingest.Digest, error) {
	stored, err := notes.List(ctx, q.Database(), report.TokenNote(""))
	if err != nil {
		return nil, err
	}
	all := map[string]ingest.Digest{}
	for _, n := range stored {
		digest, ok := ingest.ParseDigest(n.Value)
		if !ok {
			return nil, fmt.Errorf("the note %s is no digest of a token", n.Name)
		}
		all[strings.TrimPrefix(n.Name, report.TokenNote(""))] = digest
	}
	return all, nil
}

// keepDigests stores what proves the events of the portals that this process works, and holds
// those that were removed while no process ran. holds are those of all portals.
func (k *ruleKeeper) keepDigests(ctx context.Context, holds []queue.Hold) error {
	known, err := readDigests(ctx, k.queue)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range k.portals.all() {
		digest := ingest.DigestOf(p.eventToken())
		if digest != (ingest.Digest{}) && digest != known[p.Name] && k.permit(p.Name) == nil {
			errs = append(errs, k.downtime.keepToken(ctx, p.Name, digest))
		}
	}
	if k.permit("") != nil {
		return errors.Join(errs...)
	}
	for name, digest := range known {
		held := slices.ContainsFunc(holds, func(h queue.Hold) bool { return h.Portal == name && h.Rule == "" && hold.OfFiles(h.Cause) })
		if held || k.portals.get(name) != nil {
			continue
		}
		elsewhere, err := k.worksElsewhere(ctx, name)
		if err == nil && !elsewhere {
			k.remove(ctx, name, digest)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// worksElsewhere reports whether another process has a portal in its configuration.
func (k *ruleKeeper) worksElsewhere(ctx context.Context, portal string) (bool, error) {
	all, err := k.queue.Processes(ctx)
	return slices.ContainsFunc(all, func(p lease.Worker) bool { return slices.Contains(p.Portals, portal) }), err
}

// forgetPortal gives up what waits for a portal that was removed long ago, and ends its
// holds and those of its rules. holds are those of all portals.
func (k *ruleKeeper) forgetPortal(ctx context.Context, portal string, holds []queue.Hold) error {
	n, err := k.queue.DiscardAll(ctx, journal.Filter{Portal: portal, States: []journal.State{journal.Waiting, journal.Asleep}}, "serve, because the portal was removed 7 days ago")
	if err != nil {
		return err
	}
	if _, err := k.queue.RouteAgain(ctx, portal, func(journal.Event) ([]queue.Route, []string, error) { return nil, nil, nil }); err != nil {
		return err
	}
	windows := catchup.NewWindows(k.queue.Database())
	owed, err := windows.List(ctx, portal)
	if err == nil {
		err = windows.Drop(ctx, owed)
	}
	if err == nil {
		err = notes.Delete(ctx, k.queue.Database(), report.TokenNote(portal))
	}
	if err != nil {
		return err
	}
	k.portals.forget(portal)
	k.log.Warn("gave up what waited for a removed portal, its events are refused now", "portal", portal, "runs", n)
	// That of the portal is the first one, and its end must be the last step: without it
	// nothing is tried again.
	for _, h := range slices.Backward(holds) {
		if h.Portal != portal {
			continue
		}
		if err := k.queue.EndHold(ctx, portal, h.Rule); err != nil {
			return err
		}
		k.changed(queue.Hold{Portal: portal, Rule: h.Rule})
	}
	return nil
}
