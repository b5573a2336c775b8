package testfile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

func TestEventWith(t *testing.T) {
	for _, test := range []struct{ code, op, want string }{
		{"ONCRMDEALADD", "delete", "ONCRMDEALDELETE"},
		{"ONCRMDEALDELETE", "update", "ONCRMDEALUPDATE"},
		{"ONCRMDYNAMICITEMUPDATE", "delete", "ONCRMDYNAMICITEMDELETE"},
		{"ONCRMDYNAMICITEMUPDATE_1038", "delete", "ONCRMDYNAMICITEMDELETE_1038"},
	} {
		e, form := &Event{}, eventForm{Code: test.code, ID: "7"}
		if strings.HasPrefix(test.code, "ONCRMDYNAMIC") {
			form.EntityTypeID = 1038
		}
		if list := e.read(form); list.HasErrors() {
			t.Fatal(list)
		}
		if got, ok := e.WithOperation(test.op); !ok || got.code != test.want || got.ID != "7" {
			t.Errorf("%s of %s is %v, want %s", test.op, test.code, got, test.want)
		}
	}
	var list diag.List
	checkWord(&list, diag.Pos{}, "outcome", "doen", outcomes)
	if len(list) != 1 || list[0].HintText() != `did you mean "done"?` {
		t.Errorf("findings %v", list)
	}
}

// TestEventIDs holds that the short form of an event puts the id where a portal
// does.
func TestEventIDs(t *testing.T) {
	for _, known := range schemas.Events() {
		if len(known.IDs) == 0 || known.Entity == "item" {
			continue
		}
		e := &Event{}
		if list := e.read(eventForm{Code: known.Code, ID: "7"}); list.HasErrors() {
			t.Errorf("%s: %v", known.Code, list)
			continue
		}
		part := "steps"
		if known.Op == "delete" {
			part = "deleted"
		}
		text := fmt.Sprintf("version: 1\nrules: {r: {on: %s, %s: [{log: {message: a}}]}}\n", known.Code, part)
		set, list := load.File("a.yaml", []byte(text), actions.All)
		if set == nil {
			t.Errorf("%s: %v", known.Code, list)
			continue
		}
		routes := set.Route("main", e.EngineEvent(), nil)
		if len(routes) != 1 || routes[0].Entity.ID != "7" {
			t.Errorf("%s: routes %+v", known.Code, routes)
		}
	}
}
