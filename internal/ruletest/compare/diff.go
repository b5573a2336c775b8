package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/num"
)

// Render writes data as lines similar to YAML. Keys are sorted, and text is quoted if it
// could be read as another type. Equal data gives equal lines.
func Render(v any) []string {
	switch x := v.(type) {
	case map[string]any:
		if len(x) == 0 {
			return []string{"{}"}
		}
		var out []string
		for _, name := range slices.Sorted(maps.Keys(x)) {
			out = append(out, under(name+":", x[name])...)
		}
		return out
	case []any:
		if len(x) == 0 {
			return []string{"[]"}
		}
		var out []string
		for _, e := range x {
			lines := Render(e)
			out = append(out, "- "+lines[0])
			for _, l := range lines[1:] {
				out = append(out, "  "+l)
			}
		}
		return out
	}
	return []string{scalarText(v)}
}

// under writes a key with its value, on the same line or below it.
func under(key string, v any) []string {
	lines := Render(v)
	nested := false
	switch x := v.(type) {
	case map[string]any:
		nested = len(x) > 0
	case []any:
		nested = len(x) > 0
	}
	if !nested {
		return []string{key + " " + lines[0]}
	}
	out := []string{key}
	for _, l := range lines {
		out = append(out, "  "+l)
	}
	return out
}

func scalarText(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case string:
		if IsPlain(x) {
			return x
		}
		quoted, err := json.Marshal(x)
		if err != nil {
			return fmt.Sprintf("%q", x)
		}
		return string(quoted)
	}
	return fmt.Sprint(v)
}

// IsPlain reports whether text needs no quotes in YAML.
func IsPlain(s string) bool {
	switch strings.ToLower(s) {
	case "", "null", "true", "false", "~", "yes", "no", "on", "off":
		return false
	}
	if _, err := num.Parse(s); err == nil || strings.TrimSpace(s) != s {
		return false
	}
	return !strings.ContainsAny(s, "\n\t\"") && !strings.Contains(s, ": ") && !strings.Contains(s, " #") &&
		!strings.HasSuffix(s, ":") && !strings.ContainsAny(s[:1], "-?:,[]{}#&*!|>'%@`=")
}

// around is the number of equal lines that a diff shows around a difference.
const around = 3

// maxCells limits the memory for a diff.
const maxCells = 4_000_000

// Diff returns the differences of two texts, "" if they are equal. Lines of want start
// with -, lines of got with +.
func Diff(want, got []string) string {
	edits := align(want, got)
	keep := make([]bool, len(edits))
	for i, e := range edits {
		if e.sign == ' ' {
			continue
		}
		for j := max(0, i-around); j <= min(len(edits)-1, i+around); j++ {
			keep[j] = true
		}
	}
	var b strings.Builder
	skipped := false
	for i, e := range edits {
		if !keep[i] {
			skipped = true
			continue
		}
		if skipped {
			b.WriteString("  …\n")
			skipped = false
		}
		fmt.Fprintf(&b, "%c %s\n", e.sign, e.line)
	}
	if skipped && b.Len() > 0 {
		b.WriteString("  …\n")
	}
	return b.String()
}

// edit is a line that is equal (' '), only in want ('-') or only in got ('+').
type edit struct {
	sign byte
	line string
}

// align finds the longest common lines.
func align(a, b []string) []edit {
	var out []edit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		out, a, b = append(out, edit{' ', a[0]}), a[1:], b[1:]
	}
	var tail []edit
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail, a, b = append(tail, edit{' ', a[len(a)-1]}), a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	if len(a)*len(b) > maxCells {
		for _, l := range a {
			out = append(out, edit{'-', l})
		}
		for _, l := range b {
			out = append(out, edit{'+', l})
		}
		return append(out, tail...)
	}
	return append(append(out, common(a, b)...), tail...)
}

func common(a, b []string) []edit {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}
