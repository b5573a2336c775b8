package bitrix_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"b24rules/bitrix"
	"b24rules/bitrix/php"
)

const formType = "application/x-www-form-urlencoded"

// A real event of an outbound webhook, with the values changed.
const capturedEvent = "event=ONCRMDYNAMICITEMUPDATE&event_handler_id=221&data%5BFIELDS%5D%5BID%5D=24&data%5BFIELDS%5D%5BENTITY_TYPE_ID%5D=1220" +
	"&ts=1729797011&auth%5Bdomain%5D=x.bitrix24.ru&auth%5Bclient_endpoint%5D=https%3A%2F%2Fx.bitrix24.ru%2Frest%2F" +
	"&auth%5Bserver_endpoint%5D=https%3A%2F%2Foauth.bitrix.info%2Frest%2F&auth%5Bmember_id%5D=995c2c&auth%5Bapplication_token%5D=jgwou2"

func TestParseEvent(t *testing.T) {
	e, err := bitrix.ParseEvent(formType+"; charset=UTF-8", []byte(capturedEvent))
	if err != nil {
		t.Fatal(err)
	}
	if e.Code != "ONCRMDYNAMICITEMUPDATE" || e.HandlerID != "221" || !e.Time.Equal(time.Unix(1729797011, 0)) {
		t.Errorf("got %+v", e)
	}
	if e.Field("ID") != "24" || e.Field("ENTITY_TYPE_ID") != "1220" || e.Field("NONE") != "" {
		t.Errorf("fields %q %q %q", e.Field("ID"), e.Field("ENTITY_TYPE_ID"), e.Field("NONE"))
	}
	want := bitrix.EventAuth{Domain: "x.bitrix24.ru", MemberID: "995c2c", ApplicationToken: "jgwou2"}
	if diff := cmp.Diff(want, e.Auth); diff != "" {
		t.Errorf("auth (-want +got):\n%s", diff)
	}
	if text := fmt.Sprintf("%v %+v %#v %s %x %d", e, e, e, e.Auth.ApplicationToken, e.Auth.ApplicationToken, e.Auth.ApplicationToken); strings.Contains(text, "jgwou2") || strings.Contains(text, "6a67776f7532") {
		t.Errorf("the token shows: %s", text)
	}
}

func TestParseEventForms(t *testing.T) {
	tests := []struct {
		name, body string
		code, id   string
	}{
		{"camel case", "event=onCrmDealUpdate&data[FIELDS][ID]=7", "ONCRMDEALUPDATE", "7"},
		{"no FIELDS", "event=ONCRMTIMELINECOMMENTADD&data[ID]=999", "ONCRMTIMELINECOMMENTADD", "999"},
		{"no data", "event=ONOFFLINEEVENT&ts=1", "ONOFFLINEEVENT", ""},
		{"dots", "event=CATALOG.PRODUCT.ON.ADD&data[FIELDS][ID]=1", "CATALOG.PRODUCT.ON.ADD", "1"},
	}
	for _, tt := range tests {
		e, err := bitrix.ParseEvent(formType, []byte(tt.body))
		if err != nil || e.Code != tt.code || e.Field("ID") != tt.id {
			t.Errorf("%s: %q %q, %v", tt.name, e.Code, e.Field("ID"), err)
		}
	}
}

func TestParseEventRefuses(t *testing.T) {
	tests := []struct{ name, contentType, body, want string }{
		{"JSON", "application/json", `{"event":"X"}`, "want application/x-www-form-urlencoded"},
		{"multipart", "multipart/form-data; boundary=x", "--x", "want application/x-www-form-urlencoded"},
		{"empty", formType, "", "no event"},
		{"event is an array", formType, "event[]=X", "no event"},
		{"odd code", formType, "event=ON%00CRM", "event's code"},
		{"long code", formType, "event=" + strings.Repeat("A", 200), "event's code"},
		{"data is text", formType, "event=X&data=1", "data is text"},
		{"data is not UTF-8", formType, "event=X&data[FIELDS][ID]=%ff", "not UTF-8"},
		{"ts", formType, "event=X&ts=yesterday", "ts"},
		{"too deep", formType, "event=X&data" + strings.Repeat("[a]", 40) + "=1", "limit"},
		{"too many", formType, "event=X" + strings.Repeat("&a=1", 2000), "limit"},
	}
	for _, tt := range tests {
		_, err := bitrix.ParseEvent(tt.contentType, []byte(tt.body))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(capturedEvent)
	f.Add("event=X&data[a][][b]=1&data[a][]=2&auth=1&ts=-1")
	f.Add("event=X&data%5B%00%5D=%ff&auth[application_token][]=1")
	f.Fuzz(func(t *testing.T, body string) {
		e, err := bitrix.ParseEvent(formType, []byte(body))
		if err != nil {
			return
		}
		if e.Code == "" || e.Code != strings.ToUpper(e.Code) {
			t.Errorf("code %q", e.Code)
		}
		if _, err := php.EncodeJSON(e.Data); err != nil {
			t.Errorf("data cannot be stored: %v", err)
		}
	})
}
