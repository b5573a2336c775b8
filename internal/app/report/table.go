package report

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// table is a list for people. Its last column says what happened.
type table struct {
	rows [][]string // the first is the head
	same int        // a column that a narrow terminal omits if all rows have the same value
	cut  []int      // columns that a narrow terminal cuts, in this order
	// whole reports whether the last column of a row is printed on lines below if it does
	// not fit. Other rows are cut.
	whole func(row int) bool
	// paint colours the lines of rows below the head; nil leaves them unchanged.
	paint func(row int, line string) string
}

const (
	leastWhat = 24 // columns of the last column
	leastCut  = 8  // columns of a cut column
	mostLines = 4  // of the last column below its row
)

// table prints a table.
func (s *sheet) table(t table) {
	widths, used := t.widths(s.width)
	paint := func(row int, line string) string {
		switch {
		case row == 0:
			return s.in(bold, line)
		case t.paint == nil:
			return line
		}
		return t.paint(row, line)
	}
	for i, row := range t.rows {
		line := ""
		for c, cell := range row[:len(row)-1] {
			if widths[c] > 0 {
				cell = Fit(cell, widths[c])
				line += cell + spaces(widths[c]+2-utf8.RuneCountInString(cell))
			}
		}
		what := row[len(row)-1]
		room := s.width - used
		switch {
		case s.width == 0 || utf8.RuneCountInString(what) <= room:
			s.WriteString(paint(i, line+what) + "\n")
		case !t.whole(i):
			s.WriteString(paint(i, Fit(line+what, s.width)) + "\n")
		default:
			s.WriteString(paint(i, Fit(line, s.width)) + "\n    ")
			s.wrapped(4, Fit(what, mostLines*s.room(4)))
		}
	}
}

// widths makes the columns as wide as their content. On a narrow terminal it cuts some,
// so that there is room for the last one. used is the width of all others.
func (t *table) widths(width int) (widths []int, used int) {
	last := len(t.rows[0]) - 1
	widths = make([]int, last)
	for _, row := range t.rows {
		for c, cell := range row[:last] {
			widths[c] = max(widths[c], utf8.RuneCountInString(cell))
		}
	}
	for _, n := range widths {
		used += n + 2
	}
	if width == 0 {
		return widths, used
	}
	same := true
	for _, row := range t.rows[1:] {
		same = same && row[t.same] == t.rows[1][t.same]
	}
	if same && used+leastWhat > width {
		used -= widths[t.same] + 2
		widths[t.same] = 0
	}
	for _, c := range t.cut {
		if over := used + leastWhat - width; over > 0 && widths[c] > leastCut {
			n := max(leastCut, widths[c]-over)
			used -= widths[c] - n
			widths[c] = n
		}
	}
	return widths, used
}

func spaces(n int) string { return fmt.Sprintf("%*s", max(n, 0), "") }

// timesOf prints the zone of the times of portals, and returns how they are formatted: if
// the zones differ, each time has its own.
func (s *sheet) timesOf(known Known, portals []string) func(portal string, at time.Time) string {
	zone, same := known.Zone(portals...)
	s.now = s.now.In(zone)
	if same {
		s.WriteString(s.in(dim, "times: "+ZoneName(s.now)) + "\n")
		return func(_ string, at time.Time) string { return s.dateTime(at) }
	}
	s.WriteString(s.in(dim, "times: of each portal") + "\n")
	return func(portal string, at time.Time) string {
		if at.IsZero() {
			return s.dateTime(at)
		}
		zone := known.zone(portal)
		return s.dateTimeIn(at, zone) + at.In(zone).Format("-07:00")
	}
}
