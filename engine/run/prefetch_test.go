package run_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// slowPortal answers each call after a second.
type slowPortal struct {
	engine.Portal

	mu    sync.Mutex
	asked []string
}

func (p *slowPortal) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	p.mu.Lock()
	p.asked = append(p.asked, fmt.Sprint(calls[0].Params["what"]))
	p.mu.Unlock()
	a := bitrix.Answer{Total: -1, Next: -1, Result: json.RawMessage(`[1]`)}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		a.Err = ctx.Err()
	}
	return []bitrix.Answer{a}
}

type askArgs struct {
	What any `yaml:"what" doc:"what to ask for"`
}

type keepArgs struct {
	Scope  any           `yaml:"scope" doc:"what it touches"`
	Fields engine.Fields `yaml:"fields" doc:"fields"`
}

func ask(ctx context.Context, c *engine.Call, what any, write bool) (any, error) {
	if what == "bad" {
		return nil, engine.ParkError("bad is not answered")
	}
	text := fmt.Sprint(what)
	if n, ok := what.(num.Num); ok {
		text = n.String()
	}
	a := c.Portal.Do(ctx, bitrix.Call{Method: "x.y", Params: map[string]any{"what": text}, Write: write})[0]
	return what, a.Err
}

// prefetchActions are a read, and a write whose Prefetch reads by its scope and by the
// names of its fields.
func prefetchActions() []*engine.Action {
	read := func(ctx context.Context, c *engine.Call, a keepArgs) (any, error) {
		names := []string{fmt.Sprint(a.Scope)}
		for _, f := range a.Fields {
			names = append(names, f.Name)
		}
		return ask(ctx, c, strings.Join(names, "+"), false)
	}
	return append(enginetest.Actions(new([]enginetest.Saved)), engine.Define(engine.Spec[askArgs]{
		Name: "ask", Doc: "asks", Effect: engine.Reads,
		Run:    func(ctx context.Context, c *engine.Call, a askArgs) (any, error) { return ask(ctx, c, a.What, false) },
		Result: func(*engine.ArgTypes) formula.Type { return formula.Type{Kind: formula.Any} },
	}), engine.Define(engine.Spec[keepArgs]{
		Name: "keep", Doc: "keeps", Effect: engine.Writes,
		Prefetch: read, PrefetchArgs: []string{"scope"}, PrefetchNames: []string{"fields"},
		Run: func(ctx context.Context, c *engine.Call, a keepArgs) (any, error) {
			found, err := engine.ReadAhead[string](ctx, c)
			if err != nil {
				return nil, err
			}
			return ask(ctx, c, "write "+found, true)
		},
	}))
}

// TestPrefetch checks which reads start before their step, by the time that the run
// takes.
func TestPrefetch(t *testing.T) {
	tests := []struct {
		name, steps string
		seconds     int
		early       bool // something is asked for before its turn
	}{
		{"reads of the event", "      - ask: {what: =event.count}\n      - ask: {what: a}\n      - ask: {what: b}\n", 1, true},
		{"a write reads ahead", "      - {id: x, ask: {what: a}}\n      - keep: {scope: b, fields: {C: =x}}\n", 2, true},
		{"its names are formulas of the event", "      - {id: x, ask: {what: a}}\n      - keep: {scope: b, fields: {='C' + event.portal: =x}}\n", 2, true},
		{"a read of an earlier result", "      - {id: x, ask: {what: a}}\n      - ask: {what: =x}\n", 2, false},
		{"the scope is an earlier result", "      - {id: x, ask: {what: a}}\n      - keep: {scope: =x, fields: {C: 1}}\n", 3, false},
		{"a name is an earlier result", "      - {id: x, ask: {what: a}}\n      - keep: {scope: b, fields: {='C' + string(x): 1}}\n", 3, false},
		{"it may not run", "      - ask: {what: a}\n      - {when: =event.count > 0, ask: {what: b}}\n", 2, false},
		{"it runs for rows", "      - ask: {what: a}\n      - {for_each: '=[1]', ask: {what: b}}\n", 2, false},
		{"it has a time of its own", "      - ask: {what: a}\n      - {timeout: 1m, ask: {what: b}}\n", 2, false},
		{"what is read is written before", "      - ask: {what: a}\n      - keep: {scope: b}\n      - ask: {what: c}\n", 3, true},
		{"other steps may run in between", "      - {on_error: [{save: {entityTypeId: 9}}], ask: {what: a}}\n      - ask: {what: b}\n", 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, inOrder := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					took, portal, _, err := runPrefetch(t, tt.steps, inOrder)
					if err != nil {
						t.Fatal(err)
					}
					want := time.Duration(tt.seconds) * time.Second
					if inOrder {
						want = time.Duration(len(portal.asked)) * time.Second
					}
					if took != want || tt.early && !inOrder && took == time.Duration(len(portal.asked))*time.Second {
						t.Errorf("in order %t: %s for %v, want %s", inOrder, took, portal.asked, want)
					}
				})
			}
		})
	}
}

func runPrefetch(t *testing.T, steps string, inOrder bool) (time.Duration, *slowPortal, *history.Trace, error) {
	t.Helper()
	set, list := load.File("rule.yaml", []byte("version: 1\nrules:\n  r:\n    on: [ONCRMDEALUPDATE]\n    steps:\n"+steps), prefetchActions())
	if list.HasErrors() {
		t.Fatalf("findings: %v", list)
	}
	run := enginetest.DealRun()
	portal := &slowPortal{}
	run.Client, run.InOrder = portal, inOrder
	started := time.Now()
	trace, err := run.Do(t.Context(), set.Rules[0])
	return time.Since(started), portal, trace, err
}

// TestPrefetchInHistory checks that the history lists the commands of each step, even
// those that were sent before its turn.
func TestPrefetchInHistory(t *testing.T) {
	type stepSummary struct {
		Step, Skipped string
		Calls, Writes int
		Failed        bool
	}
	tests := []struct {
		name, steps string
		want        []stepSummary
		err         string
	}{
		{
			"all steps run", "      - {id: x, ask: {what: a}}\n      - keep: {scope: b, fields: {C: =x}}\n",
			[]stepSummary{{Step: "x", Calls: 1}, {Step: "keep[2]", Calls: 2, Writes: 1}},
			"",
		},
		{
			"the run ends before", "      - ask: {what: bad}\n      - keep: {scope: b}\n",
			[]stepSummary{{Step: "ask[1]", Failed: true}, {Step: "keep[2]", Skipped: "the run ended before this step, after its reads had started", Calls: 1}},
			"step ask[1]: bad is not answered",
		},
		{
			"reading ahead fails", "      - ask: {what: a}\n      - ask: {what: bad}\n      - ask: {what: c}\n",
			[]stepSummary{{Step: "ask[1]", Calls: 1}, {Step: "ask[2]", Failed: true}, {Step: "ask[3]", Skipped: "the run ended before this step, after its reads had started", Calls: 1}},
			"step ask[2]: bad is not answered",
		},
		{
			"what fails may be skipped", "      - ask: {what: a}\n      - {on_error: skip, ask: {what: bad}}\n      - ask: {what: c}\n",
			[]stepSummary{{Step: "ask[1]", Calls: 1}, {Step: "ask[2]", Failed: true}, {Step: "ask[3]", Calls: 1}},
			"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, portal, trace, err := runPrefetch(t, tt.steps, false)
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.err)) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				var got []stepSummary
				for _, s := range trace.Steps {
					got = append(got, stepSummary{s.Step, s.Skipped, s.Calls, s.Writes, s.Error != ""})
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if trace.Calls != len(portal.asked) {
					t.Errorf("the trace has %d commands, %d were sent", trace.Calls, len(portal.asked))
				}
			})
		})
	}
}

// TestDefinePrefetch checks that Define refuses a Prefetch of unknown arguments.
func TestDefinePrefetch(t *testing.T) {
	for _, spec := range []engine.Spec[keepArgs]{
		{Name: "a", PrefetchArgs: []string{"scoop"}},
		{Name: "b", PrefetchNames: []string{"scope"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", spec.Name)
				}
			}()
			engine.Define(spec)
		}()
	}
}
