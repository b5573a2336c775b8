package service_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/charset"
)

// signed sends a body with its signature.
func (h sending) signed(contentType, body string, headers ...string) (int, string) {
	h.T.Helper()
	mac := hmac.New(sha256.New, []byte(sourceSecret))
	mac.Write([]byte(body))
	return h.send("/in/shop", contentType, body, append(headers, "X-Signature", hex.EncodeToString(mac.Sum(nil)))...)
}

// client is an order of a number as JSON.
func client(order string) string {
	return fmt.Sprintf(`{"order": %s, "sum": 5, "client": {"name": "Крыша"}}`, order)
}

// TestHookBodies sends bodies as they come in life to a hook. One that can be understood is a
// deal, and of one that cannot the sender gets the reason. Nothing is parked.
func TestHookBodies(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); hookBodies(t, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); hookBodies(t, testkit.NewPostgres(t)) })
}

func hookBodies(t *testing.T, database string) {
	h := newSending(t, apptest.Options{Database: database})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(client(`"zip"`)))
	_ = z.Close()
	old := func(text string) string { // in windows-1251
		var b strings.Builder
		for _, r := range text {
			if r >= 'А' && r <= 'я' {
				b.WriteByte(byte(r - 'А' + 0xC0))
			} else {
				b.WriteRune(r)
			}
		}
		return b.String()
	}
	if string(charset.Windows1251.Decode([]byte(old("Крыша")))) != "Крыша" {
		t.Fatal("the test does not write windows-1251")
	}
	part := func(headers, value string) string {
		return "--x\r\nContent-Disposition: form-data; " + headers + "\r\n\r\n" + value + "\r\n"
	}
	multipart := part(`name="order"`, "multi") + part(`name="client[name]"`, "Крыша") + part(`name="sum"`, "5")
	const jsonType = "application/json"
	deals := map[string]bool{}
	for _, tt := range []struct {
		name, contentType, body string
		order                   string // of the deal, "" if the body is refused
		want                    string // in the answer to one that is refused
		headers                 []string
	}{
		{name: "JSON", contentType: jsonType, body: client(`"a 1"`), order: "a 1"},
		{name: "JSON again", contentType: jsonType, body: client(`"a 1"`), order: "a 1"},
		{name: "a byte order mark", contentType: jsonType, body: "\uFEFF" + client(`"bom"`), order: "bom"},
		{name: "blanks and lines around", contentType: jsonType, body: "\r\n " + client(`"blank"`) + "\n\n", order: "blank"},
		{name: "a charset", contentType: jsonType + "; charset=UTF-8", body: client(`"utf"`), order: "utf"},
		{name: "another JSON", contentType: "application/vnd.shop+json", body: client(`"vnd"`), order: "vnd"},
		{name: "no content type", body: client(`"none"`), order: "none"},
		{name: "JSON as text", contentType: "text/plain", body: client(`"text"`), order: "text"},
		{name: "JSON as a form, as curl sends it", contentType: formType, body: client(`"curl"`), order: "curl"},
		{name: "JSON in windows-1251", contentType: jsonType + "; charset=windows-1251", body: old(client(`"cp"`)), order: "cp"},
		{name: "a form", contentType: formType, body: "order=f1&client[name]=%D0%9A%D1%80%D1%8B%D1%88%D0%B0&sum=5", order: "f1"},
		{name: "a form with escaped keys", contentType: formType, body: "order=f2&client%5Bname%5D=%D0%9A%D1%80%D1%8B%D1%88%D0%B0&sum=5.00", order: "f2"},
		{name: "a form in windows-1251", contentType: formType + "; charset=windows-1251", body: "order=f3&client[name]=%CA%F0%FB%F8%E0&sum=5", order: "f3"},
		{name: "a form of several parts, as PHP posts an array", contentType: "multipart/form-data; boundary=x", body: multipart + "--x--\r\n", order: "multi"},
		{name: "a number for a text", contentType: jsonType, body: client(`18`), order: "18"},
		{name: "other alphabets", contentType: jsonType, body: client(`"заказ №7 🚀 עברית"`), order: "заказ №7 🚀 עברית"},
		{name: "an escaped text", contentType: jsonType, body: client(`"\u0437\/1"`), order: "з/1"},
		{name: "the longest key", contentType: jsonType, body: client(`"` + strings.Repeat("k", 200) + `"`), order: strings.Repeat("k", 200)},
		{name: "a NUL in a text", contentType: jsonType, body: strings.Replace(client(`"nul"`), "Крыша", `Крыша","phone":"\u0000`, 1), order: "nul"},
		{name: "members that the rule does not know", contentType: jsonType, body: `{"rows": [` + strings.Repeat("[1],", 20_000) + `[1]], ` + client(`"more"`)[1:], order: "more"},
		{name: "one member twice", contentType: jsonType, body: `{"order": "first", ` + client(`"last"`)[1:], order: "last"},

		{name: "nothing", contentType: jsonType, body: "", want: "not JSON"},
		{name: "null", contentType: jsonType, body: "null", want: "is missing"},
		{name: "a list", contentType: jsonType, body: "[" + client(`"l"`) + "]", want: "is a list, want record"},
		{name: "a text", contentType: jsonType, body: `"order"`, want: "is text, want record"},
		{name: "two orders", contentType: jsonType, body: client(`"t1"`) + client(`"t2"`), want: "more after the first value"},
		{name: "half an order", contentType: jsonType, body: client(`"half"`)[:30], want: "not JSON"},
		{name: "JavaScript", contentType: jsonType, body: `{order: 'a'}`, want: "not JSON"},
		{name: "no number of JSON", contentType: jsonType, body: strings.Replace(client(`"nan"`), "5", "NaN", 1), want: "not JSON"},
		{name: "a number without end", contentType: jsonType, body: strings.Replace(client(`"big"`), "5", "1e999999999", 1), want: "exponent"},
		{name: "a text for a number", contentType: jsonType, body: strings.Replace(client(`"s1"`), "5", `"1 500,50"`, 1), want: `{"path":"sum","message":"is text, want number"}`},
		{name: "a list for a number", contentType: jsonType, body: strings.Replace(client(`"s2"`), "5", `[5]`, 1), want: `"path":"sum","message":"is a list`},
		{name: "a record for a text", contentType: jsonType, body: client(`{"id": 5}`), want: `"path":"order","message":"is a record`},
		{name: "true for a text", contentType: jsonType, body: client(`true`), want: `"path":"order","message":"is true or false`},
		{name: "null for what is required", contentType: jsonType, body: client(`null`), want: `{"path":"order","message":"is missing"}`},
		{name: "a text for a record", contentType: jsonType, body: `{"order": "c", "client": "Ivan"}`, want: `"path":"client","message":"is text, want record"`},
		{name: "an empty key", contentType: jsonType, body: client(`""`), want: "the key is empty"},
		{name: "a key that is too long", contentType: jsonType, body: client(`"` + strings.Repeat("ж", 101) + `"`), want: "the key has 202 bytes"},
		{name: "a key with a line break", contentType: jsonType, body: client(`"a\nb"`), want: "cannot be printed"},
		{name: "a key with a NUL", contentType: jsonType, body: client(`"a\u0000"`), want: "cannot be printed"},
		{name: "a key from right to left", contentType: jsonType, body: client(`"a\u202Eb"`), want: "cannot be printed"},
		{name: "nested too deep", contentType: jsonType, body: strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), want: "nested too deep"},
		{name: "hostile nesting", contentType: jsonType, body: strings.Repeat("[", 500_000), want: "nested too deep"},
		{name: "bytes of another charset", contentType: jsonType, body: old(client(`"cp2"`)), want: "not UTF-8"},
		{name: "escapes of another charset", contentType: formType, body: "order=f4&client[name]=%CA%F0%FB%F8%E0", want: "the form is not UTF-8"},
		{name: "an unknown charset", contentType: jsonType + "; charset=koi8-r", body: client(`"koi"`), want: `the charset is \"koi8-r\", want UTF-8`},
		{name: "a form with too many values", contentType: formType, body: strings.Repeat("a[]=1&", 6000), want: "more than 5000 values"},
		{name: "a form with a deep key", contentType: formType, body: "a" + strings.Repeat("[b]", 40) + "=1", want: "levels"},
		{name: "a file", contentType: "multipart/form-data; boundary=x", body: multipart + part(`name="f"; filename="a.txt"`, "x") + "--x--\r\n", want: "files are not taken"},
		{name: "half a form", contentType: "multipart/form-data; boundary=x", body: multipart, want: "do not end"},
		{name: "a form without a boundary", contentType: "multipart/form-data", body: multipart, want: "cannot be read"},
		{name: "XML", contentType: "application/xml", body: "<order/>", want: "want JSON or a form"},
		{name: "a picture", contentType: "image/png", body: "\x89PNG", want: "UTF-8"},
		{name: "no content type at all", contentType: ";;;", body: client(`"ct"`), want: "the content type cannot be read"},
		{name: "compressed", contentType: jsonType, body: packed.String(), want: "send it uncompressed", headers: []string{"Content-Encoding", "gzip"}},
	} {
		status, answer := h.signed(tt.contentType, tt.body, tt.headers...)
		switch {
		case tt.order != "" && status != 200:
			t.Errorf("%s: %d %s", tt.name, status, answer)
		case tt.order == "" && (status != 422 || !strings.Contains(answer, tt.want) || !json.Valid([]byte(answer)) || len(answer) > 1000):
			t.Errorf("%s: %d %.300s, want 422 with %s", tt.name, status, answer, tt.want)
		case tt.order != "":
			deals[fmt.Sprintf("Order %s of Крыша 5.00", tt.order)] = true
		}
	}
	for _, d := range h.deals() {
		title := d.Title + " " + d.Opportunity
		if !deals[title] {
			t.Errorf("a deal that nobody has ordered, or a second one: %s", title)
		}
		delete(deals, title)
	}
	if len(deals) > 0 {
		t.Errorf("no deal for %v", deals)
	}
	if n := h.States()["parked"]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
	h.noCanary()
}

// TestRobotBodies sends what is no call of a robot to the address of one.
func TestRobotBodies(t *testing.T) {
	t.Parallel()
	h := newSending(t, apptest.Options{})
	document := func(id string) string { return "document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]=" + id }
	for _, tt := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"a call", formType, document("DEAL_1") + "&auth[domain]=a.bitrix24.ru&auth[application_token]=x", 200},
		{"numbered keys", formType, "document_id[0]=crm&document_id[1]=x&document_id[2]=DEAL_1", 200},
		{"a call for what is gone", formType, document("DEAL_999"), 200}, // the run finds that
		{"small letters", formType, document("deal_1"), 200},
		{"JSON", "application/json", `{"document_id": ["crm", "x", "DEAL_1"]}`, 422},
		{"no document", formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1", 422},
		{"an empty body", formType, "", 422},
		{"a text for the document", formType, "document_id=DEAL_1", 422},
		{"two parts", formType, "document_id[]=crm&document_id[]=DEAL_1", 422},
		{"no id", formType, document("DEAL_"), 422},
		{"the id 0", formType, document("DEAL_0"), 422},
		{"an id below 0", formType, document("DEAL_-1"), 422},
		{"an id that is none", formType, document("DEAL_1e3"), 422},
		{"an id that is too large", formType, document("DEAL_99999999999999999999"), 422},
		{"another entity", formType, document("LEAD_1"), 422},
		{"a list element", formType, "document_id[]=lists&document_id[]=Bitrix\\Lists\\BizprocDocumentLists&document_id[]=15", 422},
		{"a type that does not exist", formType, document("DYNAMIC_99999999999999999999_1"), 422},
		{"bytes that are no text", formType, document("%FF%00DEAL_1"), 422},
		{"many values", formType, strings.Repeat("document_id[]=crm&", 40_000), 422},
	} {
		status, answer := h.send("/robot/recount/"+sourceSecret+"?reason=%FF%00&"+strings.Repeat("v[]=1&", 100), tt.contentType, tt.body)
		if status != tt.want || status == 422 && (!json.Valid([]byte(answer)) || !strings.Contains(answer, "document_id") || len(answer) > 500) {
			t.Errorf("%s: %d %.300s, want %d", tt.name, status, answer, tt.want)
		}
	}
	h.Wait()
	if n := h.States()["parked"]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
	h.noCanary()
}
