package rollout

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
)

// versions are a version of a rule that does not run yet, and the one that ran last.
type versions struct {
	portal string
	// was has no rule if the rule is new.
	was, now service.Target
}

// whatWas returns the rule that ran last and of which a rule is a new version, also under an earlier id.
func (p *Planner) whatWas(portal string, r *engine.Rule) service.Target {
	for _, id := range append([]string{r.ID}, r.From...) {
		if was, inputs, ok := p.last.Rule(id, portal); ok {
			return service.Target{Rule: was, Inputs: inputs}
		}
	}
	return service.Target{}
}

// compare returns what both versions of a rule would write for an entity. Both see the same data.
func (p *Planner) compare(ctx context.Context, v versions, e engine.Entity) (before, after report.Plan, err error) {
	return p.compareOver(ctx, v, e, newReadOnce(p.service.Portal(v.portal).Later()))
}

// compareRecorded is compare with the data that the record of a run has, and nothing else. Only
// fields are described by the portal. missing names a method whose answer the record does not
// have; without it the plans would be other ones.
func (p *Planner) compareRecorded(ctx context.Context, v versions, e engine.Entity, r *history.Record) (before, after report.Plan, missing string, err error) {
	data := newRecordedReads(p.service.Portal(v.portal).Later(), r)
	before, after, err = p.compareOver(ctx, v, e, data)
	data.mu.Lock()
	defer data.mu.Unlock()
	return before, after, data.missing, err
}

func (p *Planner) compareOver(ctx context.Context, v versions, e engine.Entity, data engine.Portal) (before, after report.Plan, err error) {
	// The new version has the memory of the old one, also under another id.
	d := service.DryRun{Portal: p.service.Portal(v.portal), Client: data, Quiet: true, Faults: true, Remembers: v.now.Rule.ID}
	if v.was.Rule != nil {
		d.Target, d.Rules, d.Remembers = v.was.For(e), p.last, v.was.Rule.ID
		if before, err = p.service.Plan(ctx, d); err != nil {
			return before, after, err
		}
	}
	d.Target, d.Rules = v.now.For(e), p.next
	after, err = p.service.Plan(ctx, d)
	return before, after, err
}

// readOnce is a portal that is asked each question once: two dry runs over it see the same data. It
// is not asked to write.
type readOnce struct {
	engine.Portal

	mu      sync.Mutex
	answers map[string]bitrix.Answer
	rows    map[string][]json.RawMessage
}

func newReadOnce(p engine.Portal) *readOnce {
	return &readOnce{Portal: p, answers: map[string]bitrix.Answer{}, rows: map[string][]json.RawMessage{}}
}

// questionOf tells calls from each other.
func questionOf(c bitrix.Call, wrapper string) string {
	params, err := json.Marshal(c.Params)
	if err != nil {
		return "" // it is asked again
	}
	return c.Method + " " + wrapper + " " + string(params)
}

// Do implements engine.Portal.
func (r *readOnce) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	var ask []bitrix.Call
	var at []int
	for i, c := range calls {
		r.mu.Lock()
		a, ok := r.answers[questionOf(c, "")]
		r.mu.Unlock()
		if ok {
			out[i] = a
			continue
		}
		ask, at = append(ask, c), append(at, i)
	}
	if len(ask) == 0 {
		return out
	}
	for i, a := range r.Portal.Do(ctx, ask...) {
		out[at[i]] = a
		if key := questionOf(ask[i], ""); key != "" && (a.Err == nil || bitrix.IsNotFound(a.Err)) {
			r.mu.Lock()
			r.answers[key] = a
			r.mu.Unlock()
		}
	}
	return out
}

// List implements engine.Portal.
func (r *readOnce) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	key := questionOf(call, wrapper)
	r.mu.Lock()
	rows, ok := r.rows[key]
	r.mu.Unlock()
	if ok {
		return rows, nil
	}
	rows, err := r.Portal.List(ctx, call, wrapper)
	if err == nil && key != "" {
		r.mu.Lock()
		r.rows[key] = rows
		r.mu.Unlock()
	}
	return rows, err
}

// recordedReads is a portal that answers what a run was answered. It fails for other calls.
type recordedReads struct {
	engine.Portal
	answers map[string]history.CommandRecord

	mu      sync.Mutex
	missing string
}

func newRecordedReads(p engine.Portal, r *history.Record) *recordedReads {
	out := &recordedReads{Portal: p, answers: map[string]history.CommandRecord{}}
	all := slices.Clone(r.Commands)
	for _, s := range r.Steps {
		all = append(all, s.Commands...)
	}
	for _, c := range all {
		if key := recordKey(c.Method, c.Params); !c.Write && !c.Cut && key != "" {
			if _, twice := out.answers[key]; !twice { // later ones may show what the run has written
				out.answers[key] = c
			}
		}
	}
	return out
}

// recordKey tells calls from each other, whatever the order of their parameters.
func recordKey(method string, params json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(params))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return method + " " + string(text)
}

func (r *recordedReads) find(c bitrix.Call) (history.CommandRecord, error) {
	params, err := json.Marshal(c.Params)
	if err != nil {
		return history.CommandRecord{}, err
	}
	if found, ok := r.answers[recordKey(c.Method, params)]; ok {
		return found, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing = c.Method
	return history.CommandRecord{}, engine.ParkError("the history does not have the answer of %s", c.Method)
}

// Do implements engine.Portal.
func (r *recordedReads) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i, c := range calls {
		if c.Shared { // a description of fields
			out[i] = r.Portal.Do(ctx, c)[0]
			continue
		}
		out[i] = bitrix.Answer{Total: -1, Next: -1}
		found, err := r.find(c)
		switch {
		case err != nil:
			out[i].Err = err
		case found.Code != "" || found.Error != "":
			out[i].Err = &bitrix.Error{Method: c.Method, Status: http.StatusBadRequest, Code: found.Code, Detail: found.Error, Outcome: bitrix.Executed}
		default:
			out[i].Result = found.Result
		}
	}
	return out
}

// List implements engine.Portal.
func (r *recordedReads) List(_ context.Context, call bitrix.Call, _ string) ([]json.RawMessage, error) {
	found, err := r.find(call)
	if err != nil {
		return nil, err
	}
	var rows []json.RawMessage
	return rows, json.Unmarshal(found.Result, &rows)
}
