package history_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// written is the trace of a failed run with one step.
func written(add func(*history.Trace, *history.StepTrace)) *history.Trace {
	trace := &history.Trace{Rule: "r", Failed: true, Inputs: map[string]any{"list": "47", "token": "x1"}, Secrets: map[string]bool{"token": true}}
	step := history.NewStep(&engine.Step{Label: "rows", Action: enginetest.Actions(nil)[0]})
	add(trace, step)
	trace.Steps = append(trace.Steps, *step)
	return trace
}

func read(t *testing.T, trace *history.Trace, limit int) *history.Record {
	t.Helper()
	r, err := history.ReadRecord(trace.Record(limit, nil))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordOfAnswers(t *testing.T) {
	portal := enginetest.NewAnswers(t, map[string]string{
		"crm.item.fields": `{"fields": {"title": {"type": "string"}, "ufCrm1Kind": {"type": "enumeration", "title": "Kind", "upperName": "UF_CRM_1_KIND", "isDynamic": true, "isMultiple": true, "items": [{"ID": "5", "VALUE": "red"}]}}}`,
		"lists.field.get": `{"NAME": {"FIELD_ID": "NAME", "TYPE": "NAME"}, "PROPERTY_1": {"FIELD_ID": "PROPERTY_1", "CODE": "SUM", "NAME": "Sum", "TYPE": "N"}}`,
	})
	item, err := portal.ItemFields(t.Context(), 1030)
	if err != nil {
		t.Fatal(err)
	}
	list, err := portal.ListFields(t.Context(), "lists", 47)
	if err != nil {
		t.Fatal(err)
	}
	r := read(t, written(func(trace *history.Trace, s *history.StepTrace) {
		trace.Count(nil, 1, 0)
		trace.Count(s, 2, 1)
		trace.AddType(1030, item)
		trace.AddList(47, list)
		trace.Add(nil, history.Command{Call: bitrix.Call{Method: "crm.item.get"}, Listed: -1, Result: json.RawMessage(`{"item":{}}`)})
		trace.Add(s, history.Command{Call: bitrix.Call{Method: "crm.item.list", Params: map[string]any{"start": 0}}, Listed: 2, Rows: []json.RawMessage{[]byte(`{"id":1}`), []byte(`{"id":2}`)}, Batch: 3})
		s.Ran, s.Result = true, []any{map[string]any{"id": 1}}
	}), 0)
	if r.Inputs["list"] != "47" || r.Inputs["token"] != "<secret>" {
		t.Errorf("inputs %v", r.Inputs)
	}
	want := map[string][]history.FieldRecord{"1030": {{Name: "ufCrm1Kind", Code: "UF_CRM_1_KIND", Title: "Kind", Type: "enumeration", Multiple: true, Enum: map[string]string{"5": "red"}}}}
	if diff := cmp.Diff(want, r.Types); diff != "" {
		t.Errorf("types (-want +got)\n%s", diff)
	}
	want = map[string][]history.FieldRecord{"47": {{Name: "PROPERTY_1", Code: "SUM", Title: "Sum", Type: "N"}}}
	if diff := cmp.Diff(want, r.Lists); diff != "" {
		t.Errorf("lists (-want +got)\n%s", diff)
	}
	if len(r.Commands) != 1 || string(r.Commands[0].Result) != `{"item":{}}` {
		t.Errorf("commands before the first step: %+v", r.Commands)
	}
	s := r.Steps[0]
	if s.Calls != 2 || s.Writes != 1 || len(s.Commands) != 1 {
		t.Fatalf("the step: %+v", s)
	}
	if c := s.Commands[0]; string(c.Result) != `[{"id":1},{"id":2}]` || string(c.Params) != `{"start":0}` || c.Rows != 2 || c.Batch != 3 || c.Cut {
		t.Errorf("the listing: %+v", c)
	}
}

// TestRecordLimits exceeds each limit once. The record says where something is omitted.
func TestRecordLimits(t *testing.T) {
	big := json.RawMessage(`"` + strings.Repeat("x", 200<<10) + `"`)
	add := func(trace *history.Trace, s *history.StepTrace, c history.Command) {
		c.Call.Method = "a.b"
		trace.Add(s, c)
	}
	t.Run("answers of one trace", func(t *testing.T) {
		r := read(t, written(func(trace *history.Trace, s *history.StepTrace) {
			add(trace, s, history.Command{Listed: -1, Result: big})
			add(trace, s, history.Command{Listed: 3, Rows: []json.RawMessage{[]byte("1"), []byte("2"), big}})
			add(trace, s, history.Command{Listed: -1, Result: big})
		}), 10<<20)
		cs := r.Steps[0].Commands
		if cs[0].Cut || !cs[1].Cut || string(cs[1].Result) != "[1,2]" || !cs[2].Cut || cs[2].Result != nil || cs[2].Bytes != len(big) || !r.Cut {
			t.Errorf("%.300v", cs)
		}
	})
	t.Run("one record", func(t *testing.T) {
		r := read(t, written(func(trace *history.Trace, s *history.StepTrace) {
			add(trace, s, history.Command{Listed: -1, Result: big[:0], Call: bitrix.Call{Params: map[string]any{"text": string(big)}}})
			add(trace, s, history.Command{Listed: -1, Result: big})
			add(trace, s, history.Command{Listed: 2, Rows: []json.RawMessage{[]byte("1"), big[:9000]}})
		}), 5000)
		cs := r.Steps[0].Commands
		if !cs[0].Cut || cs[0].Params != nil || !cs[1].Cut || cs[1].Result != nil || string(cs[2].Result) != "[1]" || !cs[2].Cut || !r.Cut {
			t.Errorf("%.300v", cs)
		}
	})
	t.Run("commands of one trace", func(t *testing.T) {
		r := read(t, written(func(trace *history.Trace, s *history.StepTrace) {
			for range 300 {
				add(trace, s, history.Command{Listed: -1})
			}
			for range 300 {
				add(trace, s, history.Command{Listed: -1, Err: fmt.Errorf("no")})
			}
		}), 0)
		if n := len(r.Steps[0].Commands); n != 400 || r.More != 200 {
			t.Errorf("%d commands and %d more", n, r.More)
		}
	})
	t.Run("a value", func(t *testing.T) {
		deep := any("end")
		for range 12 {
			deep = []any{deep}
		}
		long := make([]any, 15)
		wide := map[string]any{}
		for i := range 200 {
			wide[fmt.Sprintf("field%03d", i)] = "value"
		}
		for _, tt := range []struct {
			value any
			want  string
		}{
			{deep, `[[[[[[[["… 1 more"]]]]]]]]`},
			{long, `[null,null,null,null,null,null,null,null,null,null,"… 5 more"]`},
			{strings.Repeat("я", 200), `"` + strings.Repeat("я", 150) + `… 100 bytes more"`},
			{wide, "more"},
		} {
			r := read(t, written(func(_ *history.Trace, s *history.StepTrace) { s.Ran, s.Result = true, tt.value }), 0)
			got, err := json.Marshal(r.Steps[0].Result)
			if err != nil || !strings.Contains(string(got), tt.want) || len(got) > 2000 {
				t.Errorf("%s, want %s, %v", got, tt.want, err)
			}
		}
	})
	t.Run("a description", func(t *testing.T) {
		var fields []string
		for i := range 300 {
			fields = append(fields, fmt.Sprintf(`"PROPERTY_%d": {"FIELD_ID": "PROPERTY_%d", "NAME": "Sum", "TYPE": "N"}`, i, i))
		}
		portal := enginetest.NewAnswers(t, map[string]string{"lists.field.get": "{" + strings.Join(fields, ",") + "}"})
		list, err := portal.ListFields(t.Context(), "lists", 47)
		if err != nil {
			t.Fatal(err)
		}
		r := read(t, written(func(trace *history.Trace, _ *history.StepTrace) { trace.AddList(47, list) }), 0)
		if len(r.Lists) != 0 || !r.Cut {
			t.Errorf("%d lists, cut %t", len(r.Lists), r.Cut)
		}
	})
	t.Run("a run that changes nothing", func(t *testing.T) {
		trace := written(func(trace *history.Trace, s *history.StepTrace) {
			add(trace, s, history.Command{Listed: -1, Result: big})
			s.Ran, s.Result = true, []any{map[string]any{"id": 1}, map[string]any{"id": 2}}
		})
		trace.Failed = false
		if r := read(t, trace, 0); !r.Brief || r.Cut || r.Steps[0].Result != "2 rows" || r.Steps[0].Commands[0].Result != nil {
			t.Errorf("%+v", r.Steps[0])
		}
	})
}
