package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
)

// whyPage is the page that says who has written a record.
type whyPage struct {
	Heading           string
	Portal, Of, Field string
	Portals           []string
	Wrong             map[string]string
	Asked             bool
	Record            string
	Writers           []writerRow
	Changes           []changeRow
	Made              []madeRow
}

// madeRow is a record that was made from the one that is asked for.
type madeRow struct {
	report.MadeFrom
	When time.Time
}

// changeRow is one change of a field.
type changeRow struct {
	report.Written
	When time.Time
}

type writerRow struct {
	report.Writer
	When   time.Time
	HasRun bool
	Text   string
}

func (c *Console) why(q *request) (*page, error) {
	v := whyPage{
		Heading: q.t("why.heading"), Portal: strings.TrimSpace(q.FormValue("portal")), Of: strings.TrimSpace(q.FormValue("of")),
		Field: strings.TrimSpace(q.FormValue("field")), Portals: c.portalNames(q), Wrong: map[string]string{},
	}
	if v.Portal == "" && len(v.Portals) == 1 {
		v.Portal = v.Portals[0]
	}
	p := &page{template: "why", section: "why", title: v.Heading, command: "b24rules why"}
	if v.Of == "" {
		p.data = v
		return p, nil
	}
	v.Asked = true
	f := filters{Portal: v.Portal, Wrong: v.Wrong}
	if err := c.portalFilter(q, f); err != nil {
		return nil, err
	}
	if v.Portal == "" {
		v.Wrong["portal"] = q.t("filter.needed")
	}
	args := []string{v.Of}
	if v.Field != "" {
		args = append(args, v.Field)
	}
	place, id, field, err := report.ParseRecord(args)
	var wrong *report.FilterError
	if errors.As(err, &wrong) {
		v.Wrong["of"] = wrong.Error()
	}
	if len(v.Wrong) > 0 {
		v.Heading = q.t("filter.wrong")
		p.status, p.title, p.data, p.json = http.StatusBadRequest, v.Heading, v, q.wrongJSON(f)
		return p, nil
	}
	w, err := report.ReadWhy(q.Context(), c.Queue, v.Portal, place, id, field)
	if err != nil {
		return nil, err
	}
	zone, _ := c.knownPortals().Zone(v.Portal)
	v.Record = w.Record
	for i, one := range w.Writers {
		row := writerRow{Writer: one, When: one.At.In(zone), HasRun: one.Event != ""}
		if q.user.NoRecords {
			row.Value, w.Writers[i].Value = nil, nil
		}
		switch {
		case row.Value != nil:
			row.Text = valueText(row.Value)
		case row.Formula != "":
			row.Text = row.Formula
		}
		v.Writers = append(v.Writers, row)
	}
	if q.user.NoRecords {
		w.Changes = []report.Written{}
	}
	for _, one := range w.Changes {
		v.Changes = append(v.Changes, changeRow{one, one.At.In(zone)})
	}
	for _, one := range w.Made {
		v.Made = append(v.Made, madeRow{one, one.At.In(zone)})
	}
	switch {
	case len(v.Writers) == 0 && field != "":
		v.Heading = q.t("why.unknown.field", field, w.Record)
	case len(v.Writers) == 0 && len(v.Made) > 0:
		v.Heading = q.t("why.source", w.Record)
	case len(v.Writers) == 0:
		v.Heading = q.t("why.unknown", w.Record)
	case v.Writers[0].Value != nil:
		v.Heading = q.t("why.value", v.Writers[0].Text, v.Writers[0].Rule, v.Writers[0].When.Format("2006-01-02 15:04:05"))
	default:
		v.Heading = q.t("why.written", w.Record, v.Writers[0].Rule, v.Writers[0].When.Format("2006-01-02 15:04:05"))
	}
	p.title, p.data, p.json, p.zone = v.Heading, v, jsonOf(w), zone
	p.command = fmt.Sprintf("b24rules why --portal %s %s", v.Portal, quoted(v.Of))
	if field != "" {
		p.command += " " + quoted(field)
	}
	return p, nil
}
