package engine

import (
	"maps"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
)

// The names that the engine itself puts before a formula.
const (
	NameEvent  = "event"
	NameInputs = "inputs"
	NameVars   = "vars"
	NameRow    = "row"
	NameIndex  = "index"
	NameError  = "error"
	NameGroup  = "group"
)

// Scope is what formulas see while a run goes on.
type Scope struct {
	Vars    map[string]any
	Machine *formula.Machine
	// Secrets are inputs that formulas do not see.
	Secrets map[string]bitrix.Secret
}

// Child returns a scope of its own that also holds extra.
func (s Scope) Child(extra map[string]any) Scope {
	vars := make(map[string]any, len(s.Vars)+len(extra)+4)
	maps.Copy(vars, s.Vars)
	maps.Copy(vars, extra)
	return Scope{Vars: vars, Machine: s.Machine, Secrets: s.Secrets}
}

// Row points a scope made by child at another row. It changes the scope in
// place: the thousands of rows of a sync share one map.
func (s Scope) Row(row any, index int) Scope {
	s.Vars[NameRow] = row
	s.Vars[NameIndex] = numInt(index)
	return s
}
