package history

import (
	"encoding/json"
	"reflect"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

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

// Trace collects what a run does. It only refers to the data that the run has read and
// written, so it is cheap until Record encodes it.
type Trace struct {
	Rule    string
	File    string // as RuleSet.File
	Version string
	Outcome Outcome // "" of a run that failed
	Calls   int
	Writes  int
	Steps   []StepTrace
	Took    time.Duration

	// DryRun says that the writes were not sent.
	DryRun bool
	// Follows are the runs that the run starts and the time of its next one, in words.
	Follows []string

	// When are the parts of the rule's condition, if it was false.
	When []Term

	// Made is what the run has done with records.
	Made []engine.Made

	Failed  bool
	Inputs  map[string]any
	Secrets map[string]bool // names of inputs that are secrets

	mu    sync.Mutex
	first []Command // sent before the first step
	held  int       // bytes of the answers in the trace
	more  int       // commands that are not in the trace
	kept  int       // commands in the trace
	types map[int]*bitrix.ItemFields
	lists map[int]*bitrix.ListFields
}

// StepTrace collects what one step does.
type StepTrace struct {
	Step    string
	Action  string
	Line    int
	Skipped string   // why the step did not run
	When    []Term   // the parts of its condition that was false
	Notes   []string // lines of the action, from Call.Note
	Calls   int
	Writes  int
	Error   string
	Took    time.Duration

	step     *engine.Step
	Rows     int // for_each: how many; -1 without
	args     []boundArgs
	Result   any
	Ran      bool // Result is set
	commands []Command
}

// Passed reports whether a step has run without an error.
func (t *Trace) Passed(step string) bool {
	for i := range t.Steps {
		if s := &t.Steps[i]; s.Step == step && s.Ran && s.Error == "" {
			return true
		}
	}
	return false
}

// boundArgs are the arguments of a step for one row.
type boundArgs struct {
	row    int
	values reflect.Value
}

// Command is one REST command.
type Command struct {
	Call   bitrix.Call
	Result json.RawMessage
	Rows   []json.RawMessage // of a listing that was read page by page
	Listed int               // number of rows; -1 for no listing
	bytes  int               // length of the answer
	Batch  int               // commands in the same request
	Err    error
	Took   time.Duration
	cut    bool // a part of the answer was dropped
}

const (
	// maxHeld bounds the answers of one trace, in bytes.
	maxHeld = 256 << 10
	// maxCommands bounds the commands of one trace. It may have as many again that
	// failed.
	maxCommands = 200
	// maxArgs bounds the rows of for_each whose arguments are in the trace.
	maxArgs = 3
)

// NewStep returns the trace of a step that has not run.
func NewStep(s *engine.Step) *StepTrace {
	return &StepTrace{Step: s.Label, Action: s.Action.Name, Line: s.Pos.Line, step: s, Rows: -1}
}

// Count adds commands and writes to a step. s is nil before the first step.
func (t *Trace) Count(s *StepTrace, calls, writes int) {
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Calls += calls
	s.Writes += writes
}

// Add adds a command to a step. s is nil before the first step.
func (t *Trace) Add(s *StepTrace, c Command) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept >= maxCommands && (c.Err == nil || t.kept >= 2*maxCommands) {
		t.more++
		return
	}
	t.kept++
	c.bytes = len(c.Result)
	for _, r := range c.Rows {
		c.bytes += len(r)
	}
	if room := maxHeld - t.held; c.bytes > room {
		c.trim(room)
	}
	t.held += min(c.bytes, maxHeld)
	if s == nil {
		t.first = append(t.first, c)
		return
	}
	s.commands = append(s.commands, c)
}

// trim drops what does not fit of an answer, so that its memory can be freed. Of a list
// it keeps the first rows, of any other answer nothing.
func (c *Command) trim(room int) {
	c.cut, c.Result = true, nil
	n := 0
	for n < len(c.Rows) && len(c.Rows[n]) <= room {
		room -= len(c.Rows[n])
		n++
	}
	c.Rows = append([]json.RawMessage(nil), c.Rows[:n]...)
}

// Bound adds the arguments for a row, if it is one of the first.
func (s *StepTrace) Bound(row int, values reflect.Value) {
	if len(s.args) < maxArgs {
		s.args = append(s.args, boundArgs{row, values})
	}
}

// AddType adds the description of a CRM type.
func (t *Trace) AddType(id int, f *bitrix.ItemFields) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.types == nil {
		t.types = map[int]*bitrix.ItemFields{}
	}
	t.types[id] = f
}

// AddList adds the description of a list.
func (t *Trace) AddList(id int, f *bitrix.ListFields) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lists == nil {
		t.lists = map[int]*bitrix.ListFields{}
	}
	t.lists[id] = f
}
