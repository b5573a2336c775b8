package formula

import (
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
)

// dateAs makes the function date for texts of a sort. Their field may say that they have
// no time of day. A text without an offset is in the zone of the second argument, else
// in that of the portal.
func dateAs(sort datetime.Sort) func(m *Machine, args []any) (any, error) {
	return func(m *Machine, args []any) (any, error) {
		s, err := text(args[0])
		if err != nil {
			return nil, err
		}
		zone, sort := m.locale().Zone, sort
		if len(args) > 1 { // who names a zone means a moment
			if zone, err = zoneOf(args[1]); err != nil {
				return nil, err
			}
			sort = datetime.TimeText
		}
		return orNil(datetime.Parse(s, sort, zone))
	}
}

// tryDateAs is dateAs that gives nil for what is no date.
func tryDateAs(sort datetime.Sort) func(m *Machine, args []any) (any, error) {
	return func(m *Machine, args []any) (any, error) {
		s, ok := args[0].(string)
		if !ok {
			return nil, nil
		}
		t, err := datetime.Parse(s, sort, m.locale().Zone)
		if err != nil {
			return nil, nil //nolint:nilerr // that is what tryDate is for
		}
		return t, nil
	}
}

// orNil returns a value without its error, or the error without a value.
func orNil(v any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// dateSort returns what is known of the texts of a type before date reads them.
func dateSort(t Type) datetime.Sort {
	if t.Domain == nil {
		return datetime.Unknown
	}
	return t.Domain.Date
}

func zoneOf(v any) (*time.Location, error) {
	name, err := text(v)
	if err != nil {
		return nil, err
	}
	return datetime.Zone(name)
}

func when(v any) (time.Time, error) {
	t, ok := v.(time.Time)
	if !ok {
		return t, errWant("a time", v)
	}
	return t, nil
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
	lang, err := m.language(args, 2)
	if err != nil {
		return nil, err
	}
	s := datetime.Format(t, pattern, lang)
	return s, m.grow(len(s))
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
func move(args []any, by func(t time.Time, n int) (time.Time, error)) (any, error) {
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
	moved, err := by(t, n)
	if err != nil {
		return nil, err
	}
	if year := moved.Year(); year < 1 || year > 9999 {
		return nil, fmt.Errorf("the year %d is out of range", year)
	}
	return moved, nil
}

func addDays(_ *Machine, args []any) (any, error) {
	return move(args, func(t time.Time, n int) (time.Time, error) { return datetime.AddDays(t, n), nil })
}

func addMonths(_ *Machine, args []any) (any, error) {
	return move(args, func(t time.Time, n int) (time.Time, error) { return datetime.AddMonths(t, n), nil })
}

// addHours starts from the first moment of a day.
func addHours(m *Machine, args []any) (any, error) {
	return move(args, func(t time.Time, n int) (time.Time, error) {
		return datetime.Instant(t, m.locale().Zone).Add(time.Duration(n) * time.Hour), nil
	})
}

func daysBetween(_ *Machine, args []any) (any, error) {
	from, to, err := twoTimes(args)
	if err != nil {
		return nil, err
	}
	return num.FromInt(int64(datetime.DaysBetween(from, to))), nil
}

func twoTimes(args []any) (from, to time.Time, err error) {
	if from, err = when(args[0]); err == nil {
		to, err = when(args[1])
	}
	return from, to, err
}

// atTime gives the moment of a time of day on the day of a time, in the portal's zone.
// A moment that was put into another zone keeps that zone.
func atTime(m *Machine, args []any) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	clock, err := text(args[1])
	if err != nil {
		return nil, err
	}
	return orNil(datetime.AtTime(t, clock, m.zoneFor(t)))
}

func inZone(_ *Machine, args []any) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	zone, err := zoneOf(args[1])
	if err != nil {
		return nil, err
	}
	return datetime.Instant(t, zone).In(zone), nil
}

func isWorkday(m *Machine, args []any) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	calendar, err := m.calendar()
	if err != nil {
		return nil, err
	}
	return calendar.IsWorkday(t), nil
}

func addWorkdays(m *Machine, args []any) (any, error) {
	calendar, err := m.calendar()
	if err != nil {
		return nil, err
	}
	return move(args, func(t time.Time, n int) (time.Time, error) {
		if err := m.spend(max(n, -n)); err != nil {
			return t, err
		}
		return calendar.AddWorkdays(t, n)
	})
}

func workdaysBetween(m *Machine, args []any) (any, error) {
	from, to, err := twoTimes(args)
	if err != nil {
		return nil, err
	}
	calendar, err := m.calendar()
	if err != nil {
		return nil, err
	}
	days := datetime.DaysBetween(from, to)
	if err := m.spend(max(days, -days)); err != nil {
		return nil, err
	}
	n, err := calendar.WorkdaysBetween(from, to)
	return orNil(num.FromInt(int64(n)), err)
}

func toWorkTime(m *Machine, args []any) (any, error) {
	t, err := when(args[0])
	if err != nil {
		return nil, err
	}
	calendar, err := m.calendar()
	if err != nil {
		return nil, err
	}
	return orNil(calendar.ToWorkTime(t, m.zoneFor(t)))
}
