package diag

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

const (
	tabStop  = 4   // tabs are printed as blanks, so that the caret stands right in any viewer
	maxWidth = 160 // a longer line is cut around the caret
)

// The few terminal colours that WriteText uses.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	green  = "\x1b[1;32m"
	reset  = "\x1b[0m"
)

// WriteText prints the findings in the order of the list, each as
//
//	path:line:column: message [code] (hint)
//
// followed by its source line and a caret under the wrong text. The caret is
// placed by display width, so it is right after tabs, Cyrillic, emoji and wide
// characters. src returns the text of a file; when src is nil or returns nil,
// or the place is not known, the source line is omitted. Control characters
// of the source never reach the terminal.
func WriteText(w io.Writer, l List, src func(file string) []byte, color bool) error {
	out := bufio.NewWriter(w)
	p := printer{out: out, src: src, color: color, files: map[string][]string{}}
	for _, f := range l {
		p.finding(f)
	}
	return out.Flush()
}

type printer struct {
	out   *bufio.Writer
	src   func(string) []byte
	color bool
	files map[string][]string
	last  sourceLine
}

// sourceLine is a line in characters. Findings of one line stand one after
// another, and the line may be long.
type sourceLine struct {
	file  string
	line  int
	runes []rune
}

func (p *printer) paint(color, s string) string {
	if !p.color || s == "" {
		return s
	}
	return color + s + reset
}

func (p *printer) finding(f Finding) {
	if pos := oneLine(f.Pos.String()); pos != "" {
		fmt.Fprint(p.out, p.paint(bold, pos+":"), " ")
	}
	tint := red
	if f.Severity == Warning {
		tint = yellow
	}
	text := f.sentence()
	if f.Code != "" {
		code := "[" + f.Code + "]"
		text = strings.Replace(text, code, p.paint(tint, code), 1)
	}
	fmt.Fprintln(p.out, text)

	lines := p.lines(f.File)
	if f.Line < 1 || f.Line > len(lines) || f.Column < 1 {
		return
	}
	if p.last.runes == nil || p.last.file != f.File || p.last.line != f.Line {
		p.last = sourceLine{f.File, f.Line, []rune(lines[f.Line-1])}
	}
	line := p.last.runes
	from := min(f.Column-1, len(line))
	to := from + 1
	switch {
	case f.EndLine == f.Line && f.EndColumn > f.Column:
		to = min(f.EndColumn-1, len(line))
	case f.EndLine > f.Line:
		to = len(line)
	}
	shown, before, under := window(line, from, max(to, from+1))
	number := fmt.Sprint(f.Line)
	fmt.Fprintf(p.out, "%s | %s\n", number, shown)
	caret := "^" + strings.Repeat("~", max(under-1, 0))
	fmt.Fprintf(p.out, "%*s | %*s%s\n", len(number), "", before, "", p.paint(green, caret))
}

// lines returns the lines of a file as an editor counts them.
func (p *printer) lines(file string) []string {
	if p.src == nil {
		return nil
	}
	lines, ok := p.files[file]
	if !ok {
		if text := p.src(file); text != nil {
			s := strings.TrimPrefix(string(text), "\ufeff")
			s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
			lines = strings.Split(s, "\n")
		}
		p.files[file] = lines
	}
	return lines
}

// window renders a line for the terminal and says how many columns stand
// before the runes from…to and under them. A long line is cut around from.
func window(line []rune, from, to int) (shown string, before, under int) {
	first, last := 0, len(line)
	if last > maxWidth {
		first = max(0, from-maxWidth/2)
		last = min(len(line), first+maxWidth)
	}
	var b strings.Builder
	column := 0
	if first > 0 {
		b.WriteString("…")
		column++
	}
	for i := first; i < last; i++ {
		if i == from {
			before = column
		}
		cell, n := render(line[i], column)
		b.WriteString(cell)
		if column += n; i >= from && i < to {
			under += n
		}
	}
	if from >= last {
		before = column
	}
	if last < len(line) {
		b.WriteString("…")
	}
	return b.String(), before, under
}

// render returns what to print for a rune that starts at the column, and the
// number of columns it takes.
func render(r rune, column int) (string, int) {
	switch {
	case r == '\t':
		n := tabStop - column%tabStop
		return strings.Repeat(" ", n), n
	case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
		return "\ufffd", 1
	}
	return string(r), runeWidth(r)
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0 // combining marks, joiners and variation selectors draw on their neighbour
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// oneLine makes text safe to print on one line of a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return '\ufffd'
		}
		return r
	}, s)
}

type jsonFinding struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"endLine"`
	EndColumn int    `json:"endColumn"`
	Severity  string `json:"severity"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	Hint      string `json:"hint"`
}

// WriteJSON prints the findings as one JSON object with a version, for
// programs. Where the end of a finding is not known it equals its start.
func WriteJSON(w io.Writer, l List) error {
	out := struct {
		Version  int           `json:"version"`
		Findings []jsonFinding `json:"findings"`
	}{Version: 1, Findings: make([]jsonFinding, 0, len(l))}
	for _, f := range l {
		j := jsonFinding{
			File: f.File, Line: f.Line, Column: f.Column, EndLine: f.EndLine, EndColumn: f.EndColumn,
			Severity: f.Severity.String(), Code: f.Code, Message: f.Text(), Hint: f.HintText(),
		}
		if f.EndLine == 0 {
			j.EndLine, j.EndColumn = f.Line, f.Column
		}
		out.Findings = append(out.Findings, j)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
