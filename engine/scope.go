package engine

import (
	"maps"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
)

// The names that the engine itself defines for formulas.
const (
	NameEvent  = "event"
	NameInputs = "inputs"
	NameVars   = "vars"
	NameRow    = "row"
	NameIndex  = "index"
	NameError  = "error"
	NameGroup  = "group"
	NameBefore = "before"
)

// Scope holds the names and values that formulas see at one point of a run.
type Scope struct {
	Vars    map[string]any
	Machine *formula.Machine
	// Secrets are the secret inputs. Formulas do not see them.
	Secrets map[string]bitrix.Secret
}

// Child returns a copy of the scope that also holds the names of extra.
func (s Scope) Child(extra map[string]any) Scope {
	vars := make(map[string]any, len(s.Vars)+len(extra)+4)
	maps.Copy(vars, s.Vars)
	maps.Copy(vars, extra)
	return Scope{Vars: vars, Machine: s.Machine, Secrets: s.Secrets}
}

// Row sets the row of a scope that Child made. It changes the scope in place, so that
// the thousands of rows of a sync share one map.
func (s Scope) Row(row any, index int) Scope {
	s.Vars[NameRow] = row
	s.Vars[NameIndex] = numInt(index)
	return s
}
