package bitrix_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

// rowsOf is a listing method of n rows, 50 a page. changed may alter n while it
// is read.
type rowsOf struct {
	mu      sync.Mutex
	n       int
	wrapper string
	noTotal bool
	changed func(*rowsOf)
}

func (l *rowsOf) list(p *php.Array) reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	start, _ := strconv.Atoi(fmt.Sprint(first(p, "start")))
	rows := php.NewArray()
	for i := start; i < min(start+50, l.n); i++ {
		rows.Append(object("id", number(i)))
	}
	re := reply{result: rows, total: l.n}
	if l.wrapper != "" {
		re.result = object(l.wrapper, rows)
	}
	if start+50 < l.n {
		re.next = start + 50
	}
	if l.noTotal {
		re.total = 0
	}
	if l.changed != nil {
		l.changed(l)
	}
	return re
}

func TestList(t *testing.T) {
	tests := []struct {
		rows     *rowsOf
		requests int
	}{
		{&rowsOf{n: 0}, 1},
		{&rowsOf{n: 50, wrapper: "items"}, 1},
		{&rowsOf{n: 51}, 2},
		{&rowsOf{n: 120, wrapper: "productRows"}, 2}, // a page, then a batch of two
		{&rowsOf{n: 2000, wrapper: "items"}, 2},
		{&rowsOf{n: 3000}, 3},
		{&rowsOf{n: 120, noTotal: true}, 3},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.rows.n, tt.rows.wrapper), func(t *testing.T) {
			p := &portal{methods: map[string]methodFunc{"list": tt.rows.list}}
			c := newClient(t, p)
			rows, err := c.List(t.Context(), bitrix.Call{Method: "list", Params: map[string]any{"filter": map[string]any{"a": 1}}}, tt.rows.wrapper)
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for i := range tt.rows.n {
				want = append(want, fmt.Sprintf(`{"id":%d}`, i))
			}
			for _, r := range rows {
				got = append(got, string(r))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if n := len(p.asked()); n != tt.requests {
				t.Errorf("%d requests, want %d: %v", n, tt.requests, p.asked())
			}
		})
	}
}

// TestListThatChanges starts over when a row comes, and gives up when they never
// stop coming.
func TestListThatChanges(t *testing.T) {
	once := func(l *rowsOf) {
		if l.n == 120 {
			l.n = 121
		}
	}
	c := newClient(t, &portal{methods: map[string]methodFunc{"list": (&rowsOf{n: 120, changed: once}).list}})
	rows, err := c.List(t.Context(), bitrix.Call{Method: "list"}, "")
	if err != nil || len(rows) != 121 {
		t.Errorf("%d rows, %v, want 121", len(rows), err)
	}
	c = newClient(t, &portal{methods: map[string]methodFunc{"list": (&rowsOf{n: 120, changed: func(l *rowsOf) { l.n++ }}).list}})
	_, err = c.List(t.Context(), bitrix.Call{Method: "list"}, "")
	if got := judge(t, err); !got.Temporary {
		t.Errorf("got %v %+v", err, got)
	}
}

func TestListRefuses(t *testing.T) {
	methods := map[string]methodFunc{
		"circle": func(*php.Array) reply { return reply{result: php.List(object("id", "1")), next: 50} },
		"huge":   func(*php.Array) reply { return reply{result: fullPage(0), next: 50, total: 1_000_000_000} },
	}
	c := newClient(t, &portal{methods: methods})
	for method := range methods {
		if rows, err := c.List(t.Context(), bitrix.Call{Method: method}, ""); err == nil {
			t.Errorf("%s gives %s", method, rows)
		}
	}
}

func TestValues(t *testing.T) {
	var got struct {
		IDs   []bitrix.ID
		Flags []bitrix.YesNo
	}
	in := `{"ids":[5,"5",null,"",false,"-7",0],"flags":["Y","N",true,false,"1","0",1,0,null,"","y"]}`
	if err := json.Unmarshal([]byte(in), &got); err != nil {
		t.Fatal(err)
	}
	want := "[5 5 0 0 0 -7 0] [true false true false true false true false false false true]"
	if s := fmt.Sprint(got.IDs, got.Flags); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	for _, bad := range []string{`"x"`, `1.5`, `[]`, `{}`, `true`} {
		var id bitrix.ID
		if json.Unmarshal([]byte(bad), &id) == nil {
			t.Errorf("%s was taken for the id %d", bad, id)
		}
	}
	if b, _ := json.Marshal([]bitrix.YesNo{true, false}); string(b) != `["Y","N"]` {
		t.Errorf("flags are written %s", b)
	}
}

func TestParsePlan(t *testing.T) {
	for in, want := range map[string]bitrix.Plan{"": bitrix.PlanStandard, "enterprise": bitrix.PlanEnterprise, "unlimited": bitrix.PlanUnlimited} {
		if got, err := bitrix.ParsePlan(in); err != nil || got != want {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
	if _, err := bitrix.ParsePlan("Gold"); err == nil {
		t.Error("Gold was taken")
	}
}
