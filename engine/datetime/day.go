package datetime

import (
	"fmt"
	"strings"
	"time"
)

// dayZone marks the times that are days. It is compared by its address.
var dayZone = time.FixedZone("", 0)

// Day returns a day without a zone.
func Day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, dayZone)
}

// IsDay reports whether a time is a day.
func IsDay(t time.Time) bool { return t.Location() == dayZone }

// DayOf returns the day of a moment, in the moment's own zone. A day is returned
// unchanged.
func DayOf(t time.Time) time.Time { return Day(t.Date()) }

// Instant returns the start of a day in a zone; nil is UTC. A moment is returned
// unchanged.
func Instant(t time.Time, zone *time.Location) time.Time {
	if !IsDay(t) {
		return t
	}
	return wall(t, 0, zone)
}

// wall returns the moment at which the clocks of a zone show the day of t and so many
// seconds after midnight. When clocks are put forward over this time, it is later by
// what they skip. When they show it twice, it is the first.
func wall(t time.Time, seconds int, zone *time.Location) time.Time {
	if zone == nil || zone == dayZone {
		zone = time.UTC
	}
	y, m, d := t.Date()
	asUTC := time.Date(y, m, d, 0, 0, seconds, 0, time.UTC)
	offset := func(around time.Duration) time.Duration {
		_, o := asUTC.Add(around).In(zone).Zone()
		return time.Duration(o) * time.Second
	}
	const longestOffset = 24 * time.Hour
	before, after := offset(-longestOffset), offset(longestOffset)
	first := asUTC.Add(-before).In(zone)
	if _, o := first.Zone(); before == after || time.Duration(o)*time.Second == before {
		return first
	}
	second := asUTC.Add(-after).In(zone)
	if _, o := second.Zone(); time.Duration(o)*time.Second == after {
		return second
	}
	return first
}

// secondsOf returns the seconds after midnight that the clocks show at a moment.
func secondsOf(t time.Time) int { return (t.Hour()*60+t.Minute())*60 + t.Second() }

// sameClock returns the moment of another day at which the clocks show what they show
// at t, or that day if t is a day.
func sameClock(t, day time.Time) time.Time {
	if IsDay(t) {
		return day
	}
	return wall(day, secondsOf(t), t.Location()).Add(time.Duration(t.Nanosecond()))
}

// AddDays moves a time by days. The clocks of its zone show the same then, also where
// they are put forward or back in between.
func AddDays(t time.Time, n int) time.Time { return sameClock(t, DayOf(t).AddDate(0, 0, n)) }

// AddMonths moves a time by months. It stays in the month: a month after January 31 is
// the last day of February.
func AddMonths(t time.Time, n int) time.Time {
	day := DayOf(t)
	moved := day.AddDate(0, n, 0)
	if moved.Day() != day.Day() {
		moved = moved.AddDate(0, 0, -moved.Day())
	}
	return sameClock(t, moved)
}

// DaysBetween counts the midnights from one time to another, in the zone of the first.
func DaysBetween(from, to time.Time) int {
	if !IsDay(from) && !IsDay(to) {
		to = to.In(from.Location())
	}
	const day = 24 * 60 * 60
	return int((DayOf(to).Unix() - DayOf(from).Unix()) / day)
}

// Compare orders two times. A day is compared with the day of a moment, because it has
// no time of day.
func Compare(a, b time.Time) int {
	if IsDay(a) != IsDay(b) {
		a, b = DayOf(a), DayOf(b)
	}
	return a.Compare(b)
}

// AtTime returns the moment at which the clocks of a zone show a time of day, such as
// 09:00, on the day of t. A moment is on the day that it has in the zone. A nil zone is
// that of t, and UTC for a day.
func AtTime(t time.Time, clock string, zone *time.Location) (time.Time, error) {
	seconds, err := parseClock(clock)
	if err != nil {
		return t, err
	}
	if !IsDay(t) {
		if zone == nil {
			zone = t.Location()
		}
		t = t.In(zone)
	}
	return wall(t, seconds, zone), nil
}

// parseClock reads a time of day in seconds after midnight.
func parseClock(text string) (int, error) {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil && text[2] == ':' {
			return secondsOf(t), nil
		}
	}
	return 0, fmt.Errorf("%.20q is not a time of day: write it like 09:00", text)
}

// Text returns a time in RFC 3339, and a day as 2026-01-31.
func Text(t time.Time) string {
	if IsDay(t) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// Zone returns a time zone by its name.
func Zone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil, fmt.Errorf("unknown time zone %.40q: write one like \"Europe/Riga\"", name)
	}
	return zone, nil
}

// Sort is what is known of a text before it is read.
type Sort uint8

// A text is that of a date field, which has no time of day, of a field with a time, or
// of neither for certain.
const (
	Unknown Sort = iota
	DayText
	TimeText
)

// layouts are the forms in which portals send and people write a date.
var layouts = []struct {
	layout  string
	hasTime bool
}{
	{time.RFC3339, true},
	{"2006-01-02T15:04:05", true},
	{"2006-01-02 15:04:05", true},
	{"2006-01-02T15:04", true},
	{"2006-01-02 15:04", true},
	{time.DateOnly, false},
	{"02.01.2006 15:04:05", true},
	{"02.01.2006 15:04", true},
	{"02.01.2006", false},
}

const longestText = 40

// Parse reads a day or a moment from a text.
//
// A text without a time of day is a day. So is one in which a portal writes a date
// field: CRM writes midnight, moved by the offset of the server, as in
// 2026-01-31T03:00:00+03:00. All other texts are moments in the zone; nil is UTC for a
// text without an offset, and the zone of the offset for one with it.
func Parse(text string, sort Sort, zone *time.Location) (time.Time, error) {
	if len(text) <= longestText {
		for _, l := range layouts {
			t, err := time.Parse(l.layout, text)
			if err != nil {
				continue
			}
			if l.layout == time.RFC3339 {
				return zoned(t, text, sort, zone), nil
			}
			if !l.hasTime && sort != TimeText || sort == DayText {
				return DayOf(t), nil
			}
			return wall(t, secondsOf(t), zone), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a date: write it like 2026-01-31 or 31.01.2026 15:04", text)
}

// zoned reads what a text with an offset says.
func zoned(t time.Time, text string, sort Sort, zone *time.Location) time.Time {
	byPortal := !strings.HasSuffix(text, "Z") // portals write +00:00
	midnight := byPortal && (secondsOf(t) == 0 || secondsOf(t.UTC()) == 0)
	if sort == DayText || sort == Unknown && midnight {
		return FieldDay(t)
	}
	if zone == nil {
		return t
	}
	return t.In(zone)
}

// FieldDay returns the day of a date field from the moment that CRM answers for it: the
// midnight of the day, moved by the offset of the server. So the day is that of UTC, also
// west of Greenwich: 2026-01-30T20:00:00-04:00 is January 31. Other moments are on the
// day that they are written with.
func FieldDay(t time.Time) time.Time {
	if utc := t.UTC(); secondsOf(utc) == 0 {
		return DayOf(utc)
	}
	return DayOf(t)
}
