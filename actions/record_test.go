package actions_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/history"
)

// readRecord reads a record and checks that it is JSON of about the length that
// was allowed.
func readRecord(t *testing.T, trace *history.Trace, limit int) *history.Record {
	t.Helper()
	data := trace.Record(limit, nil)
	if !json.Valid(data) {
		t.Fatalf("not JSON: %s", data)
	}
	text, err := history.UnpackRecord(data)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%v: %s", err, text)
	}
	// A line for each step and command is always in the record.
	if most := limit + 1024 + 200*len(allCommands(trace, t)); limit > 0 && len(text) > most {
		t.Errorf("the record has %d bytes, its limit is %d", len(text), limit)
	}
	r, err := history.ReadRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func allCommands(trace *history.Trace, t *testing.T) (out []history.CommandRecord) {
	t.Helper()
	r, err := history.ReadRecord(trace.Record(0, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Steps {
		out = append(out, s.Commands...)
	}
	return out
}

func TestRecordOfWrites(t *testing.T) {
	r := readRecord(t, shippedRun(t, 3, true), 0)
	if r.Rule != "deal-shipments" || r.File != "rules/deal-shipments.yaml" || len(r.Version) < 8 || r.Outcome != history.Done || r.Calls != 5 || r.Writes != 3 || r.Brief || r.Cut {
		t.Errorf("the head: %+v", r)
	}
	if got := r.Inputs["list"]; got != json.Number("47") {
		t.Errorf("input list is %v", got)
	}
	if len(r.Steps) != 2 {
		t.Fatalf("%d steps", len(r.Steps))
	}
	rows, sync := r.Steps[0], r.Steps[1]
	if rows.Step != "rows" || rows.Action != "fetch_products" || rows.Line != 38 || rows.Args[0].Values["owner"] != "deal" {
		t.Errorf("the first step: %+v", rows)
	}
	if read := rows.Commands[0]; read.Rows != 3 || read.Write || read.Cut || !strings.Contains(string(read.Result), "Плитка 2") || !strings.Contains(string(read.Params), `"=ownerId"`) || read.Took <= 0 {
		t.Errorf("the first command: %+v", read)
	}
	args := sync.Args[0].Values
	if args["rows"] != "3 rows" || args["key"] != "=row.key" || args["scope"].(map[string]any)["DEAL"] == nil {
		t.Errorf("the arguments of the sync: %v", args)
	}
	if len(sync.Commands) != 4 || !sync.Commands[1].Write || sync.Commands[1].Batch != 3 || string(sync.Commands[1].Result) == "" {
		t.Errorf("the commands of the sync: %+v", sync.Commands)
	}
	if got := sync.Result.(map[string]any)["added"]; got != json.Number("3") {
		t.Errorf("the result: %v", sync.Result)
	}
	if fields := r.Lists["47"]; len(fields) != 7 || fields[0].Code != "DEAL" || fields[5].Enum == nil {
		t.Errorf("the list: %+v", fields)
	}
}

// TestRecordOfNothing: a run that found everything as it should be keeps what it
// did, not what it read.
func TestRecordOfNothing(t *testing.T) {
	trace := shippedRun(t, 100, false)
	r := readRecord(t, trace, 0)
	if !r.Brief || r.Cut || r.Writes != 0 || len(r.Steps) != 2 || r.Steps[0].Result != "100 rows" {
		t.Errorf("%+v", r)
	}
	for _, c := range allCommands(trace, t) {
		if c.Params != nil || c.Result != nil || c.Method == "" || c.Rows != 100 || c.Bytes == 0 {
			t.Errorf("command: %+v", c)
		}
	}
	if n := len(trace.Record(0, nil)); n > 1500 {
		t.Errorf("%d bytes for a run that changed nothing", n)
	}
}

// TestRecordLimit: the record says what it omits.
func TestRecordLimit(t *testing.T) {
	trace := shippedRun(t, 100, true)
	whole := readRecord(t, trace, 1<<20)
	if whole.Cut {
		t.Error("a record that fits is cut")
	}
	for _, limit := range []int{1024, 4096, 16384, 65536} {
		r := readRecord(t, trace, limit)
		cut := false
		for i, c := range allOf(r) {
			full := allOf(whole)[i]
			if c.Method != full.Method || c.Rows != full.Rows || c.Bytes != full.Bytes {
				t.Errorf("limit %d, command %d: %+v", limit, i, c)
			}
			if c.Cut {
				cut = true
				continue
			}
			if string(c.Result) != string(full.Result) || string(c.Params) != string(full.Params) {
				t.Errorf("limit %d, command %d is cut and does not say so: %s", limit, i, c.Result)
			}
		}
		if cut != r.Cut {
			t.Errorf("limit %d: cut is %v, the record says %v", limit, cut, r.Cut)
		}
		if limit < 65536 && !cut {
			t.Errorf("limit %d: nothing was cut, so this shows nothing", limit)
		}
	}
	var kept []json.RawMessage
	first := allOf(readRecord(t, trace, 16384))[0]
	if err := json.Unmarshal(first.Result, &kept); err != nil || len(kept) == 0 || len(kept) >= first.Rows {
		t.Errorf("%d of %d rows are kept, %v", len(kept), first.Rows, err)
	}
}

func allOf(r *history.Record) (out []history.CommandRecord) {
	for _, s := range r.Steps {
		out = append(out, s.Commands...)
	}
	return out
}
