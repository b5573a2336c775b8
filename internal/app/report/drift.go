package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/config"
)

// Drift says where a portal differs from what the rules would write.
type Drift struct {
	Rules []RuleDrift `json:"rules"`
	// Unused are the entries of ignore that found nothing to ignore.
	Unused []string `json:"unused_ignores,omitempty"`
}

// RuleDrift is the drift of one rule in one portal.
type RuleDrift struct {
	Portal string `json:"portal"`
	Rule   string `json:"rule"`
	// Entities are how many were compared, Differing how many differ.
	Entities  int `json:"entities"`
	Differing int `json:"differing"`
	// NotSeen says why some or all entities could not be compared, "" if all were.
	NotSeen string `json:"not_seen,omitempty"`
	// NotCompared says why this rule has nothing to compare, "" if it has.
	NotCompared string `json:"not_compared,omitempty"`
	// Failed are how many runs would fail, so that their entities were not compared.
	Failed int `json:"failed,omitempty"`
	// First is the first of these failures.
	First string `json:"first_failure,omitempty"`
	// Plans are the differences, one for each entity.
	Plans []Plan `json:"differences"`
}

// Add counts an entity with what the rule would write for it. It reports whether that differs from
// what there is, and keeps at most keep differences.
func (r *RuleDrift) Add(p Plan, ignore *Ignores, keep int) bool {
	r.Entities++
	if p.Error != "" {
		if r.Failed++; r.Failed == 1 {
			r.First = fmt.Sprintf("%s: %s", p.Entity, p.Error)
		}
		r.NotSeen = fmt.Sprintf("%s would fail, the first of them %s", Plural(r.Failed, "run", "runs"), r.First)
		return false
	}
	if p.Changes = ignore.Without(r.Rule, OfRecords(p.Changes)); len(p.Changes) == 0 {
		return false
	}
	r.Differing++
	if len(r.Plans) < keep {
		r.Plans = append(r.Plans, p)
	}
	return true
}

// Ignores are the differences of a portal that are not counted.
type Ignores struct {
	all []config.Ignore
	// Used says which of them there were, by their texts.
	Used map[string]bool
}

// NewIgnores returns those of a portal that hold at a time.
func NewIgnores(p config.Portal, now time.Time) *Ignores {
	return &Ignores{all: p.Ignores(now), Used: map[string]bool{}}
}

func ignoreText(i config.Ignore) string {
	text := "rule " + i.Rule + ", " + i.Record
	if i.Field != "" {
		text += ", field " + i.Field
	}
	return text
}

// Without returns the changes of a rule that are counted.
func (g *Ignores) Without(rule string, changes []dryrun.Change) []dryrun.Change {
	var out []dryrun.Change
	for _, c := range changes {
		fields := slices.Clone(c.Fields)
		ignored := false
		for _, i := range g.all {
			if i.Rule != rule || i.Record != c.Record {
				continue
			}
			n := len(fields)
			fields = slices.DeleteFunc(fields, func(f dryrun.FieldChange) bool { return strings.EqualFold(f.Name, i.Field) })
			if i.Field == "" || len(fields) < n {
				g.Used[ignoreText(i)] = true
				ignored = ignored || i.Field == "" || len(fields) == 0
			}
		}
		if c.Fields = fields; !ignored {
			out = append(out, c)
		}
	}
	return out
}

// Unused returns the entries about the rules that found nothing to ignore.
func (g *Ignores) Unused(rules []RuleDrift) []string {
	var out []string
	for _, i := range g.all {
		compared := slices.ContainsFunc(rules, func(r RuleDrift) bool { return r.Rule == i.Rule && r.NotSeen == "" && r.NotCompared == "" })
		if compared && !g.Used[ignoreText(i)] {
			out = append(out, ignoreText(i)+": nothing differs there, so it can be removed from ignore ("+i.Pos.String()+")")
		}
	}
	return out
}

// Differs reports whether an entity of any rule differs.
func (d Drift) Differs() bool {
	for _, r := range d.Rules {
		if r.Differing > 0 {
			return true
		}
	}
	return false
}

// Complete reports whether all entities of all rules were compared.
func (d Drift) Complete() bool {
	for _, r := range d.Rules {
		if r.NotSeen != "" {
			return false
		}
	}
	return true
}

// OfRecords returns the writes that change records. The effect of other calls cannot be compared
// with what there is.
func OfRecords(changes []dryrun.Change) []dryrun.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c dryrun.Change) bool {
		return c.Kind == dryrun.ChangeCall || c.Kind == dryrun.ChangeOutside || c.Same()
	})
}

// Write prints the differences, and one line for each rule.
func (d Drift) Write(w io.Writer) error {
	s := newSheet(w, nil)
	for _, r := range d.Rules {
		for _, p := range r.Plans {
			s.plan(p)
		}
	}
	for _, r := range d.Rules {
		switch {
		case r.NotCompared != "":
			fmt.Fprintf(s, "%s %s: not compared: %s\n", r.Portal, r.Rule, r.NotCompared)
		case r.NotSeen != "":
			fmt.Fprintf(s, "%s %s: not complete: %s; %d of the %s compared so far differ\n", r.Portal, cmp.Or(r.Rule, "all rules"), r.NotSeen, r.Differing, Plural(r.Entities, "entity", "entities"))
		default:
			fmt.Fprintf(s, "%s %s: %d of %s differ\n", r.Portal, r.Rule, r.Differing, Plural(r.Entities, "entity", "entities"))
		}
	}
	for _, text := range d.Unused {
		fmt.Fprintf(s, "%s\n", text)
	}
	_, err := io.WriteString(w, s.String())
	return err
}
