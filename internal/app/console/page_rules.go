package console

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
)

// setRow is a rule set.
type setRow struct {
	report.Set
	Class, Word string
	At          time.Time // since when it runs
}

// rulesPage is the page of rule sets.
type rulesPage struct {
	report.Sets
	Heading, Did string
	Rows         []setRow
}

// sets are the rule sets of the portals that the user sees. Findings name all portals, so only
// those who see all of them see findings.
func (c *Console) sets(q *request) (report.Sets, []setRow, error) {
	all, err := report.ReadSets(q.Context(), c.Queue.Database(), c.Rules(), q.user.Sees, c.hide)
	if err != nil {
		return all, nil, err
	}
	if q.user.Portals != nil {
		all.Findings, all.Warnings = []report.Finding{}, []report.Finding{}
	}
	known := c.knownPortals()
	rows := make([]setRow, len(all.Sets))
	for i, s := range all.Sets {
		row := setRow{Set: s, Class: "bad", Word: q.t("set." + string(s.State))}
		switch {
		case s.State == report.SetOutdated && s.Errors == 0:
			row.Word = q.t("set.missing")
		case s.State == report.SetWaiting || s.State == report.SetBehind:
			row.Class = "warn"
		case s.State == report.SetLive && len(s.Versions) > 1:
			row.Class, row.Word = "warn", q.t("set.mixed")
		case s.State == report.SetLive:
			row.Class = "ok"
		}
		if s.Since != nil {
			zone, _ := known.Zone(s.Portals...)
			row.At = s.Since.In(zone)
		}
		rows[i] = row
	}
	return all, rows, nil
}

func (c *Console) rules(q *request) (*page, error) {
	all, rows, err := c.sets(q)
	if err != nil {
		return nil, err
	}
	v := rulesPage{Sets: all, Rows: rows, Did: q.did()}
	v.Heading = q.t("rules.fine", q.n("sets", len(rows)))
	if n := all.Attention(); n > 0 {
		v.Heading = q.t("rules.broken", n, q.n("ofSets", len(rows)))
	}
	return &page{
		template: "rules", section: "rules", title: v.Heading, data: v, command: "b24rules status --rules",
		json: func(w io.Writer) error { return report.WriteSets(w, "json", all) },
	}, nil
}

// rulePage is the page of one rule.
type rulePage struct {
	Rule    describe.RuleDescription
	Set     setRow
	Heading string
	Part    string
	Steps   []pictureStep
	Deleted []pictureStep
	Cost    string
	Cycles  []string
	Source  []sourceLine
	Days    dayCounts
}

// pictureStep is a step with what it writes.
type pictureStep struct {
	describe.StepDescription
	N       int
	Named   bool // the rule gives the step an id
	Writes  string
	Detail  string
	Options []string
	Depth   int
	Last    bool
}

func (c *Console) rule(q *request) (*page, error) {
	name := mux.Vars(q.Request)["rule"]
	gen := c.Rules()
	var set *engine.RuleSet
	var there []string
	if gen != nil {
		for _, p := range gen.Portals() {
			if !q.user.Sees(p) {
				continue
			}
			for r := range gen.Rules(p) {
				if r.ID == name && set == nil {
					set = r.Set
				}
				if !slices.Contains(there, r.ID) {
					there = append(there, r.ID)
				}
			}
		}
	}
	if set == nil {
		slices.Sort(there)
		return nil, &problem{status: http.StatusNotFound, key: "problem.rule", args: []any{name}, there: there, under: "/rules/"}
	}
	_, all, err := c.sets(q)
	if err != nil {
		return nil, err
	}
	v := rulePage{Part: q.FormValue("part")}
	zone, _ := c.knownPortals().Zone()
	if v.Days, _, err = c.countDays(q, journal.Filter{Rule: name, Portals: q.user.Portals}, zone, url.Values{"rule": {name}}); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(s setRow) bool { return s.Name == set.Name }); i >= 0 {
		v.Set = all[i]
	}
	described := describe.Set(set)
	for _, r := range described.Rules {
		if r.ID == name {
			v.Rule = r
		}
	}
	v.Heading = name
	if v.Rule.Title != "" {
		v.Heading = name + ": " + v.Rule.Title
	}
	v.Steps, v.Deleted = q.picture(v.Rule.Steps, 0), q.picture(v.Rule.Deleted, 0)
	v.Cost = v.Rule.Cost.Typical.String()
	for _, cycle := range lint.Cycles([]*engine.RuleSet{set}) {
		if slices.Contains(cycle.Rules, name) {
			v.Cycles = append(v.Cycles, cycle.Chain.String()+"; "+cycle.Why.String())
		}
	}
	if v.Part == "source" {
		for i, line := range strings.Split(strings.TrimRight(string(set.Source.Bytes()), "\n"), "\n") {
			v.Source = append(v.Source, sourceLine{N: i + 1, Text: c.hide(strings.TrimRight(line, "\r")), Hot: i+1 == v.Rule.Line})
		}
	}
	return &page{
		template: "rule", section: "rules", title: v.Heading, data: v, command: "b24rules explain " + quoted(set.File),
		json: func(w io.Writer) error { return report.WriteRules(w, "json", []*engine.RuleSet{set}, q.now) },
	}, nil
}

// picture lists steps, and those of on_error below their step.
func (q *request) picture(steps []describe.StepDescription, depth int) []pictureStep {
	var out []pictureStep
	for i, s := range steps {
		one := pictureStep{StepDescription: s, N: i + 1, Named: s.Step != s.Action && !strings.HasPrefix(s.Step, s.Action+"["), Depth: depth}
		for _, o := range []struct{ key, value string }{
			{"step.for_each", s.ForEach}, {"step.when", s.When}, {"step.entered", s.Entered}, {"step.at", s.At}, {"step.once", s.Once},
		} {
			if o.value != "" {
				one.Options = append(one.Options, q.t(o.key, o.value))
			}
		}
		if s.Effect == "writes" {
			one.Writes, one.Detail = target(s)
		}
		out = append(out, one)
		out = append(out, q.picture(s.Instead, depth+1)...)
	}
	if len(out) > 0 && depth == 0 {
		out[len(out)-1].Last = true
	}
	return out
}

// target says what a step writes: the list or the type, and the fields.
func target(s describe.StepDescription) (what, detail string) {
	what = s.Action
	for _, a := range s.Args {
		switch a.Name {
		case "list":
			what = fmt.Sprintf("%s %s", a.Name, a.Value)
		case "entityTypeId", "owner", "type", "method", "url":
			what = a.Value
		case "fields":
			detail = cutText(a.Value, 160)
		}
	}
	return what, detail
}
