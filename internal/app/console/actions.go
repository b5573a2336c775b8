package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// who names the user in the history of runs.
func (q *request) who() string { return q.user.Name + " (console)" }

func (c *Console) replay(q *request) (*page, error) {
	return c.repair(q, audit.Replayed, c.Queue.Replay)
}

func (c *Console) discard(q *request) (*page, error) {
	return c.repair(q, audit.Discarded, c.Queue.Discard)
}

// repair replays or discards one run. If somebody else was faster, the page of the run says so.
func (c *Console) repair(q *request, action audit.Action, do func(ctx context.Context, run int64, who string, also ...queue.Also) error) (*page, error) {
	r, _, err := c.foundRun(q)
	if err != nil {
		return nil, err
	}
	id := r.Listed.ID
	e := audit.Entry{Action: action, Portal: r.Listed.Portal, Target: fmt.Sprintf("run %d, %s for %s", id, r.Listed.Rule, r.Listed.Entity)}
	err = do(q.Context(), id, q.who(), q.noted(e))
	if errors.Is(err, queue.ErrState) {
		return &page{redirect: fmt.Sprintf("/runs/%d?refused=replay", id)}, nil
	}
	if err != nil {
		return nil, err
	}
	if action == audit.Replayed {
		if _, err := c.Queue.ProbeNow(q.Context(), r.Listed.Portal, ""); err != nil {
			return nil, err
		}
	}
	return &page{redirect: fmt.Sprintf("/runs/%d?did=%s", id, action)}, nil
}

// confirmPage asks before many runs are replayed.
type confirmPage struct {
	Heading string
	Filters filters
	Cause   causeRow
	N       int
	Newest  int64
	Changed bool
}

// chosenRuns reads which runs a confirmation is about: those of a cause, or of a portal or rule.
func (c *Console) chosenRuns(q *request) (v confirmPage, f journal.Filter, err error) {
	v.Filters = q.filters()
	if v.Filters.Cause == "" && v.Filters.Portal == "" && v.Filters.Rule == "" {
		return v, f, &problem{status: http.StatusBadRequest, key: "problem.chosen"}
	}
	if f, err = c.runFilter(q, v.Filters); err != nil {
		return v, f, err
	}
	for _, text := range v.Filters.Wrong {
		return v, f, &problem{status: http.StatusNotFound, key: "problem.filter", args: []any{text}}
	}
	f.States = []journal.State{journal.Parked}
	f.Limit = 0
	rows, err := c.causeRows(q, f)
	if err != nil {
		return v, f, err
	}
	for _, row := range rows {
		v.N += row.Cause.Runs
		v.Newest = max(v.Newest, row.Newest)
		if v.Cause.Cause.Runs < row.Cause.Runs {
			v.Cause = row
		}
	}
	return v, f, nil
}

func (c *Console) confirmReplay(q *request) (*page, error) {
	v, _, err := c.chosenRuns(q)
	if err != nil {
		return nil, err
	}
	return c.confirm(q, v), nil
}

func (c *Console) confirm(q *request, v confirmPage) *page {
	v.Heading = q.t("confirm.heading", q.n("runsN", v.N))
	if v.N == 0 {
		v.Heading = q.t("confirm.none")
	}
	p := &page{template: "confirm", section: "runs", title: v.Heading, data: v, command: "b24rules runs replay" + v.Filters.args() + " --yes"}
	p.json = jsonOf(struct {
		Runs   int          `json:"runs"`
		Newest int64        `json:"newest_run"`
		Cause  report.Cause `json:"cause"`
	}{v.N, v.Newest, v.Cause.Cause})
	return p
}

// replayAll replays the runs that the confirmation has counted: runs that have failed since are
// not among them, and another count asks again.
func (c *Console) replayAll(q *request) (*page, error) {
	v, f, err := c.chosenRuns(q)
	if err != nil {
		return nil, err
	}
	if strconv.Itoa(v.N) != q.PostFormValue("count") || strconv.FormatInt(v.Newest, 10) != q.PostFormValue("newest") {
		v.Changed = true
		p := c.confirm(q, v)
		p.status = http.StatusConflict
		return p, nil
	}
	f.Before = v.Newest + 1
	target := strings.TrimSpace("cause " + v.Filters.Cause)
	if v.Filters.Cause == "" {
		target = strings.TrimSpace(v.Filters.args())
	}
	e := audit.Entry{Action: audit.Replayed, Portal: v.Filters.Portal, Target: target, Result: v.Cause.Title}
	n, err := c.Queue.ReplayAll(q.Context(), f, q.who(), q.noted(e))
	if err != nil {
		return nil, err
	}
	if _, err := c.Queue.ProbeNow(q.Context(), v.Filters.Portal, ""); err != nil {
		return nil, err
	}
	to := url.Values{"did": {"replayed"}, "n": {strconv.Itoa(n)}}
	for name, value := range map[string]string{"portal": v.Filters.Portal, "rule": v.Filters.Rule} {
		if value != "" {
			to.Set(name, value)
		}
	}
	return &page{redirect: "/runs?" + to.Encode()}, nil
}

// acknowledge says that a person knows of a cause. It is silent until another portal or rule
// fails because of it.
func (c *Console) acknowledge(q *request) (*page, error) {
	id := mux.Vars(q.Request)["cause"]
	stored, err := report.FindCause(q.Context(), c.Queue, "cause", id)
	if err != nil {
		var filter *report.FilterError
		if errors.As(err, &filter) {
			return nil, &problem{status: http.StatusNotFound, key: "problem.filter", args: []any{filter.Error()}}
		}
		return nil, err
	}
	if _, err := report.Acknowledge(q.Context(), c.Queue, stored, "", q.user.Portals, q.by(audit.Entry{At: q.now})); err != nil {
		return nil, err
	}
	return &page{redirect: "/runs?state=parked&group=cause&did=acknowledged"}, nil
}

// mostReason bounds the reason of a pause.
const mostReason = 500

func (c *Console) pause(q *request) (*page, error) {
	portal, err := c.namedPortal(q)
	if err != nil {
		return nil, err
	}
	rule, reason := q.PostFormValue("rule"), c.hide(strings.TrimSpace(q.PostFormValue("reason")))
	if rule != "" {
		if err := c.Rules().CheckRule(rule, portal); err != nil {
			return nil, &problem{status: http.StatusNotFound, key: "problem.filter", args: []any{err.Error()}}
		}
	}
	e := audit.Entry{Action: audit.Paused, Portal: portal, Target: report.Paused(portal, rule), Result: reason}
	if err := c.Queue.Pause(q.Context(), portal, rule, cutText(strings.TrimSpace(q.user.Name+": "+reason), mostReason), q.noted(e)); err != nil {
		return nil, err
	}
	return &page{redirect: "/portals/" + url.PathEscape(portal) + "?did=paused"}, nil
}

// resume ends a pause, or asks a portal at fault now.
func (c *Console) resume(q *request) (*page, error) {
	portal, err := c.namedPortal(q)
	if err != nil {
		return nil, err
	}
	rule := q.PostFormValue("rule")
	e := audit.Entry{Action: audit.Resumed, Portal: portal, Target: report.Paused(portal, rule)}
	was, err := c.Queue.Resume(q.Context(), portal, rule, q.noted(e))
	if err != nil {
		return nil, err
	}
	if _, err := c.Queue.ProbeNow(q.Context(), portal, rule); err != nil {
		return nil, err
	}
	did := "resumed"
	if !was {
		did, e.Result = "probed", "the portal is asked now"
		if err := c.note(q.Context(), q, e); err != nil {
			return nil, err
		}
	}
	return &page{redirect: "/portals/" + url.PathEscape(portal) + "?did=" + did}, nil
}

// readRules makes the processes read their files again.
func (c *Console) readRules(q *request) (*page, error) {
	if q.user.Portals != nil {
		return nil, &problem{status: http.StatusForbidden, key: "problem.role"}
	}
	if c.Reload == nil {
		return nil, &problem{status: http.StatusServiceUnavailable, key: "problem.reload"}
	}
	result, err := c.Reload(q.Context(), q.who())
	if err != nil {
		return nil, err
	}
	if err := c.note(q.Context(), q, audit.Entry{Action: audit.Reloaded, Result: result}); err != nil {
		return nil, err
	}
	return &page{redirect: "/rules?did=read"}, nil
}

// portalHost is the address of a portal without its secrets.
func portalHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
