package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
)

// A NewVersion is a version of a rule that does not run yet, next to the one that ran last.
type NewVersion struct {
	Portal string
	// Was is the version that ran last. It has no rule if the rule is new.
	Was, Now Target
	// Last are the rule sets that ran last. The new ones are those of the service.
	Last *fleet.Generation
}

// WhatWas returns the rule of a generation that a rule is a new version of, also under an earlier id.
func WhatWas(last *fleet.Generation, portal string, r *engine.Rule) Target {
	for _, id := range append([]string{r.ID}, r.From...) {
		if was, inputs, ok := last.Rule(id, portal); ok {
			return Target{Rule: was, Inputs: inputs}
		}
	}
	return Target{}
}

// Compare returns what both versions of a rule would write for an entity. Both see the same data.
func (s *Service) Compare(ctx context.Context, v NewVersion, e engine.Entity) (before, after report.Plan, err error) {
	return s.compare(ctx, v, e, newReadOnce(s.Portal(v.Portal).Later()))
}

// CompareRecorded is Compare with the data that the record of a run has, and nothing else. Only
// fields are described by the portal. missing names a method whose answer the record does not
// have; without it the plans would be other ones.
func (s *Service) CompareRecorded(ctx context.Context, v NewVersion, e engine.Entity, r *history.Record) (before, after report.Plan, missing string, err error) {
	data := newRecordedReads(s.Portal(v.Portal).Later(), r)
	before, after, err = s.compare(ctx, v, e, data)
	data.mu.Lock()
	defer data.mu.Unlock()
	return before, after, data.missing, err
}

func (s *Service) compare(ctx context.Context, v NewVersion, e engine.Entity, data engine.Portal) (before, after report.Plan, err error) {
	remembers := v.Now.Rule.ID
	plan := func(rules *fleet.Rules, t Target) (report.Plan, error) {
		one := s.planRun(rules, t.For(e), s.Portal(v.Portal), false, remembers)
		one.Client, one.Quiet = data, true
		var fault error
		one.PortalDown = faultIn(&fault)
		p, err := report.MakePlan(ctx, one, t.Rule, s.Config().Redactor)
		return p, errors.Join(fault, err)
	}
	if v.Was.Rule != nil {
		remembers = v.Was.Rule.ID
		if before, err = plan(fleet.Fixed(v.Last), v.Was); err != nil {
			return before, after, err
		}
	}
	after, err = plan(s.rules, v.Now)
	return before, after, err
}

// PlanNow is what a rule would write now for an entity, as a run without an event. fault is not nil
// if that is not known because the portal as a whole does not answer.
func (s *Service) PlanNow(ctx context.Context, portal string, t Target, e engine.Entity) (p report.Plan, fault, err error) {
	one := s.PlanRun(t.For(e), s.Portal(portal), false)
	one.Client, one.Quiet = s.Portal(portal).Later(), true
	one.PortalDown = faultIn(&fault)
	p, err = report.MakePlan(ctx, one, t.Rule, s.Config().Redactor)
	if err != nil && bitrix.FaultOf(err) != bitrix.NoFault {
		return p, err, nil
	}
	return p, fault, err
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
