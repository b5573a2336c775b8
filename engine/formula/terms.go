package formula

import "regexp"

// Terms returns the parts that a top-level && joins, each as its own formula, to explain why
// the whole is false. A part that cannot be compiled alone is missing. They read the same names.
func (f *Formula) Terms() []*Formula {
	f.termsOnce.Do(func() { f.terms = compileTerms(f.conjuncts, f.vars) })
	return f.terms
}

// compileTerms compiles the parts of a condition. Names have any type, because a part may rely
// on what the parts before it have excluded.
func compileTerms(texts, names []string) []*Formula {
	env := Env{Vars: make(map[string]Type, len(names))}
	for _, name := range names {
		env.Vars[name] = Type{Kind: Any}
	}
	var out []*Formula
	for _, text := range texts {
		if one, problems := Compile(text, env); len(problems) == 0 {
			out = append(out, one)
		}
	}
	return out
}

// fieldIndex matches a field in the canonical text of a formula: deal["stageId"].
var fieldIndex = regexp.MustCompile(`\["([A-Za-z_][A-Za-z0-9_]*)"\]`)

// Dotted writes the fields in a canonical text as rule files do: deal.stageId.
func Dotted(text string) string { return fieldIndex.ReplaceAllString(text, ".$1") }
