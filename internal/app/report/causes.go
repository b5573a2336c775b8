package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Cause is why runs have failed, and which.
type Cause struct {
	ID      string     `json:"cause"` // for --cause
	Kind    string     `json:"kind,omitempty"`
	Title   string     `json:"title"`
	Runs    int        `json:"runs"`
	Portals []string   `json:"portals"`
	Rules   []string   `json:"rules"`
	First   *time.Time `json:"first,omitempty"`
	Last    *time.Time `json:"last,omitempty"`
	Newest  int64      `json:"newest_run"`
	Advice  string     `json:"advice,omitempty"`

	// Acknowledged is set if a person knows of the cause for all these portals and rules.
	Acknowledged *cause.Acknowledged `json:"acknowledged,omitempty"`

	stored string
}

// Parsed is the cause with its parts.
func (c Cause) Parsed() cause.Cause { return cause.Parse(c.stored) }

// Where says which files and portals an advice names.
func (c Cause) Where(known Known) cause.Where {
	file := c.Parsed().File
	if len(c.Portals) == 1 {
		return known.where(c.Portals[0], file)
	}
	return known.where(strings.Join(c.Portals, ", "), file)
}

// Stored is the cause as a filter of runs takes it.
func (c Cause) Stored() string { return c.stored }

// ReadCauses groups the runs that f selects by cause, the cause with most runs first.
func ReadCauses(ctx context.Context, q *queue.Queue, f journal.Filter, known Known) ([]Cause, error) {
	counts, err := journal.Causes(ctx, q.Database(), f)
	if err != nil {
		return nil, err
	}
	acknowledged, err := cause.Acknowledgements(ctx, q.Database())
	if err != nil {
		return nil, err
	}
	all := causes(counts, known)
	for i := range all {
		a, ok := acknowledged[all[i].ID]
		for _, n := range counts {
			ok = ok && (n.Cause != all[i].stored || a.Covers(n.Portal, n.Rule))
		}
		if ok {
			all[i].Acknowledged = &a
		}
	}
	return all, nil
}

func causes(counts []journal.CauseCount, known Known) []Cause {
	byID := map[string]*Cause{}
	for _, n := range counts {
		id := cause.ID(n.Cause)
		c := byID[id]
		if c == nil {
			parsed := cause.Parse(n.Cause)
			c = &Cause{ID: id, Kind: string(parsed.Kind), Title: parsed.Title(), stored: n.Cause}
			byID[id] = c
		}
		c.add(n)
	}
	out := make([]Cause, 0, len(byID))
	for _, c := range byID {
		slices.Sort(c.Portals)
		slices.Sort(c.Rules)
		c.Advice = c.Parsed().Advice(c.Where(known))
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (c *Cause) add(n journal.CauseCount) {
	c.Runs += n.Runs
	c.Newest = max(c.Newest, n.Newest)
	if !slices.Contains(c.Portals, n.Portal) {
		c.Portals = append(c.Portals, n.Portal)
	}
	if !slices.Contains(c.Rules, n.Rule) {
		c.Rules = append(c.Rules, n.Rule)
	}
	if at := stamp(n.First); at != nil && (c.First == nil || at.Before(*c.First)) {
		c.First = at
	}
	if at := stamp(n.Last); at != nil && (c.Last == nil || at.After(*c.Last)) {
		c.Last = at
	}
}

// WriteCauses prints causes; format is text or json.
func WriteCauses(w io.Writer, format string, causes []Cause, known Known) error {
	if format == "json" {
		total := 0
		for _, c := range causes {
			total += c.Runs
		}
		return WriteJSON(w, struct {
			Causes []Cause `json:"causes"`
			Total  int     `json:"total"`
		}{causes, total})
	}
	s := newSheet(w, nil)
	var portals []string
	for _, c := range causes {
		portals = append(portals, c.Portals...)
	}
	zone, same := known.Zone(portals...)
	s.now = s.now.In(zone)
	if !same { // the time of a cause is the last of several portals
		s.now = s.now.UTC()
	}
	s.WriteString(s.in(dim, "times: "+ZoneName(s.now)) + "\n")
	t := table{rows: [][]string{{"CAUSE", "RUNS", "NEWEST", "LAST", "PORTALS", "RULES", "WHAT"}}, same: 4, cut: []int{4, 5}}
	for _, c := range causes {
		last := "-"
		if c.Last != nil {
			last = s.dateTime(*c.Last)
		}
		t.rows = append(t.rows, []string{c.ID, fmt.Sprint(c.Runs), fmt.Sprint(c.Newest), last, names(c.Portals), names(c.Rules), OneLine(c.Title)})
	}
	t.whole = func(row int) bool { return row > 0 }
	s.table(t)
	for _, c := range causes {
		text := c.Advice
		if a := c.Acknowledged; a != nil {
			text = strings.TrimSpace(text + "\n" + OneLine(strings.TrimSuffix("Acknowledged by "+a.By+": "+a.Note, ": ")))
		}
		if text != "" {
			fmt.Fprintf(s, "\n%s  ", s.in(bold, c.ID))
			s.wrapped(2+len(c.ID), text)
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// names lists a few names, and how many more there are.
func names(all []string) string {
	const most = 3
	if len(all) > most {
		return OneLine(strings.Join(all[:most], ",")) + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return OneLine(strings.Join(all, ","))
}
