package report

import (
	"fmt"
	"io"

	"github.com/b24rules/b24rules/internal/audit"
)

// WriteAudit prints what people did; format is text or json. next is the value of --before for
// the next page, 0 without a next page.
func WriteAudit(w io.Writer, format string, list []audit.Entry, next int64, known Known) error {
	if format == "json" {
		for i := range list {
			list[i].At = list[i].At.UTC()
		}
		return WriteJSON(w, struct {
			Entries []audit.Entry `json:"entries"`
			Next    int64         `json:"next,omitempty"`
		}{append([]audit.Entry{}, list...), next})
	}
	zone, _ := known.Zone()
	s := newSheet(w, zone)
	s.WriteString(s.in(dim, "times: "+ZoneName(s.now)) + "\n")
	t := table{
		rows: [][]string{{"WHEN", "WHO", "FROM", "DID", "PORTAL", "TO WHAT", "RUNS", "RESULT"}}, same: 4, cut: []int{5, 1},
		whole: func(row int) bool { return row > 0 },
	}
	for _, e := range list {
		runs := ""
		if e.Runs > 0 {
			runs = fmt.Sprint(e.Runs)
		}
		t.rows = append(t.rows, []string{s.dateTime(e.At), OneLine(e.Who), e.Via, string(e.Action), OneLine(e.Portal), OneLine(e.Target), runs, OneLine(e.Result)})
	}
	s.table(t)
	_, err := io.WriteString(w, s.String())
	return err
}
