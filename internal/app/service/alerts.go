package service

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/alerts"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// unreachableFor and behindFor are how long a portal must be unreachable, or its runs
	// late, before people are informed: short outages end without them.
	unreachableFor = 10 * time.Minute
	behindFor      = 10 * time.Minute

	// owedFor is how long a catch-up after lost events, or after a refusal of the portal,
	// may take before people are informed.
	owedFor = 30 * time.Minute

	// fewRefused is how many refused events of a portal are no reason to inform people: a stranger
	// may have sent them.
	fewRefused = 2

	// urgentAgain and parkedAgain are after what time a message is sent again.
	urgentAgain = 6 * time.Hour
	parkedAgain = 24 * time.Hour

	// lostFor is how long no event must get lost before that is over.
	lostFor = 2 * time.Minute

	// readShare bounds the time that the reading of runs may take: after it follows a
	// pause that is so many times as long.
	readShare = 50

	// mostReasons is how many errors of a configuration a message has.
	mostReasons = 3
)

// Receivers returns the receivers of alerts of a configuration.
func Receivers(all []config.AlertReceiver) []alerts.Receiver {
	out := make([]alerts.Receiver, len(all))
	for i, a := range all {
		out[i] = alerts.Receiver{Name: a.Name, Sink: alerts.Webhook{URL: a.Webhook, Secret: a.Secret}, Now: a.Now, Daily: a.Daily}
		if t := a.Telegram; t != nil {
			out[i].Sink = alerts.Telegram{Token: t.Token, Chat: t.Chat, API: t.API}
		}
		if e := a.Email; e != nil {
			out[i].Sink = alerts.Email{Server: e.Server, TLS: e.TLS, User: e.User, Password: e.Password, From: e.From, To: e.To}
		}
	}
	return out
}

// faults are the things that are wrong, for alerts.
type faults struct {
	config   *settings
	queue    *queue.Queue
	rules    *fleet.Rules
	portals  *portals
	backlogs *backlogs
	losses   *losses
	outcome  *atomic.Pointer[outcome] // of the last reload
	status   func(ctx context.Context) (report.Status, error)

	parked   []alerts.Condition
	late     []backlog
	refused  map[string]report.RefusedEvents
	rights   map[string]report.LostRights
	runsRead time.Time // when parked and late runs were read
	runsNext time.Time // when they are read again
}

func (s *Service) faults() *faults {
	return &faults{config: s.config, queue: s.queue, rules: s.rules, portals: s.portals, backlogs: s.backlogs, losses: s.downtime.losses, outcome: &s.outcome, status: s.status}
}

// newKeeper returns what sends the alerts of a service; nil without receivers.
func (s *Service) newKeeper() *alerts.Keeper {
	if len(s.config.Load().Alerts) == 0 {
		return nil
	}
	f, times := s.faults(), s.config.Load().AlertTimes
	host, _ := os.Hostname() // without a name, processes share their own alerts
	return &alerts.Keeper{
		DB: s.queue.Database(), Receivers: Receivers(s.config.Load().Alerts), Shared: f.shared, Own: f.own, Process: "host " + host,
		Quiet:   alerts.Hours{From: times.QuietFrom, To: times.QuietTo, Zone: times.Zone},
		Summary: f.summary, DailyAt: times.Daily, Home: func() string { return f.page("/portals") },
		Hide: s.config.Load().Redactor, Log: s.log,
		Sent: func(receiver string, err error) {
			result := "sent"
			if err != nil {
				result = "failed"
			}
			s.metrics.alerts.WithLabelValues(receiver, result).Inc()
		},
	}
}

// shared returns the faults that all processes see: holds, catch-ups that do not end, parked
// runs, late runs.
func (f *faults) shared(ctx context.Context, now time.Time) ([]alerts.Condition, error) {
	pauses, err := f.queue.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	holds, err := f.queue.HoldList(ctx)
	if err != nil {
		return nil, err
	}
	silent := map[string]bool{} // somebody has paused the portal
	held := map[string]bool{}   // portals of which no run starts
	for _, p := range pauses {
		if p.Rule == "" {
			silent[p.Portal], held[p.Portal] = true, true
		}
	}
	var all []alerts.Condition
	for _, h := range holds {
		held[h.Portal] = held[h.Portal] || h.Rule == ""
		if h.Rule == "" || !hold.OfFiles(h.Cause) { // own has the rule file
			all = append(all, f.held(h))
		}
	}
	windows, err := catchup.NewWindows(f.queue.Database()).List(ctx, "")
	if err != nil {
		return nil, err
	}
	all = append(all, owed(windows)...)
	for i := range all {
		all[i].Link = f.pageOf(all[i].Portals[0])
		all[i].Quiet = silent[""] || silent[all[i].Portals[0]]
	}
	if !now.Before(f.runsNext) {
		if err := f.readRuns(ctx, now); err != nil {
			return nil, err
		}
	}
	all = append(all, f.parked...)
	for portal, r := range f.refused {
		if r.Requests <= fewRefused {
			continue
		}
		all = append(all, alerts.Condition{
			Key: "refused " + portal, Since: r.Since, Repeat: urgentAgain, Portals: []string{portal}, Urgent: true, Link: f.pageOf(portal),
			Title: fmt.Sprintf("Events of portal %s are refused because of their application token.", portal),
			Over:  fmt.Sprintf("no events of portal %s are refused any more.", portal),
			Text:  r.Text() + ".",
		})
	}
	for portal, r := range f.rights {
		if f.config.Load().Portal(portal) == nil {
			continue
		}
		all = append(all, alerts.Condition{
			Key: "rights " + portal, Since: r.Since, Repeat: urgentAgain, Portals: []string{portal}, Urgent: true, Link: f.pageOf(portal),
			Title: fmt.Sprintf("The user of portal %s has lost rights.", portal),
			Over:  fmt.Sprintf("the user of portal %s is an administrator again, or has had fewer rights for a week.", portal),
			Text:  r.Text() + ".",
		})
	}
	for _, b := range f.late {
		// While no run of the portal starts, its runs are not late, and no longer late is wrong.
		unknown := held[b.portal] || held[""]
		if b.overdue >= behind || unknown {
			all = append(all, alerts.Condition{
				Key: "behind " + b.portal, Since: f.runsRead.Add(-b.overdue), After: behindFor, Repeat: urgentAgain, Portals: []string{b.portal}, Unknown: unknown,
				Urgent: true, Link: f.pageOf(b.portal),
				Title: fmt.Sprintf("The runs of portal %s are late by more than %s.", b.portal, behindFor),
				Over:  fmt.Sprintf("the runs of portal %s are no longer late.", b.portal),
				Text:  "Too many events arrive for the rate limit of the portal, another program uses it, or no process works the portal. b24rules status shows more.",
			})
		}
	}
	return all, nil
}

// readRuns reads the parked and the late runs.
func (f *faults) readRuns(ctx context.Context, now time.Time) (err error) {
	started := time.Now()
	if err := f.readParked(ctx); err != nil {
		return err
	}
	if f.late, err = f.backlogs.read(ctx); err != nil {
		return err
	}
	if f.refused, err = report.ReadRefusedEvents(ctx, f.queue, allNames(f.config.Load()), now); err != nil {
		return err
	}
	if f.rights, err = report.ReadLostRights(ctx, f.queue, now); err != nil {
		return err
	}
	f.runsRead, f.runsNext = now, now.Add(readShare*time.Since(started))
	return nil
}

// held is the condition of a hold.
func (f *faults) held(h queue.Hold) alerts.Condition {
	c := alerts.Condition{
		Key: strings.TrimSpace("hold " + h.Portal + " " + h.Rule + " " + h.Cause), Since: h.Since, Repeat: urgentAgain, Portals: []string{h.Portal}, Urgent: h.Rule == "",
		Title: fmt.Sprintf("Portal %s is %s. Its runs wait.", h.Portal, h.Cause),
		Over:  fmt.Sprintf("portal %s is no longer %s. Its runs start.", h.Portal, h.Cause),
		Text:  cause.Cause{Kind: cause.Portal, Code: h.Cause}.Advice(f.where(h.Portal)),
	}
	switch h.Cause {
	case hold.Unreachable:
		c.After = unreachableFor
	case hold.Broken:
		c.Title = fmt.Sprintf("The configuration of portal %s has errors. Its events and runs wait.", h.Portal)
		c.Over = fmt.Sprintf("the configuration of portal %s is valid again. Its runs start.", h.Portal)
		c.Text = h.Reason
	case hold.Removed:
		c.Title = fmt.Sprintf("Portal %s was removed from the configuration. Its events and runs wait for 7 days.", h.Portal)
		c.Over = fmt.Sprintf("nothing waits for the removed portal %s any more: it is back, or the 7 days are over.", h.Portal)
		c.Text = "If that was a mistake, add the portal again. b24rules status shows what waits."
		c.Repeat, c.Urgent = 0, false // people may mean it
	}
	if h.Rule != "" {
		c.Rules = []string{h.Rule}
		c.Title = fmt.Sprintf("Rule %s of portal %s is %s. Its runs wait.", h.Rule, h.Portal, h.Cause)
		c.Over = fmt.Sprintf("rule %s of portal %s is no longer %s. Its runs start.", h.Rule, h.Portal, h.Cause)
		c.Text = "b24rules status --portal " + h.Portal + " shows what stops it."
	}
	return c
}

// owed are the conditions of the times that are not caught up and that serve alone may not
// catch up: two for each portal at most.
func owed(windows []catchup.Window) []alerts.Condition {
	byKey := map[string]*alerts.Condition{}
	for _, w := range windows {
		key := "owed " + w.Portal
		if w.Held {
			key = "undecided " + w.Portal
		} else if w.Note == "" && w.Why != eventNotStored {
			continue // after a downtime, serve catches up
		}
		c := byKey[key]
		if c == nil {
			c = &alerts.Condition{Key: key, Since: w.From, After: owedFor, Repeat: urgentAgain, Portals: []string{w.Portal}}
			if w.Held {
				c.After, c.Repeat = 0, parkedAgain
			} else {
				c.Urgent = true
			}
			byKey[key] = c
		}
		if w.From.Before(c.Since) {
			c.Since = w.From
		}
		if w.Rule != "" {
			c.Rules = addTo(c.Rules, w.Rule)
		}
		if c.Text == "" {
			c.Text = w.Note
		}
	}
	var all []alerts.Condition
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		c := byKey[key]
		portal, reason := c.Portals[0], ""
		if c.Text != "" {
			reason = "The reason: " + c.Text + ".\n"
		}
		since := c.Since.UTC().Format("2006-01-02 15:04")
		if strings.HasPrefix(key, "undecided ") {
			c.Title = fmt.Sprintf("You decide about the catch-up of portal %s: what has changed since %s UTC was not worked.", portal, since)
			c.Over = fmt.Sprintf("no catch-up of portal %s waits for a decision any more.", portal)
			c.Text = fmt.Sprintf("%sb24rules catchup run --portal %s catches up without limits, b24rules catchup drop --portal %s gives it up.", reason, portal, portal)
		} else {
			c.Title = fmt.Sprintf("Portal %s is not caught up: events since %s UTC are missing.", portal, since)
			c.Over = fmt.Sprintf("serve has caught up on the missing events of portal %s, or you decide about them.", portal)
			c.Text = fmt.Sprintf("%sserve tries again until it succeeds. b24rules status --portal %s shows how far it is.", reason, portal)
		}
		all = append(all, *c)
	}
	return all
}

// page is the address of a page of the console, "" if people cannot reach it.
func (f *faults) page(path string) string {
	c := f.config.Load().Console
	if c.Listen == "" || c.URL == "" {
		return ""
	}
	return c.URL + path
}

func (f *faults) pageOf(portal string) string { return f.page("/portals/" + url.PathEscape(portal)) }

// mostWrong is how many things a daily summary lists.
const mostWrong = 30

// summary is the daily summary: how the portals are, and what is wrong.
func (f *faults) summary(ctx context.Context, _ time.Time, wrong []alerts.Condition) (alerts.Condition, error) {
	status, err := f.status(ctx)
	if err != nil {
		return alerts.Condition{}, err
	}
	by := map[report.Condition][]string{}
	for _, p := range status.Portals {
		by[p.Condition] = append(by[p.Condition], p.Portal)
	}
	all := len(status.Portals)
	out := alerts.Condition{Title: fmt.Sprintf("%s, all fine.", report.Plural(all, "portal", "portals"))}
	if fine := len(by[report.PortalFine]); fine < all || len(wrong) > 0 {
		out.Title = fmt.Sprintf("%d of %s fine.", fine, report.Plural(all, "portal is", "portals are"))
	}
	var lines []string
	for i, w := range wrong {
		if i == mostWrong {
			lines = append(lines, fmt.Sprintf("… and %d more", len(wrong)-i))
			break
		}
		line := "- " + w.Title
		if !w.Since.IsZero() {
			line += " Since " + w.Since.UTC().Format("2006-01-02 15:04") + " UTC."
		}
		lines = append(lines, line)
	}
	// Nothing else says that a portal is silent, or paused.
	for _, condition := range []report.Condition{report.PortalSilent, report.PortalPaused} {
		if names := by[condition]; len(names) > 0 {
			lines = append(lines, fmt.Sprintf("- Portals that are %s: %s.", condition, fewNames(names)))
		}
	}
	out.Text = strings.Join(lines, "\n")
	return out, nil
}

// where names the place of a portal in the configuration.
func (f *faults) where(portal string) cause.Where {
	for _, p := range f.config.Load().Portals {
		if p.Name == portal {
			return cause.Where{Portal: portal, Config: fmt.Sprintf("%s:%d", p.Pos.File, p.Pos.Line)}
		}
	}
	return cause.Where{Portal: portal}
}

// readParked reads the parked runs, one condition for each cause.
func (f *faults) readParked(ctx context.Context) error {
	counts, err := journal.Causes(ctx, f.queue.Database(), journal.Filter{States: []journal.State{journal.Parked}})
	if err != nil {
		return err
	}
	acknowledged, err := cause.Acknowledgements(ctx, f.queue.Database())
	if err != nil {
		return err
	}
	byCause := map[string]*alerts.Condition{}
	for _, n := range counts {
		c := byCause[n.Cause]
		if c == nil {
			c = &alerts.Condition{Key: "parked " + cause.ID(n.Cause), Cause: cause.ID(n.Cause), Since: n.First, Repeat: parkedAgain, Quiet: true}
			byCause[n.Cause] = c
		}
		// A person knows of the cause, until another portal or rule fails because of it.
		c.Quiet = c.Quiet && acknowledged[c.Cause].Covers(n.Portal, n.Rule)
		c.Runs += n.Runs
		if n.First.Before(c.Since) {
			c.Since = n.First
		}
		c.Portals, c.Rules = addTo(c.Portals, n.Portal), addTo(c.Rules, n.Rule)
	}
	f.parked = nil
	for stored, c := range byCause {
		why := cause.Parse(stored)
		runs := "Runs are"
		if c.Runs == 1 {
			runs = "1 run is"
		} else if c.Runs > 1 {
			runs = fmt.Sprintf("%d runs are", c.Runs)
		}
		c.Title = fmt.Sprintf("%s parked: %s (portal %s, rule %s).", runs, why.Title(), fewNames(c.Portals), fewNames(c.Rules))
		c.Over = fmt.Sprintf("no run is parked any more because: %s.", why.Title())
		where := f.where(strings.Join(c.Portals, ", "))
		where.Rule = why.File
		c.Text = strings.TrimSpace(why.Advice(where) + "\nb24rules runs list --state parked")
		c.Link = f.page("/runs?state=parked")
		if stored != "" {
			c.Text += " --cause " + c.Cause
			c.Link = f.page("/runs?state=parked&cause=" + c.Cause)
		}
		f.parked = append(f.parked, *c)
	}
	return nil
}

func addTo(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// fewNames lists a few names, and how many more there are.
func fewNames(all []string) string {
	const most = 3
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

// own returns the faults that only this process sees: its configuration and rule files, and
// events that it could not store.
func (f *faults) own(_ context.Context, now time.Time) ([]alerts.Condition, error) {
	var all []alerts.Condition
	byFile := map[string]*alerts.Condition{}
	for _, r := range f.rules.Current().Refused() {
		c := byFile[r.File]
		if c == nil {
			c = refusedFile(r)
			byFile[r.File] = c
		}
		c.Portals = addTo(c.Portals, r.Portal)
	}
	for _, c := range byFile {
		c.Link = f.page("/rules")
		all = append(all, *c)
	}
	if o := f.outcome.Load(); o != nil {
		for _, c := range o.conditions() {
			c.Link = f.page("/rules")
			all = append(all, c)
		}
	}
	for portal, l := range f.losses.read(now) {
		all = append(all, alerts.Condition{
			Key: "lost " + portal, Since: l.since, Repeat: urgentAgain, Portals: []string{portal}, Urgent: true, Link: f.pageOf(portal),
			Title: fmt.Sprintf("Events of portal %s could not be stored, and Bitrix24 does not send them again.", portal),
			Over:  fmt.Sprintf("events of portal %s are stored again.", portal),
			Text:  "Look at the disk and the database: b24rules status, GET /healthz. When events can be stored, serve catches up on the changes.",
		})
	}
	return all, nil
}

// refusedFile is the condition of a rule file whose current text does not run.
func refusedFile(r fleet.Refused) *alerts.Condition {
	c := &alerts.Condition{
		Key: "rules " + r.File, Repeat: urgentAgain,
		Title: fmt.Sprintf("The rule file %s has errors and does not run.", r.File),
		Over:  fmt.Sprintf("the rule file %s is valid again.", r.File),
		Text:  fmt.Sprintf("b24rules validate %s shows the errors.", r.File),
	}
	switch {
	case r.Removed():
		c.Title, c.Text = fmt.Sprintf("The rule file %s is missing. Its runs wait.", r.File), "Put it back. b24rules status shows what waits."
	case r.Running == "":
		c.Urgent = true
	default:
		c.Title = fmt.Sprintf("The rule file %s has errors. Its last valid version still runs.", r.File)
	}
	return c
}

// conditions are the refusals of a reload that no other alert is about.
func (o *outcome) conditions() []alerts.Condition {
	var all []alerts.Condition
	if len(o.kept) > 0 {
		text := strings.Join(o.kept[:min(len(o.kept), mostReasons)], "\n")
		if more := len(o.kept) - mostReasons; more > 0 {
			text += fmt.Sprintf("\nand %d more", more)
		}
		all = append(all, alerts.Condition{
			Key: "reload", Repeat: urgentAgain,
			Title: "The changed configuration or rules were refused. What ran before still runs.",
			Over:  "the configuration and the rules are accepted.",
			Text:  text + "\nFix it. b24rules reload shows whether it runs.",
		})
	}
	for _, b := range o.older {
		all = append(all, alerts.Condition{
			Key: "configuration " + b.Name, Repeat: urgentAgain, Portals: []string{b.Name},
			Title: fmt.Sprintf("The changed configuration of portal %s has errors. Its last valid one still runs.", b.Name),
			Over:  fmt.Sprintf("portal %s no longer runs with an older configuration.", b.Name),
			Text:  b.Reason(),
		})
	}
	if n := len(o.Missing); n > 0 {
		all = append(all, alerts.Condition{
			Key: "reload removes portals", Repeat: urgentAgain, Portals: o.Missing,
			Title: fmt.Sprintf("The changed configuration removes %d portals (%s) and was refused. They still run.", n, fewNames(o.Missing)),
			Over:  "the configuration no longer waits for a confirmation.",
			Text:  "If this is meant: b24rules reload --yes. Otherwise add the portals again.",
		})
	}
	return all
}

// losses notes the portals whose events could not be stored. The zero value is ready.
type losses struct {
	mu  sync.Mutex
	all map[string]loss
}

type loss struct{ since, last time.Time }

// add notes a lost event.
func (l *losses) add(portal string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]loss{}
	}
	one, ok := l.all[portal]
	if !ok {
		one.since = now
	}
	one.last = now
	l.all[portal] = one
}

// read returns the portals that have lost events a short time ago.
func (l *losses) read(now time.Time) map[string]loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]loss{}
	for portal, one := range l.all {
		if now.Sub(one.last) > lostFor {
			delete(l.all, portal)
			continue
		}
		out[portal] = one
	}
	return out
}
