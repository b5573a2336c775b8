package rulefmt

import (
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// isFormula reports whether a scalar is a formula: fmt decides about its quotes,
// and about no others.
func isFormula(n *yaml.Node) bool {
	return strings.HasPrefix(n.Value, "=") && len(n.Value) > 1 && n.Value[1] != '=' && n.ShortTag() == "!!str"
}

// line is a scalar on one line; flow says that it is in {} or [].
func (d *document) line(n *yaml.Node, flow bool) (string, bool) {
	sp, ok := d.src.spans[n]
	if !ok {
		return "", true
	}
	raw := d.src.slice(sp.from.line, sp.from.col, sp.to.col)
	oneLine := sp.from.line == sp.to.line && n.Style&blocks == 0
	switch {
	case isFormula(n) && plainSafe(n.Value, flow):
		return n.Value, true
	case isFormula(n) && printable(n.Value):
		return quote(n.Value), true
	case oneLine:
		return raw, true
	case n.Style&quotes == 0 && printable(n.Value):
		return n.Value, true
	case printable(n.Value):
		return quote(n.Value), true
	}
	return "", false
}

// scalar is the value of an entry: the text behind the key, and the lines that
// follow, without their indentation.
func (d *document) scalar(n *yaml.Node) []string {
	sp, ok := d.src.spans[n]
	if n.Style&blocks != 0 {
		return d.blockScalar(n, sp, ok)
	}
	if !ok || sp.from.line == sp.to.line {
		text, _ := d.line(n, false)
		return []string{text}
	}
	// The line breaks of a long formula are intended.
	var out []string
	for l := sp.from.line; l <= sp.to.line; l++ {
		from, to := 1, len(d.src.lines[l-1])+1
		if l == sp.from.line {
			from = sp.from.col
		}
		if l == sp.to.line {
			to = sp.to.col
		}
		out = append(out, strings.Trim(d.src.slice(l, from, to), " \t"))
	}
	return out
}

// blockScalar is a text behind | or >.
func (d *document) blockScalar(n *yaml.Node, sp span, ok bool) []string {
	header := "|"
	if n.Style&yaml.FoldedStyle != 0 {
		header = ">"
	}
	var lines []string
	if ok {
		content := strings.IndexFunc(n.Value, func(r rune) bool { return r != '\n' })
		col := len(d.src.lines[sp.from.line-1]) + 1
		if content >= 0 {
			col = d.src.file.At(n, content).Column // newlines are one byte and one rune
		}
		for l := sp.from.line; l <= sp.to.line; l++ {
			lines = append(lines, d.src.slice(l, col, len(d.src.lines[l-1])+1))
		}
	}
	for _, l := range lines {
		if l != "" {
			if l[0] == ' ' {
				header += "2"
			}
			break
		}
	}
	switch body := strings.TrimRight(n.Value, "\n"); {
	case body == n.Value:
		header += "-"
	case body+"\n" != n.Value || body == "":
		header += "+"
	}
	return append([]string{header}, lines...)
}

// plainSafe reports whether text that starts with = needs no quotes.
func plainSafe(s string, flow bool) bool {
	return printable(s) && !strings.Contains(s, ": ") && !strings.HasSuffix(s, ":") &&
		!strings.Contains(s, " #") && !strings.HasSuffix(s, " ") &&
		!(flow && strings.ContainsAny(s, ",[]{}?#"))
}

func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// quote writes printable text with the quotes that need the fewest escapes.
func quote(s string) string {
	if strings.Contains(s, "'") && !strings.ContainsAny(s, `"\`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
