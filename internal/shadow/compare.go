// Package shadow compares what rules would write with what a portal has, and stores how
// often they agreed.
package shadow

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
)

// Comparison is the result of one run in shadow mode.
type Comparison struct {
	Portal, Rule, Entity string
	Version              string // of the rule file
	Run                  int64
	At                   time.Time
	// Differences are what the rule would still write. Without any the portal agrees.
	Differences []dryrun.Change
	// Sent are effects that no read can show. They are no difference.
	Sent []dryrun.Change
	// Error says why the run could not be compared; "" if it could.
	Error string
}

// Agreed reports whether the rule would write nothing more.
func (c Comparison) Agreed() bool { return c.Error == "" && len(c.Differences) == 0 }

// Add divides the changes of a dry run into differences and effects.
func (c *Comparison) Add(r *engine.Rule, changes []dryrun.Change) {
	effects := map[string]bool{}
	for _, s := range r.AllSteps() {
		if s.Remembers || !s.Compares() {
			effects[s.Label] = true
		}
	}
	for _, change := range changes {
		switch {
		case effects[change.Step] || change.Kind == dryrun.ChangeOutside:
			c.Sent = append(c.Sent, change)
		case !nothing(change):
			c.Differences = append(c.Differences, change)
		}
	}
}

// nothing reports whether a change leaves the data of people unchanged: it writes the same
// values again, or it only gives an element its code, by which a rule takes over what a
// script has made.
func nothing(c dryrun.Change) bool {
	if c.Kind != dryrun.ChangeUpdate {
		return false
	}
	return len(c.Fields) == 0 || len(c.Fields) == 1 && c.Fields[0].Name == "CODE"
}

const (
	maxChanges = 20  // of one entity that are stored
	maxText    = 500 // characters of one value
)

// stored is the stored form of changes.
type stored struct {
	Changes []dryrun.Change `json:"changes"`
	More    int             `json:"more,omitempty"` // changes that are not stored
}

// encode returns the stored form of changes, with short values.
func encode(changes []dryrun.Change) []byte {
	out := stored{Changes: make([]dryrun.Change, 0, min(len(changes), maxChanges))}
	for _, c := range changes {
		if len(out.Changes) == maxChanges {
			out.More = len(changes) - maxChanges
			break
		}
		fields := make([]dryrun.FieldChange, len(c.Fields))
		for i, f := range c.Fields {
			fields[i] = dryrun.FieldChange{Name: f.Name, Before: short(f.Before), After: short(f.After)}
		}
		c.Fields = fields
		out.Changes = append(out.Changes, c)
	}
	text, err := json.Marshal(out)
	if err != nil {
		text, _ = json.Marshal(stored{More: len(changes)}) // has only a number
	}
	return text
}

// short returns a value, or the beginning of its text if that is long.
func short(v any) any {
	text, isText := v.(string)
	if !isText {
		encoded, err := json.Marshal(v)
		if err != nil || len(encoded) <= maxText {
			return v
		}
		text = string(encoded)
	}
	if utf8.RuneCountInString(text) <= maxText {
		return v
	}
	return string([]rune(text)[:maxText]) + "…"
}
