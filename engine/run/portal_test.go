package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

type sendArgs struct {
	Method  string              `yaml:"method" doc:"the method"`
	Params  map[string]any      `yaml:"params" doc:"its parameters"`
	Times   int                 `yaml:"times" doc:"how often"`
	List    string              `yaml:"list" doc:"what holds the rows of a listing"`
	Fields  int                 `yaml:"fields" doc:"a list to describe"`
	Type    int                 `yaml:"type" doc:"a type to describe"`
	Deletes int                 `yaml:"deletes" doc:"deletions to count"`
	URL     string              `yaml:"url" doc:"another system"`
	Headers engine.SecretFields `yaml:"headers" doc:"headers"`
}

// sendAction sends what its arguments say. The reply of another system is its result.
func sendAction(reply engine.Reply, err error) *engine.Action {
	return engine.Define(engine.Spec[sendArgs]{
		Name: "send", Doc: "sends calls", Effect: engine.Writes,
		Run: func(ctx context.Context, c *engine.Call, a sendArgs) (any, error) {
			c.Note("sends for %s", c.Entity)
			if err := c.Deleting(a.Deletes); err != nil {
				return nil, err
			}
			if a.Fields != 0 {
				if _, err := c.Portal.ListFields(ctx, "lists", a.Fields); err != nil {
					return nil, err
				}
			}
			if a.Type != 0 {
				if _, err := c.Portal.ItemFields(ctx, a.Type); err != nil {
					return nil, err
				}
			}
			if a.URL != "" {
				key := c.EffectKey([]byte(a.URL))
				if done, err := c.Memory.Done(ctx, key); done || err != nil {
					return nil, err
				}
				got, _, err := c.Send(ctx, engine.Request{Method: "POST", URL: engine.PlainText(a.URL), Headers: a.Headers, Params: map[string]any{"url": a.URL}}, func(context.Context, engine.Request) (engine.Reply, error) { return reply, err })
				if err != nil {
					return nil, err
				}
				if err := c.Memory.MarkDone(ctx, key); err != nil {
					return nil, err
				}
				return string(got.Body), nil
			}
			call := bitrix.Call{Method: a.Method, Params: a.Params, Write: !strings.HasSuffix(a.Method, ".get")}
			if a.List != "" {
				rows, err := c.Portal.List(ctx, call, a.List)
				return len(rows), err
			}
			for range max(a.Times, 1) {
				if answer := c.Portal.Do(ctx, call)[0]; answer.Err != nil {
					return nil, answer.Err
				}
			}
			return nil, nil
		},
	})
}

// send runs a rule that has one step send.
func send(t *testing.T, r run.Run, args string, options string, reply engine.Reply, err error) (*history.Trace, error) {
	t.Helper()
	text := "version: 1\ninputs: {token: {type: secret}}\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n" + options + "    steps:\n      - send: {" + args + "}\n"
	set, list := load.File("rule.yaml", []byte(text), []*engine.Action{sendAction(reply, err)})
	if list.HasErrors() {
		t.Fatal(list)
	}
	inputs, problems := set.BindInputs(map[string]string{"token": "s3cret/ю"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r.Inputs = inputs
	return r.Do(t.Context(), set.Rules[0])
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct{ name, args, options, want string }{
		{"calls", "method: a.get, times: 4", "    limits: {calls: 3}\n", "the run would send 4 REST commands, but its limit is 3"},
		{"a listing is one call", "method: a.get, list: items, times: 1", "    limits: {calls: 1}\n", ""},
		{"deletes", "method: a.get, deletes: 3", "    limits: {deletes: 2}\n", "the run would delete 3 records, but limits.deletes of rule r is 2"},
	} {
		r := enginetest.DealRun()
		r.Client = enginetest.NewAnswers(t, map[string]string{"a.get": `{"items": [1, 2]}`})
		_, err := send(t, r, tt.args, tt.options, engine.Reply{}, nil)
		if got := textOf(err); !strings.HasSuffix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestDescriptions checks that descriptions of lists and types are no commands, and that
// one that fails is in the history.
func TestDescriptions(t *testing.T) {
	r := enginetest.DealRun()
	r.Client = enginetest.NewAnswers(t, map[string]string{
		"a.get": "1", "lists.field.get": `{"PROPERTY_1": {"FIELD_ID": "PROPERTY_1", "TYPE": "N", "NAME": "Sum"}}`, "crm.item.fields": `{"fields": {"ufCrm1": {"isDynamic": true, "type": "double"}}}`,
	})
	trace, err := send(t, r, "method: a.add, fields: 47, type: 1030", "", engine.Reply{}, nil)
	if err == nil || trace.Calls != 1 {
		t.Fatalf("%d calls, %v", trace.Calls, err)
	}
	record, err := history.ReadRecord(trace.Record(0, nil))
	if err != nil || len(record.Types["1030"]) != 1 || len(record.Lists["47"]) != 1 {
		t.Errorf("%+v, %v", record, err)
	}
	for _, args := range []string{"fields: 47", "type: 1030"} {
		r.Client = enginetest.NewAnswers(t, nil)
		trace, err = send(t, r, args, "", engine.Reply{}, nil)
		record, _ := history.ReadRecord(trace.Record(0, nil)) // a nil record fails below
		if err == nil || trace.Calls != 0 || len(record.Steps[0].Commands) != 1 || record.Steps[0].Commands[0].Code != "ERROR_METHOD_NOT_FOUND" {
			t.Errorf("%s: %v, %+v", args, err, record.Steps)
		}
	}
}

// TestPost checks what a run keeps of a request to another system. It shows no secret.
func TestPost(t *testing.T) {
	const args = "url: https://example.com, headers: {Authorization: 'Bearer {{ inputs.token }}'}"
	for _, tt := range []struct {
		name  string
		reply engine.Reply
		err   error
		want  history.CommandRecord
		fails string
	}{
		{"an answer", engine.Reply{Status: 200, Body: []byte(`{"you":"s3cret/ю"}`)}, nil, history.CommandRecord{Result: json.RawMessage(`{"you":"<secret>"}`)}, ""},
		{"no JSON", engine.Reply{Status: 200, Body: []byte("ok")}, nil, history.CommandRecord{}, ""},
		{"a refusal", engine.Reply{Status: 403, Body: []byte("no")}, nil, history.CommandRecord{Error: "403 Forbidden"}, ""},
		{"no answer", engine.Reply{}, errors.New("refused: s3cret/ю"), history.CommandRecord{Error: "refused: <secret>"}, "refused: <secret>"},
	} {
		r := enginetest.DealRun()
		trace, err := send(t, r, args, "", tt.reply, tt.err)
		if got := textOf(err); !strings.HasSuffix(got, tt.fails) || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.fails)
		}
		record, err := history.ReadRecord(trace.Record(0, nil))
		if err != nil {
			t.Fatal(err)
		}
		got := record.Steps[0].Commands
		if len(got) != 1 || !strings.Contains(string(got[0].Params), `"Authorization":"Bearer <secret>"`) {
			t.Fatalf("%s: %+v", tt.name, got)
		}
		if diff := cmp.Diff(tt.want, history.CommandRecord{Result: got[0].Result, Error: got[0].Error}); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestDryRun checks that a dry run reads the memory and neither writes nor stores.
func TestDryRun(t *testing.T) {
	p := enginetest.NewAnswers(t, map[string]string{"crm.item.get": `{"item": {"id": 7}}`})
	for _, args := range []string{"method: crm.item.update, params: {entityTypeId: 2, id: 7, fields: {title: x}}", "url: https://example.com"} {
		dry := &dryrun.Run{}
		r := enginetest.DealRun()
		r.Client, r.DryRun = p, dry
		r.Send = func(context.Context, engine.Request) (engine.Reply, error) {
			t.Error("the dry run sent a request")
			return engine.Reply{}, nil
		}
		if _, err := send(t, r, args, "", engine.Reply{}, nil); err != nil {
			t.Fatal(err)
		}
		if w := dry.Writes(); len(w) != 1 || w[0].Step != "send[1]" {
			t.Errorf("%s: %+v", args, w)
		}
	}
	if len(p.Sent()) != 0 {
		t.Errorf("the dry run sent %v", p.Sent())
	}

	const steps = "      - once: =event.count\n        save: {entityTypeId: 9}\n"
	r := enginetest.DealRun()
	r.DryRun = &dryrun.Run{}
	m := &run.LocalMemory{Values: map[string]string{"save[1]": "a number:1", "save[2]": "a number:1"}}
	for _, tt := range []struct {
		memory engine.Memory
		saves  int
	}{{m, 0}, {&run.LocalMemory{}, 1}, {nil, 1}} {
		r.Memory = tt.memory
		_, out, err := enginetest.RunSteps(t, steps, r)
		if err != nil || len(out) != tt.saves {
			t.Errorf("%d saves, want %d, %v", len(out), tt.saves, err)
		}
	}
	if m.Succeed(); len(m.Values) != 2 {
		t.Errorf("the dry run stored %v", m.Values)
	}
}

// TestLoopGuard follows chains of runs that start each other by their writes.
func TestLoopGuard(t *testing.T) {
	p := enginetest.NewAnswers(t, map[string]string{
		"crm.item.update": "{}", "crm.deal.update": "true", "crm.item.add": `{"item": {"id": 7}}`, "lists.element.update": "true", "im.notify": "1", "crm.item.get": "{}",
	})
	deal, item := engine.Entity{Kind: "deal", TypeID: 2, ID: "7"}, engine.Entity{Kind: "item", TypeID: 1030, ID: "7"}
	for _, tt := range []struct {
		name, args string
		entity     engine.Entity
		stops      bool
	}{
		{"an update by crm.item", "method: crm.item.update, params: {entityTypeId: 2, id: 7}", deal, true},
		{"an update by crm.deal", "method: crm.deal.update, params: {id: 7}", deal, true},
		{"an item", "method: crm.item.update, params: {entityTypeId: 1030, id: 7}", item, true},
		{"an added item", "method: crm.item.add, params: {entityTypeId: 1030}", item, true},
		{"another entity", "method: crm.item.update, params: {entityTypeId: 2, id: 8}", deal, false},
		{"a list", "method: lists.element.update, params: {ELEMENT_ID: 7}", deal, false},
		{"another method", "method: im.notify", deal, false},
		{"a read", "method: crm.item.get, params: {entityTypeId: 2, id: 7}", deal, false},
	} {
		guard := &run.LoopGuard{}
		r := enginetest.DealRun()
		r.Client, r.Entity, r.Guard = p, tt.entity, guard
		var err error
		for range 30 {
			if _, err = send(t, r, tt.args, "", engine.Reply{}, nil); err != nil {
				break
			}
		}
		if stopped := err != nil; stopped != tt.stops || stopped && !strings.Contains(err.Error(), "25 runs have started each other by their writes (the last is of rule r)") {
			t.Errorf("%s: %v, want stopped %t", tt.name, err, tt.stops)
		}
	}
}

// TestVerdicts checks what follows after each kind of failure.
func TestVerdicts(t *testing.T) {
	at := time.Now().Add(time.Hour)
	fails := func(outcome bitrix.Outcome, status int, safeAfter time.Time) error {
		return &bitrix.Error{Method: "a.get", Status: status, Code: "NO", Outcome: outcome, SafeAfter: safeAfter}
	}
	for _, tt := range []struct {
		name string
		err  error
		want run.Verdict
		at   time.Time
	}{
		{"the portal refuses", fails(bitrix.Executed, 400, time.Time{}), run.Park, time.Time{}},
		{"the portal is down", fails(bitrix.NotExecuted, 503, time.Time{}), run.Retry, time.Time{}},
		{"a write may still be running", fails(bitrix.Unknown, 0, at), run.Retry, at},
		{"another system names a time", &engine.LaterError{NotBefore: at, Err: errors.New("busy")}, run.Retry, at},
		{"the worker stops", context.Canceled, run.Retry, time.Time{}},
		{"a person must act", engine.ParkError("no"), run.Park, time.Time{}},
	} {
		r := enginetest.DealRun()
		r.Client = enginetest.Portal{Err: tt.err}
		_, err := send(t, r, "method: a.get", "", engine.Reply{}, nil)
		var got *run.RunError
		if !errors.As(err, &got) || got.Verdict != tt.want || !got.NotBefore.Equal(tt.at) {
			t.Errorf("%s: %+v, want verdict %d at %s", tt.name, err, tt.want, tt.at)
		}
	}
}

// TestPortalDown checks that a run waits while its portal is down, whatever the step
// says about errors, and that a write that may still run ends first.
func TestPortalDown(t *testing.T) {
	at := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name string
		err  *bitrix.Error
		step string // further keys of the step, after the end of its arguments
		down bool
		want run.Verdict
		at   time.Time
	}{
		{"refused credentials", &bitrix.Error{Code: "NO_AUTH_FOUND", Outcome: bitrix.NotExecuted}, "", true, run.Later, time.Time{}},
		{"the same for this call only", &bitrix.Error{Code: "NO_AUTH_FOUND", Outcome: bitrix.NotExecuted}, "", false, run.Park, time.Time{}},
		{"on_error skip", &bitrix.Error{Code: bitrix.CodeNetwork}, "}\n        on_error: skip #", true, run.Later, time.Time{}},
		{"the last retry", &bitrix.Error{Code: bitrix.CodeNetwork}, "}\n        retry: 1 #", true, run.Later, time.Time{}},
		{"a write may still be running", &bitrix.Error{Code: bitrix.CodeNetwork, Outcome: bitrix.Unknown, SafeAfter: at}, "", true, run.Later, at},
		{"the client's own pause", &bitrix.Error{Code: bitrix.CodeOverload, NotBefore: at}, "", true, run.Later, time.Time{}},
	} {
		r := enginetest.DealRun()
		r.Client, r.LastAttempt, r.Attempt = enginetest.Portal{Err: tt.err}, true, 8
		r.PortalDown = func(_ context.Context, err error) bool {
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: asked about %v", tt.name, err)
			}
			return tt.down
		}
		_, err := send(t, r, "method: a.get"+tt.step, "", engine.Reply{}, nil)
		var got *run.RunError
		if !errors.As(err, &got) || got.Verdict != tt.want || !got.NotBefore.Equal(tt.at) {
			t.Errorf("%s: %+v, want verdict %d at %s", tt.name, err, tt.want, tt.at)
		}
	}
}

// TestAPauseThatIsOver checks that a run does not wait for the end of the client's pause when
// the portal has answered since.
func TestAPauseThatIsOver(t *testing.T) {
	at := time.Now().Add(time.Hour)
	r := enginetest.DealRun()
	r.Client = enginetest.Portal{Err: &bitrix.Error{Code: bitrix.CodeOverload, NotBefore: at}}
	r.PortalDown = func(context.Context, error) bool { return false }
	_, err := send(t, r, "method: a.get", "", engine.Reply{}, nil)
	var got *run.RunError
	if !errors.As(err, &got) || got.Verdict != run.Later || got.NotBefore.IsZero() || !got.NotBefore.Before(at) {
		t.Errorf("%+v, want a start before %s", err, at)
	}
}
