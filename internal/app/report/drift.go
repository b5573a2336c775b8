package report

import (
	"cmp"
	"fmt"
	"io"
)

// Drift says where a portal differs from what the rules would write.
type Drift struct {
	Rules []RuleDrift `json:"rules"`
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
	// Plans are the differences, one for each entity.
	Plans []Plan `json:"differences"`
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
	_, err := io.WriteString(w, s.String())
	return err
}
