package yamlfile

import (
	"strings"

	"gopkg.in/yaml.v3"

	"b24rules/diag"
)

type trap struct{ message, hint string }

// FormulaTrap says why YAML ended the formula of a scalar early and how to write
// it, or returns "" if nothing of the kind is known.
func FormulaTrap(f *File, n *yaml.Node) (message, hint string) { return "", "" }

func (f *File) repair(list *diag.List) {}

func quoteFormula(s string) string {
	if strings.Contains(s, "'") && !strings.ContainsAny(s, `"\`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
