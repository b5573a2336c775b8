package datetime

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cron is a schedule of five fields: minute, hour, day of the month, month and day of the
// week. A tick is a minute of the clock on the wall. A minute that the clock skips is later
// by what it skips. Of a minute that comes twice only the first one is a tick, unless the
// schedule has every hour.
type Cron struct {
	text                            string
	minutes, hours, days, months    []bool
	weekdays                        []bool // Sunday is 0
	everyHour, anyDay, anyDayOfWeek bool
}

// cronFields are the fields of a schedule in their order.
var cronFields = [...]struct {
	what      string
	low, high int
	names     string // of the values, from low on
}{
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day", 1, 31, ""},
	{"month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
	{"day of the week", 0, 7, "sun mon tue wed thu fri sat"},
}

// ParseCron reads a schedule such as "0 9 * * mon-fri". It returns an error for one that
// never comes.
func ParseCron(text string) (*Cron, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) != len(cronFields) {
		return nil, fmt.Errorf("a schedule has five fields: minute, hour, day, month, day of the week. %q has %d", text, len(words))
	}
	c := &Cron{text: strings.Join(words, " ")}
	into := [...]*[]bool{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays}
	for i, f := range cronFields {
		set := make([]bool, f.high+1)
		for part := range strings.SplitSeq(words[i], ",") {
			if err := addCron(set, part, f.low, f.high, strings.Fields(f.names)); err != nil {
				return nil, fmt.Errorf("%s %q: %w", f.what, part, err)
			}
		}
		*into[i] = set
	}
	c.weekdays[0] = c.weekdays[0] || c.weekdays[7]
	c.everyHour = !slices.Contains(c.hours, false)
	// As in crontab(5): with * in one of both fields the other one decides.
	c.anyDay, c.anyDayOfWeek = strings.HasPrefix(words[2], "*"), strings.HasPrefix(words[4], "*")
	if c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC).IsZero() {
		return nil, errors.New("no year has such a day")
	}
	return c, nil
}

// addCron adds one part of a field to its set: *, 5, mon, 1-5, */15 or 10-40/10.
func addCron(set []bool, part string, low, high int, names []string) error {
	span, stepText, hasStep := strings.Cut(part, "/")
	step := 1
	if hasStep {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 || n > high {
			return fmt.Errorf("the step is a number from 1 to %d", high)
		}
		step = n
	}
	from, to := low, high
	if span != "*" {
		first, last, isRange := strings.Cut(span, "-")
		var err error
		if from, err = cronValue(first, low, high, names); err != nil {
			return err
		}
		switch {
		case isRange:
			if to, err = cronValue(last, low, high, names); err != nil {
				return err
			}
			if high == 7 && to == 0 { // fri-sun
				to = 7
			}
		case !hasStep:
			to = from
		}
		if to < from {
			return fmt.Errorf("%s is after %s", first, last)
		}
	} else if high == 7 {
		to = 6 // Sunday once
	}
	for v := from; v <= to; v += step {
		set[v] = true
	}
	return nil
}

func cronValue(text string, low, high int, names []string) (int, error) {
	if i := slices.Index(names, text); i >= 0 {
		return low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		if len(names) > 0 {
			return 0, fmt.Errorf("it is a number from %d to %d or a name such as %s", low, high, names[0])
		}
		return 0, fmt.Errorf("it is a number from %d to %d", low, high)
	}
	return n, nil
}

// String returns the schedule.
func (c *Cron) String() string { return c.text }

// cronDays is how many days ahead Next looks: 29 February may be eight years away, and on
// one day of the week up to 40.
const cronDays = 41 * 366

// Next returns the first tick after a time, in a zone. It is zero if there is none.
func (c *Cron) Next(after time.Time, zone *time.Location) time.Time {
	after = after.In(zone)
	day := DayOf(after)
	// The minutes of a day that are skipped may be ticks of the next one.
	for day = day.AddDate(0, 0, -1); DaysBetween(DayOf(after), day) < cronDays; day = day.AddDate(0, 0, 1) {
		if !c.hasDay(day) {
			continue
		}
		var next time.Time
		for h := range 24 {
			for m := range 60 {
				if !c.hours[h] || !c.minutes[m] {
					continue
				}
				for _, t := range c.instants(day, h, m, zone) {
					if t.After(after) && (next.IsZero() || t.Before(next)) {
						next = t
					}
				}
			}
		}
		if !next.IsZero() {
			return next
		}
	}
	return time.Time{}
}

func (c *Cron) hasDay(day time.Time) bool {
	if !c.months[day.Month()] {
		return false
	}
	inMonth, inWeek := c.days[day.Day()], c.weekdays[day.Weekday()]
	if c.anyDay || c.anyDayOfWeek {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// instants returns the times at which the clock of a zone shows a minute of a day.
func (c *Cron) instants(day time.Time, hour, minute int, zone *time.Location) []time.Time {
	seconds := (hour*60 + minute) * 60
	first := wall(day, seconds, zone)
	out := []time.Time{first}
	if !c.everyHour {
		return out
	}
	if again := first.Add(time.Hour); secondsOf(again) == seconds {
		out = append(out, again)
	}
	return out
}

// Due returns the tick that is to be caught up at a time, for a schedule whose tick due
// did not run then: the last one that has passed. It is zero if that is more than a day
// old, or older than half of the time to the next one.
func (c *Cron) Due(due, now time.Time, zone *time.Location) time.Time {
	const oldest = 24 * time.Hour
	last := due
	if early := now.Add(-2 * oldest); last.Before(early) {
		if last = c.Next(early, zone); last.IsZero() || last.After(now) {
			return time.Time{}
		}
	}
	for next := c.Next(last, zone); !next.IsZero() && !next.After(now); next = c.Next(last, zone) {
		last = next
	}
	age := now.Sub(last)
	// A tick that is only seconds late is on time.
	if next := c.Next(last, zone); age > oldest || age > time.Minute && !next.IsZero() && age > next.Sub(last)/2 {
		return time.Time{}
	}
	return last
}
