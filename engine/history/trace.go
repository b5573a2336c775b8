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

	Failed  bool
	Inputs  map[string]any
	Secrets map[string]bool // names of inputs that are secrets

	mu    sync.Mutex
	first []Command // sent before the first step
	held  int       // bytes of the answers that are kept
	more  int       // commands that are not kept
	kept  int       // commands that are
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

	step     *engine.Step
	Rows     int // for_each: how many; -1 without
	args     []boundArgs
	Result   any
	Ran      bool // result is set
	commands []Command
}

// boundArgs are the arguments of a step, of one of its rows.
type boundArgs struct {
	row    int
	values reflect.Value
}

// Command is one REST command.
type Command struct {
	Call   bitrix.Call
	Result json.RawMessage
	Rows   []json.RawMessage // of a listing that was read page by page
	Listed int               // how many rows there were; -1 for no listing
	bytes  int               // of the answer
	Batch  int               // commands of the request
	Err    error
	Took   time.Duration
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

func NewStep(s *engine.Step) *StepTrace {
	return &StepTrace{Step: s.Label, Action: s.Action.Name, Line: s.Pos.Line, step: s, Rows: -1}
}

// Count adds commands to those of a step; nil is before the first.
func (t *Trace) Count(s *StepTrace, calls, writes int) {
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Calls += calls
	s.Writes += writes
}

// Add keeps a command for the record.
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

// trim keeps so much of an answer as fits: the first rows of a list, or nothing.
// What it drops can be freed.
func (c *Command) trim(room int) {
	c.cut, c.Result = true, nil
	n := 0
	for n < len(c.Rows) && len(c.Rows[n]) <= room {
		room -= len(c.Rows[n])
		n++
	}
	c.Rows = append([]json.RawMessage(nil), c.Rows[:n]...)
}

// Bound keeps the arguments of the first rows, and of the first that failed.
func (s *StepTrace) Bound(row int, values reflect.Value) {
	if len(s.args) < maxArgs {
		s.args = append(s.args, boundArgs{row, values})
	}
}

func (t *Trace) AddType(id int, f *bitrix.ItemFields) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.types == nil {
		t.types = map[int]*bitrix.ItemFields{}
	}
	t.types[id] = f
}

func (t *Trace) AddList(id int, f *bitrix.ListFields) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lists == nil {
		t.lists = map[int]*bitrix.ListFields{}
	}
	t.lists[id] = f
}
