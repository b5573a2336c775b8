package engine

import "slices"

// InstanceSign separates the name of a rule set or a rule from that of its instance.
const InstanceSign = "@"

// As returns the rule set as an instance: a portal can run it several times, with other
// inputs. The rules of the instance a are called RULE@a in history, memory and holds, and
// own their records under another name. So instances share nothing.
func (s *RuleSet) As(instance string) *RuleSet {
	if instance == "" {
		return s
	}
	suffix := InstanceSign + instance
	out := *s
	out.Name, out.Instance, out.Rules = s.Name+suffix, instance, make([]*Rule, len(s.Rules))
	for i, r := range s.Rules {
		one := *r
		one.ID, one.Owner, one.Set = r.ID+suffix, r.Owner+suffix, &out
		one.From = slices.Clone(r.From)
		for j := range one.From {
			one.From[j] += suffix
		}
		out.Rules[i] = &one
	}
	return &out
}

// Started returns the ids that a name in start of the set can mean; see StartedIn.
func (s *RuleSet) Started(name string) []string { return StartedIn(s.Instance, name) }

// StartedIn returns the ids that a name in start can mean in an instance of a rule set, the
// best first: a rule of an instance starts the rules of the same instance, and otherwise
// those without one.
func StartedIn(instance, name string) []string {
	if instance == "" {
		return []string{name}
	}
	return []string{name + InstanceSign + instance, name}
}
