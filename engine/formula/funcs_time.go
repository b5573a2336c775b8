package formula

import (
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/num"
)

// dateLayouts are the forms in which portals send and people write a date.
var dateLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	time.DateOnly,
	"02.01.2006 15:04:05",
	"02.01.2006 15:04",
	"02.01.2006",
}

const longestDate = 40

// date reads a time from a text. A text that names no zone is in the zone of the
// second argument, or in UTC.
func date(_ *Machine, args []any) (any, error) {
	s, err := text(args[0])
	if err != nil {
		return nil, err
	}
	zone := time.UTC
	if len(args) > 1 {
		name, err := text(args[1])
		if err != nil {
			return nil, err
		}
		if zone, err = time.LoadLocation(name); err != nil || name == "Local" {
			return nil, fmt.Errorf("unknown time zone %.40q: write one like \"Europe/Riga\"", name)
		}
	}
	if len(s) <= longestDate {
		for _, layout := range dateLayouts {
			if t, err := time.ParseInLocation(layout, s, zone); err == nil {
				return t, nil
			}
		}
	}
	return nil, fmt.Errorf("%.40q is not a date: write it like 2026-01-31 or 31.01.2026 15:04", s)
}

func when(v any) (time.Time, error) {
	t, ok := v.(time.Time)
	if !ok {
		return t, errWant("a time", v)
	}
	return t, nil
}

// datePatterns are the parts of a pattern of formatDate, as Go's layouts.
var datePatterns = [...]struct{ name, layout string }{
	{"yyyy", "2006"}, {"yy", "06"}, {"MM", "01"}, {"dd", "02"}, {"HH", "15"}, {"mm", "04"}, {"ss", "05"},
}

const longestPattern = 100

// formatDate writes a time by a pattern such as dd.MM.yyyy HH:mm.
func formatDate(m *Machine, args []any) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	pattern, err := text(args[1])
	if err != nil {
		return nil, err
	}
	if len(pattern) > longestPattern {
		return nil, fmt.Errorf("the pattern of formatDate is longer than %d characters", longestPattern)
	}
	var b strings.Builder
	for pattern != "" {
		part := pattern[:1]
		for _, p := range datePatterns {
			if strings.HasPrefix(pattern, p.name) {
				part = p.name
				b.WriteString(t.Format(p.layout))
				break
			}
		}
		if len(part) == 1 {
			b.WriteString(part)
		}
		pattern = pattern[len(part):]
	}
	return b.String(), m.grow(b.Len())
}

// timePart makes a function that reads a part of a time.
func timePart(args []any, part func(t time.Time) int) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	return num.FromInt(int64(part(t))), nil
}

func yearOf(_ *Machine, args []any) (any, error) { return timePart(args, time.Time.Year) }

func monthOf(_ *Machine, args []any) (any, error) {
	return timePart(args, func(t time.Time) int { return int(t.Month()) })
}

func dayOf(_ *Machine, args []any) (any, error) { return timePart(args, time.Time.Day) }

func hourOf(_ *Machine, args []any) (any, error) { return timePart(args, time.Time.Hour) }

func minuteOf(_ *Machine, args []any) (any, error) { return timePart(args, time.Time.Minute) }

// weekdayOf is 1 on Monday and 7 on Sunday, as in ISO 8601.
func weekdayOf(_ *Machine, args []any) (any, error) {
	return timePart(args, func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 })
}

// farthest bounds how far a time can be moved, so that its year has four digits
// for any time that a portal holds.
const farthest = 1_000_000

// move makes a function that moves a time by a whole number of something.
func move(args []any, by func(t time.Time, n int) time.Time) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	n, err := whole(args[1])
	if err != nil {
		return nil, err
	}
	if n > farthest || n < -farthest {
		return nil, fmt.Errorf("a time cannot be moved by %d", n)
	}
	moved := by(t, n)
	if year := moved.Year(); year < 1 || year > 9999 {
		return nil, fmt.Errorf("the year %d is out of range", year)
	}
	return moved, nil
}

func addDays(_ *Machine, args []any) (any, error) {
	return move(args, func(t time.Time, n int) time.Time { return t.AddDate(0, 0, n) })
}

// addMonths stays in the month: a month after January 31 is the last of February.
func addMonths(_ *Machine, args []any) (any, error) {
	return move(args, func(t time.Time, n int) time.Time {
		moved := t.AddDate(0, n, 0)
		if moved.Day() != t.Day() {
			moved = moved.AddDate(0, 0, -moved.Day())
		}
		return moved
	})
}

func addHours(_ *Machine, args []any) (any, error) {
	return move(args, func(t time.Time, n int) time.Time { return t.Add(time.Duration(n) * time.Hour) })
}

// daysBetween counts the midnights between two times, in the zone of the first.
func daysBetween(_ *Machine, args []any) (any, error) {
	from, err := when(args[0])
	if err != nil {
		return nil, err
	}
	to, err := when(args[1])
	if err != nil {
		return nil, err
	}
	to = to.In(from.Location())
	const day = 24 * 60 * 60
	return num.FromInt((midnight(to) - midnight(from)) / day), nil
}

// midnight returns the start of a day as if its zone had no summer time.
func midnight(t time.Time) int64 {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix()
}
