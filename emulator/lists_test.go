package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/google/go-cmp/cmp"
)

// typed is a list with a property of each type.
func typed(t *testing.T, cfg emulator.Config) *portal {
	p := open(t, cfg)
	p.AddList(emulator.List{ID: 7, Name: "Typed", Fields: []emulator.ListField{
		{ID: 1, Code: "TEXT"},
		{ID: 2, Code: "NUMBER", Type: "N"},
		{ID: 3, Code: "CHOICE", Type: "L", Options: []string{"Yes", "No"}},
		{ID: 4, Code: "DAY", Type: "S:Date"},
		{ID: 5, Code: "MOMENT", Type: "S:DateTime"},
		{ID: 6, Code: "MONEY", Type: "S:Money"},
		{ID: 7, Code: "CRM", Type: "S:ECrm", Multiple: true},
		{ID: 8, Code: "OTHER", Type: "E"},
		{ID: 9, Code: "MUST", Required: true},
		{ID: 10, Code: "HTML", Type: "S:HTML"},
		{Type: "PREVIEW_TEXT"},
	}})
	return p
}

func element(what string) string { return `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":7,` + what + `}` }

func TestPropertyValues(t *testing.T) {
	t.Parallel()
	p := typed(t, emulator.Config{})
	for i, c := range []struct{ input, want string }{
		{`"PROPERTY_1":"a\nb "`, `"PROPERTY_1":{"*":"a\nb "}`},
		{`"PROPERTY_1":["first","second"]`, `"PROPERTY_1":{"*":"first"}`},
		{`"PROPERTY_1":{"n0":{"VALUE":"nested"}}`, `"PROPERTY_1":{"*":"nested"}`},
		{`"PROPERTY_1":""`, ``},
		{`"PROPERTY_2":"1 234,50"`, `"PROPERTY_2":{"*":"1234.5"}`},
		{`"PROPERTY_2":99.99`, `"PROPERTY_2":{"*":"99.99"}`},
		{`"PROPERTY_2":"0"`, `"PROPERTY_2":{"*":"0"}`},
		{`"PROPERTY_2":""`, ``},
		{`"PROPERTY_2":"3e18"`, `"PROPERTY_2":{"*":"3.0E+18"}`},
		{`"PROPERTY_3":2`, `"PROPERTY_3":{"*":"2"}`},
		{`"PROPERTY_3":"Yes"`, ``}, // it expects the option's id
		{`"PROPERTY_4":"2024-12-31"`, `"PROPERTY_4":{"*":"12/31/2024"}`},
		{`"PROPERTY_4":"31.12.2024"`, `"PROPERTY_4":{"*":"12/31/2024"}`},
		{`"PROPERTY_4":"soon"`, ``},
		{`"PROPERTY_5":"2024-12-31 23:59:59"`, `"PROPERTY_5":{"*":"12/31/2024 11:59:59 pm"}`},
		{`"PROPERTY_5":"2024-12-31T20:59:59Z"`, `"PROPERTY_5":{"*":"12/31/2024 11:59:59 pm"}`},
		{`"PROPERTY_6":"100|USD"`, `"PROPERTY_6":{"*":"100|USD"}`},
		{`"PROPERTY_7":["D_1","CO_3"]`, `"PROPERTY_7":{"*":"D_1","*2":"CO_3"}`},
		{`"PROPERTY_8":"12x"`, `"PROPERTY_8":{"*":"12"}`},
		{`"PROPERTY_10":"<b>x</b>"`, `"PROPERTY_10":{"*":{"TYPE":"HTML","TEXT":"<b>x</b>"}}`},
		{`"PREVIEW_TEXT":"short"`, `"PREVIEW_TEXT":"short"`},
		{`"PROPERTY_99":"unknown"`, ``},
	} {
		code := fmt.Sprintf("e%d", i)
		p.must("lists.element.add", element(`"ELEMENT_CODE":"`+code+`","FIELDS":{"NAME":"x","PROPERTY_9":"m",`+c.input+`}`))
		got, _ := at(p.must("lists.element.get", element(`"ELEMENT_CODE":"`+code+`"`)), 0).(map[string]any)
		expected, _ := parse(t, `{`+c.want+`}`).(map[string]any)
		for _, name := range []string{"PROPERTY_1", "PROPERTY_2", "PROPERTY_3", "PROPERTY_4", "PROPERTY_5", "PROPERTY_6", "PROPERTY_7", "PROPERTY_8", "PROPERTY_10", "PROPERTY_99", "PREVIEW_TEXT"} {
			want, have := values(expected[name]), values(got[name])
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("%s: %s (-want +got)\n%s", c.input, name, diff)
			}
		}
	}
}

// values are those of a property, without their ids.
func values(v any) []string {
	m, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return nil
		}
		return []string{text(v)}
	}
	var list []string
	for _, x := range m {
		list = append(list, text(x))
	}
	if len(list) > 1 {
		return []string{fmt.Sprint(len(list), " values")}
	}
	return list
}

// TestUpdateOverwrites: what an update is not given is gone, the code too.
func TestUpdateOverwrites(t *testing.T) {
	t.Parallel()
	p := typed(t, emulator.Config{})
	p.must("lists.element.add", element(`"ELEMENT_CODE":"a","FIELDS":{"NAME":"A","PROPERTY_1":"one","PROPERTY_2":2,"PROPERTY_9":"m"}`))
	get := func() string {
		_, body := p.post("lists.element.get", element(`"ELEMENT_ID":1,"SELECT":["ID","CODE","NAME","PROPERTY_1","PROPERTY_2"]`))
		return body
	}
	p.match("added", `{"result":[{"ID":"1","CODE":"a","NAME":"A","PROPERTY_1":{"1":"one"},"PROPERTY_2":{"2":"2"}}],"total":1,"time":"*"}`, get())
	p.must("lists.element.update", element(`"ELEMENT_ID":1,"ELEMENT_CODE":"a","FIELDS":{"NAME":"B","PROPERTY_1":"one","PROPERTY_9":"m"}`))
	p.match("rewritten, with a new value id", `{"result":[{"ID":"1","CODE":"a","NAME":"B","PROPERTY_1":{"4":"one"}}],"total":1,"time":"*"}`, get())
	p.must("lists.element.update", element(`"ELEMENT_ID":1,"FIELDS":{"NAME":"B","PROPERTY_1":{"4":"two"},"PROPERTY_9":"m"}`))
	p.match("without ELEMENT_CODE the code is gone; a value id that is named stays",
		`{"result":[{"ID":"1","CODE":null,"NAME":"B","PROPERTY_1":{"4":"two"}}],"total":1,"time":"*"}`, get())
	p.must("lists.element.update", element(`"ELEMENT_ID":1,"ELEMENT_CODE":"b","FIELDS":{"NAME":"B","PROPERTY_9":"m"}`))
	p.match("ELEMENT_CODE gives a code", `{"result":[{"ID":"1","CODE":"b","NAME":"B"}],"total":1,"time":"*"}`, get())
	p.refused("lists.element.update", element(`"ELEMENT_ID":1,"ELEMENT_CODE":"b","FIELDS":{"NAME":"B"}`), 400,
		`{"error":"ERROR_ELEMENT_FIELD_VALUE","error_description":"The field \"MUST\" is required"}`)
}

// TestUpdateKeepsFiles: files stay unless a separate field names them,
// and new ones are added to them.
// https://apidocs.bitrix24.com/api-reference/files/how-to-update-files.html
func TestUpdateKeepsFiles(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.AddList(emulator.List{ID: 7, Name: "Files", Fields: []emulator.ListField{
		{ID: 1, Code: "FILES", Type: "F", Multiple: true, Required: true}, {ID: 2, Code: "FILE", Type: "F"}, {ID: 3, Code: "DRIVE", Type: "S:DiskFile"},
	}})
	p.must("lists.element.add", element(`"ELEMENT_CODE":"a","FIELDS":{"NAME":"A","PROPERTY_1":[["a.txt","YQ=="],["b.txt","Yg=="]],"PROPERTY_2":["c.txt","Yw=="],"PROPERTY_3":55}`))
	for _, c := range []struct{ why, fields, want string }{
		{"as added", ``, `"PROPERTY_1":{"1":"1","2":"2"},"PROPERTY_2":{"3":"3"},"PROPERTY_3":{"4":"55"}`},
		{"they stay", `"PROPERTY_3":55`, `"PROPERTY_1":{"1":"1","2":"2"},"PROPERTY_2":{"3":"3"},"PROPERTY_3":{"5":"55"}`},
		{
			"a new one is added, or takes the place of the only one", `"PROPERTY_1":{"n0":["d.txt","ZA=="]},"PROPERTY_2":"ZQ=="`,
			`"PROPERTY_1":{"1":"1","2":"2","6":"4"},"PROPERTY_2":{"7":"5"}`,
		},
		{"one is dropped", `"PROPERTY_1_DEL":{"2":"Y","6":"N"},"PROPERTY_2_DEL":{"7":"Y"}`, `"PROPERTY_1":{"1":"1","6":"4"}`},
	} {
		if c.fields != "" {
			p.must("lists.element.update", element(`"ELEMENT_ID":1,"ELEMENT_CODE":"a","FIELDS":{"NAME":"A",`+c.fields+`}`))
		}
		_, body := p.post("lists.element.get", element(`"SELECT":["PROPERTY_1","PROPERTY_2","PROPERTY_3"]`))
		p.match(c.why, `{"result":[{`+c.want+`}],"total":1,"time":"*"}`, body)
	}
	p.refused("lists.element.update", element(`"ELEMENT_ID":1,"FIELDS":{"NAME":"A","PROPERTY_1":{"1":"1"}}`), 400,
		`{"error":"ERROR_ELEMENT_FIELD_VALUE","error_description":"Writing file values by ID is not supported"}`)
}

func TestStrictElementCode(t *testing.T) {
	t.Parallel()
	p := typed(t, emulator.Config{StrictElementCode: true})
	p.must("lists.element.add", element(`"ELEMENT_CODE":"a","FIELDS":{"NAME":"A","PROPERTY_9":"m"}`))
	p.must("lists.element.update", element(`"ELEMENT_ID":1,"ELEMENT_CODE":"a","FIELDS":{"NAME":"B","PROPERTY_9":"m"}`))
	p.refused("lists.element.update", element(`"ELEMENT_ID":1,"ELEMENT_CODE":"b","FIELDS":{"NAME":"B","PROPERTY_9":"m"}`), 400,
		`{"error":"ERROR_ELEMENT_NOT_FOUND","error_description":"*"}`)
}

func TestElementFilters(t *testing.T) {
	t.Parallel()
	p := typed(t, emulator.Config{})
	for i, fields := range []string{
		`"NAME":"Alpha","PROPERTY_1":"x","PROPERTY_2":10,"PROPERTY_4":"2026-01-01"`,
		`"NAME":"Beta","PROPERTY_1":"y","PROPERTY_2":9.5,"PROPERTY_4":"2026-01-02"`,
		`"NAME":"Gamma","PROPERTY_2":100`,
	} {
		p.must("lists.element.add", element(fmt.Sprintf(`"ELEMENT_CODE":"e%d","FIELDS":{"PROPERTY_9":"m",%s}`, i, fields)))
	}
	for _, c := range []struct{ what, want string }{
		{`"FILTER":{"=PROPERTY_2":"10.00"}`, "1"},
		{`"FILTER":{"PROPERTY_NUMBER":"9.5"}`, "2"},
		{`"FILTER":{">PROPERTY_2":9.5}`, "1 3"},
		{`"FILTER":{"><PROPERTY_2":[9,10]}`, "1 2"},
		{`"FILTER":{"PROPERTY_1":false}`, "3"},
		{`"FILTER":{"%NAME":"ET"}`, "2"},
		{`"FILTER":{"!%NAME":"et"}`, "1 3"},
		{`"FILTER":{">=PROPERTY_4":"2026-01-02"}`, "2"},
		{`"FILTER":{">=DATE_CREATE":"2020-01-01T00:00:00+03:00"}`, "1 2 3"},
		{`"FILTER":{">ID":1},"ELEMENT_ORDER":{"ID":"desc"}`, "3 2"},
		{`"ELEMENT_ORDER":{"PROPERTY_2":"asc"}`, "2 1 3"},
		{`"ELEMENT_ORDER":{"PROPERTY_6":"asc","NONSENSE":"x"}`, "1 2 3"},
		{`"ELEMENT_CODE":"E1"`, "2"},
		{`"ELEMENT_ID":[1,3]`, "1 3"},
	} {
		if got := strings.Join(ids(p.must("lists.element.get", element(c.what)), "ID"), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestListFieldOptions(t *testing.T) {
	t.Parallel()
	p := typed(t, emulator.Config{})
	name := p.must("lists.field.add", element(`"FIELDS":{"NAME":"Project","TYPE":"L","CODE":"PROJECT","LIST":{"10":{"VALUE":"Planning","SORT":10,"DEF":"Y"},"20":{"VALUE":"Work","SORT":20}},"LIST_TEXT_VALUES":"Testing\nPlanning\nDone"}`))
	_, body := p.post("lists.field.get", element(`"FIELD_ID":"`+text(name)+`"`))
	p.match("options", `{"result":{"L":{"FIELD_ID":"PROPERTY_11","DEFAULT_VALUE":"3","DISPLAY_VALUES_FORM":{"3":"Planning","4":"Work","5":"Testing","6":"Done"},"…":1}},"…":1}`, body)
}
