package report

import (
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Condition is the one word that says how a portal is. The pages, status and the metrics have
// the same.
type Condition string

// The conditions, in their order: the first that holds.
const (
	PortalPaused       Condition = "paused"
	PortalRemoved      Condition = "removed"
	PortalUnauthorised Condition = "unauthorised"
	PortalUnreachable  Condition = "unreachable"
	PortalBlocked      Condition = "blocked"
	PortalRefused      Condition = "events refused"
	PortalRights       Condition = "rights reduced"
	PortalRulesBroken  Condition = "rules broken"
	PortalRuleStopped  Condition = "rule stopped"
	PortalFailing      Condition = "failing"
	PortalBehind       Condition = "behind"
	PortalSilent       Condition = "silent"
	PortalFine         Condition = "fine"
)

// Conditions are all conditions in their order.
func Conditions() []Condition {
	return []Condition{PortalUnauthorised, PortalUnreachable, PortalBlocked, PortalRefused, PortalRights, PortalRulesBroken, PortalRuleStopped, PortalFailing, PortalBehind, PortalSilent, PortalPaused, PortalRemoved, PortalFine}
}

const (
	// behindAfter is how long a run must be due before its portal is behind.
	behindAfter = time.Minute
	// A portal is silent if it sent no event for a working day, and silentEvents in the
	// silentDays before.
	silentEvents = 100
	silentDays   = 7 * 24 * time.Hour
	// noEventsAfter is after what time status says that a new portal has sent no event.
	noEventsAfter = 10 * time.Minute
)

// condition decides the condition of a portal. parked are the runs of causes that no person has acknowledged.
func (p *PortalStatus) condition(parked int) (Condition, string) {
	switch p.State {
	case StatePaused:
		return PortalPaused, p.Reason
	case hold.Removed:
		return PortalRemoved, p.Reason
	case hold.Unauthorised:
		return PortalUnauthorised, p.Reason
	case hold.Unreachable:
		return PortalUnreachable, p.Reason
	case hold.Blocked:
		return PortalBlocked, p.Reason
	case StateOK:
	default:
		return PortalRulesBroken, p.Reason
	}
	stopped := ""
	for _, r := range p.Rules {
		switch r.State {
		case StateOutdated, hold.Broken:
			return PortalRulesBroken, r.Reason
		case StatePaused:
		default:
			stopped = r.Rule + " is " + r.State + ": " + r.Reason
		}
	}
	switch {
	case stopped != "":
		return PortalRuleStopped, stopped
	case parked > 0:
		return PortalFailing, ""
	case p.Lag >= behindAfter.Milliseconds():
		return PortalBehind, ""
	}
	return PortalFine, ""
}

// addConditions adds what is derived: the condition, the newest event and the lag.
func (s *Status) addConditions(ctx context.Context, q *queue.Queue, backlogs map[string][]journal.Backlog, only string, now time.Time) error {
	names := make([]string, len(s.Portals))
	for i, p := range s.Portals {
		names[i] = p.Portal
	}
	last, err := journal.LastEvents(ctx, q.Database(), names)
	if err != nil {
		return err
	}
	tokens, err := tokenTimes(ctx, q)
	if err != nil {
		return err
	}
	refusals, err := readRefusedEvents(ctx, q, names, tokens, now)
	if err != nil {
		return err
	}
	rights, err := ReadLostRights(ctx, q, now)
	if err != nil {
		return err
	}
	unknown, worst, err := openFailures(ctx, q, only)
	if err != nil {
		return err
	}
	for i := range s.Portals {
		p := &s.Portals[i]
		p.LastEvent = stamp(last[p.Portal])
		since := tokens[p.Portal]
		p.noEvents = p.LastEvent == nil && !since.IsZero() && now.Sub(since) > noEventsAfter
		for _, b := range backlogs[p.Portal] {
			if b.Priority == journal.Live && !b.Due.IsZero() && b.State != journal.Parked && b.State != journal.Running {
				p.Lag = max(p.Lag, now.Sub(b.Due).Milliseconds())
			}
		}
		p.Condition, p.Why = p.condition(unknown[p.Portal])
		if r, ok := rights[p.Portal]; ok {
			p.Rights = &r
			if p.State == StateOK {
				p.Condition, p.Why = PortalRights, r.Text()
			}
		}
		if r, ok := refusals[p.Portal]; ok {
			p.Refused = &r
			if p.State == StateOK {
				p.Condition, p.Why = PortalRefused, r.Text()
			}
		}
		if p.Condition == PortalFailing {
			p.Worst = worst[p.Portal]
			p.Why = fmt.Sprintf("%s of %s: %s", Plural(p.Worst.Runs, "run", "runs"), p.Worst.Rule, p.Worst.Cause.Title())
		}
		if p.Condition == PortalFine && p.LastEvent != nil {
			if silent, err := isSilent(ctx, q, p.Portal, *p.LastEvent, now); err != nil {
				return err
			} else if silent {
				p.Condition = PortalSilent
			}
		}
	}
	return nil
}

// isSilent reports whether a portal that sent many events sends none for a working day. A lost
// subscription shows in no other way.
func isSilent(ctx context.Context, q *queue.Queue, portal string, last, now time.Time) (bool, error) {
	quiet := now.Sub(last)
	for day := last; day.Before(now); day = day.Add(24 * time.Hour) {
		if weekday := day.UTC().Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			quiet -= 24 * time.Hour
		}
	}
	if quiet < 24*time.Hour {
		return false, nil
	}
	earlier, err := journal.NthEvent(ctx, q.Database(), portal, silentEvents)
	return !earlier.IsZero() && last.Sub(earlier) <= silentDays, err
}

// openFailures counts the parked runs of each portal whose cause no person has acknowledged, and
// names the cause with most of them. With only it does so for one portal.
func openFailures(ctx context.Context, q *queue.Queue, only string) (open map[string]int, worst map[string]Failing, err error) {
	counts, err := journal.Causes(ctx, q.Database(), journal.Filter{Portal: only, States: []journal.State{journal.Parked}})
	if err != nil {
		return nil, nil, err
	}
	known, err := cause.Acknowledgements(ctx, q.Database())
	if err != nil {
		return nil, nil, err
	}
	open, worst = map[string]int{}, map[string]Failing{}
	for _, c := range counts {
		if known[cause.ID(c.Cause)].Covers(c.Portal, c.Rule) {
			continue
		}
		open[c.Portal] += c.Runs
		if c.Runs > worst[c.Portal].Runs {
			worst[c.Portal] = Failing{Runs: c.Runs, Rule: c.Rule, Cause: cause.Parse(c.Cause)}
		}
	}
	return open, worst, nil
}
