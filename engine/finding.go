package engine

import "github.com/b24rules/b24rules/internal/diag"

// Finding is a mistake at a place in a rule file. StepCheck reports them.
type Finding = diag.Finding

// Pos is a place in a rule file.
type Pos = diag.Pos
