package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

// Why says which steps have written a record of a portal.
type Why struct {
	Portal string `json:"portal"`
	Record string `json:"record"` // element 12 of list 47
	Field  string `json:"field,omitempty"`
	// Writers are the steps that write the record, the last writer first. With a Field they are
	// those that write it.
	Writers []Writer `json:"writers"`
	// Changes are the changes of the record, with a Field of this field, the latest first, as far as
	// history has the runs. The change of the run that has made the record is not among them.
	Changes []Written `json:"changes"`
	// Made is what rules have made from the record or written because of it, at most mostMade.
	Made []MadeFrom `json:"made,omitempty"`
}

// MadeFrom is another record that a run about the record has written last.
type MadeFrom struct {
	Record string    `json:"record"` // element 12 of list 47
	ID     string    `json:"id"`     // element:47:12, as why takes it
	Rule   string    `json:"rule"`
	Run    int64     `json:"run"`
	At     time.Time `json:"at"`
}

// mostMade bounds what is listed of the records made from one.
const mostMade = 100

// Writer is a step that has written a record, with the last run that did.
type Writer struct {
	Rule    string    `json:"rule"`
	File    string    `json:"file"` // with line and column of the step
	Version string    `json:"version"`
	Fields  []string  `json:"fields"`
	Run     int64     `json:"run"` // 0: taken over with adopt
	At      time.Time `json:"at"`
	Entity  string    `json:"entity,omitempty"` // what the run was about
	// Event is the code of the last event of the run. It is empty if history no longer has the
	// run.
	Event  string `json:"event,omitempty"`
	Events int    `json:"events,omitempty"`
	// Formula is how the step computes the field, and Value what it has written, as far as the
	// record of the run has them.
	Formula string `json:"formula,omitempty"`
	Value   any    `json:"value,omitempty"`
	// Orphan says that no rule has the record any more.
	Orphan bool `json:"orphan,omitempty"`
}

// ReadWhy finds who has written a record: an element or an item, such as list:47 and 12. An
// empty field means all fields.
func ReadWhy(ctx context.Context, q *queue.Queue, portal, place string, id int64, field string) (Why, error) {
	w := Why{Portal: portal, Record: recordText(place, id), Field: field, Writers: []Writer{}}
	records := ledger.New(q.Database())
	rows, err := records.Writers(ctx, portal, place, id)
	if err != nil {
		return w, err
	}
	for _, row := range rows {
		if field != "" && !slices.ContainsFunc(row.Mark.Fields, func(name string) bool { return sameField(name, field) }) {
			continue
		}
		one := Writer{
			Rule: row.Mark.Rule, File: row.Mark.File, Version: row.Mark.Version, Fields: row.Mark.Fields, Run: row.Run, At: row.At,
			Entity: entityName(row.EntityTypeID, row.EntityID), Orphan: !row.Mark.Orphan.IsZero(),
		}
		if err := one.addRun(ctx, q, portal, field); err != nil {
			return w, err
		}
		w.Writers = append(w.Writers, one)
	}
	if err := w.addMade(ctx, records, place, id); err != nil {
		return w, err
	}
	return w, w.addChanges(ctx, q, place, id)
}

// recordText is a record in words: element 12 of list 47, deal:7.
func recordText(place string, id int64) string {
	for _, o := range schemas.Owners() {
		if engine.PlaceOfItems(o.ID) == place {
			return fmt.Sprintf("%s:%d", o.Name, id)
		}
	}
	kind := "item"
	if strings.HasPrefix(place, "list:") {
		kind = "element"
	}
	return fmt.Sprintf("%s %d of %s", kind, id, fleet.PlaceName(place))
}

// recordID is a record as ParseRecord reads it: element:47:12.
func recordID(place string, id int64) string {
	if list, ok := strings.CutPrefix(place, "list:"); ok {
		return fmt.Sprintf("element:%s:%d", list, id)
	}
	return fmt.Sprintf("%s:%d", place, id)
}

// addMade adds what rules have made from the record, if it is an entity of the CRM.
func (w *Why) addMade(ctx context.Context, l *ledger.Ledger, place string, id int64) error {
	number, ok := strings.CutPrefix(place, "item:")
	if !ok {
		return nil
	}
	typ, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	rows, err := l.From(ctx, w.Portal, typ, id, mostMade+1) // the record itself may be among them
	for _, row := range rows {
		if row.Mark.Place == place && row.ID == id {
			continue
		}
		w.Made = append(w.Made, MadeFrom{
			Record: recordText(row.Mark.Place, row.ID), ID: recordID(row.Mark.Place, row.ID), Rule: row.Mark.Rule, Run: row.Run, At: row.At,
		})
	}
	w.Made = w.Made[:min(len(w.Made), mostMade)]
	return err
}

// Known reports whether there is an answer: a rule has written the record or the field, or, if no
// field was asked for, has made something from the record.
func (w Why) Known() bool { return len(w.Writers) > 0 || w.Field == "" && len(w.Made) > 0 }

// entityName is an entity of the CRM as runs list shows it.
func entityName(typ int, id int64) string {
	if typ == 0 {
		return ""
	}
	e := engine.Entity{Kind: schemas.OwnerByType(typ).Name, TypeID: typ, ID: fmt.Sprint(id)}
	if engine.OwnerTypeID(e.Kind) == 0 || typ >= schemas.TypeSmartInvoice {
		e.Kind = "item"
	}
	return e.String()
}

// addRun adds what history has of the run. The ids of a new database start at 1 again, so the
// run must be the same in all that the row says.
func (w *Writer) addRun(ctx context.Context, q *queue.Queue, portal, field string) error {
	if w.Run == 0 {
		return nil
	}
	runs, err := journal.FindRuns(ctx, q.Database(), journal.Filter{Portal: portal, Entity: w.Entity, Limit: mostRuns})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(runs, func(r journal.Run) bool { return r.ID == w.Run })
	if i < 0 {
		return nil
	}
	w.Event, w.Events = runs[i].Event.Code, runs[i].Count
	attempts, err := journal.Attempts(ctx, q.Database(), w.Run)
	if err != nil || field == "" {
		return err
	}
	for _, a := range slices.Backward(attempts) {
		record, err := history.ReadRecord(json.RawMessage(a.Record))
		if err != nil {
			continue // of an older version
		}
		for _, s := range record.Steps {
			if strings.HasPrefix(w.File, fmt.Sprintf("%s:%d:", record.File, s.Line)) {
				w.addValue(s, record.Inputs, field)
			}
		}
	}
	return nil
}

// mostRuns bounds the runs of an entity that are read.
const mostRuns = 50

// addValue adds the value of a field of a step.
func (w *Writer) addValue(s history.StepRecord, inputs map[string]any, field string) {
	for _, a := range s.Args {
		switch fields := a.Values["fields"].(type) {
		case map[string]any:
			for name, v := range fields {
				if sameField(name, field) {
					w.Value = v
				}
			}
		case string: // computed for each row: its text in the file
			for _, f := range splitFields(fields) {
				name := f.name
				if f.input {
					name = fmt.Sprint(inputs[name])
				}
				if sameField(name, field) {
					w.Formula = f.text
				}
			}
		}
	}
}

// fieldPart is one of the fields in the text of a record.
type fieldPart struct {
	name  string
	input bool // name is the input that has the name of the field
	text  string
}

// fieldName is the beginning of a field.
var fieldName = regexp.MustCompile(`^(=inputs\.)?(\w+): `)

// splitFields reads a text such as NAME: Roof, =inputs.sum: =round(a, 2).
func splitFields(text string) (out []fieldPart) {
	depth, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if depth > 0 || i > 0 && !strings.HasSuffix(text[:i], ", ") {
			continue
		}
		m := fieldName.FindStringSubmatch(text[i:])
		if m == nil {
			continue
		}
		if len(out) > 0 {
			out[len(out)-1].text = text[start : i-len(", ")]
		}
		out, start = append(out, fieldPart{name: m[2], input: m[1] != ""}), i+len(m[0])
	}
	if len(out) > 0 {
		out[len(out)-1].text = text[start:]
	}
	return out
}

// Write prints the answer as text. zone is that of the portal.
func (w Why) Write(out io.Writer, zone *time.Location) error {
	if zone == nil {
		zone = time.Local
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s in portal %s", w.Record, w.Portal)
	if len(w.Writers) == 0 {
		fmt.Fprintf(&b, ": no rule is known to have written %s", cmp.Or(w.Field, "it"))
	}
	b.WriteString("\n")
	for _, one := range w.Writers {
		by := fmt.Sprintf("run %d at", one.Run)
		if one.Run == 0 {
			by = "taken over with adopt at"
		}
		fmt.Fprintf(&b, "rule %s (%s), version %s, %s %s", one.Rule, one.File, one.Version, by, one.At.In(zone).Format(time.DateTime))
		if one.Orphan {
			b.WriteString("; no rule has it any more")
		}
		b.WriteString("\n")
		if one.Entity != "" {
			fmt.Fprintf(&b, "  for %s", one.Entity)
			if one.Event != "" {
				fmt.Fprintf(&b, ", because of %s (%s)", one.Event, Plural(one.Events, "event", "events"))
			} else if one.Run > 0 {
				b.WriteString(", history no longer has the run")
			}
			b.WriteString("\n")
		}
		switch {
		case w.Field == "":
			fmt.Fprintf(&b, "  writes %s\n", strings.Join(one.Fields, ", "))
		case one.Value != nil:
			fmt.Fprintf(&b, "  %s: %v\n", w.Field, one.Value)
		case one.Formula != "":
			fmt.Fprintf(&b, "  %s: %s\n", w.Field, one.Formula)
		}
	}
	for i, c := range w.Changes {
		if i == 0 {
			b.WriteString("changes, the latest first:\n")
		}
		fmt.Fprintf(&b, "  %s  %s: %s -> %s, run %d, rule %s\n", c.At.In(zone).Format(time.DateTime), c.Field, fieldValue(c.Before), fieldValue(c.After), c.Run, c.Rule)
		if c.ByOthers {
			b.WriteString("    a person or another program had written it since the change before\n")
		}
	}
	for i, m := range w.Made {
		if i == 0 {
			fmt.Fprintf(&b, "made from %s:\n", w.Record)
		}
		fmt.Fprintf(&b, "  %s, rule %s, run %d at %s\n", m.ID, m.Rule, m.Run, m.At.In(zone).Format(time.DateTime))
	}
	if len(w.Made) == mostMade {
		b.WriteString("  and perhaps more\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// fieldValue is a value of a field in one line.
func fieldValue(v any) string {
	if v == nil {
		return "-"
	}
	return OneLine(fmt.Sprint(v))
}
