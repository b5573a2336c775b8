package datetime

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Calendar says when people of a portal work. The zero Calendar has no working day; see
// Standard.
type Calendar struct {
	// Open and Close are the hours of a working day, in seconds after midnight.
	Open, Close int
	// Weekend are the days of the week without work, by time.Weekday.
	Weekend [7]bool
	// Yearly are the days of every year that are working days or not, whatever the day
	// of the week is.
	Yearly map[YearDay]bool
	// Dates are the days of one year that are working days or not. They go before Yearly.
	// The keys are days in the form 2026-01-31.
	Dates map[string]bool
}

// YearDay is a day of every year.
type YearDay struct {
	Month time.Month
	Day   int
}

// Standard is the calendar of a new portal: Monday to Friday, 9 to 18.
func Standard() *Calendar {
	return &Calendar{Open: 9 * 3600, Close: 18 * 3600, Weekend: [7]bool{time.Saturday: true, time.Sunday: true}}
}

// weekdays are the names of days in the settings of a portal.
var weekdays = map[string]time.Weekday{
	"MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday, "TH": time.Thursday,
	"FR": time.Friday, "SA": time.Saturday, "SU": time.Sunday,
}

// FromSettings reads the answer of the method calendar.settings.get. A setting that is
// missing keeps its value of Standard. One that cannot be understood is an error.
func FromSettings(settings map[string]any) (*Calendar, error) {
	if settings["work_time_start"] == nil && settings["week_holidays"] == nil {
		return nil, errors.New("the settings of the calendar have neither work_time_start nor week_holidays")
	}
	c := Standard()
	var err error
	if c.Open, err = hourSetting(settings, "work_time_start", c.Open); err != nil {
		return nil, err
	}
	if c.Close, err = hourSetting(settings, "work_time_end", c.Close); err != nil {
		return nil, err
	}
	if c.Open >= c.Close {
		return nil, errors.New("work_time_start of the calendar is not before work_time_end")
	}
	if err := c.weekend(settings["week_holidays"]); err != nil {
		return nil, err
	}
	c.Yearly = map[YearDay]bool{}
	if err := c.yearDays(settings, "year_holidays", false); err != nil {
		return nil, err
	}
	return c, c.yearDays(settings, "year_workdays", true)
}

// hourSetting reads an hour such as 9, 9.30 or 18:00.
func hourSetting(settings map[string]any, name string, missing int) (int, error) {
	v, there := settings[name]
	if !there || v == nil || v == "" {
		return missing, nil
	}
	text := strings.ReplaceAll(fmt.Sprint(v), ":", ".")
	hour, minute, hasMinute := strings.Cut(text, ".")
	h, err := strconv.Atoi(hour)
	m := 0
	if hasMinute && err == nil {
		m, err = strconv.Atoi(minute)
		if len(minute) == 1 { // 9.3 is a number that was 9.30
			m *= 10
		}
	}
	if err != nil || h < 0 || h > 24 || m < 0 || m > 59 {
		return 0, fmt.Errorf("%s of the calendar is %.20q, not an hour such as 9 or 9.30", name, text)
	}
	return (h*60 + m) * 60, nil
}

// weekend reads a list such as [SA, SU], or its form as one text: SA|SU.
func (c *Calendar) weekend(v any) error {
	var names []string
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		names = strings.FieldsFunc(x, func(r rune) bool { return r == '|' || r == ',' || r == ' ' })
	case []any:
		for _, e := range x {
			names = append(names, fmt.Sprint(e))
		}
	default:
		return fmt.Errorf("week_holidays of the calendar is not a list of days")
	}
	c.Weekend = [7]bool{}
	for _, name := range names {
		day, known := weekdays[strings.ToUpper(name)]
		if !known {
			return fmt.Errorf("week_holidays of the calendar has %.20q, not a day such as SA", name)
		}
		c.Weekend[day] = true
	}
	return nil
}

// yearDays reads days without a year, as in 1.01,23.02.
func (c *Calendar) yearDays(settings map[string]any, name string, works bool) error {
	v := settings[name]
	if v == nil {
		return nil
	}
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s of the calendar is not a text such as 1.01,23.02", name)
	}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		d, err := time.Parse("2.1.2006", part+".2000") // a leap year
		if err != nil {
			return fmt.Errorf("%s of the calendar has %.20q, not a day such as 23.02", name, part)
		}
		c.Yearly[YearDay{d.Month(), d.Day()}] = works
	}
	return nil
}

// IsWorkday reports whether people work on the day of t.
func (c *Calendar) IsWorkday(t time.Time) bool {
	if works, known := c.Dates[t.Format(time.DateOnly)]; known {
		return works
	}
	if works, known := c.Yearly[YearDay{t.Month(), t.Day()}]; known {
		return works
	}
	return !c.Weekend[t.Weekday()]
}

// mostIdle is how many days without a working day a search passes.
const mostIdle = 400

var errIdle = fmt.Errorf("the calendar has no working day within %d days", mostIdle)

// next returns the first working day after (or, with step -1, before) the day of t.
func (c *Calendar) next(t time.Time, step int) (time.Time, error) {
	day := DayOf(t)
	for range mostIdle {
		if day = day.AddDate(0, 0, step); c.IsWorkday(day) {
			return day, nil
		}
	}
	return t, errIdle
}

// MostWorkdays bounds the working days by which a time is moved and which are counted.
const MostWorkdays = 10_000

// AddWorkdays moves a time by working days: from a Saturday, 1 leads to Monday. The
// clocks show the same then. 0 returns t, also on a day without work.
func (c *Calendar) AddWorkdays(t time.Time, n int) (time.Time, error) {
	if n > MostWorkdays || n < -MostWorkdays {
		return t, fmt.Errorf("a time cannot be moved by %d working days", n)
	}
	step, day := 1, DayOf(t)
	if n < 0 {
		step, n = -1, -n
	}
	var err error
	for range n {
		if day, err = c.next(day, step); err != nil {
			return t, err
		}
	}
	return sameClock(t, day), nil
}

// WorkdaysBetween counts by how many working days one time is after another: the working
// days after the day of from, up to and with the day of to. It is negative when to is
// earlier.
func (c *Calendar) WorkdaysBetween(from, to time.Time) (int, error) {
	days := DaysBetween(from, to)
	const most = MostWorkdays * 7 / 5
	if days > most || days < -most {
		return 0, fmt.Errorf("more than %d days lie between the times", most)
	}
	n, day := 0, DayOf(from)
	for range days {
		if day = day.AddDate(0, 0, 1); c.IsWorkday(day) {
			n++
		}
	}
	for range -days {
		if day = day.AddDate(0, 0, -1); c.IsWorkday(day) {
			n--
		}
	}
	return n, nil
}

// ToWorkTime returns t if people work then, and otherwise the moment at which they start
// next, in a zone. A nil zone is that of t, and UTC for a day.
func (c *Calendar) ToWorkTime(t time.Time, zone *time.Location) (time.Time, error) {
	day := t
	if !IsDay(t) {
		if zone == nil {
			zone = t.Location()
		}
		day = t.In(zone)
		switch seconds := secondsOf(day); {
		case !c.IsWorkday(day) || seconds >= c.Close:
			day = AddDays(DayOf(day), 1)
		case seconds >= c.Open:
			return t, nil
		}
	}
	for range mostIdle {
		if c.IsWorkday(day) {
			return wall(day, c.Open, zone), nil
		}
		day = AddDays(DayOf(day), 1)
	}
	return t, errIdle
}
