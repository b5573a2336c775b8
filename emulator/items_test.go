package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/google/go-cmp/cmp"
)

func TestItemValues(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.AddType(emulator.Type{EntityTypeID: 128, ID: 3, Title: "Order", Products: true, Fields: []emulator.UserField{
		{Name: "UF_CRM_3_1747309727", Type: "integer"},
		{Name: "UF_CRM_3_DIGIT10", Type: "double", Precision: 2},
		{Name: "UF_CRM_3_FLAG", Type: "boolean"},
		{Name: "UF_CRM_3_WHEN", Type: "date"},
		{Name: "UF_CRM_3_TAGS", Multiple: true},
		{Name: "UF_CRM_3_KIND", Type: "enumeration", Options: []string{"a", "b"}},
		{Name: "UF_CRM_3_PRICE", Type: "money"},
	}})
	id := p.add(128, `{"title":"x"}`)
	for _, c := range []struct{ name, value, want string }{
		{"ufCrm3_1747309727", `"12abc"`, `12`},
		{"ufCrm3_1747309727", `0`, `null`},
		{"ufCrm3_1747309727", `"0"`, `null`},
		{"ufCrm3_1747309727", `5`, `5`},
		{"ufCrm3_1747309727", `""`, `null`},
		{"ufCrm_3_DIGIT10", `"10.505"`, `10.51`},
		{"ufCrm_3_DIGIT10", `1e2`, `100`},
		{"ufCrm3Flag", `true`, `"Y"`},
		{"ufCrm3Flag", `1`, `"N"`},
		{"ufCrm3Flag", `"Y"`, `"Y"`},
		{"ufCrm3Flag", `false`, `"N"`},
		{"ufCrm3When", `"2024-07-23"`, `"2024-07-23T03:00:00+03:00"`},
		{"ufCrm3When", `"nonsense"`, `"2024-07-23T03:00:00+03:00"`},
		{"ufCrm3When", `"2024-07-24T03:00:00+03:00"`, `"2024-07-24T03:00:00+03:00"`},
		{"ufCrm3When", `"25.07.2024"`, `"2024-07-25T03:00:00+03:00"`},
		{"ufCrm3When", `null`, `null`},
		{"ufCrm3Tags", `["a","","b"]`, `["a","","b"]`},
		{"ufCrm3Tags", `[]`, `[]`},
		{"ufCrm3Kind", `"2"`, `2`},
		{"ufCrm3Price", `"300|RUB"`, `"300|RUB"`},
		{"opportunity", `"1000.005"`, `1000.01`},
		{"stageId", `"DT128_2:CLIENT"`, `"DT128_2:CLIENT"`},
		{"STAGE_ID", `"DT128_2:NEW"`, `null`}, // written under stageId
	} {
		p.must("crm.item.update", fmt.Sprintf(`{"entityTypeId":128,"id":%s,"fields":{%q:%s}}`, id, c.name, c.value))
		_, body := p.post("crm.item.get", fmt.Sprintf(`{"entityTypeId":128,"id":%s}`, id))
		if c.name == "STAGE_ID" {
			p.match("STAGE_ID", `{"result":{"item":{"stageId":"DT128_2:NEW","…":1}},"…":1}`, body)
			continue
		}
		p.match(c.name+" = "+c.value, fmt.Sprintf(`{"result":{"item":{%q:%s,"…":1}},"…":1}`, c.name, c.want), body)
	}
	p.refused("crm.item.update", `{"entityTypeId":128,"id":`+id+`,"fields":{"ufCrm3Kind":9}}`, 400,
		`{"error":"CRM_FIELD_ERROR_VALUE_NOT_VALID","error_description":"*"}`)
}

func TestOriginalNames(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	id := p.add(1038, `{"ufCrm5Total":1}`)
	read := func(params string) string {
		_, body := p.post("crm.item.get", `{"entityTypeId":1038,"id":`+id+params+`}`)
		return body
	}
	p.must("crm.item.update", `{"entityTypeId":1038,"id":`+id+`,"useOriginalUfNames":"Y","fields":{"UF_CRM_5_TOTAL":2,"ufCrm5Note":"no"}}`)
	p.match("original", `{"result":{"item":{"UF_CRM_5_TOTAL":2,"UF_CRM_5_NOTE":null,"assignedById":1,"…":1}},"…":1}`, read(`,"useOriginalUfNames":"Y"`))
	p.must("crm.item.update", `{"entityTypeId":1038,"id":`+id+`,"fields":{"UF_CRM_5_TOTAL":3}}`)
	p.match("camel", `{"result":{"item":{"ufCrm5Total":2,"…":1}},"…":1}`, read(""))
}

// TestNoChange saves nothing where nothing differs: no event, no time.
func TestNoChange(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	p.add(1038, `{"title":"x","ufCrm5Total":"10.50","ufCrm5InvoiceId":7}`)
	p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":`+p.add(2, `{"title":"d","begindate":"2026-01-02"}`)+`,"productRows":[{"productName":"a","price":1,"sort":10}]}`)
	count := func() int { return len(p.History()) }
	before := count()
	p.must("crm.item.update", `{"entityTypeId":1038,"id":1,"fields":{"ufCrm5Total":10.5,"title":"x","ufCrm5InvoiceId":"7","ufCrm5Note":"","unknown":1,"id":9,"createdTime":"2020-01-01"}}`)
	p.must("crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"begindate":"2026-01-02T03:00:00+03:00","observers":[],"opportunity":5}}`)
	p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[{"productName":"a","price":"1.00","sort":10,"quantity":1}]}`)
	p.must("crm.item.productrow.update", `{"id":1,"fields":{"price":1}}`)
	if got := count(); got != before {
		t.Errorf("%d changes by saves that change nothing: %+v", got-before, p.History()[before:])
	}
	p.must("crm.deal.update", `{"id":1,"fields":{"TITLE":"d"}}`)
	if got := count(); got != before+1 {
		t.Errorf("%d changes by a legacy update, want 1: it always saves", got-before)
	}
}

func TestDealStages(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	if id := p.AddDealCategory(); id != 1 {
		t.Fatalf("the second pipeline is %d", id)
	}
	p.add(2, `{"title":"x"}`)
	stage := func() string {
		item := at(p.must("crm.item.get", `{"entityTypeId":2,"id":1}`), "item")
		return text(at(item, "stageId")) + " " + text(at(item, "stageSemanticId")) + " " + text(at(item, "closed"))
	}
	for _, c := range []struct{ method, params, want string }{
		{"crm.deal.update", `{"id":1,"fields":{"STAGE_ID":"PREPARATION"}}`, "PREPARATION P N"},
		{"crm.deal.update", `{"id":1,"fields":{"STAGE_ID":"C1:NEW"}}`, "PREPARATION P N"}, // of another pipeline
		{"crm.deal.update", `{"id":1,"fields":{"CATEGORY_ID":1}}`, "PREPARATION P N"},     // cannot be written
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"stageId":"WON"}}`, "WON S Y"},
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"categoryId":1,"stageId":"C1:EXECUTING"}}`, "C1:EXECUTING P N"},
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"categoryId":0}}`, "NEW P N"},
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"stageId":""}}`, "NEW P N"},
	} {
		p.must(c.method, c.params)
		if got := stage(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.params, got, c.want)
		}
	}
}

func TestItemFilters(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{Location: time.UTC})
	p.AddType(emulator.Type{EntityTypeID: 128, ID: 3, Title: "Thing", Fields: []emulator.UserField{
		{Name: "UF_CRM_3_SUM", Type: "double"}, {Name: "UF_CRM_3_FLAG", Type: "boolean"}, {Name: "UF_CRM_3_TAGS", Multiple: true}, {Name: "UF_CRM_3_DAY", Type: "date"},
	}})
	for _, fields := range []string{
		`{"title":"Alpha","ufCrm3Sum":1.5,"ufCrm3Flag":"Y","ufCrm3Tags":["a","b"],"ufCrm3Day":"2026-01-01"}`,
		`{"title":"beta 100%","ufCrm3Sum":10,"ufCrm3Tags":["b"],"ufCrm3Day":"2026-01-02"}`,
		`{"title":"Gamma","ufCrm3Sum":9.99}`,
	} {
		p.add(128, fields)
	}
	for _, c := range []struct{ filter, want string }{
		{`{}`, "1 2 3"},
		{`{"id":2}`, "2"},
		{`{"=id":["1","3"]}`, "1 3"},
		{`{"@id":[1,2]}`, "1 2"},
		{`{"@id":[]}`, ""},
		{`{"!@id":[1,2]}`, "3"},
		{`{"!id":1}`, "2 3"},
		{`{"!=id":1}`, "2 3"},
		{`{">ufCrm3Sum":9.99}`, "2"},
		{`{">=ufCrm3Sum":"9.990"}`, "2 3"},
		{`{"<ufCrm3Sum":10,">ufCrm3Sum":2}`, "3"},
		{`{"title":"ALPHA"}`, "1"},
		{`{"%title":"a"}`, "1 2 3"},
		{`{"%title":"ph"}`, "1"},
		{`{"!%title":"et"}`, "1 3"},
		{`{"=%title":"%a"}`, "1 3"},
		{`{"%=title":"b%0_%"}`, "2"}, // _ is any character
		{`{"%=title":"b%0___%"}`, ""},
		{`{"%=title":"b%0%"}`, "2"},
		{`{"!=%title":"%a"}`, "2"},
		{`{"ufCrm3Flag":1}`, "1"},
		{`{"ufCrm3Flag":"Y"}`, "2 3"}, // custom yes/no fields know 1 and 0 only
		{`{"opened":"Y"}`, "1 2 3"},
		{`{"ufCrm3Tags":"b"}`, "1 2"},
		{`{"ufCrm3Tags":null}`, "3"},
		{`{"ufCrm3Day":"2026-01-02"}`, "2"},
		{`{"<=ufCrm3Day":"2026-01-01"}`, "1"},
		{`{"!ufCrm3Day":""}`, "1 2"},
		{`{"0":{"logic":"OR","0":{"id":1},"1":{"title":"gamma"}}}`, "1 3"},
		{`{"0":{"logic":"OR","0":{"id":1},"1":{"logic":"AND","0":{">id":1},"1":{"<id":3}}},"!id":1}`, "2"},
		{`{"stageId":"DT128_2:NEW","companyId":0}`, "error"}, // clients are switched off
		{`{"ufCrm3Day":"never"}`, "error"},
	} {
		status, body := p.post("crm.item.list", `{"entityTypeId":128,"select":["id"],"filter":`+c.filter+`}`)
		got := strings.Join(ids(at(parse(t, body), "result", "items"), "id"), " ")
		if status != 200 {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.filter, got, c.want)
		}
	}
	got := ids(at(p.must("crm.item.list", `{"entityTypeId":128,"select":["id"],"order":{"ufCrm3Day":"DESC","title":"desc"}}`), "items"), "id")
	if diff := cmp.Diff([]string{"2", "1", "3"}, got); diff != "" {
		t.Errorf("order (-want +got)\n%s", diff)
	}
}

func TestUnknownFilterFieldFindsEverything(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for range 3 {
		p.must("crm.deal.add", `{"fields":{"TITLE":"x"}}`)
	}
	for filter, want := range map[string]int{
		`{"TITEL":"y"}`: 3, `{"CONTACT_IDS":[1]}`: 3, `{"title":"y"}`: 3, `{"TITLE":"y"}`: 0, `{">ID":"1"}`: 2, `{"@ID":[1,3]}`: 2, `{"%TITLE":"X"}`: 3,
	} {
		found, _ := p.must("crm.deal.list", `{"filter":`+filter+`}`).([]any)
		if len(found) != want {
			t.Errorf("%s finds %d, want %d", filter, len(found), want)
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for range 120 {
		p.must("crm.deal.add", `{"fields":{}}`)
	}
	for _, c := range []struct{ start, want string }{
		{`0`, "50 items from 1, total 120, next 50"},
		{`30`, "50 items from 1, total 120, next 50"},
		{`"50"`, "50 items from 51, total 120, next 100"},
		{`100`, "20 items from 101, total 120, next "},
		{`150`, "0 items from , total 120, next "},
		{`-1`, "50 items from 1, total 0, next "},
	} {
		for method, wrapper := range map[string]string{"crm.deal.list": "ID", "crm.item.list": "id"} {
			_, body := p.post(method, `{"entityTypeId":2,"start":`+c.start+`}`)
			answer := parse(t, body)
			rows := at(answer, "result")
			if wrapper == "id" {
				rows = at(rows, "items")
			}
			list, _ := rows.([]any)
			got := fmt.Sprintf("%d items from %s, total %s, next %s", len(list), text(at(list, 0, wrapper)), text(at(answer, "total")), text(at(answer, "next")))
			if got != c.want {
				t.Errorf("%s start=%s: %s, want %s", method, c.start, got, c.want)
			}
		}
	}
}

// TestOwnItems: a user who may read only the own items does not find others in lists, and is refused
// when one is named (crm.item.list, crm.item.get).
func TestOwnItems(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	berta := p.AddUser(emulator.User{Name: "Berta"})
	own := p.add(2, `{"title":"own"}`)
	other := p.add(2, fmt.Sprintf(`{"title":"other","assignedById":%d}`, berta))
	p.AddUser(emulator.User{ID: 1, Name: "Anna", OwnItems: true})
	for _, c := range []struct{ method, params, want string }{
		{"crm.item.list", `{"entityTypeId":2,"select":["id"]}`, `{"result":{"items":[{"id":` + own + `}]},"total":1,"…":1}`},
		{"crm.item.list", `{"entityTypeId":2,"select":["id"],"filter":{"id":` + other + `}}`, `{"result":{"items":[]},"total":0,"…":1}`},
		{"crm.deal.list", `{"select":["ID"]}`, `{"result":[{"ID":"` + own + `"}],"total":1,"…":1}`},
	} {
		_, body := p.post(c.method, c.params)
		p.match(c.method, c.want, body)
	}
	denied := `{"error":"ACCESS_DENIED","error_description":"Access denied"}`
	p.refused("crm.item.get", `{"entityTypeId":2,"id":`+other+`}`, 400, denied)
	p.refused("crm.item.update", `{"entityTypeId":2,"id":`+other+`,"fields":{"title":"x"}}`, 400, denied)
	p.refused("crm.item.productrow.list", `{"filter":{"=ownerType":"D","=ownerId":`+other+`}}`, 400, denied)
	p.refused("crm.deal.get", `{"id":`+other+`}`, 400, `{"error":"","error_description":"Access denied"}`)
	p.refused("crm.deal.productrows.get", `{"id":`+other+`}`, 400, `{"error":"","error_description":"Access denied"}`)
	p.AddUser(emulator.User{ID: 1, Name: "Anna"})
	p.must("crm.item.get", `{"entityTypeId":2,"id":`+other+`}`)
}
