package console

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
)

// auditPage is the page of what people did.
type auditPage struct {
	Who, Portal, What string
	Wrong             map[string]string
	Actions           []option
	Rows              []auditRow
	Older             string
}

type auditRow struct {
	audit.Entry
	When      time.Time
	Day, Word string
}

func (c *Console) auditLog(q *request) (*page, error) {
	v := auditPage{Who: q.FormValue("who"), Portal: q.FormValue("portal"), What: q.FormValue("what"), Wrong: map[string]string{}}
	f := filters{Before: q.FormValue("before"), Wrong: v.Wrong}
	filter := audit.Filter{Who: v.Who, Portal: v.Portal, Action: audit.Action(v.What), Portals: q.user.Portals, Before: f.before(q), Limit: pageRows + 1}
	v.Actions = []option{{"", q.t("filter.any"), v.What == ""}}
	for _, a := range audit.Actions() {
		v.Actions = append(v.Actions, option{string(a), q.t("did." + string(a) + ".word"), v.What == string(a)})
	}
	p := &page{template: "audit", section: "audit", title: q.t("audit.heading"), command: "b24rules audit"}
	for _, flag := range [][2]string{{"who", v.Who}, {"what", v.What}, {"portal", v.Portal}} {
		if flag[1] != "" {
			p.command += " --" + flag[0] + " " + quoted(flag[1])
		}
	}
	if v.What != "" && !slices.Contains(audit.Actions(), audit.Action(v.What)) {
		v.Wrong["what"] = q.t("filter.what", v.What)
	}
	if len(v.Wrong) > 0 {
		p.status, p.data, p.json = http.StatusBadRequest, v, q.wrongJSON(f)
		return p, nil
	}
	list, err := c.audit.List(q.Context(), filter)
	if err != nil {
		return nil, err
	}
	next := int64(0)
	if len(list) > pageRows {
		list = list[:pageRows]
		next = list[pageRows-1].ID
		v.Older = q.with("before", strconv.FormatInt(next, 10))
	}
	last := ""
	for _, e := range list {
		row := auditRow{Entry: e, When: e.At.Local(), Word: q.t("did." + string(e.Action) + ".word")}
		if d := row.When.Format(time.DateOnly); d != last {
			row.Day, last = day(q.lang, row.When), d
		}
		v.Rows = append(v.Rows, row)
	}
	p.data = v
	p.json = func(w io.Writer) error { return report.WriteAudit(w, "json", list, next, c.knownPortals()) }
	return p, nil
}

func (c *Console) keys(q *request) (*page, error) {
	return &page{template: "keys", section: "keys", title: q.t("keys.heading"), data: nil, command: "b24rules help"}, nil
}
