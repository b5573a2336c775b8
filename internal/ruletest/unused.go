package ruletest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// unused returns the answers of the scene that no call has had. Such an answer has a slip in its
// name or in its params, or the rule does not do what the author of the test thinks.
func (r *recorder) unused() (out []Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, a := range r.answers {
		if !r.needed[i] {
			out = append(out, Failure{Pos: a.Pos, Message: r.whyUnused(a)})
		}
	}
	return out
}

func (r *recorder) whyUnused(a testfile.Answer) string {
	called := map[string]bool{}
	params := map[string]bool{}
	for _, c := range r.asked {
		called[c.Method] = true
		if strings.EqualFold(c.Method, a.Method) {
			for name := range plainParams(c) {
				params[name] = true
			}
		}
	}
	if len(params) == 0 {
		if hint := diag.Closest(a.Method, slices.Collect(maps.Keys(called))); hint != "" && !strings.EqualFold(hint, a.Method) {
			return fmt.Sprintf("no run has called %s (did you mean %q?)", a.Method, hint)
		}
		if !called[a.Method] {
			return fmt.Sprintf("no run has called %s, so nothing needs this answer", a.Method)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Params)) {
		if hint := diag.Closest(name, slices.Collect(maps.Keys(params))); !params[name] && hint != "" {
			return fmt.Sprintf("no call of %s has the parameter %s (did you mean %q?)", a.Method, name, hint)
		}
	}
	if len(a.Params) > 0 {
		return fmt.Sprintf("no call of %s has these params, or other answers come first", a.Method)
	}
	return fmt.Sprintf("other answers have answered all calls of %s", a.Method)
}

// idleFaults returns the faults of a scene that no call has met.
func idleFaults(e *testfile.Event, all []emulator.FaultState) (out []Failure) {
	for _, f := range all {
		switch {
		case f.Hit > 0:
		case f.Matched > 0:
			out = append(out, Failure{Pos: e.Pos, Message: fmt.Sprintf("the fault %s has matched calls, and changed none of them", f.Kind)})
		default:
			out = append(out, Failure{Pos: e.Pos, Message: fmt.Sprintf("no call of the runs matches the fault %s%s", f.Kind, of(f.Method))})
		}
	}
	return out
}

func of(method string) string {
	if method == "" {
		return ""
	}
	return " of " + compare.Text(method)
}
