package engine

import (
	"encoding/json"
	"reflect"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
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

// Trace is what a run did. It refers to what the run has read and written, and
// costs next to nothing until Record writes it down.
type Trace struct {
	Rule    string
	File    string // as RuleSet.File
	Version string
	Outcome Outcome // "" of a run that failed
	Calls   int
	Writes  int
	Steps   []StepTrace
	Took    time.Duration

	failed bool
	inputs map[string]any
	secret map[string]bool // names of inputs that are secrets

	mu    sync.Mutex
	first []commandTrace // sent before the first step
	held  int            // bytes of the answers that are kept
	more  int            // commands that are not kept
	kept  int            // commands that are
	types map[int]*bitrix.ItemFields
	lists map[int]*bitrix.ListFields
}

// StepTrace is what became of one step.
type StepTrace struct {
	Step    string
	Action  string
	Line    int
	Skipped string   // why the step did not run
	Notes   []string // what the action says it did
	Calls   int
	Writes  int
	Error   string
	Took    time.Duration

	step     *Step
	rows     int // for_each: how many; -1 without
	args     []boundArgs
	result   any
	ran      bool // result is set
	commands []commandTrace
}

// boundArgs are the arguments of a step, of one of its rows.
type boundArgs struct {
	row    int
	values reflect.Value
}

// commandTrace is one REST command.
type commandTrace struct {
	call   bitrix.Call
	result json.RawMessage
	rows   []json.RawMessage // of a listing that was read page by page
	listed int               // how many rows there were; -1 for no listing
	bytes  int               // of the answer
	batch  int               // commands of the request
	err    error
	took   time.Duration
	cut    bool // the answer is not kept whole
}

const (
	// maxHeld bounds the answers that a run keeps in memory for its record.
	maxHeld = 256 << 10
	// maxCommands bounds the commands that a record tells of; as many more are
	// told when they failed.
	maxCommands = 200
	// maxArgs bounds the rows of for_each whose arguments are kept.
	maxArgs = 3
)

func newStepTrace(s *Step) *StepTrace {
	return &StepTrace{Step: s.Label, Action: s.Action.Name, Line: s.Pos.Line, step: s, rows: -1}
}

// count adds commands to those of a step; nil is before the first.
func (t *Trace) count(s *StepTrace, calls, writes int) {
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Calls += calls
	s.Writes += writes
}

// note keeps a command for the record.
func (t *Trace) note(s *StepTrace, c commandTrace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept >= maxCommands && (c.err == nil || t.kept >= 2*maxCommands) {
		t.more++
		return
	}
	t.kept++
	c.bytes = len(c.result)
	for _, r := range c.rows {
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

// trim keeps so much of an answer as fits: the first rows of a list, or nothing.
// What it drops can be freed.
func (c *commandTrace) trim(room int) {
	c.cut, c.result = true, nil
	n := 0
	for n < len(c.rows) && len(c.rows[n]) <= room {
		room -= len(c.rows[n])
		n++
	}
	c.rows = append([]json.RawMessage(nil), c.rows[:n]...)
}

// bound keeps the arguments of the first rows, and of the first that failed.
func (s *StepTrace) bound(row int, values reflect.Value) {
	if len(s.args) < maxArgs {
		s.args = append(s.args, boundArgs{row, values})
	}
}

func (t *Trace) noteType(id int, f *bitrix.ItemFields) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.types == nil {
		t.types = map[int]*bitrix.ItemFields{}
	}
	t.types[id] = f
}

func (t *Trace) noteList(id int, f *bitrix.ListFields) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lists == nil {
		t.lists = map[int]*bitrix.ListFields{}
	}
	t.lists[id] = f
}
