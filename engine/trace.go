package engine

import "time"

// Outcome says how a run ended.
type Outcome string

// The outcomes of a run that did not fail.
const (
	Done    Outcome = "done"    // its steps ran
	Skipped Outcome = "skipped" // the rule's when was false
	Stopped Outcome = "stopped" // a stop step ended it
	Removed Outcome = "deleted" // the entity is gone and the deleted steps ran
	Gone    Outcome = "gone"    // the entity is gone and the rule has nothing for that
)

// Trace is what a run did, for its history. It holds no data of the portal and
// no secrets.
type Trace struct {
	Rule    string        `json:"rule"`
	Version string        `json:"version"`
	Outcome Outcome       `json:"outcome,omitempty"`
	Calls   int           `json:"calls"`
	Writes  int           `json:"writes"`
	Steps   []StepTrace   `json:"steps"`
	Took    time.Duration `json:"took"`
}

// StepTrace is what became of one step.
type StepTrace struct {
	Step    string        `json:"step"`
	Action  string        `json:"action"`
	Line    int           `json:"line"`
	Skipped string        `json:"skipped,omitempty"` // why the step did not run
	Notes   []string      `json:"notes,omitempty"`   // what the action says it did
	Calls   int           `json:"calls,omitempty"`
	Writes  int           `json:"writes,omitempty"`
	Error   string        `json:"error,omitempty"`
	Took    time.Duration `json:"took"`
}
