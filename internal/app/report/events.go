package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/journal"
)

// Event is a stored event with the runs that it has started or joined.
type Event struct {
	journal.Event
	Runs []journal.Run
}

// storedEventJSON is the JSON form of an event. event, data and ts are as in the form that the
// portal sent, so that explain --event can read it.
type storedEventJSON struct {
	ID       int64           `json:"id"`
	Portal   string          `json:"portal"`
	Event    string          `json:"event"`
	Data     json.RawMessage `json:"data"`
	TS       int64           `json:"ts,omitempty"`
	Received *time.Time      `json:"received"`
	Rules    int             `json:"rules"`
	// Why says for each rule why the event did not start it.
	Why  []fleet.Unmatched `json:"why,omitempty"`
	Runs []eventRunJSON    `json:"runs,omitempty"`
}

// eventRunJSON is a run of an event.
type eventRunJSON struct {
	ID     int64  `json:"id"`
	Rule   string `json:"rule"`
	Entity string `json:"entity"`
	State  string `json:"state"`
}

// WhyNot says why the event met no rule. It is empty if it met one, or if an older version has
// stored it.
func (e Event) WhyNot() []fleet.Unmatched {
	if e.Routes > 0 {
		return nil
	}
	return fleet.ReadUnmatched(e.Event.Why)
}

func newStoredEventJSON(e Event) storedEventJSON {
	out := storedEventJSON{ID: e.ID, Portal: e.Portal, Event: e.Code, Data: e.Data, Received: stamp(e.Received), Rules: e.Routes}
	if !e.Sent.IsZero() {
		out.TS = e.Sent.Unix()
	}
	out.Why = e.WhyNot()
	for _, r := range e.Runs {
		out.Runs = append(out.Runs, eventRunJSON{r.ID, r.Rule, r.Entity, string(r.State)})
	}
	return out
}

// WriteEvents prints events; format is text or json. next is the value of --before for
// the next page, 0 without a next page.
func WriteEvents(w io.Writer, format string, events []journal.Event, next int64, known Known) error {
	if format == "json" {
		out := struct {
			Events []storedEventJSON `json:"events"`
			Next   int64             `json:"next,omitempty"`
		}{Events: make([]storedEventJSON, len(events)), Next: next}
		for i, e := range events {
			out.Events[i] = newStoredEventJSON(Event{Event: e})
		}
		return WriteJSON(w, out)
	}
	s := newSheet(w, nil)
	portals := make([]string, len(events))
	for i, e := range events {
		portals[i] = e.Portal
	}
	dateTime := s.timesOf(known, portals)
	t := table{
		rows: [][]string{{"EVENT", "RECEIVED", "PORTAL", "CODE", "RULES", "DATA"}}, same: 2, cut: []int{3, 2},
		whole: func(int) bool { return false },
	}
	for _, e := range events {
		t.rows = append(t.rows, []string{
			fmt.Sprint(e.ID), dateTime(e.Portal, e.Received), OneLine(e.Portal), OneLine(e.Code), fmt.Sprint(e.Routes), OneLine(PlainJSON(e.Data, "", "")),
		})
	}
	s.table(t)
	_, err := io.WriteString(w, s.String())
	return err
}

// WriteEvent prints an event; format is text or json.
func WriteEvent(w io.Writer, format string, e Event, known Known) error {
	if format == "json" {
		return WriteJSON(w, newStoredEventJSON(e))
	}
	s := newSheet(w, known.zone(e.Portal))
	fmt.Fprintf(s, "%s  %s of portal %s\n", s.in(bold, fmt.Sprintf("event %d", e.ID)), s.in(bold, OneLine(e.Code)), OneLine(e.Portal))
	fmt.Fprintf(s, "  times     in %s\n", ZoneName(s.now))
	fmt.Fprintf(s, "  received  %s\n", s.dateTime(e.Received))
	if !e.Sent.IsZero() {
		fmt.Fprintf(s, "  sent      %s, by the clock of the portal\n", s.dateTime(e.Sent))
	}
	for i, r := range e.Runs {
		name := "runs"
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(s, "  %-8s  %d: %s for %s, %s\n", name, r.ID, OneLine(r.Rule), OneLine(r.Entity), r.State)
	}
	if e.Routes == 0 {
		s.WriteString("  no rule matched this event\n")
		for _, u := range e.WhyNot() {
			s.WriteString("    ")
			s.wrapped(4, OneLine(unmatchedText(u)))
		}
	} else if len(e.Runs) == 0 {
		s.WriteString("  its runs are no longer in the history\n")
	}
	fmt.Fprintf(s, "  %s\n", PlainJSON(e.Data, "  ", "  "))
	_, err := io.WriteString(w, s.String())
	return err
}

func unmatchedText(u fleet.Unmatched) string {
	if u.Rule == "" {
		return u.Why
	}
	if u.File == "" {
		return u.Rule + ": " + u.Why
	}
	return fmt.Sprintf("%s (%s): %s", u.Rule, u.File, u.Why)
}

// PlainJSON formats JSON without the escapes of HTML that a stored value may have. With
// an indent each member is on its own line, after a prefix. A text that is no JSON stays so.
func PlainJSON(data json.RawMessage, prefix, indent string) string {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return string(data)
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, indent)
	if err := e.Encode(v); err != nil {
		return string(data)
	}
	return strings.TrimSpace(out.String())
}
