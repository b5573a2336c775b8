package compile

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// otherWords are keys that people bring from other engines, and ours. It is
// never changed.
var otherWords = map[string]string{
	"trigger": "on", "triggers": "on", "event": "on", "when_event": "on", "listen": "on",
	"action": "steps", "actions": "steps", "do": "steps", "then": "steps", "run": "steps", "tasks": "steps",
	"if": "when", "condition": "when", "conditions": "when", "filter": "when",
	"name": "title", "description": "title", "on_delete": "deleted", "on_deleted": "deleted", "delay": "debounce", "throttle": "debounce",
	"loop": "for_each", "each": "for_each", "with_items": "for_each", "repeat": "for_each",
	"catch": "on_error", "rescue": "on_error", "continue_on_error": "on_error", "retries": "retry", "attempts": "retry",
	"variables": "vars", "constants": "vars", "parameters": "inputs", "params": "inputs", "settings": "inputs",
}

// noWords are keys of other engines for which there is none here, with what to
// do instead. It is never changed.
var noWords = map[string]string{
	"else":     "write another step whose when is the opposite",
	"steps":    "a step is one action: give each of these steps the when",
	"parallel": "the steps of a rule run one after another",
	"sleep":    "a run does not wait; debounce says how long an entity must be quiet",
	"delay":    "a run does not wait; debounce says how long an entity must be quiet",
	"wait":     "a run does not wait; debounce says how long an entity must be quiet",
}

// suggest hints at our name for a word of other engines, or at the nearest of the
// names.
func suggest(f *diag.Finding, word string, names []string) {
	if ours := otherWords[strings.ToLower(word)]; contains(names, ours) {
		f.Hintf("did you mean %s?", ours)
		return
	}
	f.Suggest(word, names)
}

// unknownVerb reports a key of a step that is neither an action nor an option.
// verb is an action that stands beside it without arguments: those may be
// indented too little.
func (c *stepCompiler) unknownVerb(e, verb yamlfile.Entry, names []string) {
	f := c.Errorf(e.Key, "unknown-action", "unknown action or option %q", e.Name)
	if f.Hint = noWords[e.Name]; f.Hint == "" {
		c.suggestVerb(f, e.Name, names)
	}
	if verb.Key == nil || !isNull(verb.Value) {
		return
	}
	if args := c.actions[verb.Name].Arguments.Names(); contains(args, e.Name) {
		f.Hint = fmt.Sprintf("%s is an argument of %s: indent it below", e.Name, verb.Name)
	}
}

// suggestVerb hints at the action that other engines call so, or at the nearest of
// the names.
func (c *stepCompiler) suggestVerb(f *diag.Finding, word string, names []string) {
	if ours := c.alsoCalled[strings.ToLower(word)]; ours != "" {
		f.Hintf("did you mean %s?", ours)
		return
	}
	suggest(f, word, names)
}

func isNull(n *yaml.Node) bool {
	n = yamlfile.Resolve(n)
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// wantMapping reports what should have been a mapping, with what would be one.
func (c *reporter) wantMapping(n *yaml.Node, what, hint string) bool {
	if n = yamlfile.Resolve(n); n.Kind == yaml.MappingNode || isNull(n) {
		return true
	}
	is := "a list"
	if n.Kind == yaml.ScalarNode {
		is = fmt.Sprintf("%q", n.Value)
	}
	c.Errorf(n, "wrong-type", "%s, this is %s", what, is).Hint = hint
	return false
}

// hintEvent guesses which event an unknown code means: a code with a typo,
// deal_update, or several codes in one text.
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
		if contains(known, prefix+letters) {
			f.Hintf("did you mean %s?", prefix+letters)
			return
		}
	}
	f.Hint = "codes are written like ONCRMDEALUPDATE"
}

// readEntity compiles the formula that says what an event is about.
func (c *ruleCompiler) readEntity(n *yaml.Node, env formula.Env) *engine.Value {
	n = yamlfile.Resolve(n)
	if n.Kind == yaml.ScalarNode && !isNull(n) && !strings.HasPrefix(n.Value, "=") {
		hint := "=event.data.FIELDS_AFTER.TASK_ID"
		if c.compiles(n.Value, env) {
			hint = "=" + n.Value
		}
		c.Errorf(n, "wrong-type", "entity takes a formula that finds the id in the event, this is the text %q", n.Value).Hint = hint
		return nil
	}
	return c.value(n, want{typ: formula.Type{Kind: formula.Any}, what: "entity"}, env)
}

// before is what formulas see that are computed before the first step: they are
// told apart from those of steps, which can read what there is to read.
func before(env formula.Env, r *engine.Rule) formula.Env {
	later := make(map[string]string, len(env.Later))
	for name, reason := range env.Later {
		later[name] = reason
	}
	for _, t := range r.Triggers {
		if engine.OwnerTypeID(t.Entity) != 0 {
			later[t.Entity] = "is not read here: only event, inputs and vars are there before the first step, so fetch it in a step and give the steps below it the when"
		}
	}
	env.Later = later
	return env
}
