// Package report prints runs, plans and rules, as text for people and as JSON.
package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// UsesColor reports whether output to w has colours (https://no-color.org).
func UsesColor(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// sheet collects text: with colours and cut to the width of a terminal, or plain for
// other outputs.
type sheet struct {
	strings.Builder
	paint bool
	width int // columns; 0 means no limit
	// now determines how times are printed: in its zone, and without the date for its day.
	now time.Time
}

// newSheet returns a sheet for times of a zone. nil means the zone of this machine.
func newSheet(w io.Writer, zone *time.Location) *sheet {
	s := &sheet{paint: UsesColor(w), now: inZone(time.Now(), zone)}
	if f, ok := w.(*os.File); ok && IsTerminal(w) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			s.width = width
		}
	}
	return s
}

// Colours of a terminal.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// in returns text in a colour.
func (s *sheet) in(colour, text string) string {
	if !s.paint || text == "" || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Fit cuts a text to n columns. It counts each character as one column, which is
// wrong for Chinese and emoji.
func Fit(text string, n int) string {
	if n <= 0 || utf8.RuneCountInString(text) <= n {
		return text
	}
	r := []rune(text)
	return string(r[:max(n-1, 0)]) + "…"
}

// OneLine makes a text safe and short enough for a line.
func OneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x9b {
			return ' '
		}
		return r
	}, text)
}

// room returns how many columns are left after an indent.
func (s *sheet) room(indent int) int {
	if s.width == 0 {
		return 0
	}
	return max(s.width-indent, 20)
}

// wrapped prints a text in lines that fit. It indents all lines but the first, whose
// indent must be printed already.
func (s *sheet) wrapped(indent int, text string) {
	room := s.room(indent)
	column := 0
	for i, word := range strings.Fields(OneLine(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && room > 0 && column+1+n > room:
			s.WriteString("\n" + strings.Repeat(" ", indent))
			column = 0
		case i > 0:
			s.WriteString(" ")
			column++
		}
		s.WriteString(word)
		column += n
	}
	s.WriteString("\n")
}

// dateTime formats a time: without the date for today.
func (s *sheet) dateTime(t time.Time) string { return s.dateTimeIn(t, s.now.Location()) }

func (s *sheet) dateTimeIn(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	t = t.In(zone)
	switch {
	case t.Format(time.DateOnly) == s.now.In(zone).Format(time.DateOnly):
		return t.Format(time.TimeOnly)
	case t.Year() == s.now.Year():
		return t.Format("Jan 02 15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// Span formats a duration with few digits.
func Span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// Plural formats a number with its noun.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
