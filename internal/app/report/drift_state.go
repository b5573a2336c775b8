package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
)

// KindDrift are the jobs in which serve compares the rules of a portal with what the portal has.
const KindDrift = "drift"

// KeptDifferences is how many differences of a rule such a job keeps.
const KeptDifferences = 20

// DriftState is the place of such a job: the comparison that is running, and the last one.
type DriftState struct {
	// Times is the configuration that the job was made for.
	Times string `json:"times"`
	// Began is when the comparison that is running started, zero without one. Rules are those
	// that it has compared, Now is the next one with its entities so far, Again are those that
	// differ by type, and Used are the entries of ignore so far.
	Began time.Time       `json:"began,omitzero"`
	Rules []RuleDrift     `json:"rules,omitempty"`
	Now   *RuleDrift      `json:"now,omitempty"`
	Job   *catchup.Job    `json:"job,omitempty"`
	Again map[int][]int   `json:"again,omitempty"`
	Used  map[string]bool `json:"used,omitempty"`
	// Last is the last comparison that has ended, nil before the first.
	Last *DriftResult `json:"last,omitempty"`
}

// DriftResult is what a comparison of a portal has found.
type DriftResult struct {
	At time.Time `json:"at"`
	Drift
}

// ReadDriftState reads the place of a job of the kind KindDrift.
func ReadDriftState(j jobs.Job) (DriftState, error) {
	var s DriftState
	if err := json.Unmarshal(j.Place, &s); err != nil {
		return s, fmt.Errorf("cannot read job %d, the drift of portal %s: %w", j.ID, j.Portal, err)
	}
	return s, nil
}

// addDrift adds what the comparison of the portal has found last.
func (p *PortalStatus) addDrift(own []jobs.Job) {
	for _, j := range own {
		if j.Kind != KindDrift {
			continue
		}
		if s, err := ReadDriftState(j); err == nil {
			p.Drift = s.Last
		}
	}
}

// Attention reports whether a person should look at a result.
func (d *DriftResult) Attention() bool { return d != nil && (d.Differs() || !d.Complete()) }

func (d *DriftResult) write(w io.Writer, portal string) {
	for _, r := range d.Rules {
		switch {
		case r.NotSeen != "":
			_, _ = fmt.Fprintf(w, "%s\t%s drift not known since %s\t%s\n", portal, r.Rule, d.At.Local().Format(time.DateTime), OneLine(r.NotSeen))
		case r.Differing > 0:
			_, _ = fmt.Fprintf(w, "%s\t%s drift seen %s\t%d of %s differ, such as %s; b24rules drift --rule %s --portal %s shows them, and sync repairs them\n",
				portal, r.Rule, d.At.Local().Format(time.DateTime), r.Differing, Plural(r.Entities, "entity", "entities"), r.Plans[0].Entity, r.Rule, portal)
		}
	}
	for _, text := range d.Unused {
		_, _ = fmt.Fprintf(w, "%s\tignore\t%s\n", portal, text)
	}
}
