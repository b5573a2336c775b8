package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Days is what runs did on each of some days.
type Days struct {
	// Since is when the count starts, if the time for counting was over before the first day.
	Since *time.Time `json:"counted_since,omitempty"`
	Days  []Day      `json:"days"` // the latest first
	zone  *time.Location
}

// Day is what runs did whose first event arrived on one day of the portal.
type Day struct {
	Day string `json:"day"` // such as 2026-11-30
	journal.RunCounts
	Rules []RuleDay `json:"rules"` // those with runs, by their names
}

// RuleDay is what the runs of one rule did on a day.
type RuleDay struct {
	Rule string `json:"rule"`
	journal.RunCounts
}

const (
	// usualDays are counted without other times, and mostDays at most.
	usualDays = 7
	mostDays  = 31
)

// ReadDays counts what the runs that f selects did, by days of a zone: those from f.From to f.To, or the
// last seven. within is as for journal.CountDays.
func ReadDays(ctx context.Context, q *queue.Queue, f journal.Filter, zone *time.Location, within time.Duration) (Days, error) {
	out := Days{zone: zone}
	last := time.Now()
	if !f.To.IsZero() {
		last = f.To.Add(-1)
	}
	from := f.From
	if from.IsZero() {
		from = last.AddDate(0, 0, 1-usualDays)
	}
	starts := daysBetween(from.In(zone), last.In(zone))
	counts, since, err := journal.CountDays(ctx, q.Database(), f, starts, within)
	if err != nil {
		return out, err
	}
	out.Since = stamp(since)
	for i, start := range starts {
		day := Day{Day: start.Format(time.DateOnly), Rules: []RuleDay{}}
		for _, c := range counts {
			if c.Day == i {
				day.Add(c.RunCounts)
				day.Rules = append(day.Rules, RuleDay{c.Rule, c.RunCounts})
			}
		}
		slices.SortFunc(day.Rules, func(a, b RuleDay) int { return cmp.Compare(a.Rule, b.Rule) })
		out.Days = append(out.Days, day)
	}
	return out, nil
}

// daysBetween returns the starts of days, the latest first.
func daysBetween(from, last time.Time) []time.Time {
	var out []time.Time
	for len(out) < mostDays {
		y, m, d := last.Date()
		start := time.Date(y, m, d, 0, 0, 0, 0, last.Location())
		out = append(out, start)
		if !start.After(from) {
			break
		}
		last = start.Add(-1)
	}
	return out
}

// WriteDays prints the counts of days; format is text or json.
func WriteDays(w io.Writer, format string, days Days) error {
	if format == "json" {
		return WriteJSON(w, days)
	}
	s := newSheet(w, nil)
	s.now = s.now.In(days.zone)
	s.WriteString(s.in(dim, "times: "+ZoneName(s.now)) + "\n")
	t := table{rows: [][]string{{"DAY", "RUNS", "WROTE", "NOTHING", "PARKED", "RULES"}}, same: 5}
	notRecorded := 0
	for _, d := range days.Days {
		var rules []string
		for _, r := range d.Rules {
			rules = append(rules, fmt.Sprintf("%s %d", OneLine(r.Rule), r.Runs))
		}
		t.rows = append(t.rows, []string{d.Day, fmt.Sprint(d.Runs), fmt.Sprint(d.Wrote), fmt.Sprint(d.Nothing), fmt.Sprint(d.Parked), strings.Join(rules, ", ")})
		notRecorded += d.NotRecorded
	}
	t.whole = func(row int) bool { return row > 0 }
	s.table(t)
	if notRecorded > 0 {
		fmt.Fprintf(s, "%s\n", s.in(dim, fmt.Sprintf("What %s did is not stored: an older version of the program has finished them.", Plural(notRecorded, "run", "runs"))))
	}
	_, err := io.WriteString(w, s.String())
	return err
}
