// Package wanttest compares findings with comments in the files under test:
//
//	steps:
//	  - lgo: {message: hello} # want unknown-action:5 `unknown action "lgo".*did you mean log\?`
//
// A want is a code, optionally with the column of the finding, and a regular
// expression in quotes or backquotes. The expression must match the start of
// the finding's text, which is "message (hint)" for an error and
// "warning: message (hint)" for a warning. A comment may hold several.
//
// "# want+2" is about the second line below, "# want-1" about the line above.
// They are for lines whose end cannot hold a comment, such as those of a block
// of text, and for lines where a comment changes what is tested.
package wanttest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/internal/diag"
)

// Want is one expected finding.
type Want struct {
	File   string
	Line   int
	Column int // 0 when any column will do
	Code   string
	Text   *regexp.Regexp
	source string // the expression as it is written
}

func (w Want) String() string {
	place := fmt.Sprintf("%s:%d", w.File, w.Line)
	if w.Column > 0 {
		place += fmt.Sprintf(":%d", w.Column)
	}
	return fmt.Sprintf("%s: %s `%s`", place, w.Code, w.source)
}

func (w Want) matches(f diag.Finding) bool {
	return f.File == w.File && f.Line == w.Line && f.Code == w.Code && (w.Column == 0 || f.Column == w.Column) && w.Text.MatchString(text(f))
}

// text is what the expression of a want matches.
func text(f diag.Finding) string {
	s := f.Text()
	if f.Severity == diag.Warning {
		s = "warning: " + s
	}
	if hint := f.HintText(); hint != "" {
		s += " (" + hint + ")"
	}
	return s
}

var (
	comment = regexp.MustCompile(`(?:^|[ \t])# want([+-][0-9]+)? (.*)$`)
	head    = regexp.MustCompile(`^([a-z]+(?:-[a-z]+)*)(?::([0-9]+))? +`)
)

// Comments reads the want comments of a file.
func Comments(name string, data []byte) ([]Want, error) {
	var expected []Want
	line := 0
	for s := range strings.Lines(string(data)) {
		line++
		m := comment.FindStringSubmatch(strings.TrimRight(s, "\r\n"))
		if m == nil {
			continue
		}
		at := line
		if m[1] != "" {
			offset, err := strconv.Atoi(m[1])
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, line, err)
			}
			at += offset
		}
		for rest := strings.TrimSpace(m[2]); rest != ""; rest = strings.TrimSpace(rest) {
			w := Want{File: name, Line: at}
			var err error
			if rest, err = w.parse(rest); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, line, err)
			}
			expected = append(expected, w)
		}
	}
	return expected, nil
}

// parse reads one want and returns the text after it.
func (w *Want) parse(s string) (rest string, err error) {
	m := head.FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("need a code and an expression, got %q", s)
	}
	w.Code = m[1]
	if m[2] != "" {
		if w.Column, err = strconv.Atoi(m[2]); err != nil {
			return "", err
		}
	}
	s = s[len(m[0]):]
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", fmt.Errorf("the expression of %s is not quoted: %s", w.Code, s)
	}
	pattern, err := strconv.Unquote(quoted)
	if err != nil {
		return "", fmt.Errorf("the expression of %s: %w", w.Code, err)
	}
	w.source = pattern
	if w.Text, err = regexp.Compile("^(?:" + pattern + ")"); err != nil {
		return "", fmt.Errorf("the expression of %s: %w", w.Code, err)
	}
	return s[len(quoted):], nil
}

// Read returns the files of a test: those of an archive if path ends in .txtar,
// otherwise the file itself under its base name.
func Read(path string) ([]txtar.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) == ".txtar" {
		return txtar.Parse(data).Files, nil
	}
	return []txtar.File{{Name: filepath.Base(path), Data: data}}, nil
}

// Problems compares the findings of files with the want comments in them. It
// returns a line for each finding without a want and for each want without a finding.
func Problems(files []txtar.File, list diag.List) []string {
	var expected []Want
	for _, f := range files {
		w, err := Comments(f.Name, f.Data)
		if err != nil {
			return []string{err.Error()}
		}
		expected = append(expected, w...)
	}
	var out []string
	for _, f := range list {
		i := slices.IndexFunc(expected, func(w Want) bool { return w.matches(f) })
		if i < 0 {
			out = append(out, "no want for the finding "+f.Error())
			continue
		}
		expected = slices.Delete(expected, i, i+1)
	}
	for _, w := range expected {
		out = append(out, "no finding for the want "+w.String())
	}
	return out
}
