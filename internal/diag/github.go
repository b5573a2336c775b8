package diag

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// WriteGitHub prints the findings as workflow commands, which GitHub shows as
// annotations next to the lines of a pull request.
//
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
func WriteGitHub(w io.Writer, l List) error {
	out := bufio.NewWriter(w)
	for _, f := range l {
		fmt.Fprintf(out, "::%s %s::%s\n", f.Severity, githubPlace(f), githubText.Replace(annotation(f)))
	}
	return out.Flush()
}

// annotation is the text of a finding without its place and code.
func annotation(f Finding) string {
	if f.Hint == "" {
		return f.Text()
	}
	return f.Text() + " (" + f.HintText() + ")"
}

func githubPlace(f Finding) string {
	var parts []string
	add := func(name, value string) { parts = append(parts, name+"="+githubProperty.Replace(value)) }
	if f.File != "" {
		add("file", filepath.ToSlash(f.File))
	}
	if f.Line > 0 {
		add("line", fmt.Sprint(f.Line))
	}
	if f.Line > 0 && f.Column > 0 {
		add("col", fmt.Sprint(f.Column))
		switch {
		case f.EndLine > f.Line:
			// Columns of two lines are ignored, so only the lines are printed.
			add("endLine", fmt.Sprint(f.EndLine))
		case f.EndLine == f.Line && f.EndColumn > f.Column:
			// The last column is counted in.
			add("endColumn", fmt.Sprint(f.EndColumn-1))
		}
	}
	add("title", f.Code)
	return strings.Join(parts, ",")
}

// The runner takes these apart again (actions/toolkit, command.ts).
var (
	githubText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
