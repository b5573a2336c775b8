package value

import (
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
)

// DateTime is a time in the form of a portal: with an offset, or as local time of
// the portal without one.
type DateTime struct {
	t       time.Time
	zoned   bool
	written bool // a text with an offset, as the portal writes it
}

// Spellings of dates. CRM writes ISO 8601 with an offset; lists write the
// portal's locale without one: 12/31/2024 11:59:59 pm, 31.12.2024 23:59:59.
var (
	zonedLayouts = []string{time.RFC3339, "2006-01-02T15:04:05-0700"}
	plainLayouts = []string{
		"2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04",
		"2.1.2006", "2.1.2006 15:04:05", "2.1.2006 15:04",
	}
	monthFirstLayouts = []string{"1/2/2006", "1/2/2006 3:04:05 pm", "1/2/2006 3:04 pm", "1/2/2006 15:04:05", "1/2/2006 15:04"}
	dayFirstLayouts   = []string{"2/1/2006", "2/1/2006 15:04:05", "2/1/2006 15:04", "2/1/2006 3:04:05 pm", "2/1/2006 3:04 pm"}
)

// DateTimeOf reads a time from a formula's value or a portal's text. dayFirst
// decides how 03/04/2024 is read.
func DateTimeOf(v any, dayFirst bool) (DateTime, bool) {
	if t, ok := v.(time.Time); ok {
		return DateTime{t: t, zoned: !datetime.IsDay(t)}, true
	}
	text, ok := v.(string)
	if !ok {
		return DateTime{}, false
	}
	text = strings.TrimSpace(text)
	if t, ok := parseAny(text, zonedLayouts); ok {
		return DateTime{t: t, zoned: true, written: true}, true
	}
	if t, ok := parseAny(text, plainLayouts); ok {
		return DateTime{t: t}, true
	}
	first, second := monthFirstLayouts, dayFirstLayouts
	if dayFirst {
		first, second = second, first
	}
	text = strings.ToLower(text)
	t, ok := parseAny(text, first)
	if !ok {
		t, ok = parseAny(text, second)
	}
	return DateTime{t: t}, ok
}

func parseAny(text string, layouts []string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Day is the calendar day of a date field: that of a text which the portal writes for
// the field, or the day of a moment in the moment's own zone.
func (m DateTime) Day() string {
	if m.written {
		return datetime.FieldDay(m.t).Format(time.DateOnly)
	}
	return m.t.Format(time.DateOnly)
}

// Wall is the local date and time without a zone.
func (m DateTime) Wall() string { return m.t.Format(time.DateTime) }

// At converts the time to a zone. A time without an offset is taken as local time
// of the zone. A nil zone changes nothing.
func (m DateTime) At(zone *time.Location) DateTime {
	switch {
	case zone == nil:
		return m
	case m.zoned:
		return DateTime{t: m.t.In(zone), zoned: true}
	}
	y, month, d := m.t.Date()
	return DateTime{t: time.Date(y, month, d, m.t.Hour(), m.t.Minute(), m.t.Second(), 0, zone), zoned: true}
}

// Same compares instants if both are known, otherwise local times. A desired time
// without an offset is in the portal's zone, because it is written so. Portals
// store whole seconds.
func (m DateTime) Same(desired DateTime, zone *time.Location) bool {
	if m.zoned || desired.zoned {
		desired = desired.At(zone)
	}
	if m.zoned && desired.zoned {
		return m.t.Truncate(time.Second).Equal(desired.t.Truncate(time.Second))
	}
	return m.Wall() == desired.Wall()
}

// ISO is the form that CRM methods read correctly.
func (m DateTime) ISO() string {
	if m.zoned {
		return m.t.Format(time.RFC3339)
	}
	return m.t.Format("2006-01-02T15:04:05")
}

// DateOrder collects evidence of how a portal orders the parts of 03/04/2024.
type DateOrder struct{ DayFirst, MonthFirst bool }

// Observe reads one date of the portal. A part above 12 is a day. A 12-hour clock
// (am, pm) comes with the month first, a 24-hour clock with the day first. Observe
// reports whether the text is such a date.
func (s *DateOrder) Observe(text string) bool {
	date, clock, _ := strings.Cut(strings.TrimSpace(text), " ")
	parts := strings.Split(date, "/")
	if len(parts) != 3 || len(parts[2]) != 4 {
		return false
	}
	clock = strings.ToLower(clock)
	switch {
	case parts[0] > "12" && len(parts[0]) == 2, strings.Contains(clock, ":") && !strings.HasSuffix(clock, "m"):
		s.DayFirst = true
	case parts[1] > "12" && len(parts[1]) == 2, strings.HasSuffix(clock, "m"):
		s.MonthFirst = true
	}
	return true
}
