package engine

import (
	"maps"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
)

// The names that the engine itself puts before a formula.
const (
	nameEvent  = "event"
	nameInputs = "inputs"
	nameVars   = "vars"
	nameRow    = "row"
	nameIndex  = "index"
	nameError  = "error"
	nameGroup  = "group"
)

// scope is what formulas see while a run goes on.
type scope struct {
	vars    map[string]any
	machine *formula.Machine
	// secrets are inputs that formulas do not see.
	secrets map[string]bitrix.Secret
}

// child returns a scope of its own that also holds extra.
func (s scope) child(extra map[string]any) scope {
	vars := make(map[string]any, len(s.vars)+len(extra)+4)
	maps.Copy(vars, s.vars)
	maps.Copy(vars, extra)
	return scope{vars: vars, machine: s.machine, secrets: s.secrets}
}

// row points a scope made by child at another row. It changes the scope in
// place: the thousands of rows of a sync share one map.
func (s scope) row(row any, index int) scope {
	s.vars[nameRow] = row
	s.vars[nameIndex] = numInt(index)
	return s
}
