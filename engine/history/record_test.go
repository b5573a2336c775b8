package history_test

import (
	"context"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/enginetest"
	"github.com/b24rules/b24rules/internal/redact"
)

func record(t *testing.T, trace *history.Trace) *history.Record {
	t.Helper()
	r, err := history.ReadRecord(trace.Record(0, redact.New("s3cret-of-the-portal")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordOfFailure(t *testing.T) {
	run := enginetest.DealRun()
	run.LastAttempt = true
	trace, _, err := enginetest.RunSteps(t, `
      - when: =event.id == 8
        save: {entityTypeId: 9, fields: {A: 1}}
      - id: rows
        make_rows: {count: 3}
      - for_each: =rows
        save: {entityTypeId: 9, fields: {NAME: "{{ row.name }}", LONG: "=repeat(\"яя\", 1000)", NOTE: s3cret-of-the-portal}}
      - on_error: skip
        fail: {with: boom}
      - fail: {with: park}
`, run)
	if err == nil {
		t.Fatal("the run did not fail")
	}
	r := record(t, trace)
	if len(r.Steps) != 5 || r.Brief || r.Outcome != "" {
		t.Fatalf("%+v", r)
	}
	if s := r.Steps[0]; s.Skipped != "when is false" || s.Args != nil {
		t.Errorf("the skipped step: %+v", s)
	}
	if s := r.Steps[1]; len(s.Result.([]any)) != 3 {
		t.Errorf("the rows: %+v", s)
	}
	each := r.Steps[2]
	if each.Rows != 3 || len(each.Args) != 3 || each.Args[2].Row != 2 {
		t.Fatalf("for_each: %+v", each)
	}
	fields := each.Args[2].Values["fields"].(map[string]any)
	if fields["NAME"] != "row 3" || fields["NOTE"] != "<secret>" {
		t.Errorf("the fields of the third row: %v", fields)
	}
	if long := fields["LONG"].(string); !strings.HasSuffix(long, "… 3700 bytes more") || len(long) > 350 {
		t.Errorf("the long text: %q", long)
	}
	if s := r.Steps[3]; s.Error != "boom" {
		t.Errorf("the step that may fail: %+v", s)
	}
	if s := r.Steps[4]; s.Error != "no good" || s.Line == 0 {
		t.Errorf("the step that failed: %+v", s)
	}
}

func TestRecordOfGarbage(t *testing.T) {
	for _, bad := range []string{"", "{", "[]", `{"deflate":"!"}`, `{"deflate":"AAAA"}`, `{"deflate":1}`, `{"deflate1":"AAAA"}`, `{"deflate2":"AAAA"}`} {
		if r, err := history.ReadRecord([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

// manyErrors refuses everything, at length.
type manyErrors struct{ engine.Portal }

func (manyErrors) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i := range out {
		out[i] = bitrix.Answer{Total: -1, Next: -1, Err: &bitrix.Error{Method: calls[i].Method, Code: "NO", Detail: strings.Repeat("no ", 5000), Outcome: bitrix.Executed}}
	}
	return out
}

// TestRecordStaysSmall: thousands of commands that fail with long texts fit.
func TestRecordStaysSmall(t *testing.T) {
	ask := engine.Define(engine.Spec[enginetest.FailArgs]{
		Name: "ask", Doc: "asks a lot", Effect: engine.Reads,
		Run: func(ctx context.Context, c *engine.Call, _ enginetest.FailArgs) (any, error) {
			for i := range 9000 {
				c.Note("%d %s", i, strings.Repeat("note ", 1000))
				c.Portal.Do(ctx, bitrix.Call{Method: "a.b", Params: map[string]any{"text": strings.Repeat("x", 1000)}})
			}
			return nil, engine.ParkError("%s", strings.Repeat("bad ", 10000))
		},
	})
	set, list := load.File("r.yaml", []byte(strings.Replace(enginetest.Head, ", ONCRMDEALDELETE", "", 1)+"    steps:\n      - ask: {with: x}\n"), []*engine.Action{ask})
	if set == nil {
		t.Fatal(list)
	}
	run := enginetest.DealRun()
	run.Client = manyErrors{}
	trace, err := run.Do(context.Background(), set.Rules[0])
	if err == nil {
		t.Fatal("the run did not fail")
	}
	data := trace.Record(0, nil)
	text, err := history.UnpackRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := history.ReadRecord(data)
	if err != nil || r.More < 8000 || !r.Cut {
		t.Errorf("%v: %d more, cut %v", err, r.More, r.Cut)
	}
	if len(text) > 400<<10 || len(data) > 32<<10 {
		t.Errorf("%d bytes, %d on disk", len(text), len(data))
	}
}

// TestStoredRecords: records that other versions have stored can be read. If this test
// fails, the dictionary has changed: give the new one a new name, and keep the old one.
func TestStoredRecords(t *testing.T) {
	const text = `{"rule":"deal-shipments","version":"cfabec50c2be","outcome":"done","calls":2,"writes":0,"took":182993553,"brief":true,"steps":[]}`
	for name, stored := range map[string]string{
		"plain":                  text,
		"without the dictionary": `{"deflate":"BMBBDoIwEAXQu/z1mCCEROYqxgWUT2wsDOlMdWG8u++L2gqhWDmXiz/zufMIh+DN6tkOKNI2L0xjl/qFEFiLZDuhWO0gBGkuxaG94FNz0KGdIMxe0Outn6ZhHAfBUjM3aNRGgQdPh94fv38AAAD//w=="}`,
		"with the dictionary":    `{"deflate1":"gjNQkzlKCk9OS0xKTTY1SDZKSiU1ZVsYWVoam5oa40jcsbWAAAAA//8="}`,
	} {
		if got, err := history.UnpackRecord([]byte(stored)); err != nil || string(got) != text {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
