package engine

import "github.com/b24rules/b24rules/internal/snapshot"

// Known is what is known of one portal when a file is checked for it. It adds findings and
// changes nothing about how a rule runs. A nil Known knows nothing.
type Known struct {
	Snapshot *snapshot.Snapshot
	// Inputs are the texts of the portal's configuration by the names of rule sets. nil means
	// that the configuration is not known.
	Inputs map[string]map[string]string
}

// Portal returns the snapshot of the portal, nil if nothing is known of it.
func (k *Known) Portal() *snapshot.Snapshot {
	if k == nil {
		return nil
	}
	return k.Snapshot
}

// InputsOf returns the values of a set's inputs, nil if they are not known. Mistakes in them
// are findings of the configuration.
func (k *Known) InputsOf(s *RuleSet) map[string]any {
	if k == nil || k.Inputs == nil {
		return nil
	}
	values, _ := s.BindInputs(k.Inputs[s.Name])
	return values
}

// Knowing tells the arguments of a step what is known of the portal.
func (t *ArgTypes) Knowing(k *Known, r *Rule) {
	if k != nil {
		t.known, t.inputs, t.rule = k, k.InputsOf(r.Set), r
	}
}

// Portal returns the snapshot of the portal that the file is checked for, nil without one.
func (t *ArgTypes) Portal() *snapshot.Snapshot {
	if t == nil {
		return nil
	}
	return t.known.Portal()
}

// constant returns a value that is the same in every run in the portal.
func (t *ArgTypes) constant(v *Value) (any, bool) {
	if x, ok := v.Const(); ok || t.inputs == nil {
		return x, ok
	}
	return t.rule.Fixed(v, t.inputs)
}
