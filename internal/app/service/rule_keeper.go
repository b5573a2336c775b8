package service

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// keepEvery is how often the database is compared with the rule sets that run:
	// another process may have stored events that it could not route.
	keepEvery = 15 * time.Second
	// removedFor is how long events and runs wait for a file that was removed.
	removedFor = 7 * 24 * time.Hour
	// removedRule is why a rule is held that was removed.
	removedRule = "the rule is in no rule file of the portal; after 7 days its waiting and sleeping runs are given up"
	// ofRemovedRule says who has given up the runs of such a rule.
	ofRemovedRule = "serve, because the rule was removed 7 days ago"
)

// ruleKeeper keeps the database in step with the rule sets that run: which version runs
// in which portal, the holds of rule sets of which no version runs, and the events that
// these have not seen. Of a portal only one process may do that: the one that works it.
type ruleKeeper struct {
	config *settings
	queue  *queue.Queue
	store  *fleet.Store
	rules  *fleet.Rules
	permit func(portal string) error
	// changed shows a hold; one without a cause has ended.
	changed func(queue.Hold)
	portals *portals
	// remove holds a portal that is not in the configuration any more.
	remove   func(ctx context.Context, portal string, digest ingest.Digest)
	downtime *downtime
	ledger   *ledger.Ledger
	reload   func()
	wake     wakeup.Signal
	log      *slog.Logger

	shown map[[2]string]bool           // the holds that changed was called with
	owned map[string]*fleet.Generation // by portal, the last one whose orphans are stored
}

// run keeps until ctx ends.
func (k *ruleKeeper) run(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		if err := k.keep(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("cannot store the state of rule sets, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-tick.C:
			if k.rules.Current().Doubles() { // a person may have released what the rules have made
				k.reload()
			}
		}
	}
}

// keep compares the database with the current rule sets once.
func (k *ruleKeeper) keep(ctx context.Context) error {
	holds, err := k.queue.HoldList(ctx)
	if err != nil {
		return err
	}
	all, err := k.store.List(ctx, "")
	if err != nil {
		return err
	}
	live := map[string][]fleet.Live{}
	for _, l := range all {
		live[l.Portal] = append(live[l.Portal], l)
	}
	unrouted, err := journal.Unrouted(ctx, k.queue.Database())
	if err != nil {
		return err
	}
	// After the holds: a portal that is removed in between must not lose its new hold.
	gen := k.rules.Current()
	shown, stored := map[[2]string]bool{}, sync.OnceValue(k.storedRules)
	var errs []error
	for _, portal := range gen.Portals() {
		if k.permit(portal) != nil {
			continue
		}
		p := &portalKeeper{ruleKeeper: k, gen: gen, portal: portal, shown: shown, stored: stored}
		// First the events: after a restart, only the stored versions say where the rules of a file
		// that has another name now were before.
		if slices.ContainsFunc(unrouted, p.runsNow) {
			if err := p.route(ctx); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if gen != k.owned[portal] {
			// Also before the new versions are stored: the former ones have the rules that were removed.
			if err := p.removals(ctx); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		errs = append(errs, k.store.Put(ctx, gen, portal, live[portal]), p.holds(ctx, holds), k.move(portal, gen.Moved(portal)))
		if gen != k.owned[portal] {
			err := errors.Join(p.orphans(ctx), p.removedRules(ctx, holds))
			if errs = append(errs, err); err == nil {
				k.owned[portal] = gen
			}
		}
	}
	errs = append(errs, k.keepDigests(ctx, holds))
	for _, h := range holds {
		// No process works the portal, so the one with the work of no portal forgets it.
		if h.Rule != "" || h.Cause != hold.Removed || slices.Contains(gen.Portals(), h.Portal) || k.permit("") != nil {
			continue
		}
		if time.Since(h.Since) >= removedFor {
			errs = append(errs, k.forgetPortal(ctx, h.Portal, holds))
			continue
		}
		shown[[2]string{h.Portal, ""}] = true
		k.changed(h)
	}
	for key := range k.shown {
		if !shown[key] {
			k.changed(queue.Hold{Portal: key[0], Rule: key[1]})
		}
	}
	k.shown = shown
	return errors.Join(errs...)
}

// move gives rules what rules with their earlier ids have. A run of such a rule may have ended
// after the last time.
func (k *ruleKeeper) move(portal string, rules map[string][]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, id := range slices.Sorted(maps.Keys(rules)) {
		for _, from := range rules[id] {
			moved, err := k.queue.MoveRule(ctx, portal, from, id)
			if err != nil {
				return err
			}
			if moved {
				k.log.Info("a rule has taken over another one", slog.String("portal", portal), slog.String("rule", id), slog.String("from", from))
			}
		}
	}
	return nil
}

// orphans stores what rules have made that no rule has now. What is stored is read again: the rules of
// this generation may have been loaded before that of the one before was stored.
func (k *portalKeeper) orphans(ctx context.Context) error {
	marks, err := k.ledger.Marks(ctx, k.portal)
	if err != nil {
		return err
	}
	var lost []ledger.Mark
	for _, m := range marks {
		if m.Orphan.IsZero() && slices.ContainsFunc(k.gen.Orphans(k.portal), func(o ledger.Mark) bool { return o.ID == m.ID }) {
			lost = append(lost, m)
		}
	}
	return errors.Join(k.oldKeys(ctx), k.ledger.SetOrphans(ctx, time.Now(), lost...), k.ledger.SetOrphans(ctx, time.Time{}, k.gen.Owned(k.portal, marks)...))
}

// oldKeys stores what steps find only by their old_key or old_scope.
func (k *portalKeeper) oldKeys(ctx context.Context) error {
	var old []int64
	for _, m := range k.gen.OfOldKeys(k.portal) {
		old = append(old, m.ID)
	}
	name, value := report.OldKeysNote(k.portal), report.OldKeys(old)
	was, ok, err := notes.Get(ctx, k.queue.Database(), name)
	if err != nil || ok && was.Value == value || !ok && len(old) == 0 {
		return err
	}
	return notes.Set(ctx, k.queue.Database(), name, value)
}

// removedRules holds the rules that the portal no longer has and whose runs wait. So runs that
// sleep for months are given up together with the others, a week after the rule was removed.
func (k *portalKeeper) removedRules(ctx context.Context, stored []queue.Hold) error {
	if slices.ContainsFunc(k.gen.Refused(), func(r fleet.Refused) bool { return r.Portal == k.portal && r.Running == "" && !r.Removed() }) {
		return nil // the rule may be in a file with errors
	}
	rules, err := journal.WaitingRules(ctx, k.queue.Database(), k.portal)
	errs := []error{err}
	for _, rule := range rules {
		_, _, runs := k.gen.Rule(rule, k.portal)
		if runs || slices.ContainsFunc(stored, func(h queue.Hold) bool { return h.Portal == k.portal && h.Rule == rule }) {
			continue
		}
		errs = append(errs, k.set(ctx, queue.Hold{Portal: k.portal, Rule: rule, Cause: hold.Removed, Reason: removedRule, Since: time.Now()}))
	}
	return errors.Join(errs...)
}

// portalKeeper is one keep of one portal.
type portalKeeper struct {
	*ruleKeeper
	gen    *fleet.Generation
	portal string
	shown  map[[2]string]bool
	stored func() *fleet.Generation // storedRules, computed once
}

// holds sets and ends the holds of rule sets and rules. stored are those of all portals.
func (k *portalKeeper) holds(ctx context.Context, stored []queue.Hold) error {
	desired := map[string]queue.Hold{}
	for _, r := range k.gen.Refused() {
		if r.Portal != k.portal || r.Running != "" {
			continue
		}
		h := queue.Hold{Portal: k.portal, Rule: queue.AllOf(r.Set), Cause: hold.Broken, Reason: r.Reason(), Since: time.Now()}
		if r.Removed() {
			h.Cause = hold.Removed
		}
		desired[h.Rule] = h
	}
	var errs []error
	for _, h := range stored {
		if h.Portal != k.portal || !hold.OfFiles(h.Cause) {
			continue
		}
		next, still := desired[h.Rule]
		delete(desired, h.Rule)
		if next.Cause == h.Cause {
			next.Since = h.Since
		}
		_, isSet := queue.SetOf(h.Rule)
		switch _, _, runs := k.gen.Rule(h.Rule, k.portal); {
		case h.Cause == hold.Removed && (still || !runs && h.Rule != "") && time.Since(h.Since) >= removedFor:
			errs = append(errs, k.forget(ctx, h))
		case still && next.Cause == h.Cause && next.Reason == h.Reason, !still && !runs && h.Rule != "" && !isSet:
			k.show(h)
		case still:
			errs = append(errs, k.set(ctx, next))
		default:
			errs = append(errs, k.end(ctx, h))
		}
	}
	for _, h := range desired {
		errs = append(errs, k.set(ctx, h))
	}
	return errors.Join(errs...)
}

func (k *portalKeeper) show(h queue.Hold) {
	k.shown[[2]string{h.Portal, h.Rule}] = true
	k.changed(h)
}

func (k *portalKeeper) set(ctx context.Context, h queue.Hold) error {
	k.show(h)
	return k.queue.SetHold(ctx, h)
}

func (k *portalKeeper) end(ctx context.Context, h queue.Hold) error {
	if err := k.queue.EndHold(ctx, h.Portal, h.Rule); err != nil {
		return err
	}
	k.changed(queue.Hold{Portal: h.Portal, Rule: h.Rule})
	k.log.Info("hold ended, its events and runs are processed", slog.String("portal", h.Portal), slog.String("rule", h.Rule),
		slog.String("cause", h.Cause), slog.Duration("took", time.Since(h.Since).Round(time.Second)))
	return nil
}

// forget gives up what waits for a rule or a rule set that was removed long ago.
func (k *portalKeeper) forget(ctx context.Context, h queue.Hold) error {
	n := 0
	if set, ok := queue.SetOf(h.Rule); ok {
		k.rules.Forget(h.Portal, set)
		if _, _, err := k.rules.Load(); err != nil {
			return err
		}
		k.wake.Send() // to give up the events
	} else {
		var err error
		if n, err = k.queue.DiscardAll(ctx, journal.Filter{Portal: h.Portal, Rule: h.Rule, States: []journal.State{journal.Waiting, journal.Asleep}}, ofRemovedRule); err != nil {
			return err
		}
	}
	k.log.Warn("gave up what waited for a removed rule", slog.String("portal", h.Portal), slog.String("rule", h.Rule), slog.Int("runs", n))
	return k.queue.EndHold(ctx, h.Portal, h.Rule)
}

// runsNow reports whether some of the rule sets that have not seen events of the portal
// are no longer missing. While all are, there is nothing to route.
func (k *portalKeeper) runsNow(m journal.UnroutedEvents) bool {
	missing := k.gen.Missing(k.portal)
	return m.Portal == k.portal && slices.ContainsFunc(m.Missing, func(set string) bool { return !slices.Contains(missing, set) })
}

// route routes the events that rule sets have not seen and that run now.
func (k *portalKeeper) route(ctx context.Context) error {
	n, err := k.queue.RouteAgain(ctx, k.portal, func(e journal.Event) ([]queue.Route, []string, error) {
		event, err := engineEvent(e)
		if err != nil {
			return nil, nil, err
		}
		var routes []engine.Route
		var missing []string
		for _, set := range k.unseen(e) {
			found, ok := k.gen.RouteSet(k.portal, set, event)
			if !ok && slices.Contains(k.gen.Missing(k.portal), set) {
				missing = append(missing, set)
			}
			for _, r := range found { // a rule may have been in two of them
				if !slices.ContainsFunc(routes, func(o engine.Route) bool { return o.Rule == r.Rule }) {
					routes = append(routes, r)
				}
			}
		}
		return k.portals.routes(k.portal, routes), missing, nil
	})
	if n > 0 {
		k.log.Info("processing events that waited for a rule set", slog.String("portal", k.portal), slog.Int("events", n))
	}
	return err
}

// unseen returns the rule sets that have not seen an event.
func (k *portalKeeper) unseen(e journal.Event) []string {
	if !slices.Contains(e.Missing, fleet.Everything) {
		return e.Missing
	}
	all := slices.Clone(k.gen.Missing(k.portal))
	for _, i := range k.gen.Instances(k.portal) {
		all = append(all, i.Set.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
