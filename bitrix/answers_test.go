package bitrix_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/bitrix/internal/wire"
	"github.com/b24rules/b24rules/schemas"
)

// resultOf answers each method with the same text of a result, alone or in a batch.
type resultOf map[string]string

func (m resultOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if method != "batch" {
		_, _ = io.WriteString(w, `{"result":`+m[method]+`}`)
		return
	}
	var batch struct{ Cmd []string }
	if err := json.Unmarshal(body, &batch); err != nil {
		panic(err)
	}
	var out []string
	for i, cmd := range batch.Cmd {
		method, _, _ := strings.Cut(cmd, "?")
		out = append(out, fmt.Sprintf(`"%d":%s`, i, m[method]))
	}
	_, _ = io.WriteString(w, `{"result":{"result":{`+strings.Join(out, ",")+`},"result_error":[],"result_total":[],"result_next":[],"result_time":[]}}`)
}

// reads are all calls of the client that read more than one value, with an answer
// that is right. n is the number of what was read.
var reads = []struct {
	method, answer string
	list           bool // whether the result, or its only member, is a list
	read           func(context.Context, *bitrix.Client) (n int, err error)
}{
	{"list", `[{"id":1},{"id":2}]`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		rows, err := c.List(ctx, bitrix.Call{Method: "list"}, "")
		return len(rows), err
	}},
	{"crm.item.list", `{"items":[{"id":1},{"id":2}]}`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		rows, err := bitrix.Later{Client: c}.List(ctx, bitrix.Call{Method: "crm.item.list"}, "items")
		return len(rows), err
	}},
	{"lists.element.get", `[{"ID":"1","PROPERTY_1":{"7":"5"}},{"ID":"2","PROPERTY_1":{"8":"5"}}]`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		owner := bitrix.Call{Method: "lists.element.get", Params: map[string]any{"FILTER": map[string]any{"PROPERTY_1": "5"}}, Many: &bitrix.Many{
			Owner: "5", Param: "FILTER", Key: "PROPERTY_1", Owners: func(json.RawMessage) []string { return []string{"5"} },
		}}
		rows, _, err := bitrix.FirstPage(owner.Method, c.Do(ctx, owner)[0], "")
		return len(rows), err
	}},
	{"event.get", `[{"event":"A","handler":"h","offline":0},{"event":"B","handler":"","offline":"1"}]`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		all, err := c.Subscriptions(ctx)
		return len(all), err
	}},
	{"events", `["ONCRMDEALADD","ONCRMDEALUPDATE"]`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		codes, err := c.EventCodes(ctx)
		return len(codes), err
	}},
	{"event.offline.get", `{"process_id":"p","events":[{"ID":"1","EVENT_NAME":"A","EVENT_DATA":{"FIELDS":{"ID":5}}},{"ID":2,"EVENT_NAME":"B","EVENT_DATA":[]}]}`, false, func(ctx context.Context, c *bitrix.Client) (int, error) {
		b, err := c.Offline("").Fetch(ctx)
		return len(b.Events) + len(b.Broken), err
	}},
	{"event.offline.list", `[{"ID":"1","EVENT_NAME":"A","PROCESS_ID":"p"},{"ID":"2","EVENT_NAME":"A","PROCESS_ID":"q"}]`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		batches, err := c.Offline("x").Reserved(ctx)
		return len(batches), err
	}},
	{"crm.item.fields", `{"fields":{"id":{"type":"integer","isMultiple":false,"settings":[]},"opportunity":{"type":"double","settings":{"PRECISION":2}}}}`, false, func(ctx context.Context, c *bitrix.Client) (int, error) {
		f, err := c.ItemFields(ctx, 2)
		if err != nil {
			return 0, err
		}
		return len(f.Names()), nil
	}},
	{"lists.field.get", `{"NAME":{"FIELD_ID":"NAME","TYPE":"NAME","MULTIPLE":"N"},"PROPERTY_5":{"FIELD_ID":"PROPERTY_5","TYPE":"S","IS_REQUIRED":"Y"}}`, false, func(ctx context.Context, c *bitrix.Client) (int, error) {
		f, err := c.ListFields(ctx, "lists", 5)
		if err != nil {
			return 0, err
		}
		return len(f.All()), nil
	}},
	{"lists.get", `[{"ID":"5","TIMESTAMP_X":"05/17/2023"},{"ID":"6"}]`, true, func(ctx context.Context, c *bitrix.Client) (int, error) {
		text, err := c.ListChanged(ctx, "lists", 5)
		if text == "" {
			return 0, err
		}
		return 2, err
	}},
	{"feature.get", `{"value":"Y"}`, false, func(ctx context.Context, c *bitrix.Client) (int, error) {
		has, err := c.Feature(ctx, "x")
		if has {
			return 2, err
		}
		return 0, err
	}},
}

// TestReadsOfOtherShapes holds that no call of the client takes an answer of another
// shape for one with nothing in it: it fails, and another attempt may succeed.
func TestReadsOfOtherShapes(t *testing.T) {
	for _, tt := range reads {
		run := func(answer string) (int, error) {
			return tt.read(t.Context(), newClient(t, resultOf{tt.method: answer}))
		}
		if n, err := run(tt.answer); err != nil || n != 2 {
			t.Errorf("%s: %d of 2, %v", tt.method, n, err)
		}
		open := strings.IndexByte(tt.answer, '[')
		wrong := []string{
			`null`, `false`, `true`, `0`, `1`, `""`, `"x"`, `{}`, `[[]]`, `[null]`, `[false]`, `{"x":1}`, `{"data":` + tt.answer + `}`, `[` + tt.answer + `]`,
			strings.Replace(tt.answer, `"items"`, `"Items"`, 1), strings.Replace(tt.answer, `"fields"`, `"data"`, 1),
			strings.Replace(tt.answer, `"value":"Y"`, `"value":"maybe"`, 1), strings.Replace(tt.answer, `"value":"Y"`, `"value":[]`, 1),
			strings.Replace(tt.answer, `"offline":0`, `"offline":"sometimes"`, 1), strings.Replace(tt.answer, `"event":"A"`, `"event":""`, 1),
			strings.Replace(tt.answer, `"process_id":"p",`, "", 1), strings.Replace(tt.answer, `"ID":2`, `"ID":"two"`, 1),
			strings.Replace(tt.answer, `"MULTIPLE":"N"`, `"MULTIPLE":[]`, 1), strings.Replace(tt.answer, `"TYPE":"S"`, `"TYPE":null`, 1),
			strings.Replace(tt.answer, `"PRECISION":2`, `"PRECISION":"two"`, 1), strings.Replace(tt.answer, `"type":"double"`, `"type":[]`, 1),
			strings.Replace(tt.answer, `"isMultiple":false`, `"isMultiple":"perhaps"`, 1), strings.Replace(tt.answer, `"ONCRMDEALADD"`, `5`, 1),
		}
		if tt.list {
			for _, list := range []string{`null`, `false`, `{}`, `{"items":[]}`, `[null]`} {
				wrong = append(wrong, tt.answer[:open]+list+strings.TrimLeft(tt.answer[strings.LastIndexByte(tt.answer, ']'):], "]"))
			}
		} else {
			wrong = append(wrong, `[]`)
		}
		for _, answer := range wrong {
			if answer == tt.answer {
				continue
			}
			n, err := run(answer)
			if err == nil || n != 0 || !judge(t, err).Temporary || !bitrix.IsCode(err, bitrix.CodeBadAnswer) || !strings.Contains(err.Error(), tt.method) {
				t.Errorf("%s answered %s: %d, %v", tt.method, answer, n, err)
			}
		}
		if tt.list {
			// PHP writes a list with gaps as an object.
			last := strings.LastIndexByte(tt.answer, ']')
			var rows []json.RawMessage
			if err := json.Unmarshal([]byte(tt.answer[open:last+1]), &rows); err != nil {
				t.Fatal(err)
			}
			gaps := fmt.Sprintf(`%s{"1":%s,"3":%s}%s`, tt.answer[:open], rows[0], rows[1], tt.answer[last+1:])
			if n, err := run(gaps); err != nil || n != 2 {
				t.Errorf("%s answered %s: %d of 2, %v", tt.method, gaps, n, err)
			}
		}
	}
}

// rightAnswers are results of each form of writes.txt.
var rightAnswers = map[string][]string{
	"true": {`true`}, "id": {`1`, `"1"`, `"12"`}, "[]": {`[]`, `{}`, ` [ ] `}, "text": {`"5e4"`}, "count": {`{"count":0}`, `{"count":"2"}`},
	"some":    {`true`, `1`, `"1"`, `"Y"`, `"x"`, `{"id":0}`, `[0]`},
	".id":     {`{"id":5}`, `{"id":"5"}`},
	"item.id": {`{"item":{"id":5}}`}, "productRow.id": {`{"productRow":{"id":5,"x":null}}`}, "task.id": {`{"task":{"id":"5"}}`},
	"productRows[]": {`{"productRows":[]}`, `{"productRows":[{"id":1}]}`, `{"productRows":{"1":{"id":1}}}`},
	"events[]":      {`{"events":[],"process_id":null}`},
}

// allAnswers are results of any form: each is wrong for the forms that do not have it.
var allAnswers = []string{
	`null`, `false`, `true`, `0`, `1`, `-1`, `1.5`, `"0"`, `"1"`, `"12"`, `""`, `"N"`, `"Y"`, `"x"`, `"5e4"`, `[]`, `{}`, `[[]]`, `[0]`, `[1]`, `[null]`, `[{"id":1}]`,
	`{"id":0}`, `{"id":5}`, `{"id":"5"}`, `{"id":null}`, `{"id":true}`, `{"ID":5}`, `{"item":null}`, `{"item":[]}`, `{"item":{}}`, `{"item":{"id":0}}`, `{"item":{"id":"x"}}`,
	`{"item":{"id":5}}`, `{"data":{"id":5}}`, `{"productRow":{}}`, `{"productRow":{"id":5,"x":null}}`, `{"productRows":null}`, `{"productRows":false}`, `{"productRows":{}}`,
	`{"productRows":[]}`, `{"productRows":[{"id":1}]}`, `{"productRows":{"1":{"id":1}}}`, `{"task":[]}`, `{"task":{"id":"5"}}`, `{"count":0}`, `{"count":"2"}`, `{"count":"x"}`,
	`{"count":-1}`, `{"events":[],"process_id":null}`, `{"events":null}`, ` [ ] `,
}

// nothing are the results that no form but [] takes.
var nothing = []string{`null`, `false`, `0`, `"0"`, `""`, `"N"`, `[]`, `{}`, ` [ ] `}

func isRight(form, answer string) bool {
	has := func(list []string) bool {
		for _, s := range list {
			if s == answer {
				return true
			}
		}
		return false
	}
	if form == "some" {
		return !has(nothing)
	}
	if form == "text" {
		return answer[0] == '"' && answer != `""`
	}
	return has(rightAnswers[form]) || form == ".id" && strings.HasPrefix(answer, `{"id":5`)
}

// TestWritesAreDoneInTheirForm holds that no write counts as done because its answer
// has no error. It tries every documented method with answers of every form, alone
// and in a batch.
func TestWritesAreDoneInTheirForm(t *testing.T) {
	methods := wire.WriteMethods()
	if len(methods) < 700 {
		t.Fatalf("%d methods in the table", len(methods))
	}
	for _, method := range methods {
		form := wire.WriteForm(method)
		if len(rightAnswers[form]) == 0 {
			t.Fatalf("%s: the form %s has no right answer here", method, form)
		}
		for _, answer := range append(rightAnswers[form], allAnswers...) {
			a := bitrix.AnswerTo(bitrix.Call{Method: method, Write: true}, json.RawMessage(answer))
			checkConfirmed(t, method, answer, isRight(form, answer), a)
		}
		checkConfirmed(t, method, "", false, bitrix.AnswerTo(bitrix.Call{Method: method, Write: true}, nil))
	}
	for _, method := range []string{"crm.item.add", "crm.item.delete", "lists.element.update", "im.notify.system.add", "crm.item.productrow.set", "crm.activity.todo.add"} {
		for _, answer := range allAnswers {
			c := newClient(t, resultOf{method: answer, "other": "1"})
			call := bitrix.Call{Method: method, Write: true}
			for _, calls := range [][]bitrix.Call{{call}, {{Method: "other"}, call}} {
				answers := c.Do(t.Context(), calls...)
				checkConfirmed(t, method, answer, isRight(wire.WriteForm(method), answer), answers[len(answers)-1])
			}
			if n := c.Stats().Writes; n != 2 {
				t.Errorf("%s answered %s: %d writes were sent, want 2", method, answer, n)
			}
			c.Close()
		}
	}
	for _, call := range []bitrix.Call{{Method: "crm.item.add"}, {Method: "my.own.method", Write: true}} {
		if a := bitrix.AnswerTo(call, json.RawMessage("false")); a.Err != nil {
			t.Errorf("%+v: %v", call, a.Err)
		}
	}
}

func checkConfirmed(t *testing.T, method, answer string, right bool, a bitrix.Answer) {
	t.Helper()
	if right {
		if a.Err != nil {
			t.Errorf("%s answered %s: %v", method, answer, a.Err)
		}
		return
	}
	var e *bitrix.Error
	if !errors.As(a.Err, &e) || e.Outcome != bitrix.Unknown || !e.Temporary() || e.Method != method || a.Result != nil {
		t.Errorf("%s answered %s, which is not documented: %+v", method, answer, a)
	}
}

// TestWritesHaveForms holds that the table has only methods that write, and each
// writing method whose name is in our code, with its exact form.
func TestWritesHaveForms(t *testing.T) {
	for _, method := range wire.WriteMethods() {
		if m, ok := schemas.LookupMethod(method); !ok || m.Effect != schemas.Write {
			t.Errorf("%s is no documented method that writes", method)
		}
	}
	skip := map[string]bool{"emulator": true, "schemas": true, "testdata": true, "bench": true, ".git": true}
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skip[d.Name()]:
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			m, ok := schemas.LookupMethod(text)
			if !ok || m.Effect != schemas.Write || !strings.Contains(text, ".") {
				return true
			}
			seen++
			if form := wire.WriteForm(text); form == "" || form == "some" {
				t.Errorf("%s: %s has the form %q, want an exact one in writes.txt", path, text, form)
			}
			return true
		})
		return nil
	})
	if err != nil || seen < 20 {
		t.Fatalf("%d methods in the code, %v", seen, err)
	}
}

// rawAnswer answers each request with the same text.
type rawAnswer string

func (s rawAnswer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, string(s))
}

// TestMembersOfAnswers holds that only the documented members of an answer are read, and
// that a result is never given to the wrong command of a batch.
func TestMembersOfAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		`{"result":[],"Result":[{"id":1}]}`:          `[]`,
		"\uFEFF {\"result\":[],\"RESULT\":[1]} \r\n": `[]`,
		`{"Result":[]}`:              "",
		`{"result":[]`:               "",
		`{"result":[]}{"result":[]}`: "",
		`[]`:                         "",
		`[{"result":[]}]`:            "",
		`null`:                       "",
		`{"result":[],"error":"QUERY_LIMIT","error_description":""}`: "",
	} {
		a := newClient(t, rawAnswer(answer)).Do(t.Context(), bitrix.Call{Method: "x", Write: true})[0]
		if (a.Err == nil) != (want != "") || string(a.Result) != want {
			t.Errorf("%s is %s, %v, want %q", answer, a.Result, a.Err, want)
		}
	}
	calls := []bitrix.Call{{Method: "x", Write: true}, {Method: "y", Write: true}, {Method: "z", Write: true}}
	for answer, want := range map[string]int{
		`{"result":["a","b","c"],"result_error":[]}`:                      3,
		`{"result":{"0":"a","2":"c"},"result_error":{"1":{"error":"E"}}}`: 2,
		`{"result":["a","b"],"result_error":{"2":{"error":"E"}}}`:         2,
		`{"result":["a","c"],"result_error":{"1":{"error":"E"}}}`:         0, // numbered again
		`{"Result":["a","b","c"]}`:                                        0,
		`{"result":"a"}`:                                                  0,
		`[]`:                                                              0,
	} {
		got := 0
		for _, a := range newClient(t, rawAnswer(`{"result":`+answer+`}`)).Do(t.Context(), calls...) {
			if a.Err == nil {
				got++
			}
		}
		if got != want {
			t.Errorf("%s answers %d commands, want %d", answer, got, want)
		}
	}
}
