package console

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
)

// countFor is how long a page counts runs.
const countFor = 100 * time.Millisecond

// daysPage counts runs by day.
type daysPage struct {
	runsPage
	Days dayCounts
}

// dayCounts are a table of days.
type dayCounts struct {
	Rows []dayRow
	// Since is when the count starts, if the days before were not reached.
	Since time.Time
	// NotRecorded are runs of an older version, which did not store what they did.
	NotRecorded int
}

type dayRow struct {
	report.Day
	Text string // of the day
	Runs string // the address of its runs
}

// countDays counts the runs of a filter by day. query selects the same runs in an address.
func (c *Console) countDays(q *request, f journal.Filter, zone *time.Location, query url.Values) (dayCounts, report.Days, error) {
	days, err := report.ReadDays(q.Context(), c.Queue, f, zone, countFor)
	if err != nil {
		return dayCounts{}, days, err
	}
	v := dayCounts{}
	if days.Since != nil {
		v.Since = days.Since.In(zone)
	}
	for _, one := range days.Days {
		at, err := time.ParseInLocation(time.DateOnly, one.Day, zone)
		if err != nil {
			return v, days, err
		}
		query.Set("from", one.Day)
		query.Set("to", one.Day)
		v.Rows = append(v.Rows, dayRow{one, day(q.lang, at), "/runs?" + query.Encode()})
		v.NotRecorded += one.NotRecorded
	}
	return v, days, nil
}

// days is the page of runs by day.
func (c *Console) days(q *request) (*page, error) {
	f := q.filters()
	filter, err := c.runFilter(q, f)
	if err != nil {
		return nil, err
	}
	v := daysPage{runsPage: runsPage{Group: "day", Filters: f, States: q.stateOptions(f.State), Outcomes: q.outcomeOptions(f.Outcome), Heading: q.t("days.heading")}}
	zone := f.zone(c.knownPortals())
	p := &page{template: "days", section: "runs", zone: zone, command: "b24rules runs list --by day" + f.args()}
	if len(f.Wrong) > 0 {
		v.Heading = q.t("filter.wrong")
		p.title, p.data, p.status, p.json = v.Heading, v, http.StatusBadRequest, q.wrongJSON(f)
		return p, nil
	}
	query := url.Values{}
	for name, values := range q.URL.Query() {
		switch name {
		case "portal", "rule", "entity", "state", "outcome", "q", "cause":
			query[name] = values
		}
	}
	var days report.Days
	if v.Days, days, err = c.countDays(q, filter, zone, query); err != nil {
		return nil, err
	}
	p.title, p.data = v.Heading, v
	p.json = func(w io.Writer) error { return report.WriteDays(w, "json", days) }
	return p, nil
}
