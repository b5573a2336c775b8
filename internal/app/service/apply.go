package service

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
)

// change is one change of the configuration while the service runs.
type change struct {
	*Service
	ctx      context.Context //nolint:containedctx // of one call
	was, now *config.Config
	// next are the portals that are new or have changed, by name.
	next map[string]*Portal
	// removed are the names of portals that the new configuration does not have.
	removed []string
	answer  *outcome
}

// apply makes the service run with another configuration. Portals that have not changed
// do not notice it. A portal with errors keeps its configuration. It reports whether the
// rules were loaded, too, and whether a rule file was still being written.
func (s *Service) apply(c *config.Config, confirmed bool, a *outcome) (applied, again bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ch := &change{Service: s, ctx: ctx, was: s.config.Load(), now: c, next: map[string]*Portal{}, answer: a}
	ch.now.Redactor = ch.was.Redactor
	ch.now.Redactor.Set("configuration", append(ch.was.Secrets(), ch.now.Secrets()...)...)
	ch.keepFixed()
	ch.keepBroken()
	if !ch.countRemoved(confirmed) {
		return false, false
	}
	if err := ch.makePortals(); err != nil {
		ch.undo()
		s.log.Error("keeping the current configuration", "error", err)
		a.keep(err.Error())
		return false, false
	}
	var source fleet.RuleSource
	if !slices.Equal(ch.was.Rules, ch.now.Rules) {
		source = fleet.FilesOf(ch.now.Rules)
	}
	before, now, err := s.rules.Change(ch.now.Portals, ch.now.PrivateHosts, source)
	if err != nil {
		ch.undo()
		s.log.Error("keeping the current configuration and rules", "error", err)
		a.keep(err.Error())
		return true, false
	}
	logNotes(s.log, ch.was, ch.now)
	s.config.Store(ch.now)
	ch.replace()
	for _, name := range ch.removed {
		s.metrics.forget(name)
	}
	s.queue.SetPortals(portalNames(ch.now))
	s.rulesLoaded(before, now, a)
	return true, now.Changing
}

// changed logs a change of a portal.
func (ch *change) changed(text, portal string) {
	ch.log.Info(text, "portal", portal)
	ch.answer.Changes = append(ch.answer.Changes, text+": "+portal)
}

// refused adds the errors of a portal to the answer.
func (ch *change) refused(b config.BrokenPortal, text string) {
	ch.answer.Refused = append(ch.answer.Refused, fmt.Sprintf("%s: %s", b.Reason(), text))
}

// keepFixed keeps what cannot change while the service runs, and logs it.
func (ch *change) keepFixed() {
	var names []string
	keep := func(name string, was, now any) {
		w, n := reflect.ValueOf(was).Elem(), reflect.ValueOf(now).Elem()
		if !reflect.DeepEqual(w.Interface(), n.Interface()) {
			names = append(names, name)
			n.Set(w)
		}
	}
	keep("listen", &ch.was.Listen, &ch.now.Listen)
	keep("listen: https", &ch.was.HTTPS, &ch.now.HTTPS)
	keep("metrics", &ch.was.Metrics, &ch.now.Metrics)
	keep("database", &ch.was.Database, &ch.now.Database)
	keep("log", &ch.was.Log, &ch.now.Log)
	keep("limits", &ch.was.Limits, &ch.now.Limits)
	keep("history", &ch.was.History, &ch.now.History)
	keep("public_url", &ch.was.PublicURL, &ch.now.PublicURL)
	keep("alerts", &ch.was.Alerts, &ch.now.Alerts)
	keep("alerts: times", &ch.was.AlertTimes, &ch.now.AlertTimes)
	keep("reload", &ch.was.Manual, &ch.now.Manual)
	if ch.was.Console.Listen != ch.now.Console.Listen { // who may enter depends on the address
		keep("console", &ch.was.Console, &ch.now.Console)
	}
	ch.now.Only = ch.was.Only
	if !slices.Equal(names, ch.waits) {
		ch.waits = names
		if len(names) > 0 {
			ch.log.Warn("the configuration has changes that need a restart", "keys", names)
		}
	}
	ch.answer.Restart = names
}

// keepBroken keeps the configuration of portals whose new one has errors. Those without an
// earlier one stay in Broken.
func (ch *change) keepBroken() {
	ch.now.Broken = slices.DeleteFunc(slices.Clone(ch.now.Broken), func(b config.BrokenPortal) bool {
		was := ch.was.Portal(b.Name)
		if was == nil {
			return false
		}
		ch.now.Portals = append(ch.now.Portals, *was)
		ch.log.Error("portal's configuration is invalid, keeping the last valid one", "portal", b.Name, "findings", findingLines(b.Findings))
		ch.refused(b, "portal "+b.Name+" keeps its last valid configuration")
		ch.answer.older = append(ch.answer.older, b)
		return true
	})
}

// countRemoved finds the portals that are removed. It reports false if these are so many that
// the file is more likely wrong, and this is not confirmed.
func (ch *change) countRemoved(confirmed bool) bool {
	was, now := allNames(ch.was), allNames(ch.now)
	for _, name := range was {
		if !slices.Contains(now, name) {
			ch.removed = append(ch.removed, name)
		}
	}
	if n := len(ch.removed); n > 1 && n*10 > len(was) && !confirmed {
		ch.log.Error("the configuration removes many portals, keeping the current one; if this is meant: b24rules reload --yes", "removed", ch.removed, "of", len(was))
		ch.answer.Missing = ch.removed
		return false
	}
	return true
}

// makePortals makes the portals that are new or have changed.
func (ch *change) makePortals() error {
	for _, c := range ch.now.Portals {
		var p *Portal
		var err error
		old, was := ch.portals.get(c.Name), ch.was.Portal(c.Name)
		switch {
		case old == nil || was == nil:
			p, err = ch.newPortal(ch.ctx, c)
		case !reflect.DeepEqual(withoutInputs(*was), withoutInputs(c)):
			p, err = ch.changePortal(ch.ctx, old, *was, c)
		default:
			continue
		}
		if err != nil {
			return fmt.Errorf("portal %s: %w", c.Name, err)
		}
		ch.next[c.Name] = p
	}
	return nil
}

// withoutInputs returns a portal without what only its rules need.
func withoutInputs(p config.Portal) config.Portal {
	p.Inputs = config.Inputs{}
	p.Pos.Line, p.Pos.Column = 0, 0
	return p
}

// undo closes the clients of makePortals.
func (ch *change) undo() {
	for name, p := range ch.next {
		if old := ch.portals.get(name); old == nil || old.Client != p.Client {
			p.Client.Close()
		}
	}
}

// allNames are the names of all portals of a configuration, also of those with errors.
func allNames(c *config.Config) []string {
	var names []string
	for _, p := range c.Portals {
		names = append(names, p.Name)
	}
	for _, b := range c.Broken {
		names = append(names, b.Name)
	}
	return names
}

// replace stops the removed portals, starts the new ones, and holds those that are new and have
// errors. A portal may have a new name, so the removed ones come first.
func (ch *change) replace() {
	for _, name := range ch.removed {
		ch.changed("portal removed", name)
		p := ch.portals.get(name)
		if p == nil { // it had errors
			digest, _ := ch.portals.stopped(name)
			ch.removePortal(ch.ctx, name, digest)
			continue
		}
		ch.holdPortal(ch.ctx, name, ingest.DigestOf(p.eventToken()), hold.Removed, notConfigured)
		ch.pollers.replace(name, nil)
		ch.retire(p)
		for _, next := range ch.next {
			if next.address == p.address && ch.was.Portal(next.Name) == nil {
				ch.log.Warn("a portal has another name now: what waits for the old name, what its rules remember and its history stay with the old name", "portal", next.Name, "before", name)
				ch.answer.Changes = append(ch.answer.Changes, fmt.Sprintf("portal %s was %s: what waits for %s and what its rules remember stays with that name", next.Name, name, name))
			}
		}
	}
	for name, p := range ch.next {
		old := ch.portals.get(name)
		ch.portals.put(p)
		if old != nil {
			ch.keepToken(old, p)
		}
		switch {
		case old == nil:
			ch.changed("portal added", name)
			ch.poll(p)
			ch.downtime.begin(ch.ctx, name) // from here on its events are received
		case old.Client == p.Client:
			ch.changed("portal changed", name)
		default:
			ch.changed("portal changed, with a new client", name)
			ch.poll(p)
			ch.retire(old)
			if _, err := ch.queue.ProbeNow(ch.ctx, name, ""); err != nil {
				ch.log.Warn("cannot ask for a probe of the portal", "portal", name, "error", err)
			}
		}
	}
	for _, b := range ch.now.Broken {
		ch.holdPortal(ch.ctx, b.Name, ingest.DigestOf(b.Token), hold.Broken, b.Reason())
		ch.refused(b, "portal "+b.Name+" does not run")
	}
}

// keepToken keeps the token of a portal that has another one now.
func (ch *change) keepToken(old, now *Portal) {
	before, digest := ingest.DigestOf(old.eventToken()), ingest.DigestOf(now.eventToken())
	if digest == before || digest == (ingest.Digest{}) {
		return
	}
	if err := ch.downtime.replaceToken(ch.ctx, now.Name, digest); err != nil {
		ch.log.Error("cannot find out which events were refused because of the old application token", "portal", now.Name, "error", err)
	}
}

// portalNames are the portals that a process with a configuration works.
func portalNames(c *config.Config) []string {
	var names []string
	for _, p := range c.Portals {
		if c.Only == "" || c.Only == p.Name {
			names = append(names, p.Name)
		}
	}
	if c.Only == "" {
		names = append(names, "") // the work that belongs to no portal
	}
	return names
}
