package catchup

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

func TestNumbers(t *testing.T) {
	for text, want := range map[string][]int{
		`759`: {759}, `"759"`: {759}, `{"1023":"759"}`: {759}, `["D_759","DEAL_7"]`: {759, 7}, `"Tb1_5"`: {5},
		`null`: nil, `false`: nil, `""`: nil, `[]`: nil, `"x"`: nil, `0`: nil, `-3`: nil, `{`: nil,
	} {
		got := numbers(json.RawMessage(text))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", text, got, want)
		}
	}
}

// odd is a portal that gives the same answer to every call.
type odd string

func (o odd) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i := range out {
		out[i] = bitrix.Answer{Result: json.RawMessage(o), Total: -1, Next: -1}
	}
	return out
}

func (odd) ListFields(context.Context, string, int) (*bitrix.ListFields, error) { return nil, nil }

// The rows of a portal that does not filter are filtered here; a portal that does not
// order would skip entities, so that is an error.
func TestPagesOfOddPortals(t *testing.T) {
	since := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	ids, last, more, err := page(t.Context(), odd(`{"items":[{"id":4,"updatedTime":"2026-11-25T14:59:59+03:00"},{"id":"5","updatedTime":"2026-11-25T15:00:00+03:00"}]}`), 2, since, 3)
	if err != nil || !slices.Equal(ids, []int{5}) || last != 5 || more {
		t.Errorf("a portal that does not filter: %v, %d, %v, %v", ids, last, more, err)
	}
	for _, answer := range []string{`{"items":[{"id":5},{"id":4}]}`, `{"items":[{"id":2}]}`, `{"items":[{"id":null}]}`, `{"items":[{}]}`} {
		if _, _, _, err := page(t.Context(), odd(answer), 2, time.Time{}, 3); err == nil || !strings.Contains(err.Error(), "does not order") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	for _, answer := range []string{`[]`, `7`, `"x"`} {
		if _, _, _, err := page(t.Context(), odd(answer), 2, time.Time{}, 0); err == nil {
			t.Errorf("%s is taken for a page", answer)
		}
	}
	if _, err := Now(t.Context(), odd(`"soon"`)); err == nil {
		t.Error("a time that is none is taken for one")
	}
}
