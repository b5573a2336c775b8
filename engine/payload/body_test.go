package payload_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/payload"
)

// TestReadBody reads one value of each form; TestHookBodies of the service has what is refused.
func TestReadBody(t *testing.T) {
	for _, tt := range []struct{ contentType, body, want string }{
		{"application/json", "\uFEFF{\"a\": [1.50, null, true]}", `{"a":[1.5,null,true]}`},
		{"application/json; charset=windows-1251", "{\"a\": \"\xCA\xF0\"}", `{"a":"Кр"}`},
		{"application/x-www-form-urlencoded", "a[b]=1&a[c][]=x", `{"a":{"b":"1","c":["x"]}}`},
		{"application/x-www-form-urlencoded; charset=cp1251", "a=%CA%F0", `{"a":"Кр"}`},
		{"application/x-www-form-urlencoded", `{"a": 1}`, `{"a":1}`},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\n1 + 1\r\n--x--\r\n", `{"a":{"b":"1 + 1"}}`},
		{"", "5", "5"},
	} {
		v, problems := payload.ReadBody(tt.contentType, "", []byte(tt.body))
		if got, err := json.Marshal(v); err != nil || len(problems) > 0 || string(got) != tt.want {
			t.Errorf("%s %s: %s, %v, %v, want %s", tt.contentType, tt.body, got, problems, err, tt.want)
		}
	}
	for body, contentType := range map[string]string{
		"a=%FF": "application/x-www-form-urlencoded", "<a/>": "application/xml", "{": "application/json", "1": "a/b; c=;", "2": "text/plain; charset=koi8-r",
		"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n1\r\n--x--\r\n": "multipart/form-data; boundary=x",
	} {
		if v, problems := payload.ReadBody(contentType, "", []byte(body)); len(problems) != 1 || problems[0].Message == "" {
			t.Errorf("%s %q: %v, %v", contentType, body, v, problems)
		}
	}
	if _, problems := payload.ReadBody("application/json", "gzip", []byte("{}")); len(problems) != 1 {
		t.Error("a compressed body is read")
	}
}

// FuzzReadBody: whatever another system sends, it is a value that can be stored as JSON, or the
// sender gets short reasons.
func FuzzReadBody(f *testing.F) {
	f.Add("application/json", "", `{"order": "A-17", "sum": 1e5}`)
	f.Add("application/json; charset=windows-1251", "", "{\"a\": \"\xCF\"}")
	f.Add("application/x-www-form-urlencoded", "", "a[b][]=1&a[b][]=2&c=%FF")
	f.Add("multipart/form-data; boundary=x", "", "--x\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\n1\r\n--x--\r\n")
	f.Add("", "gzip", "\x1f\x8b")
	f.Add("text/plain", "", "\uFEFF[[[[1e99999]]]]")
	f.Fuzz(func(t *testing.T, contentType, encoding, body string) {
		v, problems := payload.ReadBody(contentType, encoding, []byte(body))
		for _, p := range problems {
			if p.Message == "" || len(p.Message) > 400 || !utf8.ValidString(p.Message) {
				t.Fatalf("%q", p.Message)
			}
		}
		if len(problems) > 0 {
			return
		}
		data, err := json.Marshal(v)
		if err != nil || !utf8.Valid(data) {
			t.Fatalf("%v: %v", v, err)
		}
	})
}
