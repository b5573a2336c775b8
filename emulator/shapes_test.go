package emulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
)

// TestShapes holds what each fault about answers changes, alone and in a batch, for a
// list inside a member, for a bare list and for a write.
func TestShapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault               string
		items, bare, single string // of crm.item.list, crm.deal.list and crm.deal.get
	}{
		{
			`shape: absent`,
			`{"result":{},"total":3,"time":"*"}`, `{"total":3,"time":"*"}`, `{"time":"*"}`,
		},
		{
			`shape: as_null`,
			`{"result":{"items":null},"total":3,"time":"*"}`, `{"result":null,"total":3,"time":"*"}`, `{"result":null,"time":"*"}`,
		},
		{
			`shape: as_false`,
			`{"result":{"items":false},"total":3,"time":"*"}`, `{"result":false,"total":3,"time":"*"}`, `{"result":false,"time":"*"}`,
		},
		{
			`shape: gaps`,
			`{"result":{"items":{"1":"<object>","3":"<object>","5":"<object>"}},"total":3,"time":"*"}`,
			`{"result":{"1":"<object>","3":"<object>","5":"<object>"},"total":3,"time":"*"}`, `{"result":{"ID":"1","…":1},"time":"*"}`,
		},
		{
			`shape: renamed`,
			`{"result":{"data":["<object>","<object>","<object>"]},"total":3,"time":"*"}`,
			`{"result":{"data":["<object>","<object>","<object>"]},"total":3,"time":"*"}`, `{"result":{"data":{"ID":"1","…":1}},"time":"*"}`,
		},
		{
			`shape: short, keep: 1`,
			`{"result":{"items":["<object>"]},"total":3,"time":"*"}`, `{"result":["<object>"],"total":3,"time":"*"}`, `{"result":{"ID":"1","…":1},"time":"*"}`,
		},
		{
			`shape: short`,
			`{"result":{"items":[]},"total":3,"time":"*"}`, `{"result":[],"total":3,"time":"*"}`, `{"result":{"ID":"1","…":1},"time":"*"}`,
		},
		{
			`shape: wrong_total, total: 4`,
			`{"result":{"items":["<object>","<object>","<object>"]},"total":4,"time":"*"}`,
			`{"result":["<object>","<object>","<object>"],"total":4,"time":"*"}`, `{"result":{"ID":"1","…":1},"total":4,"time":"*"}`,
		},
		{
			`shape: no_id`,
			`{"result":{"items":["<object>","<object>","<object>"]},"total":3,"time":"*"}`,
			`{"result":["<object>","<object>","<object>"],"total":3,"time":"*"}`, `{"result":{"TITLE":"*","…":1},"time":"*"}`,
		},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			p := open(t, emulator.Config{})
			for range 3 {
				p.add(2, `{}`)
			}
			p.fault(`{kind: shape, ` + c.fault + `, method: "crm.*"}`)
			for _, call := range []struct{ method, params, want string }{
				{"crm.item.list", `{"entityTypeId":2}`, c.items},
				{"crm.deal.list", `{}`, c.bare},
				{"crm.deal.get", `{"id":1}`, c.single},
			} {
				_, body := p.post(call.method, call.params)
				p.match(call.method, call.want, body)
			}
			// In a batch the same is under the command's key.
			_, body := p.post("batch", `{"cmd":{"a":"crm.deal.list"}}`)
			alone := parse(t, c.bare).(map[string]any)
			got := parse(t, body).(map[string]any)["result"].(map[string]any)
			result, _ := got["result"].(map[string]any)
			if diff := differ("a", alone["result"], result["a"]); diff != "" {
				t.Errorf("batch: %s in %s", diff, body)
			}
			if _, has := result["a"]; has != hasKey(alone, "result") {
				t.Errorf("batch: the result is there: %t, in %s", has, body)
			}
			if total := text(at(got, "result_total", "a")); total != text(alone["total"]) {
				t.Errorf("batch: the total is %s in %s", total, body)
			}
		})
	}
}

func hasKey(m map[string]any, key string) bool { _, ok := m[key]; return ok }

// fault sets one fault, written in YAML.
func (p *portal) fault(yaml string) {
	p.t.Helper()
	faults, list := emulator.ParseFaults("faults.yaml", []byte(yaml))
	if list.HasErrors() {
		p.t.Fatal(list.Err())
	}
	if err := p.SetFaults(faults...); err != nil {
		p.t.Fatal(err)
	}
}

// TestNoNext: a full page seems to be the last one.
func TestNoNext(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for range 51 {
		p.add(2, `{}`)
	}
	_, body := p.post("crm.deal.list", `{"select":["ID"]}`)
	if next := text(parse(t, body).(map[string]any)["next"]); next != "50" {
		t.Fatalf("next is %s", next)
	}
	p.fault(`{kind: shape, shape: no_next}`)
	_, body = p.post("crm.deal.list", `{"select":["ID"]}`)
	answer := parse(t, body).(map[string]any)
	if hasKey(answer, "next") || text(answer["total"]) != "51" || len(answer["result"].([]any)) != 50 {
		t.Errorf("%s", body)
	}
	_, body = p.post("batch", `{"cmd":{"a":"crm.deal.list"}}`)
	p.match("batch", `{"result":{"result":{"a":"<list>"},"result_total":{"a":51},"result_next":[],"result_error":[],"result_time":"*"},"time":"*"}`, body)
}

// TestWriteAnswers: writes whose answers do not say that they are done, with what they
// leave behind.
func TestWriteAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault       string
		add, update string // the answers
		title       string // of the deal that is updated
		deals       int
	}{
		{`kind: undone`, `{"result":false,"time":"*"}`, `{"result":false,"time":"*"}`, "old", 1},
		{`kind: undone, shape: as_null`, `{"result":null,"time":"*"}`, `{"result":null,"time":"*"}`, "old", 1},
		{`kind: undone, shape: absent`, `{"time":"*"}`, `{"time":"*"}`, "old", 1},
		{`kind: shape, shape: as_false`, `{"result":false,"time":"*"}`, `{"result":false,"time":"*"}`, "new", 2},
		{`kind: shape, shape: no_id`, `{"result":{"item":{"title":"added","…":1}},"time":"*"}`, `{"result":true,"time":"*"}`, "new", 2},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			p := open(t, emulator.Config{})
			p.add(2, `{"title":"old"}`)
			p.fault("{" + c.fault + "}")
			status, body := p.post("crm.item.add", `{"entityTypeId":2,"fields":{"title":"added"}}`)
			p.match("add", c.add, body)
			if strings.Contains(c.fault, "no_id") && at(parse(t, body), "result", "item", "id") != nil {
				t.Errorf("the id is there: %s", body)
			}
			if status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			_, body = p.post("crm.deal.update", `{"id":1,"fields":{"TITLE":"new"}}`)
			p.match("update", c.update, body)
			if err := p.SetFaults(); err != nil {
				t.Fatal(err)
			}
			if got := text(at(p.must("crm.deal.get", `{"id":1}`), "TITLE")); got != c.title {
				t.Errorf("the deal is called %s, want %s", got, c.title)
			}
			if got := len(p.must("crm.deal.list", `{}`).([]any)); got != c.deals {
				t.Errorf("%d deals, want %d", got, c.deals)
			}
			calls := p.Calls()
			if got := string(calls[1].Fault); got != strings.TrimPrefix(strings.Split(c.fault, ",")[0], "kind: ") {
				t.Errorf("the journal names the fault %q", got)
			}
		})
	}
}

// TestUnkept: a write succeeds, and the portal does not keep the field.
func TestUnkept(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	item := p.add(1038, `{"ufCrm5Total":1,"ufCrm5Note":"a"}`)
	deal := p.add(2, `{"title":"old"}`)
	p.must("lists.element.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"e","FIELDS":{"NAME":"E","PROPERTY_103":"1","PROPERTY_107":"a"}}`)
	row := text(at(p.must("crm.item.productrow.add", `{"fields":{"ownerType":"D","ownerId":`+deal+`,"price":5,"quantity":1}}`), "productRow", "id"))
	element := text(at(p.must("lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47}`), 0, "ID"))
	writes := []struct{ fields, method, params, read, readParams, want string }{
		{
			"ufCrm5Total UF_CRM_5_TOTAL", "crm.item.update", `{"entityTypeId":1038,"id":` + item + `,"fields":{"ufCrm5Total":2,"ufCrm5Note":"b"}}`,
			"crm.item.get", `{"entityTypeId":1038,"id":` + item + `}`, `{"item":{"ufCrm5Total":1,"ufCrm5Note":"b","…":1}}`,
		},
		{
			"TITLE title", "crm.deal.update", `{"id":` + deal + `,"fields":{"TITLE":"new","COMMENTS":"b"}}`,
			"crm.deal.get", `{"id":` + deal + `}`, `{"TITLE":"old","COMMENTS":"b","…":1}`,
		},
		{
			"PROPERTY_103 QUANTITY", "lists.element.update", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_ID":` + element + `,"ELEMENT_CODE":"e","FIELDS":{"NAME":"F","PROPERTY_103":"2","PROPERTY_107":"b"}}`,
			"lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47}`, `[{"NAME":"F","PROPERTY_103":"<object>","PROPERTY_107":"<object>","…":1}]`,
		},
		{
			"NAME", "lists.element.update", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_ID":` + element + `,"ELEMENT_CODE":"e","FIELDS":{"NAME":"G","PROPERTY_103":"2"}}`,
			"lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47}`, `[{"NAME":"F","PROPERTY_103":"<object>","…":1}]`,
		},
		{
			"price", "crm.item.productrow.update", `{"id":` + row + `,"fields":{"price":6,"quantity":2}}`,
			"crm.item.productrow.get", `{"id":` + row + `}`, `{"productRow":{"price":5,"quantity":2,"…":1}}`,
		},
	}
	for _, w := range writes {
		for _, field := range strings.Fields(w.fields) {
			p.fault(fmt.Sprintf(`{kind: unkept, method: %s, field: %s}`, w.method, field))
			p.must(w.method, w.params)
			if err := p.SetFaults(); err != nil {
				t.Fatal(err)
			}
			_, body := p.post(w.read, w.readParams)
			if diff := differ("", parse(t, w.want), at(parse(t, body), "result")); diff != "" {
				t.Errorf("%s without %s: %s in %s", w.method, field, diff, body)
			}
		}
	}
	// Without a name no field gets its value.
	p.fault(`{kind: unkept}`)
	p.must("crm.deal.update", `{"id":`+deal+`,"fields":{"TITLE":"new","COMMENTS":"c"}}`)
	_, body := p.post("crm.deal.get", `{"id":`+deal+`}`)
	p.match("get", `{"result":{"TITLE":"old","COMMENTS":"b","…":1},"time":"*"}`, body)
}

// TestOddBodies: the JSON is right and its surroundings are not.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.fault(`{kind: bom}`)
	if got := p.sendOnce("server.time", `{}`); !strings.HasPrefix(got, "200 application/json; charset=utf-8 \ufeff{\"result\":") {
		t.Errorf("%q", got)
	}
	p.fault(`{kind: content_type}`)
	if got := p.sendOnce("batch", `{"cmd":{"a":"server.time"}}`); !strings.HasPrefix(got, `200 text/html; charset=UTF-8 {"result":`) {
		t.Errorf("%q", got)
	}
}
