package describe

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/compile"
	"github.com/b24rules/b24rules/engine/formula"
)

// Manual returns the reference of actions in Markdown. It uses the same descriptions
// as the compiler.
func Manual(actions []*engine.Action) []byte {
	var b bytes.Buffer
	b.WriteString("# Actions\n\nGenerated from the actions' own descriptions: do not edit, run `make gen`.\n\n")
	for _, a := range actions {
		title, _, _ := strings.Cut(a.Doc, "\n")
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", a.Name, a.Name, title)
	}
	for _, a := range actions {
		fmt.Fprintf(&b, "\n## %s\n\n", a.Name)
		writeManual(a, &b)
	}
	return b.Bytes()
}

// Action returns the reference of one action in Markdown, without a heading.
func Action(a *engine.Action) string {
	var b bytes.Buffer
	writeManual(a, &b)
	return b.String()
}

func writeManual(a *engine.Action, b *bytes.Buffer) {
	title, rest, _ := strings.Cut(a.Doc, "\n")
	b.WriteString(sentence(title) + "\n")
	if rest = strings.TrimSpace(rest); rest != "" {
		b.WriteString("\n" + rest + "\n")
	}
	if a.Arguments.IsNames() {
		b.WriteString("\nIts value is a mapping of names to formulas; each sees those before it.\n")
		return
	}
	if len(a.Arguments.Fields) == 0 {
		return
	}
	b.WriteString("\n| argument | takes | |\n| --- | --- | --- |\n")
	for _, f := range a.Arguments.Fields {
		fmt.Fprintf(b, "| `%s`%s | %s | %s |\n", f.Name, mark(f.Required), cell(argTakes(f)), cell(argDoc(f)))
	}
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func mark(required bool) string {
	if required {
		return " (required)"
	}
	return ""
}

func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", `\|`)
}

func argDoc(f *engine.ArgField) string {
	text := f.Doc
	if f.Default != "" {
		text += "; `" + f.Default + "` when it is not given"
	}
	if f.Example != "" {
		text += ", such as `" + f.Example + "`"
	}
	return text
}

// argTakes says which values an argument takes.
func argTakes(f *engine.ArgField) string {
	switch f.Kind {
	case engine.ArgDuration:
		return "a duration"
	case engine.ArgFields:
		return "names and values"
	case engine.ArgNames:
		return "names and formulas, for each group as `group`"
	case engine.ArgRowValue:
		return "a value for each row of `" + f.PerRow + "`"
	case engine.ArgSecrets:
		return "names and texts, which may hold secrets"
	case engine.ArgSecretURL:
		return "a URL, which may hold secrets"
	case engine.ArgSecretValue:
		if f.Takes.Kind == formula.Record {
			return "names and values, which may hold secrets"
		}
		return "a value, which may hold secrets"
	case engine.ArgRowFields:
		return "names and values for each row of `" + f.PerRow + "`"
	}
	if words := f.OneOf(); len(words) > 0 {
		return "`" + strings.Join(words, "`, `") + "`"
	}
	if f.Type.Kind() == reflect.Interface {
		return "a value"
	}
	return compile.TypeName(f.Takes).String()
}
