package bitrix_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

const form = "application/x-www-form-urlencoded"

// captured is the body of a real outgoing webhook with its names and tokens
// changed.
const captured = "event=ONCRMDYNAMICITEMUPDATE&event_handler_id=221&data%5BFIELDS%5D%5BID%5D=24&data%5BFIELDS%5D%5BENTITY_TYPE_ID%5D=31&ts=1729797011" +
	"&auth%5Bdomain%5D=x.bitrix24.ru&auth%5Bclient_endpoint%5D=https%3A%2F%2Fx.bitrix24.ru%2Frest%2F&auth%5Bserver_endpoint%5D=https%3A%2F%2Foauth.bitrix.info%2Frest%2F" +
	"&auth%5Bmember_id%5D=995c2c&auth%5Bapplication_token%5D=jgwou2"

func TestParseEvent(t *testing.T) {
	e, err := bitrix.ParseEvent(form+"; charset=UTF-8", []byte(captured))
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(e.Data)
	got := []string{e.Code, e.HandlerID, string(data), e.Time.UTC().Format(time.RFC3339), e.Auth.Domain, e.Auth.MemberID, e.Auth.ClientEndpoint, e.Auth.ApplicationToken.Reveal(), e.Field("ID"), e.Field("ENTITY_TYPE_ID"), e.Field("X")}
	want := []string{"ONCRMDYNAMICITEMUPDATE", "221", `{"FIELDS":{"ID":"24","ENTITY_TYPE_ID":"31"}}`, "2024-10-24T19:10:11Z", "x.bitrix24.ru", "995c2c", "https://x.bitrix24.ru/rest/", "jgwou2", "24", "31", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(s, "jgwou2") {
		t.Errorf("the token is printed: %s", s)
	}
}

func TestParseEventForms(t *testing.T) {
	tests := []struct{ name, body, code, id string }{
		{"any case", "event=onCrmTimelineCommentAdd&data[FIELDS][ID]=7", "ONCRMTIMELINECOMMENTADD", "7"},
		{"id right under data", "event=ONCRMTIMELINECOMMENTADD&data[ID]=999", "ONCRMTIMELINECOMMENTADD", "999"},
		{"dots in the code", "event=CATALOG.PRODUCT.ON.ADD&data[FIELDS][ID]=1&data[FIELDS][TYPE]=1", "CATALOG.PRODUCT.ON.ADD", "1"},
		{"suffix", "event=ONCRMDYNAMICITEMADD_147&data[FIELDS][ID]=1", "ONCRMDYNAMICITEMADD_147", "1"},
		{"no data", "event=ONOFFLINEEVENT&ts=1", "ONOFFLINEEVENT", ""},
		{"empty data", "event=ONOFFLINEEVENT&data=", "ONOFFLINEEVENT", ""},
		{"id is no number", "event=ONCRMCURRENCYADD&data[FIELDS][ID]=CHE", "ONCRMCURRENCYADD", "CHE"},
		{"task is new", "event=ONTASKADD&data[FIELDS_BEFORE]=undefined&data[FIELDS_AFTER][ID]=5", "ONTASKADD", "5"},
		{"task is gone", "event=ONTASKDELETE&data[FIELDS_BEFORE][ID]=5&data[FIELDS_AFTER]=undefined", "ONTASKDELETE", "5"},
		{"time is no number", "event=A&ts=soon&data[FIELDS][ID]=1", "A", "1"},
		{"time is absurd", "event=A&ts=99999999999999999&data[FIELDS][ID]=1", "A", "1"},
		{"id is a list", "event=A&data[FIELDS][ID][]=1", "A", ""},
		{"auth is text", "event=A&auth=x", "A", ""},
	}
	for _, tt := range tests {
		e, err := bitrix.ParseEvent(form, []byte(tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if e.Code != tt.code || e.Field("ID") != tt.id || e.Data == nil {
			t.Errorf("%s: code %q, id %q", tt.name, e.Code, e.Field("ID"))
		}
	}
}

func TestParseEventRefuses(t *testing.T) {
	tests := []struct{ name, contentType, body string }{
		{"multipart", "multipart/form-data; boundary=x", captured},
		{"JSON", "application/json", `{"event":"A"}`},
		{"broken content type", ";;", captured},
		{"nothing", form, ""},
		{"no event", form, "data[FIELDS][ID]=1"},
		{"event is a list", form, "event[]=A"},
		{"event is no code", form, "event=A B"},
		{"event is too long", form, "event=" + strings.Repeat("A", 101)},
		{"data is text", form, "event=A&data=x"},
		{"too many values", form, "event=A" + strings.Repeat("&data[]=1", 1001)},
		{"too deep", form, "event=A&data" + strings.Repeat("[a]", 20) + "=1"},
		{"key too long", form, "event=A&data[" + strings.Repeat("a", 600) + "]=1"},
		{"too large", form, "event=A&data[x]=" + strings.Repeat("a", 1<<20)},
		{"not UTF-8", form, "event=A&data[x]=%ff"},
		{"key is not UTF-8", form, "event=A&data[%ff]=x"},
	}
	for _, tt := range tests {
		if e, err := bitrix.ParseEvent(tt.contentType, []byte(tt.body)); err == nil {
			t.Errorf("%s was taken: %+v", tt.name, e)
		}
	}
}

// TestParseRobot: the error about a form of a robot or a business process says so.
func TestParseRobot(t *testing.T) {
	for body, document := range map[string]string{
		"document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]=DEAL_12&auth[domain]=a.bitrix24.ru":           `"DEAL_12"`,
		"workflow_id=1.2&code=recount&document_id[0]=crm&document_id[1]=X&document_id[2]=DYNAMIC_147_1&event_token=e": `"DYNAMIC_147_1"`,
		"document_id=DEAL_12":                        `""`,
		"document_id[2]=" + strings.Repeat("A", 100): `"` + strings.Repeat("A", 60) + `"`,
	} {
		_, err := bitrix.ParseEvent(form, []byte(body))
		if err == nil || !strings.Contains(err.Error(), "a robot or a business process sent it, for the document "+document) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := bitrix.ParseEvent(form, []byte("data[FIELDS][ID]=1")); err == nil || strings.Contains(err.Error(), "robot") {
		t.Errorf("%v", err)
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, s := range []string{captured, "event=A&data[FIELDS_AFTER][ID]=1", "event=a.b_1&data[a][][b]=%00&auth[x]=", "event=A&data[=1&data]=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		e, err := bitrix.ParseEvent(form, []byte(body))
		if err != nil {
			return
		}
		if e.Code == "" || e.Code != strings.ToUpper(e.Code) {
			t.Fatalf("code %q", e.Code)
		}
		raw, err := json.Marshal(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		v, err := php.DecodeJSON(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if again, _ := json.Marshal(v); string(again) != string(raw) {
			t.Fatalf("data is %s, read again %s", raw, again)
		}
		_ = e.Field("ID")
		if _, err := json.Marshal(e.Time); err != nil {
			t.Fatal(err)
		}
	})
}
