package run

import (
	"encoding/json"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
)

const (
	// maxTerms bounds the parts of a condition in a record, maxTerm each text of them in bytes.
	maxTerms = 8
	maxTerm  = 200
)

// explain says which parts of a condition are false, with the values that they read. Formulas
// have no effects, so the parts can be computed once more.
func explain(when *engine.Value, sc engine.Scope, secret map[string]bool) []history.Term {
	if when == nil || when.Formula == nil {
		return nil
	}
	var out []history.Term
	decided := false
	for _, part := range when.Formula.Terms() {
		if len(out) == maxTerms {
			break
		}
		v, err := part.Eval(sc.Machine, sc.Vars)
		if err != nil {
			continue // such as a field of nothing, which the parts before it exclude
		}
		holds, _ := v.(bool)
		t := history.Term{Text: shortTerm(readable(part.Source())), True: holds, Unread: decided}
		decided = decided || !holds
		for _, path := range part.Paths() {
			if name, ok := strings.CutPrefix(path, engine.NameInputs+"."); ok && secret[name] {
				continue
			}
			if value, ok := lookUp(path, sc.Vars); ok {
				t.Values = append(t.Values, shortTerm(path+" is "+value))
			}
		}
		out = append(out, t)
	}
	return out
}

// lookUp returns the value of a path such as deal.stageId, written as in a rule file.
func lookUp(path string, vars map[string]any) (string, bool) {
	var v any = vars
	for name := range strings.SplitSeq(path, ".") {
		fields, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		if v, ok = fields[name]; !ok {
			return "", false
		}
	}
	switch x := v.(type) {
	case map[string]any, []any:
		return "", false // the part reads something in it
	case nil:
		return "nil", true
	case string:
		text, err := json.Marshal(x)
		return string(text), err == nil
	default:
		text, err := formula.ToText(x)
		return text, err == nil
	}
}

func readable(text string) string {
	text = formula.Dotted(text)
	if inner, ok := strings.CutPrefix(text, "("); ok && strings.HasSuffix(inner, ")") && !strings.ContainsAny(inner[:len(inner)-1], "()") {
		return inner[:len(inner)-1]
	}
	return text
}

func shortTerm(text string) string {
	if len(text) <= maxTerm {
		return text
	}
	return strings.ToValidUTF8(text[:maxTerm], "") + "…"
}
