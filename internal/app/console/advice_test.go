package console

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/cause"
)

// TestRussianAdvice: each advice has a Russian form, which names the places that the English one
// names.
func TestRussianAdvice(t *testing.T) {
	kinds := []cause.Kind{
		cause.Refused, cause.Portal, cause.Answer, cause.Outside, cause.Formula, cause.Limit, cause.Cycle, cause.Missing, cause.Kept,
		cause.Stopped, cause.NoRule, cause.Gone, cause.Timeout, cause.Other,
	}
	codes := []string{"", "ACCESS_DENIED", "USER_ACCESS_ERROR", "INSUFFICIENT_SCOPE", "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "ERROR_METHOD_NOT_FOUND", "unauthorised", "blocked", "delete_limit"}
	where := cause.Where{Portal: "acme", Rule: "rules/r.yaml:7", Config: "b24rules.yaml:12"}
	q := &request{lang: russian}
	for _, kind := range kinds {
		for _, code := range codes {
			c := cause.Cause{Kind: kind, Code: code, Method: "crm.item.get"}
			english, got := c.Advice(where), q.advice(c, where)
			if (english == "") != (got == "") || got != "" && !russianLetters(got) || strings.Contains(got, "%!") {
				t.Errorf("%s %s: %q in Russian is %q", kind, code, english, got)
			}
			for _, name := range []string{"rules/r.yaml:7", "b24rules.yaml:12"} {
				if strings.Contains(english, name) && !strings.Contains(got, name) {
					t.Errorf("%s %s: no %s in %q", kind, code, name, got)
				}
			}
		}
		if got := q.advice(cause.Cause{Kind: kind}, cause.Where{}); strings.Contains(got, "%!") || strings.Contains(got, "the rule file") {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if got := (&request{}).advice(cause.Cause{Kind: cause.Gone}, where); !strings.HasPrefix(got, "Add portal acme") {
		t.Errorf("English: %q", got)
	}
}
