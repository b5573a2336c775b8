package engine

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// RuleSet is one compiled rule file. It is immutable and safe for concurrent
// use.
type RuleSet struct {
	// Name is the file's name without folder and ending: "deal-shipments".
	// Inputs are configured under it.
	Name string
	// Title is the file's title, "" when it has none.
	Title string
	// File is the path that the set was read from, as it was given.
	File string
	// Version is a short digest of the file's text. A run records it.
	Version string
	// Inputs are what a portal's configuration supplies, in file order.
	Inputs []Input
	// Rules in file order.
	Rules []*Rule

	// Vars are the constants of the file, in file order.
	Vars []*NamedValue
	// Actions are those that the file could use.
	Actions []*Action
	Source  *yamlfile.File
}

// SecretInputs are the names of the inputs that are secrets; nil without any.
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
	// Default is the value without configuration; nil when HasDefault is
	// false and the input must be configured.
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
	// Set is the file that the rule stands in.
	Set *RuleSet
	// Triggers are the events that the rule hears.
	Triggers []Trigger
	// Owner is the name under which syncs of this rule own what they made. It
	// is the id unless the file says otherwise.
	Owner string
	// Debounce is how long the entity must be quiet before a run starts, and
	// Ceiling how long a run may be put off by further events.
	Debounce, Ceiling time.Duration
	// Portals are the portals that the rule is for; empty means all.
	Portals []string
	// Limits stop a run that would do too much.
	Limits Limits
	Pos    Pos

	Node     *yaml.Node // of the id
	When     *Value
	Entity   *Value
	Steps    []*Step
	Prefetch []*Step // of steps, those that read ahead
	Deleted  []*Step
}

// Limits are brakes of one run.
type Limits struct {
	// Calls is how many REST commands a run may send. 0 means 10,000.
	Calls int `yaml:"calls" validate:"omitempty,min=1" doc:"REST commands of one run"`
	// Deletes is how many things a run may delete. 0 means no limit but those
	// of the steps.
	Deletes int `yaml:"deletes" validate:"omitempty,min=1" doc:"deletions of one run"`
}

// Trigger is one event that a rule hears.
type Trigger struct {
	schemas.Event
	// EntityTypeID narrows the events of smart processes and smart invoices to
	// one type. 0 hears all of them.
	EntityTypeID int

	Node *yaml.Node
}

// Step is one action of a rule with its options.
type Step struct {
	ID     string // "" when the step has none
	Label  string // id or verb and number: names the step in history
	Action *Action
	Pos    Pos
	Verb   *yaml.Node // the action's name
	IDNode *yaml.Node // nil when the step has no id
	Types  *ArgTypes

	When    *Value
	Once    *Value
	HasOnce bool // the file says once, be its formula right or wrong
	ForEach *Value
	Limit   int // of for_each
	Timeout time.Duration
	Retry   int // attempts; 0 leaves it to the queue
	OnError OnError
	Args    []*Argument

	// Instead are the steps that run in place of the failed one.
	Instead []*Step
}

// OnError says what follows when a step has failed for good.
type OnError uint8

const (
	OnErrorPark  OnError = iota // the run is parked
	OnErrorSkip                 // the step has no result, the run goes on
	OnErrorSteps                // other steps run instead
)

// Argument is a compiled argument of a step.
type Argument struct {
	Field  *ArgField
	Key    *yaml.Node    // the argument's name in the file
	Value  *Value        // argValue, argRowValue
	Fields *FieldsValue  // argFields, argRowFields, argSecrets
	Names  []*NamedValue // argNames
	Fixed  any           // argDuration
	Type   formula.Type
}
