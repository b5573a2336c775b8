package yamlfile

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// trap is a piece of YAML that does not mean what its author intended.
type trap struct {
	at            int // where the meaning of YAML differs
	code          string
	message, hint string
}

func (f *File) report(list *diag.List, t trap) {
	list.Errorf(f.pos(t.at), t.code, "%s", t.message).Hint = t.hint
}

func isFormula(s string) bool {
	return strings.HasPrefix(s, "=") && !strings.HasPrefix(s, "==")
}

// commentTrap, flowTrap and the others word one trap each. whole is the text that the
// author meant.
func commentTrap(at int, whole string) trap {
	return trap{
		at: at, code: "yaml-comment",
		message: `YAML takes " #" as the start of a comment, and the formula ends before it`,
		hint:    "write .field instead of #.field, or " + quoted("quote it", quoteFormula(whole)),
	}
}

func flowTrap(at int, r rune, whole string) trap {
	what := string(r)
	message := "inside {} and [] YAML takes " + what + " as its own syntax, and the formula ends before it"
	if r == ',' {
		message = "inside {} and [] a comma ends the value, and the formula is cut in two"
	}
	return trap{
		at: at, code: "yaml-flow", message: message,
		hint: quoted("quote it", quoteFormula(whole)) + ", or write each entry on its own line",
	}
}

func colonTrap(at int, whole string) trap {
	return trap{
		at: at, code: "yaml-colon",
		message: `YAML takes ": " as the end of a key, so this value cannot contain it`,
		hint:    quoted("quote it", quoteFormula(whole)) + ", or put it below as a block with |-",
	}
}

func bracesTrap(at int, whole string) trap {
	return trap{
		at: at, code: "yaml-braces",
		message: "YAML takes {{ as the start of a mapping",
		hint:    quoted("quote the whole text", quoteText(whole)),
	}
}

func tagTrap(at int, whole string) trap {
	return trap{
		at: at, code: "yaml-tag",
		message: "YAML takes text that starts with ! as a tag",
		hint:    quoted("start the formula with an equals sign", quoteIfNeeded("="+whole)),
	}
}

// quoted adds the result to an advice, unless the result is long.
func quoted(advice, result string) string {
	if len([]rune(result)) > 120 {
		return advice
	}
	return advice + ": " + result
}

// quoteFormula writes a formula as a quoted scalar.
func quoteFormula(s string) string {
	if strings.Contains(s, "'") && !strings.ContainsAny(s, `"\`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// quoteText prefers double quotes.
func quoteText(s string) string {
	if strings.ContainsAny(s, `"\`) {
		return quoteFormula(s)
	}
	return `"` + s + `"`
}

func quoteIfNeeded(s string) string {
	if strings.Contains(s, ": ") || strings.Contains(s, " #") {
		return quoteFormula(s)
	}
	return s
}

// FormulaTrap explains why YAML ended the formula of a scalar early and how to write the
// formula. It returns "" if it knows no reason. It is for formulas that do not compile:
// traps that the YAML alone shows, Parse has reported and repaired.
func FormulaTrap(f *File, n *yaml.Node) (message, hint string) {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.ScalarNode || !isPlain(n) {
		return "", ""
	}
	if strings.Contains(n.Value, "''") {
		return "a doubled quote means one quote only inside '…'", "write one quote, or " + quoted("quote the whole", quoteFormula(strings.ReplaceAll(n.Value, "''", "'")))
	}
	cells := f.cells(n)
	if len(cells) == 0 {
		return "", ""
	}
	from, end := cells[0].from, cells[len(cells)-1].to
	_, eol := f.text.line(end)
	next := end
	for isBlank(f.text.at(next)) {
		next++
	}
	switch {
	case next > end && f.text.at(next) == '#':
		t := commentTrap(next, f.text.trimmed(from, eol))
		return t.message, t.hint
	case f.text.at(next) == ',' && unbalanced(n.Value):
		// The end of the formula is unknown, otherwise Parse would have repaired it.
		return flowTrap(next, ',', "").message, "quote the whole formula"
	}
	return "", ""
}

func isPlain(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

func (t text) trimmed(from, to int) string { return strings.TrimSpace(t.slice(from, to)) }

// repair reports the traps for which yaml.v3 has no error. It puts the text that the author
// meant into the tree, so that one mistake gives one finding.
func (f *File) repair(list *diag.List) {
	r := repairer{f: f, list: list, left: maxSame}
	r.node(f.Root, false)
}

type repairer struct {
	f    *File
	list *diag.List
	left int
}

func (r *repairer) report(t trap) {
	if r.left--; r.left >= 0 {
		r.f.report(r.list, t)
	}
}

func (r *repairer) node(n *yaml.Node, flow bool) {
	if n == nil {
		return
	}
	inside := flow
	flow = flow || n.Style&yaml.FlowStyle != 0
	switch n.Kind {
	case yaml.ScalarNode:
		r.tag(n)
		r.comment(n)
	case yaml.MappingNode:
		if r.braces(n, inside) {
			return
		}
		for i := 1; i < len(n.Content); i += 2 {
			if end := r.comma(n.Content[i], flow); end > 0 {
				n.Content = r.drop(n.Content, i+1, 2, end)
			}
		}
	case yaml.SequenceNode:
		for i := 0; i < len(n.Content); i++ {
			if end := r.comma(n.Content[i], flow); end > 0 {
				n.Content = r.drop(n.Content, i+1, 1, end)
			}
		}
	}
	for _, child := range n.Content {
		r.node(child, flow)
	}
}

// drop removes the entries from i on that start before the offset: they are the rest of a
// formula that a comma has cut.
func (r *repairer) drop(content []*yaml.Node, i, size, end int) []*yaml.Node {
	j := i
	for j < len(content) && r.f.text.offset(content[j].Line, content[j].Column) < end {
		j += size
	}
	return slices.Delete(content, i, min(j, len(content)))
}

// comma repairs a formula of flow style that ends at a comma inside its own brackets. It
// returns the offset after the whole formula, or 0 if the formula is not cut.
func (r *repairer) comma(n *yaml.Node, flow bool) int {
	t := r.f.text
	if !flow || n.Kind != yaml.ScalarNode || !isPlain(n) || !isFormula(n.Value) || !unbalanced(n.Value) {
		return 0
	}
	cells := r.f.cells(n)
	if cells == nil {
		return 0
	}
	from, at := cells[0].from, cells[len(cells)-1].to
	for isBlank(t.at(at)) {
		at++
	}
	if t.at(at) != ',' {
		return 0
	}
	end := t.formulaEnd(from, true)
	whole := t.trimmed(from, end)
	if end <= at || unbalanced(whole) {
		return 0
	}
	n.Value = whole
	r.report(flowTrap(at, ',', whole))
	return end
}

// comment repairs a formula whose rest YAML took as a comment. It is certain of that only
// when a bracket or quote of the formula is open.
func (r *repairer) comment(n *yaml.Node) {
	t := r.f.text
	if !isPlain(n) || !isFormula(n.Value) || !unbalanced(n.Value) {
		return
	}
	cells := r.f.cells(n)
	if cells == nil {
		return
	}
	from, at := cells[0].from, cells[len(cells)-1].to
	end := at
	for isBlank(t.at(at)) {
		at++
	}
	if at == end || t.at(at) != '#' {
		return
	}
	_, eol := t.line(at)
	whole := t.trimmed(from, eol)
	r.report(commentTrap(at, whole))
	if strings.HasPrefix(whole, n.Value) && !unbalanced(whole) {
		n.Value = whole
	}
}

// braces turns {{ x }}, which YAML reads as a mapping in a mapping, into text.
func (r *repairer) braces(n *yaml.Node, flow bool) bool {
	t := r.f.text
	at := t.content(t.offset(n.Line, n.Column))
	if n.Style&yaml.FlowStyle == 0 || t.at(at) != '{' || t.at(at+1) != '{' {
		return false
	}
	whole := t.trimmed(at, t.holeEnd(at, flow))
	r.report(bracesTrap(at, whole))
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: whole, Anchor: n.Anchor, Line: n.Line, Column: n.Column}
	return true
}

// tag turns `when: !event.deleted` into the formula that the author meant.
func (r *repairer) tag(n *yaml.Node) {
	if n.Style&yaml.TaggedStyle == 0 || !isPlain(n) || strings.HasPrefix(n.Tag, "!!") || !strings.HasPrefix(n.Tag, "!") {
		return
	}
	t := r.f.text
	at := t.offset(n.Line, n.Column)
	if t.at(at) == '&' { // the anchor comes first
		at = t.skipAnchor(at)
	}
	whole := strings.TrimSpace(n.Tag + " " + n.Value)
	r.report(tagTrap(at, whole))
	n.Style &^= yaml.TaggedStyle
	n.Tag, n.Value = "!!str", "="+whole
}
