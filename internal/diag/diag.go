// Package diag has findings: mistakes at places in files, and the formats in which
// they are printed.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pos is a place in a file. Line and Column count from 1, and Column counts
// characters, not bytes: Cyrillic is the normal case here. The zero Line means
// that the place inside the file is not known.
type Pos struct {
	File   string
	Line   int
	Column int
}

// String returns "file:line:column", without the parts that are not known.
func (p Pos) String() string {
	s := p.File
	if p.Line <= 0 {
		return s
	}
	if s != "" {
		s += ":"
	}
	s += strconv.Itoa(p.Line)
	if p.Column > 0 {
		s += ":" + strconv.Itoa(p.Column)
	}
	return s
}

// Before reports whether p stands before q: by file, then line, then column.
func (p Pos) Before(q Pos) bool { return comparePos(p, q) < 0 }

func comparePos(p, q Pos) int {
	return cmp.Or(
		strings.Compare(p.File, q.File),
		cmp.Compare(p.Line, q.Line),
		cmp.Compare(p.Column, q.Column),
	)
}

// Severity says what a finding means for the file it was found in.
type Severity uint8

const (
	// Error refuses the file. It is the zero value, so that a finding whose
	// severity was forgotten is not lost.
	Error Severity = iota
	// Warning lets the file run.
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Finding is one thing that is wrong at one place. It implements error.
//
// Code is a stable kebab-case word. Message is one lowercase sentence without a
// full stop that says what is wrong; Hint, if any, says what to write and is
// printed in parentheses. EndLine and EndColumn name the character after the last
// one of the wrong text; zero means that only its start is known.
//
// Message and Hint are formats of package fmt, and Args and HintArgs their values,
// so that a message in another language can be found by its format. Without values
// a format is the text itself. Text and HintText return the English sentences.
type Finding struct {
	Pos
	EndLine   int
	EndColumn int
	Severity  Severity
	Code      string
	Message   string
	Args      []any
	Hint      string
	HintArgs  []any
}

// Phrase is a value of a message in our own words, such as "a whole number". It
// is translated with the message; other values are the user's. The zero Phrase
// has no words.
type Phrase struct {
	Format string
	Args   []any
}

// Phrasef returns a phrase of a format and its values.
func Phrasef(format string, args ...any) Phrase {
	return Phrase{unvalued(format, args...), plain(args)}
}

// String returns the phrase with its values.
func (p Phrase) String() string { return Format(p.Format, p.Args) }

// Empty reports whether the phrase has no words.
func (p Phrase) Empty() bool { return p.Format == "" }

// Text returns the message with its values.
func (f Finding) Text() string { return Format(f.Message, f.Args) }

// HintText returns the hint with its values, "" without a hint.
func (f Finding) HintText() string { return Format(f.Hint, f.HintArgs) }

// SetHint sets the hint to a phrase. It returns f.
func (f *Finding) SetHint(p Phrase) *Finding {
	f.Hint, f.HintArgs = p.Format, p.Args
	return f
}

// Hintf sets the hint and its values. It returns f.
func (f *Finding) Hintf(format string, args ...any) *Finding {
	f.Hint, f.HintArgs = unvalued(format, args...), plain(args)
	return f
}

// unvalued is what a finding keeps of a format: the format itself or, without
// values, the text.
func unvalued(format string, args ...any) string {
	if len(args) == 0 && strings.Contains(format, "%") {
		return fmt.Sprintf(format, args...) // for %%
	}
	return format
}

// plain replaces errors among values by their texts, so that findings compare.
func plain(args []any) []any {
	for i, a := range args {
		if err, ok := a.(error); ok {
			args[i] = err.Error()
		}
	}
	return args
}

// Format returns a text with its values. Without values the format is the text.
func Format(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// Error returns the finding on one line: place, message, code and hint.
func (f Finding) Error() string { return f.String() }

// String returns the same line as Error.
func (f Finding) String() string {
	if p := f.Pos.String(); p != "" {
		return oneLine(p) + ": " + f.sentence()
	}
	return f.sentence()
}

// sentence is the finding on one line without its place.
func (f Finding) sentence() string {
	var b strings.Builder
	if f.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(oneLine(f.Text()))
	if f.Code != "" {
		b.WriteString(" [" + f.Code + "]")
	}
	if f.Hint != "" {
		b.WriteString(" (" + oneLine(f.HintText()) + ")")
	}
	return b.String()
}

// List collects findings. Its zero value is an empty list. A List is not an
// error: an empty list in an error variable would not be nil. Use Err.
type List []Finding

// Add appends findings.
func (l *List) Add(findings ...Finding) { *l = append(*l, findings...) }

// Errorf appends an error. The result is for setting Hint or the end at once:
// it points into the list and must not be kept over the next addition.
func (l *List) Errorf(pos Pos, code, format string, args ...any) *Finding {
	return l.addf(Error, pos, code, format, args...)
}

// Warnf appends a warning; see Errorf for the result.
func (l *List) Warnf(pos Pos, code, format string, args ...any) *Finding {
	return l.addf(Warning, pos, code, format, args...)
}

func (l *List) addf(s Severity, pos Pos, code, format string, args ...any) *Finding {
	*l = append(*l, Finding{Pos: pos, Severity: s, Code: code, Message: unvalued(format, args...), Args: plain(args)})
	return &(*l)[len(*l)-1]
}

// Sort orders the findings by file, line and column, keeps the order of those
// at one place, and removes exact duplicates.
func (l *List) Sort() {
	slices.SortStableFunc(*l, func(a, b Finding) int { return comparePos(a.Pos, b.Pos) })
	seen := make(map[printed]bool, len(*l))
	*l = slices.DeleteFunc(*l, func(f Finding) bool {
		p := printed{f.Pos, f.EndLine, f.EndColumn, f.Severity, f.Code, f.Text(), f.HintText()}
		if seen[p] {
			return true
		}
		seen[p] = true
		return false
	})
}

// printed is what a reader sees of a finding.
type printed struct {
	pos                Pos
	endLine, endColumn int
	severity           Severity
	code, text, hint   string
}

// HasErrors reports whether a finding of the list is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(f Finding) bool { return f.Severity == Error })
}

// Err returns the list as one error, or nil if it holds no errors. Each finding
// of the list can be had from it with errors.As.
func (l List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	return listError(slices.Clone(l))
}

type listError List

func (l listError) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

func (l listError) Unwrap() []error {
	errs := make([]error, len(l))
	for i, f := range l {
		errs[i] = f
	}
	return errs
}
