package compile

import (
	"fmt"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// defaultForEach is how many elements a for_each may have when it has no limit.
const defaultForEach = 1000

// maxForEach is the largest limit. By default a run sends at most 10,000 commands.
const maxForEach = 10_000

// readSteps compiles a list of steps. Each sees the results of those before it. The
// conditions hold for all of them.
func (c *stepCompiler) readSteps(n *yaml.Node, k *known, conditions []string, what string) []*engine.Step {
	n = yamlfile.Resolve(n)
	if n.Kind != yaml.SequenceNode {
		c.Errorf(n, "wrong-type", "%s takes a list of steps", what).Hint = "start each step with -"
		return nil
	}
	if len(n.Content) == 0 {
		c.Errorf(n, "missing-key", "%s has no steps", what).Hint = "add a step"
	}
	c.announce(n, k)
	c.past.show(k)
	var out []*engine.Step
	for i, e := range n.Content {
		if s := c.readStep(e, i, k, conditions); s != nil {
			out = append(out, s)
			if s.Action.Ends && !s.Remembers && s.ForEach == nil && s.OnError == engine.OnErrorPark {
				k.present = k.present.And(s.When.FactsIfFalse()) // otherwise the run has ended
			}
		}
	}
	return out
}

// announce collects the names that all steps of a list define, so that the finding about
// a formula that reads one too early says where it is defined.
func (c *stepCompiler) announce(n *yaml.Node, k *known) {
	later := map[string]string{}
	for name, hint := range k.later {
		later[name] = hint
	}
	for _, e := range n.Content {
		e = yamlfile.Resolve(e)
		for i := 0; i+1 < len(e.Content) && e.Kind == yaml.MappingNode; i += 2 {
			key, val := e.Content[i], yamlfile.Resolve(e.Content[i+1])
			line := c.file.Pos(key).Line
			if key.Value == "id" && val.Kind == yaml.ScalarNode {
				later[val.Value] = whereDefined(val.Value, line)
				c.past.expect(val.Value)
			}
			if a := c.action(key.Value); a != nil && a.Spread && val.Kind == yaml.MappingNode {
				for j := 0; j+1 < len(val.Content); j += 2 {
					later[val.Content[j].Value] = whereDefined(val.Content[j].Value, line)
					c.past.expect(val.Content[j].Value)
				}
			}
		}
	}
	k.later = later
}

// whereDefined says in a finding why a formula cannot read a name that a step defines.
func whereDefined(name string, line int) string {
	if formula.CheckName(name) != nil {
		return fmt.Sprintf("cannot be a name, see line %d", line)
	}
	return fmt.Sprintf("is defined later, by the step on line %d", line)
}

func (c *stepCompiler) readStep(n *yaml.Node, index int, k *known, conditions []string) *engine.Step {
	n = yamlfile.Resolve(n)
	if n.Kind != yaml.MappingNode {
		suggest(c.Errorf(n, "wrong-type", "a step must be an action with its arguments"), n.Value, c.actionNames())
		return nil
	}
	m, ok := c.mapping(n)
	if !ok {
		return nil
	}
	verb, ok := c.verb(n, m)
	if !ok {
		return nil
	}
	s := &engine.Step{Action: c.action(verb.Name), Pos: c.file.Pos(verb.Key), Verb: verb.Key, Limit: defaultForEach, Label: verb.Name + "[" + strconv.Itoa(index+1) + "]"}
	when := c.stepWhen(s, m, k, conditions)
	k = k.knowing(s.When.Facts())
	inside := slices.Concat(conditions, when)
	env := k.env(inside)
	c.stepEntered(s, m, env)
	c.stepAt(s, m, env)
	if s.Entered != nil {
		k = k.knowing(s.Entered.Facts())
		inside = slices.Concat(inside, s.Entered.Conjuncts())
		env = k.env(inside)
	}
	if e, ok := m.Get("for_each"); ok {
		s.ForEach = c.value(e.Value, want{typ: formula.ListOf(formula.Type{Kind: formula.Any}), what: diag.Phrasef("for_each")}, env)
		if s.ForEach != nil {
			env = with(env, rowNames(s.ForEach.Type), !s.ForEach.FromData())
			env.Present = env.Present.And(s.ForEach.FactsOfElement())
		}
	}
	c.stepOnce(s, m, env)
	types := c.readArgs(s, verb, env)
	s.Types = types
	c.stepOptions(s, m)
	guards := when
	if e, ok := m.Get("on_error"); ok {
		c.readOnError(s, e, k, inside)
	}
	if s.Remembers || s.OnError != engine.OnErrorPark {
		guards = append(slices.Clone(guards), never)
	}
	c.stepNames(s, m, types, k, guards)
	c.past.show(k)
	s.AfterChange = onlyAfterChange(s.When, c.before)
	if s.Action.Check != nil && types != nil {
		s.Action.Check(engine.NewStepCheck(c, c.rule, s, c.before, c.part == partDeleted))
	}
	c.before = append(c.before, s)
	return s
}

// verb finds the key of a step that is an action.
func (c *stepCompiler) verb(n *yaml.Node, m yamlfile.Mapping) (yamlfile.Entry, bool) {
	var verb yamlfile.Entry
	unknown := false
	for _, e := range m.Entries {
		if slices.Contains(stepOptions, e.Name) {
			continue
		}
		switch {
		case c.action(e.Name) == nil:
			unknown = true
			c.unknownVerb(e, verb, slices.Concat(c.actionNames(), stepOptions))
		case verb.Key != nil:
			c.Errorf(e.Key, "two-actions", "the step has two actions, %s and %s", verb.Name, e.Name).Hint = "start a new step with -"
			return verb, false
		default:
			verb = e
		}
	}
	if verb.Key == nil && !unknown {
		suggest(c.Errorf(n, "missing-action", "the step has no action"), "", c.actionNames())
	}
	return verb, verb.Key != nil && !unknown
}

// stepWhen compiles the condition of a step and returns its parts.
func (c *stepCompiler) stepWhen(s *engine.Step, m yamlfile.Mapping, k *known, conditions []string) []string {
	e, ok := m.Get("when")
	if !ok {
		return nil
	}
	s.When = c.value(e.Value, want{typ: formula.Type{Kind: formula.Bool}, what: diag.Phrasef("when")}, k.env(conditions))
	return s.When.Conjuncts()
}

func (c *stepCompiler) stepOptions(s *engine.Step, m yamlfile.Mapping) {
	if e, ok := m.Get("limit"); ok {
		if _, loops := m.Get("for_each"); !loops {
			c.Errorf(e.Key, "unknown-key", "limit needs for_each, and the step has none").Hint = "remove limit"
		}
		list := yamlfile.Decode(c.file, e.Value, &s.Limit)
		c.list = append(c.list, list...)
		if len(list) == 0 && (s.Limit < 1 || s.Limit > maxForEach) {
			c.Errorf(e.Value, "invalid-value", "limit takes a number of elements from 1 to %d, not %d", maxForEach, s.Limit)
		}
	}
	if e, ok := m.Get("timeout"); ok {
		n := len(c.list)
		if s.Timeout = c.duration(e.Value, "timeout"); s.Timeout == 0 && len(c.list) == n {
			c.Errorf(e.Value, "invalid-value", "with a timeout of %s the step can do nothing", e.Value.Value).Hint = "remove timeout for no limit"
		}
	}
	if e, ok := m.Get("retry"); ok {
		list := yamlfile.Decode(c.file, e.Value, &s.Retry)
		c.list = append(c.list, list...)
		if len(list) == 0 && (s.Retry < 1 || s.Retry > 100) {
			c.Errorf(e.Value, "invalid-value", "retry takes a number of attempts from 1 to 100, not %d", s.Retry)
		}
	}
}

// readOnError reads park, skip or a list of steps.
func (c *stepCompiler) readOnError(s *engine.Step, e yamlfile.Entry, k *known, conditions []string) {
	n := yamlfile.Resolve(e.Value)
	switch {
	case n.Kind == yaml.SequenceNode:
		inner := k.clone()
		text := formula.Type{Kind: formula.String}
		inner.define(engine.NameError, formula.RecordOf(map[string]formula.Type{"code": text, "message": text, "step": text}), nil)
		s.OnError = engine.OnErrorSteps
		s.Instead = c.readSteps(n, inner, conditions, "on_error")
	case n.Value == "park":
	case n.Value == "skip":
		s.OnError = engine.OnErrorSkip
	default:
		c.Errorf(n, "invalid-value", "on_error takes park, skip or a list of steps, not %q", n.Value)
	}
}

// stepNames defines the names that later steps see of this one.
func (c *stepCompiler) stepNames(s *engine.Step, m yamlfile.Mapping, types *engine.ArgTypes, k *known, guards []string) {
	result := formula.Type{Kind: formula.Any}
	if types != nil && s.Action.Result != nil {
		result = s.Action.Result(types)
	}
	if s.Action.Spread && types != nil {
		for _, a := range s.Args {
			for _, nv := range a.Names {
				if c.newName(nv.Key, nv.Name) {
					k.define(nv.Name, nv.Value.Type, guards)
					k.given[nv.Name] = s.When.Facts()
					c.past.define(nv.Name, nv.Value.Type)
					if s.ForEach == nil {
						k.implied[nv.Name] = nv.Value.Facts()
					}
					k.trusted[nv.Name] = !nv.Value.FromData()
				}
			}
		}
	}
	e, ok := m.Get("id")
	if !ok {
		return
	}
	name := c.text(e.Value, "id")
	if s.Action.Result == nil && s.Remembers { // the id names what the step remembers
		if c.newName(e.Value, name) {
			s.ID, s.Label, s.IDNode = name, name, e.Value
			k.later[name] = "names what its step remembers, and the step has no result"
		}
		return
	}
	if s.Action.Result == nil {
		c.Errorf(e.Key, "no-result", "%s has no result, so its step cannot have an id", s.Action.Name).Hint = "remove id"
		return
	}
	if !c.newName(e.Value, name) {
		if _, hides := k.types[name]; !hides { // so that formulas with this name have no finding
			k.define(name, formula.Type{Kind: formula.Any}, nil)
		}
		return
	}
	s.ID, s.Label, s.IDNode = name, name, e.Value
	if s.ForEach != nil {
		result = formula.ListOf(result)
	}
	k.define(name, result, guards)
	k.given[name] = s.When.Facts()
	c.past.define(name, result)
}

// newName reports a name that is not allowed or that this rule already has.
func (c *stepCompiler) newName(n *yaml.Node, name string) bool {
	if name == "" {
		return false
	}
	if err := formula.CheckName(name); err != nil {
		c.Errorf(n, "bad-name", "%s", err)
		return false
	}
	if name == engine.NameBefore {
		c.Warnf(n, "before-name", "the name before hides what the last successful run knew").Hint = "choose another name"
	}
	if name == engine.NameGroup {
		c.Errorf(n, "bad-name", "%q cannot be a name: it is a group of rows", name)
		return false
	}
	if pos, taken := c.taken[name]; taken {
		c.Errorf(n, "duplicate-name", "line %d of this rule already defines the name %q", pos.Line, name).Hint = "choose another name"
		return false
	}
	c.taken[name] = c.file.Pos(n)
	return true
}
