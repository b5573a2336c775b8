package catchup

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
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
	ids, last, more, err := NewReader(odd(`{"items":[{"id":4,"updatedTime":"2026-11-25T14:59:59+03:00"},{"id":"5","updatedTime":"2026-11-25T15:00:00+03:00"}]}`)).page(t.Context(), 2, since, nil, 3)
	if err != nil || !slices.Equal(ids, []int{5}) || last != 5 || !more {
		t.Errorf("a portal that does not filter: %v, %d, %v, %v", ids, last, more, err)
	}
	for _, answer := range []string{`{"items":[{"id":5},{"id":4}]}`, `{"items":[{"id":2}]}`, `{"items":[{"id":null}]}`, `{"items":[{}]}`} {
		if _, _, _, err := NewReader(odd(answer)).page(t.Context(), 2, time.Time{}, nil, 3); err == nil || !strings.Contains(err.Error(), "does not order") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	if ids, last, more, err := NewReader(odd(`{"items":[]}`)).page(t.Context(), 2, since, nil, 3); err != nil || len(ids) > 0 || last != 3 || more {
		t.Errorf("the end: %v, %d, %v, %v", ids, last, more, err)
	}
	if _, err := Now(t.Context(), odd(`"soon"`)); err == nil {
		t.Error("a time that is none is taken for one")
	}
}

// TestAnswersOfOtherShapes holds that an answer without its list is neither the end of
// a sync nor proof that an entity is gone: it is asked for again.
func TestAnswersOfOtherShapes(t *testing.T) {
	for _, answer := range []string{`[]`, `7`, `"x"`, `null`, `false`, `{}`, `{"items":null}`, `{"items":false}`, `{"items":{}}`, `{"data":[]}`, `{"items":[null]}`} {
		for name, read := range map[string]func() error{
			"page": func() error {
				_, _, _, err := NewReader(odd(answer)).page(t.Context(), 2, time.Time{}, nil, 0)
				return err
			},
			"count": func() error { _, err := Count(t.Context(), odd(answer), 2, time.Time{}); return err },
			"few": func() error {
				_, err := NewReader(odd(answer)).gone(t.Context(), "j", 2, []int{5}, true)
				return err
			},
			"gone": func() error { _, err := NewReader(odd(answer)).gone(t.Context(), "j", 2, []int{5}, false); return err },
			"owners": func() error {
				_, _, _, _, err := NewReader(odd(answer)).owners(t.Context(), Leftover{TypeID: 2, EntityTypeID: 177, Field: "parentId2"}, 0)
				return err
			},
		} {
			if err := read(); err == nil || Permanent(err) {
				t.Errorf("%s takes %s: %v", name, answer, err)
			}
		}
	}
	list := Leftover{TypeID: 2, List: 5, ListType: "lists", Field: "DEAL"}
	for _, answer := range []string{`null`, `false`, `{}`, `{"items":[]}`, `[null]`} {
		if _, _, _, _, err := NewReader(listPortal{odd(answer)}).owners(t.Context(), list, 0); err == nil || Permanent(err) {
			t.Errorf("a list: %s: %v", answer, err)
		}
	}
	if n, err := Count(t.Context(), odd(`{"items":[{"id":1},{"id":2}]}`), 2, time.Time{}); n != 2 || err != nil {
		t.Errorf("a page without a total counts %d, %v", n, err)
	}
}

// listPortal also describes a list, whose property DEAL has the id PROPERTY_1.
type listPortal struct{ odd }

func (listPortal) ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error) {
	c, err := bitrix.NewClient(bitrix.Config{Webhook: "http://portal/rest/1/code/", HTTP: &http.Client{Transport: described{}}})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ListFields(ctx, iblockType, iblockID)
}

type described struct{}

func (described) RoundTrip(*http.Request) (*http.Response, error) {
	const fields = `{"result":{"PROPERTY_1":{"FIELD_ID":"PROPERTY_1","CODE":"DEAL","TYPE":"N"}}}`
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(fields))}, nil
}
