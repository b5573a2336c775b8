package ruletest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// Failure is one failed expectation or check of a test.
type Failure struct {
	diag.Pos
	// Check is the name of the built-in check, "" for an expectation of the test.
	Check string
	// Message describes the failure in one line.
	Message string
	// Diff shows the expected and the actual value, "" if the message is enough.
	Diff string
}

// verify compares the result of a scenario with its expectations.
func (s *fixture) verify(p scenarioResult) []Failure {
	sc := p.phase.Scenario
	out := s.verifyOutcome(p)
	if sc.Calls != nil {
		if d := s.callsDiff(sc.Calls, p.writes); d != "" {
			out = append(out, Failure{Pos: sc.Calls.Pos, Message: fmt.Sprintf("after %s the calls differ from the expected calls (-want +got)", sc.Event.Label), Diff: d})
		}
	}
	if sc.Expect != nil {
		out = append(out, s.verifyState(p)...)
	}
	if len(out) > 0 {
		return append(out, handledErrors(p)...)
	}
	return p.unused
}

func (s *fixture) verifyState(p scenarioResult) (out []Failure) {
	sc := p.phase.Scenario
	byType := sc.Expect.ByType()
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		out = append(out, recordsFailure(sc, byType[typ], testportal.TypeName(typ), p.after.Items[typ])...)
	}
	for _, ref := range compare.SortedByNumber(sc.Expect.Elements) {
		id, _, _ := s.schema.List(ref)
		out = append(out, recordsFailure(sc, sc.Expect.Elements[ref], "elements."+ref, p.after.Elements[id])...)
	}
	return out
}

// handledErrors reports steps that failed in successful runs, because an error that
// on_error handled can be the cause of the other failures.
func handledErrors(p scenarioResult) (out []Failure) {
	for _, r := range p.runs {
		for _, step := range r.trace.Steps {
			if r.err == nil && step.Error != "" && r.outcome == string(history.Done) {
				out = append(out, Failure{
					Pos:     p.phase.Scenario.Event.Pos,
					Message: fmt.Sprintf("note: step %s of %s failed and on_error handled it: %s", step.Step, r.rule.ID, step.Error),
				})
			}
		}
	}
	return out
}

func recordsFailure(sc *testfile.Scenario, w *testfile.ExpectedRecords, what string, got []testportal.Record) []Failure {
	d := recordsDiff(w, got, sc.Expect.Partial)
	if d == "" {
		return nil
	}
	return []Failure{{Pos: w.Pos, Message: fmt.Sprintf("after %s the portal has other %s than expected (-want +got)", sc.Event.Label, what), Diff: d}}
}

// verifyOutcome compares how the runs ended with outcome and error. Without these keys no
// run may fail.
func (s *fixture) verifyOutcome(p scenarioResult) []Failure {
	sc := p.phase.Scenario
	pos := sc.Event.Pos
	if sc.Outcome != nil {
		pos = sc.Outcome.Pos
	}
	var out []Failure
	fail := func(format string, args ...any) {
		out = append(out, Failure{Pos: pos, Message: fmt.Sprintf(format, args...)})
	}
	if len(p.runs) == 0 {
		if sc.Outcome == nil || sc.Outcome.Word != "none" {
			fail("%s", s.noSubscriber(sc.Event))
		}
		return out
	}
	wrong := false // a run failed with the expected error
	for _, r := range p.runs {
		want := ""
		if sc.Outcome != nil {
			if !r.followed {
				want = sc.Outcome.Word
			}
			if sc.Outcome.ByRule != nil {
				want = sc.Outcome.ByRule[r.rule.ID]
			}
		}
		expectedError := sc.Error != nil && r.err != nil && strings.Contains(r.err.Error(), sc.Error.Text)
		wrong = wrong || expectedError
		switch {
		case want != "" && want != r.outcome:
			fail("the run of %s for %s ended as %s, expected %s%s", r.rule.ID, sc.Event.Label, r.outcome, want, reason(r))
		case want == "" && !r.followed && r.outcome == string(history.Gone) && sc.Event.Kind.Op != "delete":
			fail("the run of %s for %s did nothing, because %s does not exist: add it to given, or write outcome: gone", r.rule.ID, sc.Event.Label, r.route.Entity)
		case r.err != nil && want == "" && (sc.Error == nil || r.followed && !expectedError):
			fail("the run of %s for %s was %s%s", r.rule.ID, sc.Event.Label, r.outcome, reason(r))
		}
	}
	if sc.Outcome != nil {
		for _, rule := range slices.Sorted(maps.Keys(sc.Outcome.ByRule)) {
			heard := slices.ContainsFunc(p.runs, func(r ruleRun) bool { return r.rule.ID == rule })
			if heard == (sc.Outcome.ByRule[rule] == "none") {
				fail("%s and event %s: the expected outcome is %s", rule, sc.Event.Label, sc.Outcome.ByRule[rule])
			}
		}
	}
	if sc.Error != nil && !wrong {
		pos = sc.Error.Pos
		var said []string
		for _, r := range p.runs {
			said = append(said, r.outcome+reason(r))
		}
		fail("no run failed with the text %q: %s", sc.Error.Text, strings.Join(said, "; "))
	}
	return out
}

func reason(r ruleRun) string {
	if r.err == nil {
		return ""
	}
	text := ": " + r.err.Error()
	var rest *bitrix.Error
	if errors.As(r.err, &rest) && rest.Code == "ERROR_METHOD_NOT_FOUND" {
		text += fmt.Sprintf(" (the emulated portal does not have this method: write its answer, `answers: {%s: …}`)", rest.Method)
	}
	return text
}

// recordsDiff compares records with the expected ones.
func recordsDiff(w *testfile.ExpectedRecords, got []testportal.Record, partial bool) string {
	pairs := pairRecords(w.List, got)
	var wantDoc, gotDoc []any
	taken := map[int]bool{}
	for i, x := range w.List {
		j, ok := pairs[i]
		if x.Gone {
			if ok {
				taken[j] = true
				gotDoc = append(gotDoc, labelled(x.ID, withoutDefaults(got[j])))
			}
			continue
		}
		wantDoc = append(wantDoc, labelled(x.ID, x.Fields.Values()))
		if ok {
			taken[j] = true
			shape, _ := compare.Shape(x.Fields.Values(), got[j].Values, false).(map[string]any)
			gotDoc = append(gotDoc, labelled(x.ID, shape))
		}
	}
	for j, x := range got {
		if !taken[j] && !partial {
			gotDoc = append(gotDoc, withoutDefaults(x))
		}
	}
	return compare.Diff(compare.Render(orEmpty(wantDoc)), compare.Render(orEmpty(gotDoc)))
}

func labelled(id string, values map[string]any) any {
	if id == "" {
		return values
	}
	return map[string]any{id: values}
}

// withoutDefaults returns an unexpected record without the fields that every record has.
func withoutDefaults(x testportal.Record) map[string]any {
	out := map[string]any{}
	for name, v := range x.Values {
		switch name {
		case "ID", "CODE", "opened", "assignedById", "categoryId", "stageId", "begindate", "closedate", "currencyId",
			"sourceId", "typeId", "companyId", "contactId", "mycompanyId", "webformId", "isManualOpportunity", "taxValue",
			"isNew", "isRecurring", "isReturnCustomer", "isRepeatedApproach", "closed", "stageSemanticId":
			continue
		}
		if !testportal.AutomaticFields[name] {
			out[name] = v
		}
	}
	return out
}

// pairRecords returns for each expected record the record to compare it with: first a
// perfect matching of equal records, then the most similar ones of the rest.
func pairRecords(want []testfile.ExpectedRecord, got []testportal.Record) map[int]int {
	owner := map[int]int{} // expected record of each actual one
	var try func(i int, seen map[int]bool) bool
	try = func(i int, seen map[int]bool) bool {
		for j, x := range got {
			if seen[j] || !recordMatches(want[i], x) {
				continue
			}
			seen[j] = true
			if o, taken := owner[j]; !taken || try(o, seen) {
				owner[j] = i
				return true
			}
		}
		return false
	}
	pairs := map[int]int{}
	for i := range want {
		try(i, map[int]bool{})
	}
	for j, i := range owner {
		pairs[i] = j
	}
	pairSimilar(want, got, owner, pairs)
	return pairs
}

func pairSimilar(want []testfile.ExpectedRecord, got []testportal.Record, owner, pairs map[int]int) {
	for i, w := range want {
		if _, paired := pairs[i]; paired || w.Gone {
			continue
		}
		best, most := -1, 0
		for j, x := range got {
			if _, taken := owner[j]; taken || w.ID != "" && w.ID != strconv.FormatInt(x.ID, 10) {
				continue
			}
			score := 0
			if w.ID != "" {
				score = 1
			}
			for _, f := range w.Fields {
				if compare.Equal(f.Value, x.Values[f.Name], false) {
					score++
				}
			}
			if score > most {
				best, most = j, score
			}
		}
		if best >= 0 {
			pairs[i], owner[best] = best, i
		}
	}
}

func recordMatches(w testfile.ExpectedRecord, x testportal.Record) bool {
	if w.ID != "" && w.ID != strconv.FormatInt(x.ID, 10) {
		return false
	}
	return w.Gone || compare.Equal(w.Fields.Values(), x.Values, false)
}
