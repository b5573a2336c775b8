package cause_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/diag"
)

// in wraps an error as a run does.
func in(verdict run.Verdict, err error) error {
	return &run.RunError{Rule: "r", Step: "s", Pos: diag.Pos{File: "rules/r.yaml", Line: 7, Column: 3}, Verdict: verdict, Err: err}
}

// TestOf holds the cause of each kind of failure, that it survives storing, and that it
// has a title and a recommendation that names where the fault is.
func TestOf(t *testing.T) {
	here := func(kind cause.Kind, code string) cause.Cause {
		return cause.Cause{Kind: kind, Code: code, Rule: "r", File: "rules/r.yaml", Step: "s"}
	}
	for _, tt := range []struct {
		name   string
		err    error
		want   cause.Cause
		advice string // a part of it
	}{
		{
			"no right", in(run.Park, fmt.Errorf("row 3: %w", &bitrix.Error{Method: "lists.element.get", Code: "ACCESS_DENIED", Status: 400, Outcome: bitrix.Executed})),
			cause.Cause{Kind: cause.Refused, Method: "lists.element.get", Code: "ACCESS_DENIED"},
			"portal acme",
		},
		{"no code", in(run.Park, &bitrix.Error{Method: "crm.deal.update", Detail: "Not valid", Outcome: bitrix.Executed}), cause.Cause{Kind: cause.Refused, Method: "crm.deal.update"}, "rules/r.yaml:7"},
		{
			"no right in a single call", in(run.Park, &bitrix.Error{Method: "lists.element.get", Code: "ACCESS_DENIED", Status: 403}),
			cause.Cause{Kind: cause.Refused, Method: "lists.element.get", Code: "ACCESS_DENIED"},
			"has no permission",
		},
		{"scope", in(run.Park, &bitrix.Error{Method: "x", Code: "insufficient_scope", Status: 403}), cause.Cause{Kind: cause.Refused, Method: "x", Code: "INSUFFICIENT_SCOPE"}, "lacks a scope"},
		{"rate", in(run.Later, &bitrix.Error{Method: "x", Code: "QUERY_LIMIT_EXCEEDED", Status: 503}), cause.Cause{Kind: cause.Refused, Method: "x", Code: "QUERY_LIMIT_EXCEEDED"}, "automatically"},
		{"no method", in(run.Park, &bitrix.Error{Method: "x", Code: "ERROR_METHOD_NOT_FOUND", Status: 404}), cause.Cause{Kind: cause.Refused, Method: "x", Code: "ERROR_METHOD_NOT_FOUND"}, "rules/r.yaml:7"},
		{"credentials", in(run.Later, &bitrix.Error{Method: "x", Code: "INVALID_CREDENTIALS", Status: 401}), cause.Cause{Kind: cause.Portal, Code: "unauthorised"}, "b24rules.yaml:12"},
		{"blocked", in(run.Later, &bitrix.Error{Method: "x", Code: bitrix.CodeOverload, Status: 429}), cause.Cause{Kind: cause.Portal, Code: "blocked"}, "support"},
		{"network", in(run.Retry, &bitrix.Error{Method: "x", Code: bitrix.CodeNetwork}), cause.Cause{Kind: cause.Portal, Code: "unreachable"}, "Portal acme does not answer"},
		{"shape", in(run.Retry, &bitrix.Error{Method: "x", Code: bitrix.CodeBadAnswer, Status: 200, Outcome: bitrix.Executed}), cause.Cause{Kind: cause.Answer, Method: "x"}, "dump"},
		{"formula", in(run.Park, errors.New("division by zero")), here(cause.Formula, ""), "rules/r.yaml:7"},
		{"delete limit", in(run.Park, engine.ParkErrorOf("delete_limit", "would delete 40")), here(cause.Limit, "delete_limit"), "raise delete_limit in rules/r.yaml:7"},
		{"cycle", in(run.Park, engine.ParkErrorOf(engine.ParkedByCycle, "25 runs")), here(cause.Cycle, ""), "runs list"},
		{"property", in(run.Park, engine.ParkErrorOf(engine.ParkedByMissing, "no property")), here(cause.Missing, ""), "rules/r.yaml:7"},
		{"lost field", in(run.Park, engine.ParkErrorOf(engine.ParkedByLostField, "not kept")), here(cause.Kept, ""), "portal acme"},
		{"fail step", in(run.Park, engine.ParkError("no contract")), here(cause.Stopped, ""), "rules/r.yaml:7"},
		{"other system", in(run.Park, engine.ParkError("http_post: %w", &engine.StatusError{Status: 404})), here(cause.Outside, "404"), "other system"},
		{"busy other system", in(run.Retry, &engine.StatusError{Status: 503}), here(cause.Outside, "503"), "other system"},
		{"timeout", in(run.Retry, context.DeadlineExceeded), here(cause.Timeout, ""), "timeout in rules/r.yaml:7"},
		{"anything else", in(run.Retry, errors.New("x")), here(cause.Other, ""), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := cause.Of(tt.err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, cause.Parse(got.String())); diff != "" {
				t.Errorf("stored and read (-want +got):\n%s", diff)
			}
			if got.Title() == "" || got.Title() == "unknown cause" {
				t.Errorf("title %q", got.Title())
			}
			advice := got.Advice(cause.Where{Portal: "acme", Config: "b24rules.yaml:12", Rule: "rules/r.yaml:7"})
			if !strings.Contains(advice, tt.advice) || (tt.advice == "") != (advice == "") {
				t.Errorf("advice %q, want %q in it", advice, tt.advice)
			}
		})
	}
}

func TestUnknownCauses(t *testing.T) {
	for _, text := range []string{"", strings.Repeat("x\t", 20)} {
		if got := cause.Parse(text); got != (cause.Cause{}) {
			t.Errorf("%q is %+v", text, got)
		}
	}
	if (cause.Cause{}).Title() != "unknown cause" || cause.ID("") != "unknown" || cause.ID("a") == cause.ID("b") {
		t.Error("an unknown cause")
	}
	for _, c := range []cause.Cause{{Kind: cause.Gone}, {Kind: cause.NoRule, Rule: "r"}} {
		if c.Title() == "" || c.Advice(cause.Where{Portal: "acme"}) == "" {
			t.Errorf("%+v has no text", c)
		}
	}
}

// TestKnown: the manual has an example of each kind.
func TestKnown(t *testing.T) {
	kinds := map[cause.Kind]bool{}
	for _, c := range cause.Known() {
		kinds[c.Kind] = true
		if c.Title() == "" || c.Title() == "unknown cause" {
			t.Errorf("%+v has the title %q", c, c.Title())
		}
		if c.Kind != cause.Other && c.Advice(cause.Where{Portal: "main"}) == "" {
			t.Errorf("%+v has no advice", c)
		}
	}
	for _, kind := range []cause.Kind{
		cause.Refused, cause.Portal, cause.Answer, cause.Outside, cause.Formula, cause.Limit, cause.Cycle, cause.Missing,
		cause.Kept, cause.Stopped, cause.NoRule, cause.Gone, cause.Timeout, cause.Other,
	} {
		if !kinds[kind] {
			t.Errorf("no example of %s", kind)
		}
	}
}
