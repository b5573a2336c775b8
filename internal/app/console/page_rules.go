package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
)

// setRow is a rule set.
type setRow struct {
	Name     string    `json:"name"`
	File     string    `json:"file"`
	State    string    `json:"state"` // live, outdated, broken
	Versions []string  `json:"versions"`
	Since    time.Time `json:"since,omitzero"`
	Portals  []string  `json:"portals"`
	Rules    []string  `json:"rules"`
	Refused  string    `json:"refused,omitempty"`

	Class, Word string `json:"-"`
}

// findingRow is a finding of a rule file.
type findingRow struct {
	Severity string `json:"severity"`
	Place    string `json:"place"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

func findingRows(list diag.List) []findingRow {
	out := make([]findingRow, 0, len(list))
	for _, f := range list {
		out = append(out, findingRow{f.Severity.String(), f.Pos.String(), f.Code, f.Message, f.Hint})
	}
	return out
}

// rulesPage is the page of rule sets.
type rulesPage struct {
	Heading  string       `json:"-"`
	Sets     []setRow     `json:"sets"`
	Findings []findingRow `json:"findings"`
	Warnings []findingRow `json:"warnings"`
	Did      string       `json:"-"`
	Note     string       `json:"-"`
}

// sets are the rule sets of the portals that the user sees.
func (c *Console) sets(q *request) ([]setRow, error) {
	live, err := fleet.NewStore(c.Queue.Database()).List(q.Context())
	if err != nil {
		return nil, err
	}
	rows := map[string]*setRow{}
	of := func(name string) *setRow {
		if rows[name] == nil {
			rows[name] = &setRow{Name: name, State: "live", Portals: []string{}, Rules: []string{}, Versions: []string{}}
		}
		return rows[name]
	}
	gen := c.Rules()
	for _, l := range live {
		if !q.user.Sees(l.Portal) {
			continue
		}
		row := of(l.Set)
		if l.Version != "" && !slices.Contains(row.Versions, l.Version) {
			row.Versions = append(row.Versions, l.Version)
		}
		if row.Since.IsZero() || l.Since.Before(row.Since) {
			row.Since = l.Since
		}
		if !slices.Contains(row.Portals, l.Portal) {
			row.Portals = append(row.Portals, l.Portal)
		}
		switch { // the worst state of its portals
		case l.Refused == "":
		case l.Version == "" && row.State != "broken":
			row.State, row.Refused = "broken", l.Refused
		case row.Refused == "":
			row.State, row.Refused = "outdated", l.Refused
		}
	}
	if gen != nil {
		for _, portal := range gen.Portals() {
			if !q.user.Sees(portal) {
				continue
			}
			for _, i := range gen.Instances(portal) {
				row := of(i.Set.Name)
				row.File = i.Set.File
				for _, r := range i.Set.Rules {
					if !slices.Contains(row.Rules, r.ID) {
						row.Rules = append(row.Rules, r.ID)
					}
				}
			}
		}
	}
	out := make([]setRow, 0, len(rows))
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row := *rows[name]
		slices.Sort(row.Portals)
		row.Class, row.Word = "ok", q.t("set.live")
		switch row.State {
		case "outdated":
			row.Class, row.Word = "bad", q.t("set.outdated")
		case "broken":
			row.Class, row.Word = "bad", q.t("set.broken")
		}
		row.File = cmp.Or(row.File, row.Name)
		out = append(out, row)
	}
	states := []string{"broken", "outdated", "live"} // what needs a person is first
	slices.SortStableFunc(out, func(a, b setRow) int { return slices.Index(states, a.State) - slices.Index(states, b.State) })
	return out, nil
}

func (c *Console) rules(q *request) (*page, error) {
	all, err := c.sets(q)
	if err != nil {
		return nil, err
	}
	v := rulesPage{Sets: all, Findings: []findingRow{}, Warnings: []findingRow{}, Did: q.did()}
	if gen := c.Rules(); gen != nil && q.user.Portals == nil {
		v.Findings, v.Warnings = findingRows(gen.Findings()), findingRows(gen.Notes())
	}
	broken := 0
	for _, s := range all {
		if s.Refused != "" {
			broken++
		}
	}
	v.Heading = q.t("rules.fine", q.n("sets", len(all)))
	if broken > 0 {
		v.Heading = q.t("rules.broken", broken, q.n("ofSets", len(all)))
	}
	return &page{template: "rules", section: "rules", title: v.Heading, data: v, json: jsonOf(v), command: "b24rules validate"}, nil
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
	Portal  string // one in which it runs
}

// pictureStep is a step with what it writes.
type pictureStep struct {
	describe.StepDescription
	N       int
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
	portal := ""
	if gen != nil {
		for _, p := range gen.Portals() {
			if !q.user.Sees(p) {
				continue
			}
			for r := range gen.Rules(p) {
				if r.ID == name && set == nil {
					set, portal = r.Set, p
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
	all, err := c.sets(q)
	if err != nil {
		return nil, err
	}
	v := rulePage{Part: q.FormValue("part"), Portal: portal}
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
			v.Source = append(v.Source, sourceLine{i + 1, c.hide(strings.TrimRight(line, "\r")), i+1 == v.Rule.Line})
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
		one := pictureStep{StepDescription: s, N: i + 1, Depth: depth}
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
