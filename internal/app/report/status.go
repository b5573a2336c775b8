package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// Status is what waits, and why.
type Status struct {
	Portals []PortalStatus `json:"portals"`
	// Alerts are those that receivers do not take.
	Alerts []Undelivered `json:"undelivered_alerts,omitempty"`
}

// PortalStatus is the state of one portal.
type PortalStatus struct {
	Portal string `json:"portal"`
	// State is ok, paused, or the cause of the portal's hold.
	State  string     `json:"state"`
	Since  *time.Time `json:"since,omitempty"`
	Reason string     `json:"reason,omitempty"`
	// Probe is when the worker asks next whether the fault is over.
	Probe *time.Time `json:"next_probe,omitempty"`
	// Condition is the state with what follows from the runs: failing, behind, silent. Why says
	// more about it.
	Condition Condition `json:"condition"`
	Why       string    `json:"why,omitempty"`
	// Worst is what Why says of a portal that is failing.
	Worst Failing `json:"-"`
	// LastEvent is when the newest event arrived. Lag is for how many milliseconds a run has
	// been due.
	LastEvent *time.Time `json:"last_event,omitempty"`
	Lag       int64      `json:"lag_ms,omitempty"`
	// noEvents says that none is stored, although the portal had the time to send some.
	noEvents bool

	Waiting int `json:"waiting"`
	Running int `json:"running"`
	Parked  int `json:"parked"`
	// Events are events that wait for a rule set that does not run now.
	Events int          `json:"events,omitempty"`
	Rules  []RuleStatus `json:"rules,omitempty"`
	Jobs   []JobStatus  `json:"jobs,omitempty"`
	// Shadow is what the shadow mode has shown so far, "" in live mode.
	Shadow string `json:"shadow,omitempty"`
	// Windows are the times that could not be caught up so far.
	Windows []Window `json:"windows,omitempty"`
	// Orphans is what rules have made and no rule has any more.
	Orphans []Orphan `json:"orphans,omitempty"`
	// OldKeys are records that steps find by their old_key or old_scope.
	OldKeys []Orphan `json:"old_keys,omitempty"`
	// Refused are events that the portal has sent with another application token, nil without any.
	Refused *RefusedEvents `json:"refused_events,omitempty"`
	// Rights says that the user of the portal has lost rights, nil if not.
	Rights *LostRights `json:"rights,omitempty"`
	// Drift is what the last comparison by serve has found, nil without one.
	Drift *DriftResult `json:"drift,omitempty"`
}

// Failing is the cause with most parked runs.
type Failing struct {
	Runs  int
	Rule  string
	Cause cause.Cause
}

// Orphan is what a rule has made in one place and no rule has any more.
type Orphan struct {
	Rule    string    `json:"rule"`
	Place   string    `json:"place"` // list 47
	Records int       `json:"records"`
	File    string    `json:"file"` // of the rule, with line and column
	Since   time.Time `json:"since"`
}

// JobStatus is a job of a portal that is not over.
type JobStatus struct {
	Kind  string    `json:"kind"` // such as sync
	Key   string    `json:"key,omitempty"`
	State string    `json:"state"` // running, or waiting
	Due   time.Time `json:"due"`
	// Progress describes how far a running job is.
	Progress string `json:"progress,omitempty"`
	// Error is why the last attempt failed; the job is tried again when it is due.
	Error string `json:"error,omitempty"`
}

// RuleStatus is the state of a rule whose runs do not start, or of a rule set whose current
// text does not run.
type RuleStatus struct {
	Rule    string `json:"rule,omitempty"`
	RuleSet string `json:"rule_set,omitempty"`
	State   string `json:"state"` // paused, outdated, or the cause of the hold
	// Version is what runs of an outdated rule set.
	Version string     `json:"version,omitempty"`
	Since   *time.Time `json:"since"`
	Reason  string     `json:"reason,omitempty"`
	// Probe is when serve looks next whether the fault is over.
	Probe *time.Time `json:"next_probe,omitempty"`
	// Started are waiting runs of a removed rule that have started and not ended. If they were killed, they
	// may have made records that are in no count of orphans.
	Started int `json:"started,omitempty"`
}

// StateOK is the state of a portal whose runs start.
const StateOK = "ok"

// StatePaused is the state of a portal or a rule that a person has paused.
const StatePaused = "paused"

// StateOutdated is the state of a rule set that runs its last good version, because its file
// has errors, and of a portal that runs its last valid configuration.
const StateOutdated = "outdated"

// ReadStatus reads the states of portals, sorted by name. With all, they are those of the
// configuration, and portals that were removed from it are added.
func ReadStatus(ctx context.Context, q *queue.Queue, portals []string, all bool) (Status, error) {
	backlogs, err := journal.Backlogs(ctx, q.Database())
	if err != nil {
		return Status{}, err
	}
	return ReadStatusOf(ctx, q, backlogs, portals, all)
}

// ReadStatusOf is ReadStatus for unfinished runs that were counted before.
func ReadStatusOf(ctx context.Context, q *queue.Queue, backlogs []journal.Backlog, portals []string, all bool) (Status, error) {
	pauses, err := q.Pauses(ctx)
	if err != nil {
		return Status{}, err
	}
	holds, err := q.HoldList(ctx)
	if err != nil {
		return Status{}, err
	}
	only := "" // the portal, if it is one
	if len(portals) == 1 && !all {
		only = portals[0]
	}
	open, err := jobs.New(q.Database()).List(ctx, jobs.Filter{Open: true, Portal: only, Limit: mostJobs})
	if err != nil {
		return Status{}, err
	}
	unrouted, err := journal.Unrouted(ctx, q.Database())
	if err != nil {
		return Status{}, err
	}
	windows, err := catchup.NewWindows(q.Database()).List(ctx, only)
	if err != nil {
		return Status{}, err
	}
	live, err := fleet.NewStore(q.Database()).List(ctx, only)
	if err != nil {
		return Status{}, err
	}
	made := ledger.New(q.Database())
	marks, err := made.Marks(ctx, only)
	if err != nil {
		return Status{}, err
	}
	portals = slices.Clone(portals)
	for _, h := range holds {
		if h.Rule == "" && h.Cause == hold.Removed && !slices.Contains(portals, h.Portal) && all {
			portals = append(portals, h.Portal)
		}
	}
	oldKeys, err := notes.List(ctx, q.Database(), OldKeysNote(""))
	if err != nil {
		return Status{}, err
	}
	s := Status{Portals: []PortalStatus{}}
	if all {
		if s.Alerts, err = readUndelivered(ctx, q); err != nil {
			return Status{}, err
		}
	}
	backlogsOf := byPortal(backlogs, func(b journal.Backlog) string { return b.Portal })
	holdsOf := byPortal(holds, func(h queue.Hold) string { return h.Portal })
	openOf := byPortal(open, func(j jobs.Job) string { return j.Portal })
	liveOf := byPortal(live, func(l fleet.Live) string { return l.Portal })
	marksOf := byPortal(marks, func(m ledger.Mark) string { return m.Portal })
	for _, name := range slices.Sorted(slices.Values(portals)) {
		p := PortalStatus{Portal: name, State: StateOK, Condition: PortalFine}
		p.count(backlogsOf[name])
		p.hold(holdsOf[name])
		if err := p.addStarted(ctx, q); err != nil {
			return Status{}, err
		}
		p.pause(pauses)
		p.addJobs(openOf[name])
		p.addDrift(openOf[name])
		p.addWindows(windows)
		p.outdated(liveOf[name])
		if err := p.addOrphans(ctx, made, marksOf[name]); err != nil {
			return Status{}, err
		}
		if err := p.addOldKeys(ctx, oldKeys, made, marksOf[name]); err != nil {
			return Status{}, err
		}
		for _, u := range unrouted {
			if u.Portal == name {
				p.Events += u.Events
			}
		}
		slices.SortFunc(p.Rules, func(a, b RuleStatus) int {
			return cmp.Or(cmp.Compare(a.RuleSet, b.RuleSet), cmp.Compare(a.Rule, b.Rule))
		})
		s.Portals = append(s.Portals, p)
	}
	return s, s.addConditions(ctx, q, backlogsOf, only, time.Now())
}

// mostJobs bounds the open jobs that are read: each portal has a few that repeat.
const mostJobs = 100_000

// byPortal groups rows by their portal, in their order.
func byPortal[T any](all []T, portal func(T) string) map[string][]T {
	out := map[string][]T{}
	for _, one := range all {
		out[portal(one)] = append(out[portal(one)], one)
	}
	return out
}

// Outdated notes that the configuration of a portal has errors. The portal runs its last valid
// one, unless it is held.
func (s *Status) Outdated(portal, reason string) {
	for i := range s.Portals {
		if p := &s.Portals[i]; p.Portal == portal && p.State == StateOK {
			p.State, p.Reason = StateOutdated, reason
			p.Condition, p.Why = PortalRulesBroken, reason
		}
	}
}

func (p *PortalStatus) count(own []journal.Backlog) {
	for _, b := range own {
		switch b.State {
		case journal.Running:
			p.Running += b.Runs
		case journal.Parked:
			p.Parked += b.Runs
		case journal.Waiting, journal.Blocked, journal.Queued:
			p.Waiting += b.Runs
		case journal.Succeeded, journal.Discarded:
		}
	}
}

func (p *PortalStatus) hold(own []queue.Hold) {
	for _, h := range own {
		switch h.Rule {
		case "":
			p.State, p.Since, p.Reason, p.Probe = h.Cause, stamp(h.Since), h.Reason, stamp(h.Probe)
		default:
			r := RuleStatus{Rule: h.Rule, State: h.Cause, Since: stamp(h.Since), Reason: h.Reason, Probe: stamp(h.Probe)}
			if set, ok := queue.SetOf(h.Rule); ok {
				r.Rule, r.RuleSet = "", set
			}
			p.Rules = append(p.Rules, r)
		}
	}
}

// addStarted adds the runs of removed rules that may have made something: nothing else knows it.
func (p *PortalStatus) addStarted(ctx context.Context, q *queue.Queue) (err error) {
	for i := range p.Rules {
		if r := &p.Rules[i]; r.Rule != "" && r.State == hold.Removed && err == nil {
			r.Started, err = journal.Started(ctx, q.Database(), p.Portal, r.Rule)
		}
	}
	return err
}

// outdated adds the rule sets that run their last good version.
func (p *PortalStatus) outdated(own []fleet.Live) {
	for _, l := range own {
		held := slices.ContainsFunc(p.Rules, func(r RuleStatus) bool { return r.RuleSet == l.Set })
		if l.Refused != "" && !held {
			p.Rules = append(p.Rules, RuleStatus{RuleSet: l.Set, State: StateOutdated, Version: l.Version, Since: stamp(l.RefusedAt), Reason: l.Refused})
		}
	}
}

// pause adds what people have paused. A pause of the whole portal matters more than
// a fault, because it ends only when a person ends it.
func (p *PortalStatus) pause(all []queue.Pause) {
	for _, pause := range all {
		switch {
		case pause.Portal != "" && pause.Portal != p.Portal:
		case pause.Rule == "":
			p.State, p.Since, p.Reason, p.Probe = StatePaused, stamp(pause.Since), pause.Reason, nil
		default:
			p.Rules = append(p.Rules, RuleStatus{Rule: pause.Rule, State: StatePaused, Since: stamp(pause.Since), Reason: pause.Reason})
		}
	}
}

// addJobs adds the open jobs of the portal, oldest first. Jobs that repeat belong to the
// program, and are shown only when they fail.
func (p *PortalStatus) addJobs(own []jobs.Job) {
	for _, j := range slices.Backward(own) {
		if (j.Every > 0 || j.Kind == KindDrift && j.State == jobs.Waiting) && j.Error == "" {
			continue
		}
		p.Jobs = append(p.Jobs, JobStatus{Kind: j.Kind, Key: j.Key, State: string(j.State), Due: j.Due, Progress: progress(j), Error: j.Error})
	}
}

// addWindows adds the windows that a person should know of. The others have a job.
func (p *PortalStatus) addWindows(all []catchup.Window) {
	for _, w := range all {
		if w.Portal == p.Portal && w.Note != "" {
			p.Windows = append(p.Windows, newWindow(w))
		}
	}
}

// addOrphans adds what rules have made and no rule has any more, unless a person has released it.
func (p *PortalStatus) addOrphans(ctx context.Context, made *ledger.Ledger, own []ledger.Mark) error {
	for _, m := range own {
		if m.Orphan.IsZero() || !m.Released.IsZero() || !m.Made {
			continue
		}
		n, err := made.Count(ctx, m.ID)
		if err != nil {
			return err
		}
		p.Orphans = append(p.Orphans, Orphan{Rule: m.Rule, Place: fleet.PlaceName(m.Place), Records: n, File: m.File, Since: m.Orphan})
	}
	return nil
}

// progress describes how far a job is, "" if its kind does not say.
func progress(j jobs.Job) string {
	if s, err := ReadDriftState(j); j.Kind == KindDrift && err == nil && s.Now != nil {
		return fmt.Sprintf("%s: %s compared", s.Now.Rule, Plural(s.Now.Entities, "entity", "entities"))
	}
	if j.Kind != catchup.KindSync && j.Kind != catchup.KindCatchUp {
		return ""
	}
	c, err := catchup.Read(j)
	if err != nil {
		return err.Error()
	}
	if c.Total == 0 && c.Seen == 0 {
		return "not started"
	}
	return fmt.Sprintf("%d of %s, %s", c.Seen, Plural(max(c.Total, c.Seen), "entity", "entities"), Plural(c.Runs, "run", "runs"))
}

// Attention reports whether a person should look at the portal.
func (p PortalStatus) Attention() bool {
	return p.State != StateOK || p.Parked > 0 || len(p.Rules) > 0 || len(p.Windows) > 0 || len(p.Orphans) > 0 || p.Refused != nil || p.Rights != nil || p.Drift.Attention()
}

// Attention returns how many portals a person should look at.
func (s Status) Attention() int {
	n := 0
	for _, p := range s.Portals {
		if p.Attention() {
			n++
		}
	}
	return n
}

// NeedsLook reports whether a person should look at a portal, or at the receivers of alerts.
func (s Status) NeedsLook() bool { return s.Attention() > 0 || len(s.Alerts) > 0 }

// Write prints the states as text: first a summary, then the portals that need
// attention or have jobs; all is whether to print the others too.
func (s Status) Write(w io.Writer, all bool) error {
	n := s.Attention()
	need := "need"
	if n == 1 {
		need = "needs"
	}
	summary := fmt.Sprintf("%d of %s %s attention\n", n, Plural(len(s.Portals), "portal", "portals"), need)
	if n == 0 {
		summary = fmt.Sprintf("%s, no fault\n", Plural(len(s.Portals), "portal", "portals"))
	}
	if _, err := io.WriteString(w, summary); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range s.Portals {
		if all || p.Attention() || len(p.OldKeys) > 0 || len(p.Jobs) > 0 || p.Shadow != "" || p.noEvents {
			p.write(t)
		}
	}
	for _, u := range s.Alerts {
		u.write(t)
	}
	return t.Flush()
}

func (p PortalStatus) write(w io.Writer) {
	parts := []string{Plural(p.Waiting, "run waits", "runs wait")}
	if p.Running > 0 {
		parts = append(parts, fmt.Sprintf("%d running", p.Running))
	}
	if p.Parked > 0 {
		parts = append(parts, fmt.Sprintf("%d parked", p.Parked))
	}
	if p.Events > 0 {
		parts = append(parts, Plural(p.Events, "event waits", "events wait")+" for rules")
	}
	if p.Shadow != "" {
		parts = append(parts, p.Shadow)
	}
	if p.noEvents {
		parts = append(parts, "no event is stored; b24rules doctor --portal "+p.Portal+" says whether events can arrive")
	}
	if p.Probe != nil {
		parts = append(parts, "next probe "+p.Probe.Local().Format(time.TimeOnly))
	}
	if p.Reason != "" {
		parts = append([]string{OneLine(p.Reason)}, parts...)
	}
	_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", p.Portal, since(p.State, p.Since), strings.Join(parts, "; "))
	for _, r := range p.Rules {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", p.Portal, cmp.Or(r.Rule, r.RuleSet)+" "+since(r.State, r.Since), r.text())
	}
	for _, j := range p.Jobs {
		j.write(w, p.Portal)
	}
	for _, o := range p.Orphans {
		_, _ = fmt.Fprintf(w, "%s\t%s orphans since %s\t%s of %s without a rule, which was at %s; put the rule back, or run b24rules release --rule %s --portal %s\n",
			p.Portal, o.Rule, o.Since.Local().Format(time.DateTime), Plural(o.Records, "record", "records"), o.Place, o.File, o.Rule, p.Portal)
	}
	for _, o := range p.OldKeys {
		_, _ = fmt.Fprintf(w, "%s\t%s has old keys\t%s of %s, which was at %s; keep old_key and old_scope until a sync has given them the new one: b24rules sync --rule %s --portal %s\n",
			p.Portal, o.Rule, Plural(o.Records, "record", "records"), o.Place, o.File, o.Rule, p.Portal)
	}
	if p.Refused != nil {
		_, _ = fmt.Fprintf(w, "%s\tevents refused since %s\t%s\n", p.Portal, p.Refused.Since.Local().Format(time.DateTime), p.Refused.Text())
	}
	if p.Rights != nil {
		_, _ = fmt.Fprintf(w, "%s\trights reduced since %s\t%s\n", p.Portal, p.Rights.Since.Local().Format(time.DateTime), p.Rights.Text())
	}
	if p.Drift != nil {
		p.Drift.write(w, p.Portal)
	}
	for _, one := range p.Windows {
		_, _ = fmt.Fprintf(w, "%s\t%s not caught up since %s\t%s\n", p.Portal, one.about(), one.From.Local().Format(time.DateTime), one.state())
	}
}

func (j JobStatus) write(w io.Writer, portal string) {
	state := j.State
	if j.State == string(jobs.Waiting) && j.Due.After(time.Now()) {
		state += " until " + j.Due.Local().Format(time.DateTime)
	}
	var parts []string
	for _, text := range []string{j.Progress, j.Error} {
		if text != "" {
			parts = append(parts, OneLine(text))
		}
	}
	name := strings.TrimSpace(j.Kind + " " + j.Key)
	_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", portal, name+" "+state, strings.Join(parts, "; "))
}

func (r RuleStatus) text() string {
	text := OneLine(r.Reason)
	if r.Version != "" {
		text += "; version " + r.Version + " runs"
	}
	if r.Started > 0 {
		text += "; " + Plural(r.Started, "waiting run has", "waiting runs have") + " started, and may have made records that no count has: put the rule back until they have ended"
	}
	if r.Probe != nil && r.Probe.After(time.Now()) {
		text += "; next probe " + r.Probe.Local().Format(time.TimeOnly)
	}
	return text
}

func since(state string, at *time.Time) string {
	if at == nil {
		return state
	}
	return state + " since " + at.Local().Format(time.DateTime)
}
