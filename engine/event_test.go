package engine_test

import (
	"testing"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestEventEntities routes events whose ids are in different
// places of their data.
func TestEventEntities(t *testing.T) {
	type record = map[string]any
	for _, tt := range []struct {
		on   string
		data record
		want string // "" when no run can be made
	}{
		{"ONCRMDEALUPDATE", record{"FIELDS": record{"ID": "7"}}, "deal:7"},
		{"ONCRMDEALUPDATE", record{"FIELDS": record{"ID": "x"}}, ""},
		{"ONCRMTIMELINECOMMENTADD", record{"ID": "7"}, "oncrmtimelinecomment:7"},
		{"ONCRMTIMELINECOMMENTADD", record{"FIELDS": record{"ID": "7"}}, "oncrmtimelinecomment:7"},
		{"ONCRMCURRENCYUPDATE", record{"FIELDS": record{"ID": "EUR"}}, "oncrmcurrency:EUR"},
		{"ONTASKADD", record{"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": record{"ID": "5"}}, "ontask:5"},
		{"ONTASKUPDATE", record{"FIELDS_BEFORE": record{"ID": "5"}, "FIELDS_AFTER": record{"ID": "5"}}, "ontask:5"},
		{"ONTASKDELETE", record{"FIELDS_BEFORE": record{"ID": "5"}, "FIELDS_AFTER": "undefined"}, "ontask:5"},
		{"ONTASKUPDATE", record{"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": "undefined"}, ""},
		{"ONLIVEFEEDPOSTADD", record{"FIELDS": record{"POST_ID": "9"}}, "onlivefeedpost:9"},
		{"ONCALENDARENTRYUPDATE", record{"id": "12"}, "oncalendarentry:12"},
		{"ONBOOKINGADD", record{"ID": "66"}, "onbooking:66"},
		{"ONVOXIMPLANTCALLSTART", record{"CALL_ID": "A1.b", "USER_ID": "1"}, "onvoximplantcallstart:A1.b"},
		{"ONSIGNB2EDOCUMENTSTATUSCHANGED", record{"documentUid": "q-1", "statusCode": "done"}, "onsignb2edocumentstatuschanged:q-1"},
	} {
		steps := "steps: [{compute: {x: =event.id}}]"
		if tt.on == "ONTASKDELETE" {
			steps = "deleted: [{compute: {x: =event.id}}]"
		}
		set, list := load.File("a.yaml", []byte("version: 1\nrules:\n  r:\n    on: "+tt.on+"\n    "+steps+"\n"), enginetest.Actions(new([]enginetest.Saved)))
		if set == nil {
			t.Errorf("%s: %v", tt.on, list)
			continue
		}
		got := ""
		for _, r := range set.Route("main", engine.Event{Code: tt.on, Data: tt.data}, nil) {
			got = r.Entity.String()
		}
		if got != tt.want {
			t.Errorf("%s %v is about %q, want %q", tt.on, tt.data, got, tt.want)
		}
		if parsed, err := engine.ParseEntity(got); got != "" && (err != nil || parsed.String() != got) {
			t.Errorf("%q reads as %v, %v", got, parsed, err)
		}
	}
}
