package compile

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// otherWords maps keys of other engines to our keys. It never changes.
var otherWords = map[string]string{
	"trigger": "on", "triggers": "on", "event": "on", "when_event": "on", "listen": "on",
	"action": "steps", "actions": "steps", "do": "steps", "then": "steps", "run": "steps", "tasks": "steps",
	"if": "when", "condition": "when", "conditions": "when", "filter": "when",
	"name": "title", "description": "title", "on_delete": "deleted", "on_deleted": "deleted", "delay": "debounce", "throttle": "debounce",
	"loop": "for_each", "each": "for_each", "with_items": "for_each", "repeat": "for_each",
	"catch": "on_error", "rescue": "on_error", "continue_on_error": "on_error", "retries": "retry", "attempts": "retry",
	"variables": "vars", "constants": "vars", "parameters": "inputs", "params": "inputs", "settings": "inputs",
}

// noWords maps keys of other engines that have no equivalent here to hints. It never
// changes.
var noWords = map[string]string{
	"else":     "write another step with the opposite when",
	"steps":    "a step has one action: write the when in each of these steps",
	"parallel": "the steps of a rule run one after another",
	"sleep":    "a run does not wait; debounce sets how long an entity must be quiet",
	"delay":    "a run does not wait; debounce sets how long an entity must be quiet",
	"wait":     "a run does not wait; debounce sets how long an entity must be quiet",
}

// suggest sets the hint about an unknown word: our name for a word of other engines, or
// the nearest of the names.
func suggest(f *diag.Finding, word string, names []string) {
	if ours := otherWords[strings.ToLower(word)]; slices.Contains(names, ours) {
		f.Hintf("did you mean %s?", ours)
		return
	}
	f.Suggest(word, names)
}

// unknownVerb reports a key of a step that is neither an action nor an option. verb is
// the action of the step. If it has no arguments, the key may be one of them with too
// little indentation.
func (c *stepCompiler) unknownVerb(e, verb yamlfile.Entry, names []string) {
	f := c.Errorf(e.Key, "unknown-action", "unknown action or option %q", e.Name)
	if f.Hint = noWords[e.Name]; f.Hint == "" {
		c.suggestVerb(f, e.Name, names)
	}
	if verb.Key == nil || !isNull(verb.Value) {
		return
	}
	if args := c.action(verb.Name).Arguments.Names(); slices.Contains(args, e.Name) {
		f.Hintf("indent %s: it is an argument of %s", e.Name, verb.Name)
	}
}

// suggestVerb sets the hint about an unknown action: the action that other engines call
// so, or the nearest of the names.
func (c *stepCompiler) suggestVerb(f *diag.Finding, word string, names []string) {
	for _, a := range slices.Backward(c.actions) {
		if slices.Contains(a.AlsoCalled, strings.ToLower(word)) {
			f.Hintf("did you mean %s?", a.Name)
			return
		}
	}
	suggest(f, word, names)
}

func isNull(n *yaml.Node) bool {
	n = yamlfile.Resolve(n)
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// wantMapping reports a node that is no mapping. what says which mapping belongs there,
// and hint shows it.
func (c *reporter) wantMapping(n *yaml.Node, what diag.Phrase, hint string) bool {
	if n = yamlfile.Resolve(n); n.Kind == yaml.MappingNode || isNull(n) {
		return true
	}
	is := diag.Phrasef("a list")
	if n.Kind == yaml.ScalarNode {
		is = diag.Phrasef("%q", n.Value)
	}
	c.Errorf(n, "wrong-type", "%s, not %s", what, is).Hint = hint
	return false
}

// hintEvent sets the hint about an unknown event. It recognises a code with a typo,
// deal_update, and several codes in one text.
func hintEvent(f *diag.Finding, text string) {
	if codes := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }); len(codes) > 1 {
		f.Hintf("on: [%s]", strings.Join(codes, ", "))
		return
	}
	known := eventCodes()
	if suggest(f, strings.ToUpper(text), known); f.Hint != "" {
		return
	}
	letters := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, strings.ToUpper(text))
	for _, prefix := range []string{"ON", "ONCRM"} {
		if slices.Contains(known, prefix+letters) {
			f.Hintf("did you mean %s?", prefix+letters)
			return
		}
	}
	f.Hint = "a code looks like ONCRMDEALUPDATE"
}

// readEntity compiles the formula for the id of an event's entity.
func (c *ruleCompiler) readEntity(n *yaml.Node, env formula.Env) *engine.Value {
	n = yamlfile.Resolve(n)
	if n.Kind == yaml.ScalarNode && !isNull(n) && !strings.HasPrefix(n.Value, "=") {
		hint := "=event.data.FIELDS_AFTER.TASK_ID"
		if c.compiles(n.Value, env) {
			hint = "=" + n.Value
		}
		c.Errorf(n, "wrong-type", "entity takes a formula that gives an id, not the text %q", n.Value).Hint = hint
		return nil
	}
	return c.value(n, want{typ: formula.Type{Kind: formula.Any}, what: diag.Phrasef("entity")}, env)
}

// before is the environment of formulas that are computed before the first step. Here
// the advice to add a step that reads the entity would be wrong.
func before(env formula.Env, r *engine.Rule) formula.Env {
	later := make(map[string]string, len(env.Later))
	for name, reason := range env.Later {
		later[name] = reason
	}
	for _, t := range r.Triggers {
		if engine.OwnerTypeID(t.Entity) != 0 {
			later[t.Entity] = "is not known before the first step: read it in a step, and write the when in the steps after it"
		}
	}
	env.Later = later
	return env
}
