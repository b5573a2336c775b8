package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
)

// ChangePlan says what new versions of rule sets would change in portals. It is a file between
// plan and apply.
type ChangePlan struct {
	// Format is the version of this form: PlanFormat.
	Format  int            `json:"b24rules_plan"`
	Made    time.Time      `json:"made"`
	By      string         `json:"by"`
	Portals []PortalChange `json:"portals"`
}

// PlanFormat is the form of a ChangePlan that this program writes and reads.
const PlanFormat = 1

// PlanAge is how long a ChangePlan can be applied.
const PlanAge = 7 * 24 * time.Hour

// PortalChange is what changes in one portal.
type PortalChange struct {
	Portal string      `json:"portal"`
	Sets   []SetChange `json:"rule_sets"`
	// Refused are findings of new versions that the portal does not take, NotCompared why rules
	// have nothing to compare. NotSeen says why the comparison is not complete, "" if it is.
	Refused     []string `json:"refused,omitempty"`
	NotCompared []string `json:"not_compared,omitempty"`
	NotSeen     string   `json:"not_seen,omitempty"`
	// Compared counts entities and rules, Drifted those that differ from what the version that
	// ran last would write, too. Unknown counts runs whose history has not all that the new version
	// reads.
	Compared int `json:"compared"`
	Drifted  int `json:"drifted"`
	Unknown  int `json:"unknown,omitempty"`
	// Requests is how many requests the comparison has sent, Seconds how long it took.
	Requests int64          `json:"requests"`
	Seconds  float64        `json:"seconds"`
	Entities []EntityChange `json:"entities"`
}

// SetChange is a new version of a rule set.
type SetChange struct {
	Set    string `json:"rule_set"`
	Before string `json:"before"` // the version that ran last, "" for none
	After  string `json:"after"`
	// Costs says for each rule what an event costs, if that changes.
	Costs []string `json:"costs,omitempty"`
}

// EntityChange is an entity for which the versions differ.
type EntityChange struct {
	Rule   string `json:"rule"`
	Entity string `json:"entity"`
	// Digest is that of what the new version would write.
	Digest string `json:"digest"`
	// Drift is what the version that ran last would write, Changes what the new one would.
	Drift   []dryrun.Change `json:"drift,omitempty"`
	Changes []dryrun.Change `json:"changes"`
	// Error is why a run of the new version would fail.
	Error string `json:"error,omitempty"`
}

// Digest identifies what a plan would write, with the values before.
func (p Plan) Digest() string {
	changes := slices.Clone(p.Changes)
	for i := range changes {
		changes[i].Title = "" // it is only for people
	}
	text, err := json.Marshal(struct {
		Changes []dryrun.Change
		Failed  bool
	}{changes, p.Error != ""})
	if err != nil { // values of formulas always have a JSON form
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// Add counts an entity, and notes it if the plans of the two versions of a rule differ.
func (c *PortalChange) Add(before, after Plan) {
	c.Compared++
	if len(OfRecords(before.Changes)) > 0 {
		c.Drifted++
	}
	if before.Digest() == after.Digest() {
		return
	}
	c.Entities = append(c.Entities, EntityChange{
		Rule: after.Rule, Entity: after.Entity, Digest: after.Digest(), Drift: before.Changes, Changes: after.Changes, Error: after.Error,
	})
}

// Fails counts the entities whose run would fail.
func (c PortalChange) Fails() (n int) {
	for _, e := range c.Entities {
		if e.Error != "" {
			n++
		}
	}
	return n
}

// shownEntities is how many entities of a portal are printed.
const shownEntities = 20

// Write prints the plan for people.
func (c ChangePlan) Write(w io.Writer) error {
	s := newSheet(w, nil)
	for _, p := range c.Portals {
		p.write(s)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (c PortalChange) write(s *sheet) {
	if len(c.Sets)+len(c.Refused) == 0 && c.NotSeen == "" {
		fmt.Fprintf(s, "%s: nothing new\n", c.Portal)
		return
	}
	for _, one := range c.Sets {
		before := one.Before + " -> "
		if one.Before == "" {
			before = "new: "
		}
		fmt.Fprintf(s, "%s: %s %s%s\n", c.Portal, one.Set, before, one.After)
		for _, text := range one.Costs {
			fmt.Fprintf(s, "  %s\n", text)
		}
	}
	for _, text := range c.Refused {
		fmt.Fprintf(s, "%s: %s %s\n", c.Portal, s.in(red, "cannot take"), text)
	}
	for _, text := range c.NotCompared {
		fmt.Fprintf(s, "%s: not compared: %s\n", c.Portal, text)
	}
	for i, e := range c.Entities {
		if i == shownEntities {
			fmt.Fprintf(s, "%d more entities are in the plan: --save FILE and --format json have all\n", len(c.Entities)-i)
			break
		}
		s.plan(Plan{Rule: e.Rule, Portal: c.Portal, Entity: e.Entity, Changes: e.Changes, Error: e.Error})
	}
	if c.NotSeen != "" {
		fmt.Fprintf(s, "%s: not complete: %s\n", c.Portal, c.NotSeen)
	}
	if len(c.Sets) > 0 {
		fmt.Fprintf(s, "%s: %s\n", c.Portal, c.summary())
	}
}

// summary counts what changes: entities, records by kind with their fields.
func (c PortalChange) summary() string {
	counts := map[dryrun.ChangeKind]int{}
	var fields []string
	for _, e := range c.Entities {
		for _, one := range e.Changes {
			counts[one.Kind]++
			for _, f := range one.Fields {
				if one.Kind == dryrun.ChangeUpdate && !slices.Contains(fields, f.Name) {
					fields = append(fields, f.Name)
				}
			}
		}
	}
	parts := []string{fmt.Sprintf("%d of %s would change", len(c.Entities), Plural(c.Compared, "compared entity", "compared entities"))}
	for _, k := range []struct {
		kind dryrun.ChangeKind
		sign string
	}{{dryrun.ChangeUpdate, "~"}, {dryrun.ChangeAdd, "+"}, {dryrun.ChangeDelete, "-"}, {dryrun.ChangeCall, "!"}, {dryrun.ChangeOutside, "!"}} {
		if n := counts[k.kind]; n > 0 {
			text := fmt.Sprintf("%s %d", k.sign, n)
			if k.kind == dryrun.ChangeUpdate {
				slices.Sort(fields)
				text += " (" + Fit(strings.Join(fields, ", "), 60) + ")"
			}
			parts = append(parts, text)
		}
	}
	if n := c.Fails(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d would fail", n))
	}
	if c.Drifted > 0 {
		parts = append(parts, fmt.Sprintf("%d differed before", c.Drifted))
	}
	if c.Unknown > 0 {
		parts = append(parts, Plural(c.Unknown, "run has", "runs have")+" not all that the new version reads")
	}
	return strings.Join(parts, ", ") + fmt.Sprintf("; %s, %.0f s", Plural(int(c.Requests), "request", "requests"), c.Seconds)
}

// ReadChangePlan reads a saved plan.
func ReadChangePlan(data []byte) (ChangePlan, error) {
	var form struct {
		Format int `json:"b24rules_plan"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return ChangePlan{}, fmt.Errorf("it is no plan of b24rules plan --save: %w", err)
	}
	switch {
	case form.Format == 0:
		return ChangePlan{}, errors.New("it is no plan of b24rules plan --save")
	case form.Format != PlanFormat:
		return ChangePlan{}, fmt.Errorf("it has the form %d, and this version of b24rules reads the form %d: plan again", form.Format, PlanFormat)
	}
	var out ChangePlan
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return ChangePlan{}, fmt.Errorf("it is no plan of b24rules plan --save: %w", err)
	}
	return out, nil
}
