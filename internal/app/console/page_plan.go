package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// planning lets a user do one plan at a time, because a plan reads the portal.
type planning struct {
	mu   sync.Mutex
	busy map[string]bool
}

func (p *planning) begin(user string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[user] {
		return false
	}
	if p.busy == nil {
		p.busy = map[string]bool{}
	}
	p.busy[user] = true
	return true
}

func (p *planning) end(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, user)
}

// planPage is the page of a plan.
type planPage struct {
	Heading              string
	Portal, Entity, Rule string
	Portals              []string
	Rules                []string
	Wrong                map[string]string
	Plans                []planView
	Disk                 bool     // the rules on disk are planned
	Refused              []string // of them would not run
	Waits                bool     // some of them do not run yet
	Digest               string
	Writes               int
	Changed              bool // the plan that was to run is no longer this one
	Cannot               string
}

type planView struct {
	report.Plan
	Summary string
}

// target reads which rules of which portal are planned for which entity.
func (c *Console) target(q *request, v *planPage) (e engine.Entity, ok bool, err error) {
	v.Portal, v.Entity, v.Rule = strings.TrimSpace(q.FormValue("portal")), strings.TrimSpace(q.FormValue("entity")), strings.TrimSpace(q.FormValue("rule"))
	v.Portals, v.Wrong = c.portalNames(q), map[string]string{}
	switch version := q.FormValue("version"); version {
	case "", "live":
	case "disk":
		v.Disk = true
	default:
		v.Wrong["version"] = q.t("plan.version.wrong", version)
	}
	if v.Portal == "" && len(v.Portals) == 1 {
		v.Portal = v.Portals[0]
	}
	if gen := c.Rules(); gen != nil && v.Portal != "" {
		for r := range gen.Rules(v.Portal) {
			v.Rules = append(v.Rules, r.ID)
		}
	}
	if v.Entity == "" {
		return e, false, nil
	}
	f := filters{Portal: v.Portal, Wrong: v.Wrong}
	if err := c.portalFilter(q, f); err != nil {
		return e, false, err
	}
	if v.Portal == "" {
		v.Wrong["portal"] = q.t("filter.needed")
	}
	var wrong *report.FilterError
	if e, err = report.ParseEntity("entity", v.Entity); errors.As(err, &wrong) {
		v.Wrong["entity"] = wrong.Error()
	}
	return e, len(v.Wrong) == 0, nil
}

func (c *Console) plan(q *request) (*page, error) {
	v := planPage{Heading: q.t("plan.heading")}
	p := &page{template: "plan", section: "portals", command: "b24rules plan"}
	entity, ok, err := c.target(q, &v)
	if err != nil {
		return nil, err
	}
	if !q.user.Operates() {
		v.Cannot = q.t("plan.role")
		p.title, p.data = v.Heading, v
		return p, nil
	}
	if !ok {
		if len(v.Wrong) > 0 {
			v.Heading = q.t("filter.wrong")
			p.status, p.json = http.StatusBadRequest, q.wrongJSON(filters{Wrong: v.Wrong})
		}
		p.title, p.data = v.Heading, v
		return p, nil
	}
	if err := c.makePlan(q, &v, entity); err != nil {
		return nil, err
	}
	if v.Cannot == "" {
		if err := c.note(q.Context(), q, audit.Entry{Action: audit.Planned, Portal: v.Portal, Target: entity.String(), Result: v.heading(english)}); err != nil {
			return nil, err
		}
	}
	c.planned(p, v)
	return p, nil
}

// planned completes the page of a plan.
func (c *Console) planned(p *page, v planPage) {
	p.zone, _ = c.knownPortals().Zone(v.Portal)
	p.title, p.data = v.Heading, v
	p.command = fmt.Sprintf("b24rules plan --portal %s --entity %s", v.Portal, quoted(v.Entity))
	if v.Rule != "" {
		p.command += " --rule " + v.Rule
	}
	plans := make([]report.Plan, len(v.Plans))
	for i, one := range v.Plans {
		plans[i] = one.Plan
	}
	p.json = func(w io.Writer) error { return report.WritePlans(w, "json", plans) }
}

// makePlan reads the portal. What prevents it is shown on the page.
func (c *Console) makePlan(q *request, v *planPage, entity engine.Entity) error {
	if q.user.NoRecords { // a plan shows values of records
		v.Cannot = q.t("plan.records")
		return nil
	}
	if c.Plan == nil {
		v.Cannot = q.t("plan.elsewhere")
		return nil
	}
	if !c.planning.begin(q.user.Name) {
		v.Cannot = q.t("plan.busy")
		return nil
	}
	defer c.planning.end(q.user.Name)
	plans, refused, err := c.Plan(q.Context(), v.Portal, v.Rule, entity, v.Disk)
	for _, text := range refused {
		v.Refused = append(v.Refused, c.hide(text))
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		v.Cannot = q.t("plan.failed", c.hide(err.Error()))
		return nil
	}
	for _, one := range plans {
		if live, _, ok := c.Rules().Rule(one.Rule, v.Portal); !ok || live.Set.Version != one.Version {
			v.Waits = true
		}
		v.Writes += len(one.Changes)
		summary := planSummary(q.lang, one.Changes)
		if one.Error != "" {
			summary = q.t("plan.fail")
		}
		v.Plans = append(v.Plans, planView{Plan: one, Summary: summary})
	}
	if len(plans) == 0 {
		v.Cannot = q.t("plan.norule", entity.String())
		return nil
	}
	v.Heading = v.heading(q.lang)
	v.Digest = digest(plans)
	return nil
}

// heading says in a language what the plans are.
func (v *planPage) heading(lang int) string {
	var all []dryrun.Change
	var failing []string
	for _, one := range v.Plans {
		all = append(all, one.Changes...)
		if one.Error != "" {
			failing = append(failing, one.Rule)
		}
	}
	key, summary := "plan.done", planSummary(lang, all)
	switch {
	case len(failing) > 0 && len(all) == 0:
		summary = text(lang, "plan.failing", strings.Join(failing, ", "))
	case len(failing) > 0:
		summary += ", " + text(lang, "plan.failing", strings.Join(failing, ", "))
	}
	if v.Disk {
		key = "plan.done.disk"
	}
	return text(lang, key, v.Entity, summary)
}

func planSummary(lang int, all []dryrun.Change) string {
	counts := map[dryrun.ChangeKind]int{}
	for _, c := range all {
		counts[c.Kind]++
	}
	var parts []string
	for _, kind := range []dryrun.ChangeKind{dryrun.ChangeAdd, dryrun.ChangeUpdate, dryrun.ChangeDelete, dryrun.ChangeCall, dryrun.ChangeOutside} {
		if n := counts[kind]; n > 0 {
			parts = append(parts, text(lang, "plan."+string(kind), n))
		}
	}
	if len(parts) == 0 {
		return text(lang, "plan.nothing")
	}
	return strings.Join(parts, ", ")
}

// digest names a plan: Run does only what was shown.
func digest(plans []report.Plan) string {
	var b bytes.Buffer
	for _, p := range plans {
		text, err := json.Marshal([]any{p.Rule, p.Version, p.Changes, p.Error})
		if err != nil {
			continue // values of formulas always have a JSON form
		}
		b.Write(text)
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:4])
}

// runPlan starts the runs of a plan, if it is still the same.
func (c *Console) runPlan(q *request) (*page, error) {
	v := planPage{Heading: q.t("plan.heading")}
	entity, ok, err := c.target(q, &v)
	if err != nil {
		return nil, err
	}
	if !ok || v.Disk { // rules on disk do not run
		return nil, &problem{status: http.StatusBadRequest, key: "problem.form"}
	}
	if err := c.makePlan(q, &v, entity); err != nil {
		return nil, err
	}
	if v.Cannot != "" || v.Digest != q.PostFormValue("plan") {
		v.Changed = v.Cannot == ""
		p := &page{template: "plan", section: "portals", status: http.StatusConflict}
		c.planned(p, v)
		return p, nil
	}
	e, err := c.startEvent(q.Context(), v.Portal, v.Plans[0].Rule, entity)
	if err != nil {
		return nil, err
	}
	var routes []queue.Route
	for _, one := range v.Plans {
		routes = append(routes, queue.Route{Rule: one.Rule, Entity: entity.String()})
	}
	why, err := json.Marshal([]map[string]string{{"why": "started by " + q.user.Name + " in the console"}})
	if err != nil {
		return nil, err
	}
	e.Why = string(why)
	if err := c.Queue.Push(q.Context(), e, routes, q.noted(audit.Entry{Action: audit.Ran, Portal: v.Portal, Target: entity.String(), Result: v.heading(english)})); err != nil {
		return nil, err
	}
	return &page{redirect: "/runs?" + url.Values{"portal": {v.Portal}, "entity": {entity.String()}, "did": {"started"}}.Encode()}, nil
}

// startEvent is an event that starts a rule for an entity. For a hook it is the latest request,
// because a request without data would replace what the other system has sent.
func (c *Console) startEvent(ctx context.Context, portal, rule string, entity engine.Entity) (journal.Event, error) {
	targets, err := service.TargetsOf(c.Rules(), portal, rule, entity, false)
	if err != nil {
		return journal.Event{}, err
	}
	t := targets[0]
	if err := t.FindRequest(ctx, c.Queue, portal); err != nil {
		return journal.Event{}, err
	}
	data, err := json.Marshal(t.Event.Data)
	return journal.Event{Portal: portal, Code: t.Event.Code, Data: data}, err
}
