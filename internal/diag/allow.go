package diag

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// allowance is a comment that takes a finding for known and wanted:
//
//	# b24rules: allow CODE reason
//
// It stands at the end of the finding's line, or alone on the line above.
type allowance struct {
	pos    Pos
	end    int // column after the comment
	line   int // the line that it is for
	code   string
	reason string
	used   bool
}

// comment finds the mark of such a comment. The text before the mark is checked
// separately, because a mark inside quotes is text.
var comment = regexp.MustCompile(`(^|[ \t])(#[ \t]*b24rules:[ \t]*(.*))$`)

// Allow removes the warnings that comments in the text of a file allow, and
// reports comments that allow nothing: with an unknown code or without a
// reason, for an error, or where there is no such finding. It looks at the
// findings of that file only.
func Allow(l List, file string, text []byte, known []string) List {
	allowed, out := allowances(file, text, known)
	if len(allowed) == 0 {
		return append(l, out...)
	}
	for _, f := range l {
		a := allowanceFor(allowed, f)
		switch {
		case f.File != file || a == nil:
			out.Add(f)
		case f.Severity == Error:
			out.Add(f)
			if a.used = true; a.code == f.Code {
				bad := out.Errorf(a.pos, "bad-allow", "%s is an error here, and an error cannot be allowed", f.Code)
				bad.EndLine, bad.EndColumn = a.pos.Line, a.end
			}
		default:
			a.used = true
		}
	}
	for _, a := range allowed {
		if !a.used {
			f := out.Warnf(a.pos, "unused-allow", "line %d has no finding %s to allow", a.line, a.code)
			f.Hint, f.EndLine, f.EndColumn = "take the comment out", a.pos.Line, a.end
		}
	}
	out.Sort()
	return out
}

func allowanceFor(list []*allowance, f Finding) *allowance {
	i := slices.IndexFunc(list, func(a *allowance) bool { return a.line == f.Line && a.code == f.Code })
	if i < 0 {
		return nil
	}
	return list[i]
}

// HasAllowances reports whether a text may have comments for Allow.
func HasAllowances(text []byte) bool { return bytes.Contains(text, []byte("b24rules:")) }

// allowances reads the comments of a file; those that are wrong are reported.
func allowances(file string, text []byte, known []string) (list []*allowance, wrong List) {
	if !HasAllowances(text) {
		return nil, nil
	}
	s := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(text), "\ufeff"))
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		m := comment.FindStringSubmatchIndex(line)
		if m == nil || quoted(line[:m[4]]) {
			continue
		}
		a := &allowance{line: i + 1, end: utf8.RuneCountInString(line) + 1}
		a.pos = Pos{File: file, Line: i + 1, Column: utf8.RuneCountInString(line[:m[4]]) + 1}
		if strings.TrimSpace(line[:m[4]]) == "" {
			a.line = nextLine(lines, i) + 1
		}
		if message, hint := a.parse(line[m[6]:m[7]], known); message != "" {
			f := wrong.Errorf(a.pos, "bad-allow", "%s", message)
			f.Hint, f.EndLine, f.EndColumn = hint, a.pos.Line, a.end
			continue
		}
		list = append(list, a)
	}
	return list, wrong
}

// nextLine is the first line after i that is neither empty nor a comment.
func nextLine(lines []string, i int) int {
	for j := i + 1; j < len(lines); j++ {
		if t := strings.TrimSpace(lines[j]); t != "" && !strings.HasPrefix(t, "#") {
			return j
		}
	}
	return i
}

// parse reads "allow CODE reason" and says what is wrong with it.
func (a *allowance) parse(text string, known []string) (message, hint string) {
	const form = "# b24rules: allow CODE reason"
	verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if verb != "allow" {
		return "a comment for b24rules says allow, this one says " + quote(verb), form
	}
	a.code, a.reason, _ = strings.Cut(strings.TrimSpace(rest), " ")
	a.reason = strings.TrimSpace(a.reason)
	switch {
	case a.code == "":
		return "the comment does not say what it allows", form
	case !slices.Contains(known, a.code):
		if near := Closest(a.code, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return "there is no finding with the code " + quote(a.code), hint
	case a.reason == "":
		return "the comment does not say why " + a.code + " is right here", form
	}
	return "", ""
}

func quote(s string) string { return `"` + s + `"` }

// quoted reports whether a line ends inside quotes, as far as one line tells.
func quoted(before string) bool {
	var open rune
	for _, r := range before {
		switch {
		case open == 0 && (r == '"' || r == '\''):
			open = r
		case r == open:
			open = 0
		}
	}
	return open != 0
}
