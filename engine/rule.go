package engine

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// RuleSet is one compiled rule file. It never changes and is safe for concurrent use.
type RuleSet struct {
	// Name is the file's name without folder and extension: "deal-shipments". The
	// configuration gives inputs under this name. An instance has its own name behind it:
	// "deal-shipments@spb".
	Name string
	// Instance is the name of the instance, "" when the set is none.
	Instance string
	// Title is the file's title, "" when it has none.
	Title string
	// File is the path of the file, as the caller gave it.
	File string
	// Version is a short digest of the file's text. The history stores it.
	Version string
	// Inputs are the values that a portal's configuration supplies, in file order.
	Inputs []Input
	// Rules are in file order.
	Rules []*Rule

	// Vars are the constants of the file, in file order.
	Vars []*NamedValue
	// Actions are the actions that the file could use.
	Actions []*Action
	Source  *yamlfile.File
}

// SecretInputs returns the names of the inputs that are secrets, nil without any.
func (s *RuleSet) SecretInputs() map[string]bool {
	var out map[string]bool
	for _, in := range s.Inputs {
		if in.Type == TypeSecret {
			if out == nil {
				out = map[string]bool{}
			}
			out[in.Name] = true
		}
	}
	return out
}

// Input is a value that a portal's configuration supplies to a rule set.
type Input struct {
	Name string
	// Type is integer, number, string, boolean or secret. The value of a secret
	// is a bitrix.Secret.
	Type  string
	Title string
	// Default is the value without configuration. HasDefault says that it exists;
	// otherwise the configuration must give the input.
	Default    any
	HasDefault bool
	Pos        Pos

	Node *yaml.Node
}

// Rule binds events to steps.
type Rule struct {
	// ID is the rule's name, unique over all files of a configuration.
	ID string
	// Title says for people what the rule does, "" when not given.
	Title string
	// Set is the file that holds the rule.
	Set *RuleSet
	// Triggers are the events that the rule subscribes to.
	Triggers []Trigger
	// Schedules are the times at which the rule runs.
	Schedules []Schedule
	// Hook is what another system starts the rule with; nil for nothing. Such a rule has
	// no events.
	Hook *Hook
	// Robots are the robots and business processes that start the rule.
	Robots []Robot
	// AboutKind is what the file says the runs are for; nil when it says nothing.
	AboutKind *About
	// Owner is the name under which syncs of this rule own their records. If the file does not
	// set it, it is the oldest id of the rule.
	Owner string
	// From are the ids that the rule had before, the oldest first. The rule takes over what
	// these have made and remembered.
	From []string
	// Debounce is how long the entity must be quiet before a run starts. Ceiling is
	// how long further events can delay the run.
	Debounce, Ceiling time.Duration
	// Early says that the first run after a quiet time need not wait for Debounce.
	Early bool
	// Portals are the portals where the rule runs; empty means all.
	Portals []string
	// Limits park a run that would do too much.
	Limits Limits
	Pos    Pos

	Node     *yaml.Node // of the id
	FromNode *yaml.Node // of moved.from
	When     *Value
	Entity   *Value
	Steps    []*Step
	Prefetch []*Step // those of Steps whose reads start with the run
	Deleted  []*Step // for an entity that no longer exists
	Before   []Past  // what formulas read of before
}

// Remembers reports whether the runs of the rule remember something.
func (r *Rule) Remembers() bool {
	return len(r.Before) > 0 || r.hasStep(func(s *Step) bool { return s.Remembers || s.Action.Starts })
}

// Starts reports whether the rule starts runs of other rules.
func (r *Rule) Starts() bool {
	return r.hasStep(func(s *Step) bool { return s.Action.Starts })
}

// Sleeps reports whether the rule waits for times.
func (r *Rule) Sleeps() bool {
	return r.hasStep(func(s *Step) bool { return s.At != nil })
}

// Past is a value of a run that later runs read as before.
type Past struct {
	// Path is the name of a step or of a computed value, and of fields in it.
	Path []string
	// Type is the type that a remembered value must have. One of another type is as good
	// as none, because the rule has changed.
	Type formula.Type
}

// Limits bound what one run does.
type Limits struct {
	// Calls is how many REST commands a run may send. 0 means DefaultCalls.
	Calls int `yaml:"calls" validate:"omitempty,min=1" doc:"REST commands of one run"`
	// Deletes is how many records a run may delete. With 0 only the limits of the
	// steps hold.
	Deletes int `yaml:"deletes" validate:"omitempty,min=1" doc:"deletions of one run"`
}

// Trigger is one event that a rule subscribes to.
type Trigger struct {
	schemas.Event
	// EntityTypeID is the type whose events of smart processes and smart invoices
	// match. 0 matches those of all types.
	EntityTypeID int

	Node *yaml.Node
}

// Step is one action of a rule with its options.
type Step struct {
	ID     string // "" when the step has none
	Label  string // the id, or action and number: names the step in the history
	Action *Action
	Pos    Pos
	Verb   *yaml.Node // the action's name in the file
	IDNode *yaml.Node // nil when the step has no id
	Types  *ArgTypes

	// Key names the step in the memory of runs. It stays the same when other steps are
	// added or removed.
	Key string
	// TextKey is what Key is without an id, for the memory of before the step got its id. It is
	// Key if another step has that.
	TextKey string

	When    *Value
	Once    *Value
	PerRow  bool // Once is computed for each row of ForEach
	Entered *Value
	At      *Value
	Late    time.Duration // after the time of At
	// Remembers says that the file has once, entered or at, even if the formula is wrong.
	// AfterChange says that When is true only in runs that see something new.
	Remembers, AfterChange bool
	ForEach                *Value
	Limit                  int // of for_each
	Timeout                time.Duration
	Retry                  int // attempts; 0 leaves it to the queue
	OnError                OnError
	Args                   []*Argument

	// Instead are the steps that run instead of the failed one.
	Instead []*Step
}

// OnError says what follows when a step has failed in its last attempt.
type OnError uint8

// The values of on_error.
const (
	OnErrorPark  OnError = iota // the run is parked
	OnErrorSkip                 // the step has no result, and the run continues
	OnErrorSteps                // other steps run instead
)

// Argument is a compiled argument of a step.
type Argument struct {
	Field  *ArgField
	Key    *yaml.Node    // the argument's name in the file
	Value  *Value        // of ArgValue and ArgRowValue
	Fields *FieldsValue  // of ArgFields, ArgRowFields and ArgSecrets
	Names  []*NamedValue // of ArgNames
	Fixed  any           // of ArgDuration
	Type   formula.Type
}
